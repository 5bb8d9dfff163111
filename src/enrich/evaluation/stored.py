"""The values that stand in a wiki: on its pages and in `insights/*.yaml` of its data folder, now or at an earlier commit."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from enrich.config import Config
from enrich.errors import UserError
from enrich.evaluation.answer_sets import AnswerSet, Insight, PageAnswers, number, plain, read_insight
from enrich.review.lock import Lock, owner
from enrich.stages.answers import stage_of
from enrich.stages.field_values import current_value
from enrich.wiki.data import data_insights, page_insights, with_pages
from enrich.wiki.pages import Page, PageFile, find_pages, read_page

_GIT_SECONDS = 300


def stored_answers(config: Config, files: Sequence[PageFile], *, name: str = "frontmatter", lock: Lock | None = None) -> AnswerSet:
    """What stands on `files` and in the data folder; values that are out of range are left out with a notice.

    Insights of the data folder belong to the page they name, else to the one at their path, else to the one with that last part
    (`wiki.data.with_pages`); a page's own list beats them. With `lock`, values that `enrich` itself wrote are left out: a model must
    not be measured against its own earlier answers.
    """
    listed, said = data_insights(config.data)
    tied, loose = with_pages(listed, files)
    from_data: dict[str, list[Insight]] = {}
    bad = 0
    for one in tied:
        insight = read_insight(one.values)
        if insight is None:
            bad += 1
        else:
            from_data.setdefault(one.page, []).append(insight)
    pages: dict[str, PageAnswers] = {}
    ours = 0
    for file in files:
        page = read_page(file)
        mine = _written_by_us(page, lock)
        ours += len(mine)
        given, wrong = _standing(page, mine, from_data.get(file.id))
        bad += wrong
        if given.stages:
            pages[file.id] = given
    notices = [str(notice) for notice in said]
    if loose:
        notices.append(f"{len(loose)} insights of the data folder belong to no page here")
    if bad:
        notices.append(f"{bad} stored values are out of range or hold no text; left out")
    if ours:
        notices.append(f"{ours} values were written by enrich itself and are no golden data; left out")
    return AnswerSet(name, pages, tuple(notices))


def stored_at(config: Config, revision: str) -> AnswerSet:
    """What stood in the wiki at a git revision. Raises `UserError` for a revision that git does not know."""
    with tempfile.TemporaryDirectory(prefix="enrich-eval-") as folder:
        root = Path(folder)
        _check_out(config, revision, root)
        earlier = config.model_copy(update={"root": root})
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


def _standing(page: Page, left_out: Collection[str], from_data: Sequence[Insight] | None) -> tuple[PageAnswers, int]:
    """(what the page says, how many of its values cannot be used)."""
    wrong: Counter[str] = Counter()
    summary = page.frontmatter.get("llmSummary")
    text = plain(summary) if isinstance(summary, str) and "llmSummary" not in left_out else ""
    ratings: dict[str, float] = {}
    stored = page.frontmatter.get("ratings")
    for name, value in (stored if isinstance(stored, Mapping) else {}).items():
        if f"ratings.{name}" in left_out or value is None:
            continue
        score = number(value, 0, 10)
        if score is not None:
            ratings[str(name)] = score
        elif number(value, 0, 100) is None:  # other scales stand under `ratings` too (FIELDS.md section 15) and are none of ours
            wrong["ratings"] += 1
    own: list[Insight] | None = None
    if isinstance(page.frontmatter.get("insights"), list) and "insights" not in left_out:
        entries = page_insights(page)
        own = [insight for entry in entries if (insight := read_insight(entry.values)) is not None]
        wrong["insights"] += len(entries) - len(own)
    insights = own or from_data
    return (
        PageAnswers(page.id, text or None, None, tuple(insights) if insights else None, ratings),
        wrong.total(),
    )


def _check_out(config: Config, revision: str, root: Path) -> None:
    """Write the pages and insight files of a revision below `root`. Blobs only: no link, no filter and no hook of the repository acts."""
    if revision.startswith("-"):
        raise UserError(f"no revision {revision!r}", where=str(config.root), do="name a commit, a tag or a branch")
    wanted = [config.wiki.content, f"{config.wiki.data}/insights"]
    for folder in map(PurePosixPath, wanted):
        if folder.is_absolute() or ".." in folder.parts:
            raise UserError(f"{folder} lies outside the wiki's folder", where=str(config.root), do="compare with a file that --save kept")
    # `ls-tree` in a subfolder gives paths relative to it, as the configuration's are.
    listed = _git(config.root, "ls-tree", "-r", "-z", revision, "--", *wanted)
    if listed is None:
        raise UserError(
            f"git knows no {revision!r} here", where=str(config.root), do="name a commit, a tag or a branch of the wiki's repository"
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
    """What git printed, None where it failed or is not there."""
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
