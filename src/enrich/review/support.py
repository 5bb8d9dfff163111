"""`enrich.evidence`: what published summaries and insights rest on, and whether today's page still has it (DESIGN.md section 4.5).

JSON lines sorted by page and field, committed with the wiki. It holds the quotes that the page does not hold, a hash of the sentences around each
quote, and the hard findings that a person accepted with the value. With it a value is checked again without a request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Annotated, Any

from pydantic import TypeAdapter

from enrich.files import LOCK_BYTES, write_text_atomically
from enrich.grounding import Finding, PageIndex
from enrich.grounding.quotes import normalise, normalise_quote
from enrich.review.lock import IF_ANY, LockEntry, json_row, parsed_rows
from enrich.stages.fields import INSIGHTS, SUMMARY, Evidence, current_value, is_missing, value_hash
from enrich.text import printable
from enrich.wiki.data import quotes_of
from enrich.wiki.pages import Page
from enrich.wiki.visible import split_sentences
from enrich.wiki.wiki import Wiki

SUPPORT_LOST = "support-lost"
SUPPORTED = {"summary": SUMMARY, "insights": INSIGHTS}
"""The field of each stage whose values rest on quotes."""

# Kinds of lines that are read sentence by sentence; of others the whole line counts.
_SENTENCES = ("prose", "list", "footnote")
_MOST_SENTENCES = 16
_PAGE_SHARE = 4_000  # bytes of the file for each page of the wiki: its entries have about 500


@dataclass(frozen=True, slots=True)
class Basis:
    """One quote of the page, word for word, and a hash of the whole sentences that hold it. `quote` is empty if the page holds it in the value."""

    sentence: str
    quote: Annotated[str, IF_ANY] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What one value rests on: one line of the file. `quotes` has a list for the summary, or one for each insight in the page's order.

    `value` is the hash of the value that this is about; `known` are the hard findings that the value had when it was written.
    """

    page: str
    field: str
    value: str
    quotes: tuple[tuple[Basis, ...], ...]
    known: Annotated[tuple[str, ...], IF_ANY] = ()


_SUPPORT = TypeAdapter(Support)


def _parts(field: str, value: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(where, text, the quotes that the value itself holds) of each text of a value."""
    if field == SUMMARY and isinstance(value, str):
        yield SUMMARY, value, ()
    elif field == INSIGHTS and isinstance(value, list):
        for at, item in enumerate(value):
            given = item if isinstance(item, Mapping) else {}
            quotes = tuple(quote.replace("\\$", "$") for quote in quotes_of(given))
            yield f"{INSIGHTS}[{at}]", str(given.get("text") or "").replace("\\$", "$"), quotes


def support_of(page: Page, field: str, value: Any, proposed: Any, evidence: Sequence[Evidence]) -> Support:
    """What a value that is on the page (or about to be) rests on.

    `evidence` belongs to the value `proposed`, from which a reviewer may have taken single insights.
    """
    index = PageIndex.of(page)
    by_text: dict[str, list[str]] = {}
    for where, text, _ in _parts(field, proposed):
        by_text[text] = [item.quote for item in evidence if item.found and (item.where == where or item.where.startswith(f"{where}."))]
    quotes, known = [], set()
    for _, text, own in _parts(field, value):
        found = [Basis(_digest(_sentence(quote, index))) for quote in own]
        stored = [_verbatim(quote, index) for quote in by_text.get(text, ()) if quote not in own]
        quotes.append((*found, *(Basis(_digest(_sentence(quote, index)), quote) for quote in stored)))
        known |= set(_hard(text, [*own, *stored], index))
    return Support(page=page.id, field=field, value=value_hash(value), quotes=tuple(quotes), known=tuple(sorted(known)))


def _verbatim(quote: str, index: PageIndex) -> str:
    """The quote, or the page's line if the quote is not there word for word."""
    if normalise_quote(quote) in index.quotes.text:
        return quote
    match = index.find_quote(quote)
    return match.page_text if match is not None else quote


def _hard(text: str, quotes: Iterable[str], index: PageIndex) -> dict[str, str]:
    """The messages of the hard findings on numbers, names and turned statements, by kind and words. Without quotes the whole page counts."""
    given = [quote for quote in quotes if quote]
    found = index.check(text, given or None)
    return {
        f"{one.kind}: {one.quantity}": one.message for one in found if one.severity == "hard" and one.kind in ("number", "name", "flip")
    }


def _sentence(quote: str, index: PageIndex) -> str:
    """The whole sentences that hold a quote word for word, in one text; the line in a table; "" if the page does not have the quote."""
    match = index.find_quote(quote)
    if match is None or not match.exact:
        return ""
    plain, lines = normalise_quote(quote), [line for line in index.lines if match.start_line <= line.number <= match.end_line]
    prose = [one.text for one in index.visible.prose if one.start_line <= match.end_line and one.end_line >= match.start_line]
    apart = [line.text[start:end] for line in lines if line.kind in _SENTENCES for start, end in split_sentences(line.text)]
    for pieces in (prose[:_MOST_SENTENCES], apart[:_MOST_SENTENCES]):
        runs = sorted(combinations(range(len(pieces) + 1), 2), key=lambda run: run[1] - run[0])
        for run in runs:
            text = " ".join(pieces[slice(*run)])
            if plain in normalise(text):
                return text
    return match.page_text


def _digest(sentence: str) -> str:
    """The hash of a sentence; "" for none."""
    if not sentence:
        return ""
    return hashlib.sha256(normalise(sentence).casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def losses(page: Page, field: str, support: Support | None) -> list[Finding]:
    """What of the support of the page's value is gone: quotes, the sentences around them, and the numbers and names of the value.

    Without `support` of this very value (it was adopted, or written by an earlier version) only its own quotes, numbers and names are compared.
    """
    value = current_value(page.data, field)
    if support is not None and support.value != value_hash(value):
        support = None
    index = PageIndex.of(page)
    found: list[Finding] = []
    for at, (where, text, own) in enumerate(_parts(field, value)):
        bases = support.quotes[at] if support is not None and at < len(support.quotes) else tuple(Basis("", quote) for quote in own)
        left_over = iter(own)  # a basis without a quote is one of the value's own, in their order
        quotes = [basis.quote or next(left_over, "") for basis in bases]
        gone = [_gone(quote, basis, index) for quote, basis in zip(quotes, bases, strict=True)]
        found += [Finding("evidence", "hard", message, where) for message in gone if message]
        left = [quote for quote, message in zip(quotes, gone, strict=True) if not message or index.find_quote(quote)]
        if left or not quotes:
            known = support.known if support is not None else ()
            found += [Finding("evidence", "hard", message, where) for key, message in _hard(text, left, index).items() if key not in known]
    return found


def _gone(quote: str, basis: Basis, index: PageIndex) -> str:
    """What changed about one quote, or "" if it and its sentence are as they were."""
    sentence = _sentence(quote, index)
    if not sentence:
        if not basis.sentence:
            return ""  # it was not there word for word when it was written: the rule insight-evidence reports it
        match = index.find_quote(quote)
        now = f'; the page now says "{printable(match.text, 160)}"' if match is not None else ""
        return f'its evidence is no longer on the page: "{printable(quote, 160)}"{now}'
    if basis.sentence and basis.sentence != _digest(sentence):
        return f'the sentence of its evidence changed: the page now says "{printable(sentence, 240)}"'
    return ""


class EvidenceFile:
    """The file `enrich.evidence` of one wiki. It is written while the lock file's mutex is held."""

    def __init__(self, wiki: Wiki) -> None:
        self.path, self._within = wiki.config.evidence, wiki.config.folders
        self._wiki = wiki
        self._known: dict[tuple[str, str], list[Support]] | None = None

    def read(self) -> dict[tuple[str, str], list[Support]]:
        """All entries by (page, field); several after a merge. Raises `UserError` that names the line for anything else."""
        if self._known is None:
            found: dict[tuple[str, str], list[Support]] = {}
            most = max(LOCK_BYTES, _PAGE_SHARE * len(self._wiki.files))
            what, do = "not an entry of evidence", "restore enrich.evidence from version control"
            for support in parsed_rows(self.path, _SUPPORT.validate_json, self._within, most=most, what=what, do=do):
                found.setdefault((support.page, support.field), []).append(support)
            self._known = found
        return self._known

    def support(self, page: Page, field: str) -> Support | None:
        """The entry of the page's present value, also if the page was renamed; None if there is none."""
        entries = self.read()
        now = value_hash(current_value(page.data, field)) if entries else ""
        own = entries.get((page.id, field), ())
        others = (entry for key, found in entries.items() if key[1] == field for entry in found)
        return next((entry for entry in chain(reversed(own), others) if entry.value == now), None)

    def update(self, supports: Iterable[Support]) -> None:
        """Replace the entries of these pages and fields; an entry that says nothing is left out. To be called while the lock is held for writing."""
        new = {(one.page, one.field): [one] if any(one.quotes) or one.known else [] for one in supports}
        if not new:
            return
        self._known = None
        merged = {**self.read(), **new}
        rows = (json_row(_SUPPORT, entry) for key in sorted(merged) for entry in merged[key])
        write_text_atomically(self.path, "".join(rows), within=self._within)


def page_losses(wiki: Wiki, page: Page, stage: str, entry: LockEntry | None) -> list[Finding]:
    """The losses of a stage's value that `enrich` wrote, if the page's text changed since; [] for other stages and values."""
    field = SUPPORTED.get(stage)
    value = current_value(page.data, field) if field else None
    if field is None or entry is None or is_missing(value) or entry.fields.get(field) != value_hash(value):
        return []
    if entry.question_of(field).page_hash == page.hash:
        return []
    return losses(page, field, wiki.shared(EvidenceFile).support(page, field))
