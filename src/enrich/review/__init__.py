"""The lock, proposals, decisions, diffs, apply and reports: all that stands between an answer and a page."""
