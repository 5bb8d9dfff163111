"""What a model is shown of a page besides its words: which source a citation names, and what the frontmatter says about the page.

A model that sees `<R id="1a2b">` does not know that a source is cited there, nor which. The view is part of the page hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import regex

from enrich.wiki.profile import Profile

# A tag or a label that is longer is left as it is. Bounded, so that the time is in proportion to the text.
_ATTRIBUTES = r"(?:[ \t][^<>\n]{0,400}?)?"
_LONGEST_TITLE = 200
_NO_BRACKETS = str.maketrans("[]", "()")
_LONGEST_FACT = 200


class PromptView:
    """The rules of one wiki for what a model is shown.

    `profile` names the tags that cite a source and link to an entity by `id`, and the frontmatter keys that are shown above the text, with
    their labels. `titles` returns the titles of the sources by id; it is called when it is first needed.
    """

    def __init__(self, profile: Profile, titles: Callable[[], Mapping[str, str]]) -> None:
        self._profile, self._load_titles = profile, titles

    @cached_property
    def _titles(self) -> Mapping[str, str]:
        return self._load_titles()

    @cached_property
    def _components(self) -> list[str]:
        return [name for name in (self._profile.resource_component, self._profile.entity_link_component) if name]

    @cached_property
    def _tags(self) -> regex.Pattern[str]:
        names = "|".join(map(regex.escape, self._components))
        return regex.compile(rf"<(?P<tag>{names})(?P<more>{_ATTRIBUTES})(?:/>|>(?P<label>[^<>\n]{{0,400}})</(?P=tag)\s*>)")

    def body(self, body: str) -> str:
        """The body with each citation as `[source: title]` after its label, and each link to an entity as its label; same line numbers."""
        if not any(f"<{name}" in body for name in self._components):
            return body
        shown: str = self._tags.sub(self._words, body)
        return shown

    def _words(self, found: regex.Match[str]) -> str:
        label = " ".join((found["label"] or "").split())
        named = _ID.search(found["more"] or "")
        if found["tag"] == self._profile.entity_link_component:
            return label or (named[1].replace("-", " ") if named else found[0])
        title = " ".join(self._titles.get(named[1] if named else "", label).split())[:_LONGEST_TITLE].translate(_NO_BRACKETS)
        source = f"[source: {title}]" if title else "[source]"
        return source if label in ("", title) else f"{label} {source}"

    def facts(self, frontmatter: Mapping[str, Any]) -> tuple[str, ...]:
        """Lines such as `Type: analysis`, in the order of the profile, for the keys that have a plain value or a list of such values."""
        lines = []
        for key, label in self._profile.shown_keys.items():
            value = frontmatter.get(key)
            values = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str | int | float)]
            if text := " ".join(", ".join(map(str, values)).split())[:_LONGEST_FACT]:
                lines.append(f"{label}: {text}")
        return tuple(lines)


_ID = regex.compile(r"\bid=[\"']([^\"'\n]{1,200})[\"']")
