"""Numbers across pages: which links could cite a known resource (FIELDS.md section 4), what points to a page (section 5), and how much pages
repeat each other (section 7).

Redundancy is computed exactly for every pair of pages of one content format: similarity = max(Jaccard index of runs of five words, 0.8 ·
Jaccard index of long words). Both need the number of members (words or runs) that two pages share, which is an entry of the product of a
sparse pages × members matrix with its transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import regex
from ada_url import URL

from enrich.blocks import Blocks
from enrich.metrics.structure import FENCE, IMPORT, LINK, PIPED, TAG, Links, S, is_falsy, line_breaks
from enrich.wiki.data import Notice, Resource
from enrich.wiki.entities import Entity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from enrich.records.record import LoadedPage


def _declared(page: LoadedPage, key: str) -> str | None:
    """A value of the page's frontmatter as text."""
    value = page.facts.frontmatter.get(key)
    return None if is_falsy(value) else str(value)


PageOf = Callable[[str], str]
"""The id of the page of an entity; the entity's id if it has no page."""


def all_entities(entities: Iterable[Entity], pages: Iterable[LoadedPage], page_of: PageOf) -> list[Entity]:
    """The data files' entities, then one for each page that declares itself an entity and is not among them."""
    found = list(entities)
    ids = {name for entity in found for name in (entity.id, page_of(entity.id))}
    for page in pages:
        own, kind = _declared(page, "entityId") or page.file.id, _declared(page, "entityType")
        if kind and not page.file.is_index and own not in ids:
            ids.add(own)
            found.append(Entity(id=own, type=kind, title=page.facts.title, numeric_id=_declared(page, "numericId")))
    return found


def numeric_ids(entities: Iterable[Entity], pages: Iterable[LoadedPage], page_of: PageOf) -> tuple[dict[str, str], list[Notice]]:
    """Page id (or that of an entity without a page) by numeric id (`E42`), and a notice for each number that two of them claim: the first keeps it."""
    found: dict[str, str] = {}
    notices: list[Notice] = []
    for entity in entities:
        if entity.numeric_id:
            owner = found.setdefault(entity.numeric_id, page_of(entity.id))
            if owner != page_of(entity.id):
                notices.append(Notice("", 0, f"{entity.numeric_id} is the number of {owner!r} and of {entity.id!r}; the first keeps it"))
    for page in pages:
        if number := _declared(page, "numericId"):
            owner = found.setdefault(number, page.file.id)
            if owner not in (page.file.id, _declared(page, "entityId")):
                notices.append(Notice(page.file.path, 1, f"{number} is already the number of {owner!r}, which keeps it"))
    return found, notices


def backlinks(
    entities: Sequence[Entity],
    pages: Sequence[LoadedPage],
    numbers: Mapping[str, str],
    linked: Mapping[str, Sequence[str]],
    default_type: str | None,
    page_of: PageOf,
) -> dict[str, list[dict[str, Any]]]:
    """For each target the entries {id, type, title, relationship} of its sources: entities' related entries first, then pages' links.

    `entities` are those of `all_entities`, `linked` the ids that each page links to besides its entity links. `relationship` is the source's own
    text and missing if it gives none.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    sources: dict[str, set[str]] = {}
    for entity in entities:
        own = page_of(entity.id)
        for related in entity.related:
            entry: dict[str, Any] = {"id": own, "type": entity.type, "title": entity.title}
            if related.relationship is not None:
                entry["relationship"] = related.relationship
            target = page_of(related.id)
            found.setdefault(target, []).append(entry)
            sources.setdefault(target, set()).add(own)
    types = {page_of(entity.id): entity.type for entity in entities}
    for page in pages:
        own = page.file.id
        for link in (*page.facts.links.entities, *linked.get(own, ())):
            target = numbers.get(link, page_of(link))
            known = sources.setdefault(target, set())
            if target != own and own not in known:
                known.add(own)
                found.setdefault(target, []).append({"id": own, "type": types.get(own) or default_type, "title": page.facts.title})
    return found


def resource_map(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Resources by address, each with and without a final `/` and `www.`. Later resources overwrite earlier ones."""
    found: dict[str, Resource] = {}
    for resource in resources:
        href = canonical_href(resource.url)
        bare = (href or resource.url).removesuffix("/")
        addresses = [bare]
        if href is not None:
            scheme, mark, rest = bare.partition("://")
            other = rest.removeprefix("www.") if rest.startswith("www.") else f"www.{rest}"
            addresses.append(f"{scheme}{mark}{other}")
        for address in addresses:
            found[address] = found[f"{address}/"] = resource
    return found


def canonical_href(url: str) -> str | None:
    """The `href` of an absolute address (WHATWG URL Standard), or None if the text is not one.

    `^` stays as it is: the runtime of the reference build does not encode it.
    """
    try:
        href: str = URL(url).href
    except ValueError:
        return None
    return href.replace("%5E", "^") if "^" in url else href


def unconverted_links(outside: Iterable[tuple[str, str]], known: Mapping[str, Resource]) -> list[dict[str, Any]]:
    """The record's `unconvertedLinks`: one entry for each link whose target is a known resource, in order of appearance."""
    entries: list[dict[str, Any]] = []
    for label, target in outside:
        resource = known.get(target) or known.get(target.removesuffix("/"))
        if resource is not None:
            entry = {"text": label, "url": target, "resourceId": resource.id}
            if resource.title is not None:
                entry["resourceTitle"] = resource.title
            entries.append(entry)
    return entries


def referenced_resources(page: Links, known: Mapping[str, Resource], ids: frozenset[str] | set[str]) -> set[str]:
    """Ids of the resources that a page cites by a valid id or links to by address (FIELDS.md section 8)."""
    found = {cited for cited in page.cited if cited in ids}
    for _, target in page.outside:
        if target.startswith(("http://", "https://")):
            resource = known.get(target) or known.get(target.removesuffix("/")) or known.get(target + "/")
            if resource is not None:
                found.add(resource.id)
    return found


MIN_LETTERS = 5  # of a long word; shorter words say nothing about a page's subject
RUN = 5  # words in a run
MIN_WORDS = 10  # a page with no more distinct long words than this is not compared
WORD_WEIGHT = 0.8
LEAST = 0.10  # less similar pairs are not kept
KEPT = 5

# Pages that are compared with all others at once, and the cells of the similarity matrix that this may make (about 30 bytes each).
_ROWS, _CELLS = 256, 4_000_000

_FRONTMATTER = regex.compile(r"^---.*?---", regex.MULTILINE | regex.DOTALL)
_HEADING = regex.compile(rf"(?<!#)#++[{S}]")
_BOLD = regex.compile(r"\*\*([^*]+)\*\*")
_ITALIC = regex.compile(r"\*([^*]+)\*")
# ASCII letters, digits and `_` stay; every other byte is a blank.
_WORD_BYTES = bytes(byte if (chr(byte).isalnum() and byte < 128) or byte == ord("_") else ord(" ") for byte in range(256))


Similar = tuple[int, int]  # (index of the other page in the given order, similarity of 1 to 100)


def compared_text(text: str) -> bytes:
    """The words of an LF-normalised page text in order, lower-case ASCII, without frontmatter, code, tables, tags and markup."""
    text = _FRONTMATTER.sub("", line_breaks(text), count=1)
    for expression in (IMPORT, FENCE, TAG, PIPED, _HEADING):
        text = expression.sub("", text)
    for expression in (LINK, _BOLD, _ITALIC):
        text = expression.sub(r"\1", text)
    return b" ".join(text.lower().encode("ascii", "replace").translate(_WORD_BYTES).split())


def redundancy(
    texts: Iterable[bytes], groups: Sequence[str], blocks: Blocks | None = None, progress: Callable[[int, int], None] | None = None
) -> list[list[Similar]]:
    """For each page the pages most similar to it: at most five, most similar first, equal ones in page order.

    `texts` are results of `compared_text`; only pages of equal group (content format) are compared, where `blocks` says (default: this process).
    `progress` gets (pages done, of how many).
    """
    import numpy as np

    vocabulary: dict[bytes, int] = {}
    pages = [np.array([vocabulary.setdefault(word, len(vocabulary)) for word in text.split()], np.int64) for text in texts]
    is_long = np.array([len(word) >= MIN_LETTERS for word in vocabulary], bool)
    # A run's number is the sum of a random number for each of its words at its position: two runs share one with a chance of 2^-64.
    numbers = np.random.default_rng(0).integers(0, 2**64, (RUN, len(vocabulary)), np.uint64)
    words, runs = [np.unique(page[is_long[page]]) for page in pages], [_runs(page, numbers) for page in pages]
    compared = [page for page in range(len(pages)) if len(words[page]) > MIN_WORDS]
    found: list[list[Similar]] = [[] for _ in pages]
    done = 0
    for group in dict.fromkeys(groups[page] for page in compared):
        members = [page for page in compared if groups[page] == group]
        similarity_of = _Similarity([words[page] for page in members], [runs[page] for page in members])
        block = max(1, min(_ROWS, _CELLS // len(members)))
        rows = [(start, min(start + block, len(members))) for start in range(0, len(members), block)]
        best = (blocks or Blocks()).map(similarity_of.best, rows)
        for (start, stop), similar in zip(rows, best, strict=True):
            for page, row in zip(members[start:stop], similar, strict=True):
                found[page] = [(members[column], percent) for column, percent in row]
            if progress is not None:
                progress(done + stop, len(compared))
        done += len(members)
    return found


def _runs(page: NDArray[np.int64], numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The distinct runs of five words of a page, each as a number."""
    import numpy as np

    count = max(0, len(page) - RUN + 1)
    runs = np.zeros(count, np.uint64)
    for position in range(RUN):
        runs += numbers[position, page[position : position + count]]
    return np.unique(runs)


class _Similarity:
    """The similarities of the pages of one group. `words` and `runs` are the distinct members of each page."""

    def __init__(self, words: Sequence[NDArray[Any]], runs: Sequence[NDArray[Any]]) -> None:
        import numpy as np

        self.word_counts, self.run_counts = (np.array([len(page) for page in pages], np.float64) for pages in (words, runs))
        self.words, self.runs = _shared_members(words), _shared_members(runs)
        self.word_columns, self.run_columns = self.words.T.tocsr(), self.runs.T.tocsr()

    def best(self, rows: tuple[int, int]) -> list[list[Similar]]:
        """The best five of the pages of these rows (start, stop)."""
        return _best(self.rows(*rows))

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """The similarities (0 to 1) of the pages from `start` to `stop` with every page of the group; 0 with itself."""
        import numpy as np

        shared = (self.words[start:stop] @ self.word_columns).toarray().astype(np.float64)
        similarity: NDArray[np.float64] = WORD_WEIGHT * (shared / (self.word_counts[start:stop, None] + self.word_counts - shared))
        runs = (self.runs[start:stop] @ self.run_columns).tocoo()
        union = self.run_counts[start:stop][runs.row] + self.run_counts[runs.col] - runs.data
        similarity[runs.row, runs.col] = np.maximum(similarity[runs.row, runs.col], runs.data / union)
        similarity[np.arange(stop - start), np.arange(start, stop)] = 0.0
        return similarity


def _shared_members(pages: Sequence[NDArray[Any]]) -> Any:
    """The sparse 0/1 matrix of pages × members, for the members of two pages or more: no other can be shared."""
    import numpy as np
    from scipy import sparse

    _, member, count = np.unique(np.concatenate(pages), return_inverse=True, return_counts=True)
    owner = np.repeat(np.arange(len(pages)), [len(page) for page in pages])
    column = np.cumsum(count > 1) - 1
    shared = count[member] > 1
    columns = max(1, int(np.count_nonzero(count > 1)))
    entries = (np.ones(np.count_nonzero(shared), np.int32), (owner[shared], column[member[shared]]))
    return sparse.csr_matrix(entries, shape=(len(pages), columns))


def _best(similarity: NDArray[np.float64]) -> list[list[Similar]]:
    """For each row (column, similarity in percent) of the best five, best first, equal ones from left to right."""
    import numpy as np

    percent = np.where(similarity < LEAST, 0, np.floor(100 * similarity + 0.5)).astype(np.int16)
    order = np.argsort(-percent, axis=1, kind="stable")[:, :KEPT]
    return [[(column, int(row[column])) for column in columns if row[column]] for row, columns in zip(percent, order.tolist(), strict=True)]
