"""One check of a wiki or of a few of its pages: what `enrich check` does (DESIGN.md section 4.2).

Insights of named pages are compared with those of the whole wiki too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date

from enrich.checks.frontmatter import BROKEN, ORDER, SCHEMA, frontmatter, key_line, shown
from enrich.checks.insights import RULES as INSIGHT_RULES
from enrich.checks.insights import data_findings, duplicate_findings, page_findings
from enrich.checks.report import CheckReport, PageFinding, in_order
from enrich.checks.writing import RULES as WRITING_RULES
from enrich.checks.writing import writing
from enrich.config import FILE_NAME, Config
from enrich.errors import UserError
from enrich.files import DATA_BYTES, read_bytes
from enrich.review.lock import Lock, LockFile
from enrich.review.support import SUPPORTED, page_losses
from enrich.wiki.data import Insight, data_insights, page_insights, with_pages
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import Page, read_page
from enrich.wiki.site_links import PageLink, SiteMap, page_links
from enrich.wiki.wiki import Wiki

BROKEN_LINK, ORPHAN = "broken-link", "orphan-page"
SUPPORT = "support"
ALL_RULES = (BROKEN, SCHEMA, ORDER, *INSIGHT_RULES, SUPPORT, *WRITING_RULES, BROKEN_LINK, ORPHAN)
_PLACE = re.compile(r"\[(\d+)\]")


def check_wiki(config: Config, names: Sequence[str], today: date) -> CheckReport:
    """Check the wiki of a configuration, or the pages that `names` (PAGE arguments) name.

    `today` is the day from which the age of a verified insight is counted. Pages that cannot be read are findings, not errors. Raises
    `UserError` for a missing content folder, an unknown page and a profile that cannot be read.
    """
    if unknown := sorted(config.checks.keys() - set(ALL_RULES)):
        raise UserError(
            f"unknown rule `{unknown[0]}` under [checks]", where=str(config.root / FILE_NAME), do=f"name one of {', '.join(ALL_RULES)}"
        )
    wiki = Wiki.open(config)
    chosen = wiki.select(names)
    wanted = {file.id for file in chosen}
    off = [rule for rule in wiki.profile.checks.rules_off if config.checks.get(rule, "off") == "off"]
    profile = wiki.profile.model_copy(update={"checks": wiki.profile.checks.model_copy(update={"rules_off": off})})
    findings: list[PageFinding] = []
    insights: list[Insight] = []
    links: list[_LinkingPage] = []
    lock = wiki.shared(LockFile).read()
    for file in chosen:
        page = read_page(file)
        of_insights = list(page_findings(page))
        support = _support(wiki, page, lock, {one.line for one in of_insights if one.rule == "insight-evidence"})
        findings += in_order([*frontmatter(page, profile), *of_insights, *support, *writing(page, profile.checks)])
        insights += page_insights(page)
        links.append(_linking(page))
    if profile.page_links:
        links += [_linking(read_page(file)) for file in wiki.files if file.id not in wanted]
        findings += _link_findings(links, wanted)
    of_data, notices = data_insights(config.data, config.folders)
    tied, loose = with_pages(of_data, wiki.files)
    notices = [one for one in notices if not names or _names_one(config, one.file, chosen)]
    findings += [PageFinding("", config.data / one.file, max(one.line, 1), BROKEN, "error", one.message) for one in notices]
    findings += data_findings([insight for insight in tied if insight.page in wanted or not names], () if names else loose, today)
    others = [insight for file in wiki.files if file.id not in wanted for insight in page_insights(read_page(file))]
    findings += duplicate_findings([*tied, *loose, *others, *insights], lambda insight: not names or insight.page in wanted)
    findings = [_judged(finding, config) for finding in findings if config.checks.get(finding.rule) != "off"]
    return CheckReport(config.root, len(chosen), in_order(findings), () if names else tuple(wiki.warnings))


def _judged(finding: PageFinding, config: Config) -> PageFinding:
    """The finding as severe as `[checks]` says; what only informs stays so unless its rule is an error."""
    severity = config.checks.get(finding.rule, "off")
    if severity == "off" or (severity == "warning" and finding.severity == "info" and finding.rule != ORPHAN):
        return finding
    return replace(finding, severity=severity)


_LinkingPage = tuple[Page, list[PageLink]]


def _linking(page: Page) -> _LinkingPage:
    """The page without its text, and its links."""
    return replace(page, raw=b"", text="", body=""), page_links(page.body)


def _link_findings(links: Sequence[_LinkingPage], wanted: Collection[str]) -> Iterator[PageFinding]:
    """Findings about links of the `wanted` pages that lead to no page, and about those that no page links to."""
    site = SiteMap((page.file, page.frontmatter) for page, _ in links)
    linked: set[str] = set()
    for page, found in links:
        for link in found:
            target = site.page(link, page.file)
            if target and target != page.id:
                linked.add(target)
            elif target == "" and page.id in wanted:
                line = page.body_line + link.line - 1
                yield PageFinding(page.id, page.file.file, line, BROKEN_LINK, "warning", f"no page is at {shown(link.target)}", link.line)
    # Where most pages are reached by menus only, a page without a link to it is nothing special.
    alone = [page for page, _ in links if page.id not in linked and not page.file.is_index]
    if len(alone) < len(links) / 2:
        for page in alone:
            if page.id in wanted:
                yield PageFinding(page.id, page.file.file, 1, ORPHAN, "info", "no other page links to this page", 1)


def _support(wiki: Wiki, page: Page, lock: Lock, reported: Collection[int]) -> Iterator[PageFinding]:
    """A warning for what the published summary and insights rested on when they were written, and the page no longer says.

    `reported`: the lines of insights whose evidence is reported already.
    """
    insights = page_insights(page)
    for stage, field in SUPPORTED.items():
        for loss in page_losses(wiki, page, stage, lock.entry(page.id, stage, page)):
            at = _PLACE.search(loss.where)
            insight = insights[int(at[1])] if at is not None and int(at[1]) < len(insights) else None
            line = key_line(page.store_head, *(page.file.fields.path(field) or (field,))) if insight is None else insight.line
            if insight is None or line not in reported:
                yield PageFinding(page.id, page.file.store, line, SUPPORT, "warning", f"{loss.where}: {loss.message}", 1)


def _names_one(config: Config, file: str, pages: Sequence[PageFile]) -> bool:
    """Whether a data file mentions one of the pages, by its id or by the last part of its address."""
    try:
        raw = read_bytes(config.data / file, config.folders, DATA_BYTES)
    except OSError:
        return False
    return any(name.encode() in raw for page in pages for name in (page.id, page.url.rstrip("/").rpartition("/")[2]) if name)
