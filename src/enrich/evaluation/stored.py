"""The values that a wiki holds: on its pages and in `insights/*.yaml` of its data folder, now or at an earlier commit."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from enrich.config import Config
from enrich.errors import UserError
from enrich.evaluation.answers import AnswerSet, PageAnswers, ScoredInsight, number, plain, read_insight
from enrich.review.lock import Lock, owner
from enrich.stages.answers import stage_of
from enrich.stages.field_values import current_value
from enrich.wiki.data import data_insights, page_insights, with_pages
from enrich.wiki.pages import Page, PageFile, find_pages, read_page

_GIT_SECONDS = 300


def stored_answers(config: Config, files: Sequence[PageFile], *, name: str = "frontmatter", lock: Lock | None = None) -> AnswerSet:
    """The values on `files` and in the data folder; unusable ones are left out with a notice.

    Insights of the data folder are tied to pages by `wiki.data.with_pages`; a page's own list replaces them. With `lock`, values that `enrich`
    wrote are left out: a model must not be measured against its own earlier answers.
    """
    listed, said = data_insights(config.data)
    tied, loose = with_pages(listed, files)
    from_data: dict[str, list[ScoredInsight]] = {}
    unusable = written = 0
    for one in tied:
        insight = read_insight(one.values)
        unusable += insight is None
        if insight is not None:
            from_data.setdefault(one.page, []).append(insight)
    pages: dict[str, PageAnswers] = {}
    for file in files:
        page = read_page(file)
        ours = _written_by_us(page, lock)
        written += len(ours)
        given, wrong = _page_answers(page, ours, from_data.get(file.id))
        unusable += wrong
        if given.stages:
            pages[file.id] = given
    counts = (
        (len(loose), "insights of the data folder belong to no page here"),
        (unusable, "stored values are out of range or have no text; left out"),
        (written, "values were written by enrich itself and are not golden data; left out"),
    )
    return AnswerSet(name, pages, (*map(str, said), *(f"{count} {message}" for count, message in counts if count)))


def stored_at(config: Config, revision: str) -> AnswerSet:
    """The values of the wiki at a git revision. Raises `UserError` if git does not know the revision."""
    with tempfile.TemporaryDirectory(prefix="enrich-eval-") as folder:
        root = Path(folder)
        _check_out(config, revision, root)
        earlier = config.with_root(root)
        if not earlier.content.is_dir():
            raise UserError(f"no pages in {config.wiki.content} at {revision}", where=str(config.root), do="name another revision")
        files, _ = find_pages(earlier.content, config.wiki.roots)
        return stored_answers(earlier, files, name=f"frontmatter@{revision}")


def _written_by_us(page: Page, lock: Lock | None) -> Collection[str]:
    if lock is None:
        return ()
    ratings = page.frontmatter.get("ratings")
    fields = ["llmSummary", "insights", *(f"ratings.{name}" for name in (ratings if isinstance(ratings, Mapping) else ()))]
    return {
        name for name in fields if owner(current_value(page.frontmatter, name), lock.entry(page.id, stage_of(name), page), name) == "ours"
    }


def _page_answers(page: Page, left_out: Collection[str], from_data: Sequence[ScoredInsight] | None) -> tuple[PageAnswers, int]:
    """(the values on the page and in the data folder, the number of unusable ones on the page)."""
    unusable = 0
    summary = page.frontmatter.get("llmSummary")
    text = plain(summary) if isinstance(summary, str) and "llmSummary" not in left_out else ""
    ratings: dict[str, float] = {}
    stored = page.frontmatter.get("ratings")
    for name, value in (stored if isinstance(stored, Mapping) else {}).items():
        if f"ratings.{name}" in left_out or value is None:
            continue
        score = number(value, 10)
        if score is not None:
            ratings[str(name)] = score
        # Values on other scales are under `ratings` too (FIELDS.md section 15); they are not answers.
        unusable += number(value, 100) is None
    own: list[ScoredInsight] = []
    if isinstance(page.frontmatter.get("insights"), list) and "insights" not in left_out:
        entries = page_insights(page)
        own = [insight for entry in entries if (insight := read_insight(entry.values)) is not None]
        unusable += len(entries) - len(own)
    insights = own or from_data
    return PageAnswers(page=page.id, summary=text or None, insights=tuple(insights) if insights else None, ratings=ratings), unusable


def _check_out(config: Config, revision: str, root: Path) -> None:
    """Write the pages and insight files of a revision below `root`, from its blobs: no link, filter or hook of the repository has an effect."""
    if revision.startswith("-"):
        raise UserError(f"not a revision: {revision!r}", where=str(config.root), do="name a commit, a tag or a branch")
    wanted = [config.wiki.content, f"{config.wiki.data}/insights"]
    for folder in map(PurePosixPath, wanted):
        if folder.is_absolute() or ".." in folder.parts:
            raise UserError(f"{folder} is outside the wiki's folder", where=str(config.root), do="compare with a file that --save wrote")
    # `ls-tree` in a subfolder gives paths relative to it, as the configuration's are.
    listed = _git(config.root, "ls-tree", "-r", "-z", revision, "--", *wanted)
    if listed is None:
        raise UserError(
            f"git does not know {revision!r} here", where=str(config.root), do="name a commit, a tag or a branch of the wiki's repository"
        )
    blobs: list[tuple[str, str]] = []
    for row in listed.split(b"\0"):
        meta, _, path = os.fsdecode(row).partition("\t")
        if meta.startswith("100") and path.endswith((".md", ".mdx", ".yaml", ".yml")) and ".." not in PurePosixPath(path).parts:
            blobs.append((meta.split()[2], path))
    contents = _git(config.root, "cat-file", "--batch", given="".join(f"{blob}\n" for blob, _ in blobs).encode())
    if contents is None:
        raise UserError("git cannot read its objects", where=str(config.root), do="run `git fsck`")
    at = 0
    for _, path in blobs:
        end = contents.index(b"\n", at)
        size = int(contents[at:end].split()[2])
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[end + 1 : end + 1 + size])
        at = end + size + 2


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """The output of git, None if it fails or is missing."""
    try:
        done = subprocess.run(
            ["git", "--no-pager", *arguments],
            cwd=folder,
            input=given,
            capture_output=True,
            timeout=_GIT_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
