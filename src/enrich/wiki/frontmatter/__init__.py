"""Frontmatter edits that touch nothing else: `edit(text, changes)` gives the page's text with only the changed keys' bytes different.

```python
edit(text, {("llmSummary",): "Two methods agree.", ("ratings", "novelty"): 4.5, ("draft",): DELETE})
```
How (DESIGN.md section 5): the parser's events become a tree of spans (`spans`), each change becomes cuts (`cuts`), new keys find their
place (`order`), values are written so that every YAML reader agrees on them (`scalars`), and the result is read back before it is
given away (`readback`). What cannot be done safely raises `EditRefused`.
"""

from __future__ import annotations

from enrich.wiki.frontmatter.changes import DELETE, Change, Changes, Value
from enrich.wiki.frontmatter.edits import edit, edit_bytes
from enrich.wiki.frontmatter.fences import Fences, find_fences
from enrich.wiki.frontmatter.order import KEY_ORDER
from enrich.wiki.frontmatter.refusal import EditRefused

__all__ = ["DELETE", "KEY_ORDER", "Change", "Changes", "EditRefused", "Fences", "Value", "edit", "edit_bytes", "find_fences"]
