"""One check of a wiki or of a few of its pages: what `enrich check` does (DESIGN.md section 4.2).

Naming pages makes it fast, not blind: insights of the named pages are still compared with those of the whole wiki, but other pages are
only parsed where their raw text could hold a near-duplicate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from enrich.checks.findings import Finding, Severity, in_order
from enrich.checks.frontmatter import BROKEN, frontmatter
from enrich.checks.insights import LIKE, OnPage, data_findings, duplicate_findings, page_findings
from enrich.checks.likeness import word_pairs
from enrich.checks.writing import Scope, writing
from enrich.config import FILE_NAME, Config
from enrich.errors import UserError
from enrich.wiki.data import Insight, data_insights, page_insights, with_pages
from enrich.wiki.pages import Page, PageFile, find_pages, read_page, select
from enrich.wiki.profile import Profile, load_profile


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found, in order of files and lines.

    `root` is the wiki's folder, `pages` how many pages were judged, `warnings` lines about the wiki as a whole (lost ids, missing roots).
    """

    root: Path
    pages: int
    findings: list[Finding]
    warnings: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def check_pages(
    root: Path, data: Path, files: Sequence[PageFile], profile: Profile, today: date, chosen: Sequence[PageFile] | None = None
) -> CheckReport:
    """Everything that can be said about the `chosen` pages (None: all) of the wiki whose pages are `files`.

    `today` tells how long ago an insight was verified. Pages that cannot be read are findings; nothing is raised for them.
    """
    checked = files if chosen is None else chosen
    wanted = {file.id for file in checked}
    checks = profile.checks
    scope = Scope(tuple(checks.biography_paths), tuple(checks.analysis_paths), tuple(checks.footnote_paths), frozenset(checks.rules_off))
    findings: list[Finding] = []
    insights: list[Insight] = []
    for file in checked:
        page = read_page(file)
        findings += in_order([*frontmatter(page, profile), *page_findings(page, _quotes), *writing(page, scope)])
        insights += page_insights(page)
    tied, loose, broken = _data_insights(data, files, chosen, insights)
    findings += broken
    if chosen is None:
        findings += data_findings(tied, loose, today)
        compared = [*tied, *loose, *insights]
    else:
        of_pages = [insight for insight in tied if insight.page in wanted]
        findings += data_findings(of_pages, [], today)
        targets = [*insights, *of_pages]
        others = _candidates(targets, [file for file in files if file.id not in wanted])
        compared = [*(insight for insight in tied if insight.page not in wanted), *loose, *others, *targets]
    findings += duplicate_findings(compared, lambda insight: chosen is None or insight.page in wanted)
    return CheckReport(root, len(checked), in_order(findings))


def _quotes(page: Page) -> OnPage:
    from enrich.grounding.page import PageIndex

    index = PageIndex(page.body, title=page.title, description=page.description)

    def stands(quote: str) -> str | None:
        match = index.find_quote(quote)
        return None if match is None else quote if match.exact else match.text

    return stands


def _data_insights(
    data: Path, files: Sequence[PageFile], chosen: Sequence[PageFile] | None, on_pages: Sequence[Insight]
) -> tuple[list[Insight], list[Insight], list[Finding]]:
    """Insights of the data folder, tied and loose, and what is wrong with its files.

    With chosen pages, files are left unparsed that neither name one of them nor could hold a near-duplicate of an insight of theirs.
    """
    if chosen is None:
        read, notices = data_insights(data)
    else:
        names = [name.encode() for file in chosen for name in (file.id, file.url.rstrip("/").rpartition("/")[2]) if name]

        def names_one(raw: bytes) -> bool:
            return any(name in raw for name in names)

        read, notices = data_insights(data, names_one)
        ids = {file.id for file in chosen}
        alike = _alike([*on_pages, *(insight for insight in with_pages(read, files)[0] if insight.page in ids)])
        more, said = data_insights(data, lambda raw: not names_one(raw) and alike(raw))
        read, notices = [*read, *more], sorted({*notices, *said})
    tied, loose = with_pages(read, files)
    return tied, loose, [Finding("", data / notice.file, max(notice.line, 1), BROKEN, "error", notice.message) for notice in notices]


def _alike(insights: Sequence[Insight]) -> Callable[[bytes], bool]:
    """Whether a raw text could hold a near-duplicate of one of the insights.

    It is read as it stands (quotes, escapes and folds included), so it must share only half of the word pairs that a duplicate would.
    """
    targets = [pairs for pairs in (word_pairs(insight.text) for insight in insights) if pairs]

    def alike(raw: bytes) -> bool:
        pairs = word_pairs(raw.decode("utf-8", "replace")) if targets else frozenset()
        return any(len(target & pairs) >= LIKE / 2 * len(target) for target in targets)

    return alike


_BLOCK = re.compile(rb"^insights[ \t]*:.*\n(?:(?:[ \t-].*)?\n)*", re.MULTILINE)


def _candidates(targets: Sequence[Insight], others: Sequence[PageFile]) -> Iterator[Insight]:
    """Insights of the other pages that could be near-duplicates of a target: those of pages whose raw block is alike."""
    if not targets:
        return
    alike = _alike(targets)
    for file in others:
        try:
            raw = file.file.read_bytes()
        except OSError:
            continue  # a page that cannot be read is a finding where it is checked
        block = _BLOCK.search(raw) if b"\ninsights" in raw else None
        if block is not None and alike(block.group()):
            yield from page_insights(read_page(file))


def check_wiki(config: Config, names: Sequence[str], today: date) -> CheckReport:
    """`check_pages` for the wiki of a configuration; `names` are PAGE arguments (none: all pages).

    Raises `UserError` for a missing content folder, an unknown page and a profile that cannot be read.
    """
    if not config.content.is_dir():
        raise UserError(f"no such folder: {config.wiki.content}", where=str(config.root / FILE_NAME), do="set `content` under [wiki]")
    files, warnings = find_pages(config.content, config.wiki.roots)
    chosen = select(names, files, config.content, config.root) if names else None
    profile = load_profile(config.wiki.profile, config.root)
    report = check_pages(config.root, config.data, files, profile, today, chosen)
    return replace(report, warnings=tuple(warnings) if chosen is None else ())
