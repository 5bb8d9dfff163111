"""`enrich init`: the files that a wiki starts with. `enrich cache`: count, prune and clear what is kept of answers and runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from enrich.config import FILE_NAME, Config, load_config, shipped_prompts
from enrich.errors import UserError
from enrich.files import SETTINGS_BYTES, Folders, read_bytes, remove_folder, write_text_atomically
from enrich.llm.cache import AnswerCache
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.runs.discovery import Discovery, discover
from enrich.runs.doctor import git_lines
from enrich.runs.plan import make_plan
from enrich.runs.results import run_folders
from enrich.stages.stage import load_stages
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki, page_files

_IGNORED = ("/cache/", "/proposals/", ".enrich-*")
_MERGED = ("enrich.lock merge=union", "enrich.evidence merge=union")
_SETTINGS = Path(__file__).resolve().parents[1] / "templates" / "enrich.toml.in"


@dataclass(slots=True)
class Started:
    """What `init` did: files written, files that existed and were kept, the content folder, its number of pages, and what was found and why."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    content: str = ""
    pages: int = 0
    reasons: tuple[str, ...] = ()


def start_wiki(root: Path, choose: Callable[[Discovery], str] = lambda found: found.content) -> Started:
    """Write what a wiki needs into `root`. Existing files are kept; git's files get the lines that they lack.

    `choose` returns the content folder for what was found.
    """
    if not root.is_dir():
        raise UserError("no such folder", where=str(root), do="make it, or name another")
    done = Started()
    if not os.path.lexists(root / FILE_NAME):
        found = discover(root)
        if (content := choose(found)) != found.content:
            found = discover(root, content)
        done.reasons = tuple(found.reasons)
        settings = _SETTINGS.read_text(encoding="utf-8")
        for name, value in (("content", found.content), ("data", found.data), ("found", found.settings())):
            settings = settings.replace(f"{{{name}}}", value)
        settings = settings.replace("\n\n\n", "\n\n")
    else:
        settings = ""
    _write_new(root, FILE_NAME, settings, done)
    for prompt in sorted(shipped_prompts().glob("*.md")):
        _write_new(root, f"prompts/{prompt.name}", prompt.read_text(encoding="utf-8"), done)
    _add_lines(root, ".gitignore", _IGNORED, done)
    _add_lines(root, ".gitattributes", _MERGED, done)
    config = load_config(root)
    done.content = config.wiki.content
    done.pages = len(page_files(config)[0]) if config.content.is_dir() else 0
    return done


def _write_new(root: Path, name: str, text: str, done: Started) -> None:
    if os.path.lexists(root / name):
        done.kept.append(name)
        return
    write_text_atomically(root / name, text, within=Folders(root))
    done.written.append(name)


def _add_lines(root: Path, name: str, lines: tuple[str, ...], done: Started) -> None:
    file = root / name
    try:
        before = read_bytes(file, Folders(root), SETTINGS_BYTES).decode("utf-8")
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot be read ({reason})", where=str(file), do="remove it, or make it a text file") from None
    missing = [line for line in lines if not git_lines(line) <= git_lines(before)]
    if not missing:
        done.kept.append(name)
        return
    newline = "" if not before or before.endswith("\n") else "\n"
    write_text_atomically(file, before + newline + "\n".join(missing) + "\n", within=Folders(root))
    done.written.append(name)


# The contract of `cache prune` (DESIGN.md section 4.2).
KEPT_RUNS = 30


def cache_stats(config: Config) -> dict[str, int]:
    """`answers`, `answer_bytes` and `runs`."""
    runs = len(run_folders(config.cache / "runs", config.folders))
    if not (config.cache / "answers").exists():
        return {"answers": 0, "answer_bytes": 0, "runs": runs}
    with AnswerCache(config.cache / "answers", within=config.folders) as answers:
        stats = answers.stats()
    return {"answers": stats["answers"], "answer_bytes": stats["bytes"], "runs": runs}


def cache_prune(wiki: Wiki) -> dict[str, int]:
    """Drop answers that neither lock, proposals nor the present plan name, and all but the last 30 runs."""
    keep = {line.key for line in wiki.shared(LockFile).read()}
    keep |= {origin.key for line in wiki.shared(LockFile).read() for origin in line.older.values()}
    keep |= {change.question.key for proposal in wiki.shared(ProposalStore).all() for change in proposal.changes}
    stages = {stage.name: stage for stage in load_stages(wiki.config)}
    for file, names in make_plan(wiki, wiki.files, list(stages.values()), refresh=True).due:
        page = read_page(file)
        for name in names:
            keep |= {stages[name].key(page, sample) for sample in range(stages[name].samples)}
    return _drop(wiki.config, keep, KEPT_RUNS)


def cache_clear(config: Config) -> dict[str, int]:
    """Drop all answers, comparisons of ranked lists, and runs."""
    remove_folder(config.cache / "rankings", config.folders)
    return _drop(config, set(), 0)


def _drop(config: Config, keep: set[str], runs: int) -> dict[str, int]:
    """Drop all answers but those with the keys `keep`, and all but the newest `runs`."""
    dropped = 0
    if (config.cache / "answers").exists():
        with AnswerCache(config.cache / "answers", within=config.folders) as answers:
            dropped = answers.prune(keep)
    folders = run_folders(config.cache / "runs", config.folders)
    old = folders[: max(0, len(folders) - runs)]
    for folder in old:
        remove_folder(folder, config.folders)
    return {"answers_dropped": dropped, "runs_dropped": len(old)}
