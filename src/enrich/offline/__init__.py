"""The built-in baseline backend: extractive summary and insights, ratings from structure. No network, no key, the same answer each time."""

from enrich.offline.answering import answer

__all__ = ["answer"]
