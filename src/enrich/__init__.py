"""LLM-assisted enrichment of wiki pages that people trust.

What the command line does, in a few lines of Python:

```python
from pathlib import Path
import enrich

wiki = enrich.Wiki.open(enrich.load_config(Path(".")))
plan = enrich.make_plan(wiki)      # states with reasons; asks nothing
result = enrich.run(wiki, enrich.RunOptions(limit=10))       # asks what is due, leaves proposals
text = enrich.edit(text, {("ratings", "rigor"): 4.5})        # frontmatter, every other byte untouched
```
Names are loaded when they are first used. Everything that is not in `__all__` may change at any time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enrich.config import Config, load_config
    from enrich.errors import AnswerError, EnrichError, ServiceError, UserError
    from enrich.grounding import Finding, PageIndex, Quote
    from enrich.runs.plan import make_plan
    from enrich.runs.run import RunOptions, run
    from enrich.wiki.frontmatter.edit import edit
    from enrich.wiki.wiki import Wiki

__version__ = "0.1.0"

_HOMES = {
    "config": ("Config", "load_config"),
    "errors": ("AnswerError", "EnrichError", "ServiceError", "UserError"),
    "grounding": ("Finding", "PageIndex", "Quote"),
    "runs.plan": ("make_plan",),
    "runs.run": ("RunOptions", "run"),
    "wiki.frontmatter.edit": ("edit",),
    "wiki.wiki": ("Wiki",),
}

__all__ = [
    "AnswerError",
    "Config",
    "EnrichError",
    "Finding",
    "PageIndex",
    "Quote",
    "RunOptions",
    "ServiceError",
    "UserError",
    "Wiki",
    "edit",
    "load_config",
    "make_plan",
    "run",
]


def __getattr__(name: str) -> object:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
