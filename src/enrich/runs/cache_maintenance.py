"""`enrich cache`: count, prune and clear what is kept of answers and runs."""

from __future__ import annotations

from enrich.config import Config
from enrich.files import remove_folder
from enrich.llm.cache import AnswerCache
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.runs.plan import make_plan
from enrich.runs.results import run_folders
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

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
    for file, stages in make_plan(wiki, refresh=True).due:
        page = read_page(file)
        keep |= {stage.key(page, sample) for stage in stages for sample in range(stage.samples)}
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
