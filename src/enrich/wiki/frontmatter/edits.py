"""`edit`: a page's text with some frontmatter keys changed, and every other byte as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enrich.wiki.frontmatter import readback
from enrich.wiki.frontmatter.changes import DELETE, Branch, Changes, Path, checked, tree
from enrich.wiki.frontmatter.cuts import Cutter, carried_out
from enrich.wiki.frontmatter.fences import BOM, Fences, find_fences
from enrich.wiki.frontmatter.order import KEY_ORDER, Rank, ranking
from enrich.wiki.frontmatter.refusal import EditRefused
from enrich.wiki.frontmatter.scalars import Indents, entry
from enrich.wiki.frontmatter.spans import Tree, parse


def edit(text: str, changes: Changes, *, order: Sequence[str] = KEY_ORDER) -> str:
    """The text of a page after the changes; nothing outside the touched keys differs, and a second time changes nothing.

    `text` is the whole page as decoded, with its byte-order mark and line breaks. `changes` maps paths (`("ratings", "novelty")`) to values
    or `DELETE`; missing parents are created. A value that stands there already, under YAML 1.1 and 1.2 rules alike, keeps its spelling.
    New keys of the root take their place by `order`; those further down follow the last one there. Lines that are added end as most lines
    of the page do. `cuts` says what becomes of comments.

    Raises `EditRefused` where the frontmatter is not plain enough to be edited (DESIGN.md section 5), where a value cannot be written, and
    whenever the result does not read back as intended.
    """
    plain = checked(changes)
    fences = _fences(text)
    head = text[fences.head : fences.end]
    try:
        new = _edit_head(head, plain, order, _newline(text, fences))
    except EditRefused as error:
        raise EditRefused(error.reason, error.line + 1 if error.line else 0) from None
    if new == head:
        return text
    result = text[: fences.head] + new + text[fences.end :]
    if find_fences(result, fences_start(result)) != Fences(
        fences.head, fences.end + len(new) - len(head), fences.body + len(new) - len(head)
    ):
        raise EditRefused("self-check: the edited page would be cut elsewhere")
    return result


def edit_bytes(raw: bytes, changes: Changes, *, order: Sequence[str] = KEY_ORDER) -> bytes:
    """`edit` for a page file's bytes, which must be UTF-8 throughout."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditRefused(f"not UTF-8 (byte 0x{raw[error.start]:02x})", raw.count(b"\n", 0, error.start) + 1) from None
    return edit(text, changes, order=order).encode("utf-8")


def fences_start(text: str) -> int:
    """Where the first line of a page's text begins: behind a byte-order mark."""
    return 1 if text.startswith(BOM) else 0


def _fences(text: str) -> Fences:
    start = fences_start(text)
    fences = find_fences(text, start)
    if fences is not None:
        return fences
    if text.startswith("+++", start):
        raise EditRefused("the frontmatter is TOML (`+++`); only YAML is edited", 1)
    if find_fences(text + "\n---", start) is not None:
        raise EditRefused("the frontmatter has no closing `---` line", 1)
    raise EditRefused("no frontmatter (a block between two `---` lines at the top of the file)", 1)


def _newline(text: str, fences: Fences) -> str:
    """How most lines of the page end; where two ways are equally frequent, as the opening fence does."""
    crlf = text.count("\r\n")
    counts = {"\n": text.count("\n") - crlf, "\r\n": crlf, "\r": text.count("\r") - crlf}
    opening = next(ending for ending in ("\r\n", "\n", "\r") if text.endswith(ending, 0, fences.head))
    return max(counts, key=lambda ending: (counts[ending], ending == opening))


def _edit_head(head: str, changes: dict[Path, Any], order: Sequence[str], newline: str) -> str:
    spans = parse(head)
    old = readback.read(head)
    if spans.root is not None and spans.root.kind != "mapping":
        raise EditRefused("the frontmatter is no mapping of keys to values", 1)
    rank = ranking(order)
    due = {path: value for path, value in changes.items() if not _stands(old, path, value)}
    if not due:
        return head
    settings = tree({path: value for path, value in due.items() if value is not DELETE})
    if spans.root is None:
        new = head + _fresh(settings, newline, rank)
    else:
        new = _settled(spans, head, settings, newline, rank)
    # One deletion at a time: in `{a: 1, b: 2}` what has to go with a key depends on which of its neighbours are left.
    for path in [path for path, value in due.items() if value is DELETE]:
        spans = parse(new)
        if spans.root is None:
            break
        cutter = Cutter(spans, newline, rank)
        cutter.delete(spans.root, path)
        new = carried_out(new, cutter.cuts)
    readback.check(old, due, new)
    return new


def _settled(spans: Tree, head: str, settings: Branch, newline: str, rank: Any) -> str:
    assert spans.root is not None
    if not settings:
        return head
    cutter = Cutter(spans, newline, rank)
    cutter.change(spans.root, settings)
    return carried_out(head, cutter.cuts)


def _fresh(settings: Branch, newline: str, rank: Any) -> str:
    """Keys for a frontmatter that has none yet."""

    def place(item: tuple[str, Any]) -> Rank:
        found: Rank = rank(item[0])
        return found

    lines = [line for key, value in sorted(settings.items(), key=place) for line in entry(key, value, Indents())]
    return "".join(line + newline for line in lines)


def _stands(readings: readback.Readings, path: Path, value: Any) -> bool:
    """Whether the change is no change: both readings have this value (or, to delete, none) there already."""
    for data in readings:
        place: Any = data
        for key in path:
            if not isinstance(place, dict) or key not in place:
                place = DELETE
                break
            place = place[key]
        if not (place is value if DELETE in (place, value) else readback.same(place, value)):
            return False
    return True
