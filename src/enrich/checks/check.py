"""One check of a wiki or of a few of its pages: what `enrich check` does (DESIGN.md section 4.2).

Insights of named pages are compared with those of the whole wiki too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from enrich.checks.frontmatter import BROKEN, frontmatter
from enrich.checks.insights import data_findings, duplicate_findings, page_findings
from enrich.checks.report import CheckReport, PageFinding, in_order
from enrich.checks.writing import writing
from enrich.config import Config
from enrich.files import DATA_BYTES, read_bytes
from enrich.wiki.data import Insight, data_insights, page_insights, with_pages
from enrich.wiki.page_files import PageFile
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki


def check_wiki(config: Config, names: Sequence[str], today: date) -> CheckReport:
    """Check the wiki of a configuration, or the pages that `names` (PAGE arguments) name.

    `today` is the day from which the age of a verified insight is counted. Pages that cannot be read are findings, not errors. Raises
    `UserError` for a missing content folder, an unknown page and a profile that cannot be read.
    """
    wiki = Wiki.open(config)
    chosen = wiki.select(names)
    wanted = {file.id for file in chosen}
    findings: list[PageFinding] = []
    insights: list[Insight] = []
    for file in chosen:
        page = read_page(file)
        findings += in_order([*frontmatter(page, wiki.profile), *page_findings(page), *writing(page, wiki.profile.checks)])
        insights += page_insights(page)
    found, notices = data_insights(config.data, config.folders)
    tied, loose = with_pages(found, wiki.files)
    notices = [one for one in notices if not names or _names_one(config, one.file, chosen)]
    findings += [PageFinding("", config.data / one.file, max(one.line, 1), BROKEN, "error", one.message) for one in notices]
    if names:
        of_pages = [insight for insight in tied if insight.page in wanted]
        findings += data_findings(of_pages, [], today)
        others = [insight for file in wiki.files if file.id not in wanted for insight in page_insights(read_page(file))]
        compared = [*(insight for insight in tied if insight.page not in wanted), *loose, *others, *insights, *of_pages]
    else:
        findings += data_findings(tied, loose, today)
        compared = [*tied, *loose, *insights]
    findings += duplicate_findings(compared, lambda insight: not names or insight.page in wanted)
    return CheckReport(config.root, len(chosen), in_order(findings), () if names else tuple(wiki.warnings))


def _names_one(config: Config, file: str, pages: Sequence[PageFile]) -> bool:
    """Whether a data file mentions one of the pages, by its id or by the last part of its address."""
    try:
        raw = read_bytes(config.data / file, config.folders, DATA_BYTES)
    except OSError:
        return False
    return any(name.encode() in raw for page in pages for name in (page.id, page.url.rstrip("/").rpartition("/")[2]) if name)
