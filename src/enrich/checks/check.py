"""One check of a wiki or of a few of its pages: what `enrich check` does (DESIGN.md section 4.2).

Insights of named pages are compared with those of the whole wiki too; other pages are parsed only if their raw text could hold a
near-duplicate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from enrich.checks.frontmatter import BROKEN, frontmatter
from enrich.checks.insights import LIKE, data_findings, duplicate_findings, page_findings, word_pairs
from enrich.checks.report import CheckReport, PageFinding, in_order
from enrich.checks.writing import writing
from enrich.config import FILE_NAME, Config
from enrich.errors import UserError
from enrich.wiki.data import Insight, data_insights, page_insights, with_pages
from enrich.wiki.pages import PageFile, find_pages, read_page, select
from enrich.wiki.profile import Profile, load_profile


def check_pages(
    root: Path, data: Path, files: Sequence[PageFile], profile: Profile, today: date, chosen: Sequence[PageFile] | None = None
) -> CheckReport:
    """Check the `chosen` pages (None: all) of the wiki whose pages are `files`.

    `today` is the day from which the age of a verified insight is counted. Pages that cannot be read are findings, not errors.
    """
    checked = files if chosen is None else chosen
    wanted = {file.id for file in checked}
    findings: list[PageFinding] = []
    insights: list[Insight] = []
    for file in checked:
        page = read_page(file)
        findings += in_order([*frontmatter(page, profile), *page_findings(page), *writing(page, profile.checks)])
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


def _data_insights(
    data: Path, files: Sequence[PageFile], chosen: Sequence[PageFile] | None, on_pages: Sequence[Insight]
) -> tuple[list[Insight], list[Insight], list[PageFinding]]:
    """Insights of the data folder with and without a page, and what is wrong with its files.

    With chosen pages, only files are parsed that name one of them or could hold a near-duplicate of one of their insights.
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
    return tied, loose, [PageFinding("", data / notice.file, max(notice.line, 1), BROKEN, "error", notice.message) for notice in notices]


def _alike(insights: Sequence[Insight]) -> Callable[[bytes], bool]:
    """Whether a raw text could hold a near-duplicate of one of the insights.

    It is compared as written (quotes, escapes and folds included), so it must share only half of the word pairs that a duplicate would.
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
