"""`enrich cache`: count, prune and clear what the cache folder holds of answers and runs."""

from __future__ import annotations

import shutil

from enrich.config import Config
from enrich.llm.cache import AnswerCache
from enrich.review.lock import LockFile
from enrich.review.proposals import ProposalStore
from enrich.runs.plan import make_plan
from enrich.runs.results import run_folders
from enrich.stages.stage import load_stages
from enrich.wiki.pages import read_page
from enrich.wiki.wiki import Wiki

# The contract of `cache prune` (DESIGN.md section 4.2).
KEPT_RUNS = 30


def cache_stats(config: Config) -> dict[str, int]:
    """`answers`, `answer_bytes` and `runs`."""
    runs = len(run_folders(config.cache / "runs"))
    if not (config.cache / "answers").exists():
        return {"answers": 0, "answer_bytes": 0, "runs": runs}
    with AnswerCache(config.cache / "answers") as answers:
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
    dropped = 0
    if (wiki.config.cache / "answers").exists():
        with AnswerCache(wiki.config.cache / "answers") as answers:
            dropped = answers.prune(keep)
    old = run_folders(wiki.config.cache / "runs")[:-KEPT_RUNS]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return {"answers_dropped": dropped, "runs_dropped": len(old)}


def cache_clear(config: Config) -> dict[str, int]:
    """Drop all answers and all runs."""
    dropped = 0
    if (config.cache / "answers").exists():
        with AnswerCache(config.cache / "answers") as answers:
            dropped = answers.clear()
    runs = run_folders(config.cache / "runs")
    for folder in runs:
        shutil.rmtree(folder, ignore_errors=True)
    return {"answers_dropped": dropped, "runs_dropped": len(runs)}
