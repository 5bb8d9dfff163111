"""`enrich rank`: shows a ranked list and how sure it is, asks for the comparisons it lacks, and proposes the pages' scores (FIELDS.md section 13).

A page that is new to the list is inserted; the order of all others stays. With `everything` the whole list is ranked, except pages whose place a
person chose. Answers are kept as they come (`cache/rankings`), so a run that was ended at any moment continues.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from enrich.databases import origin
from enrich.errors import AnswerError, ServiceError, UserError, os_errors
from enrich.files import DATA_BYTES, LOCK_BYTES, Folders, make_folder, open_file, read_bytes, write_text_atomically
from enrich.llm.costs import learned
from enrich.llm.messages import Tally, canonical_hash
from enrich.review.lock import LockFile, Question
from enrich.review.proposals import ProposalStore
from enrich.review.propose import StageAnswer, propose, renew
from enrich.runs.plan import Estimate, cost_of
from enrich.runs.pool import Pool, Progress, Silent, alone
from enrich.runs.results import FailedQuestion, Journal, RunResult, write_whole
from enrich.runs.service import EngineOptions, ModelService, open_service
from enrich.stages.fields import FieldAnswer, current_value, is_missing, same, within
from enrich.stages.importance import Comparisons, Insertion, Pair, Preferences, description, first_of
from enrich.stages.stage import OFFLINE
from enrich.wiki.pages import read_page
from enrich.wiki.rankings import LISTS, RankingFile, moved, score
from enrich.wiki.wiki import Wiki

# How far a page's earlier place moves its first score: less than a few answers do.
_TRUST = 0.7
# Neighbours whose order is less sure than this are listed.
SURE = 0.75


@dataclass(frozen=True, slots=True)
class RankOptions:
    """Which list, and what to do: `ask` what is missing (at most `calls` requests), `propose` the scores of the list as it is.

    `pages` (PAGE arguments) are taken out of the list and put in again; `everything` ranks the whole list.
    """

    name: str = "reader"
    pages: tuple[str, ...] = ()
    everything: bool = False
    ask: bool = False
    propose: bool = False
    calls: int | None = None


def rank(wiki: Wiki, options: RankOptions, progress: Progress | None = None, env: Mapping[str, str] | None = None) -> Ranking:
    """Show, ask and propose as `options` say. Raises `UserError` before anything is asked; later errors are in the result."""
    started = perf_counter()
    progress = progress or Silent()
    config = wiki.config
    if options.name not in LISTS:
        raise UserError(f"unknown list {options.name!r}", do=f"use one of {', '.join(LISTS)}", exit_code=2)
    if options.ask and not config.stages.importance.enabled:
        do = "set `enabled = true` under [stages.importance], or use --propose for the scores of the list as it is"
        raise UserError("the stage `importance` is off", where=str(config.root / "enrich.toml"), do=do)
    if options.ask and config.llm.backend == OFFLINE:
        raise UserError("the offline baseline cannot compare pages", do='name a model (llm.backend = "openai"), or order the list by hand')
    with alone(wiki, "rank", "another ranking ({}) is under way", progress):
        ranking = Ranking(wiki, options)
        run = ranking.run
        ranking.assess()
        ranking.estimate = ranking.cost()
        if options.ask or options.propose:
            with Journal(config.cache / "runs", config.folders) as journal:
                run.run = journal.run
                journal.write("start", backend=config.llm.backend, kind="rank", due=ranking.missing)
                if options.ask and ranking.missing:
                    asyncio.run(ranking.ask(progress, env, journal))
                if not run.stopped:
                    ranking.write(change=options.ask)
                    ranking.propose()
                ranking.assess()
                run.seconds = perf_counter() - started
                journal.write("end", exit=run.exit, requests=run.spent.requests, cost_usd=run.spent.cost_usd)
    return ranking


class Ranking:
    """One list: its file, the pages that can be compared, the answers so far, the work that is left, and the `run` that asks for it.

    `placed` are pages that a person put in their place, `unsure` neighbours with the probability of their order, `contradicted` the share of
    answers that the order contradicts. `estimate` is what asking for the missing answers takes, `written` the list's path if it changed.
    """

    def __init__(self, wiki: Wiki, options: RankOptions) -> None:
        self.wiki, self.config, self.options, self.list = wiki, wiki.config, options, LISTS[options.name]
        self.run = RunResult("", wiki.config.llm.backend)
        self.unsure, self.contradicted, self.estimate, self.written = list[tuple[str, str, float]](), 0.0, Estimate(), ""
        folder = self.config.cache / "rankings"
        self._last = folder / f"{self.list.name}-last.json"
        self.file = RankingFile.read(self.config.data / self.list.file, self.config.folders)
        pages = map(read_page, wiki.files)
        self.pages = {page.id: page for page in pages if page.problem is None and not wiki.not_asked(page)}
        self.comparisons = Comparisons.load(self.config, self.list, {page.id: description(page) for page in self.pages.values()})
        self.log = ComparisonLog(folder / f"{self.list.name}.jsonl", self.config.folders)
        # A person may have moved pages since `enrich` wrote the list.
        before = learned(list[str], self._last, self.config.folders, DATA_BYTES)
        self.placed = (self.file.placed | (moved(before, self.file.ids) if before else set())) & set(self.file.ids)
        self.answers = list(self.log.read(self.comparisons))
        self.work = self._work()
        for pair, first in self.answers:
            self.work.hear(pair, first)

    @property
    def order(self) -> list[str]:
        return list(self.file.ids)

    @property
    def unlisted(self) -> list[str]:
        """The pages that are not in the list."""
        listed = set(self.file.ids)
        return [page for page in self.pages if page not in listed]

    @property
    def missing(self) -> int:
        """The number of answers that are wanted."""
        return max(0, self.work.missing())

    def scores(self) -> dict[str, float]:
        """The score of each id of the list."""
        return {page: score(place, len(self.file.ids)) for place, page in enumerate(self.file.ids)}

    def document(self) -> dict[str, Any]:
        """The document of `rank --json`."""
        run, cost = self.run.document(), self.estimate
        return {
            "field": self.list.field,
            "ranking": [{"page": page, "score": value} for page, value in self.scores().items()],
            "unlisted": self.unlisted,
            "placed": sorted(self.placed),
            "unsure": [{"above": above, "below": below, "probability": round(sure, 3)} for above, below, sure in self.unsure],
            "contradicted": round(self.contradicted, 3),
            "comparisons": {"known": len(self.answers), "missing": self.missing, "asked": self.run.asked},
            "estimate": {"requests": cost.requests, "tokens": cost.tokens.counts(), "cost_usd": cost.cost_usd},
            "host": cost.host,
            "model": cost.model,
            "written": self.written,
            **{key: run[key] for key in ("run", "exit", "proposed", "held", "failed", "requests", "tokens", "cost_usd", "seconds")},
            **({"stopped": self.run.stopped, "do": self.run.do} if self.run.stopped else {}),
        }

    def _whole(self) -> WholeList:
        """The ranking of all pages, by the answers so far."""
        fixed = self.placed | {page for page in self.file.ids if page not in self.pages}
        # First scores from -1 to 1: by the places in the list, and for other pages by the importance from 0 to 100 that they have.
        values = {page.id: value for page in self.pages.values() if isinstance(value := page.data.get(self.list.field), int | float)}
        starts = {page: max(-1.0, min(1.0, (value - 50) / 45)) for page, value in (values | self.scores()).items()}
        return WholeList(list(self.pages), self.file.ids, fixed, starts, self.config.stages.importance.comparisons)

    def _work(self) -> Work:
        listed = [page for page in self.file.ids if page in self.pages]
        if self.options.everything or not listed:
            return self._whole()
        named = {file.id for file in self.wiki.select(self.options.pages)} if self.options.pages else set(self.unlisted)
        new = [page for page in self.pages if page in named]
        return Insertions(new, self.file.ids, listed, self.config.stages.importance.comparisons)

    def cost(self) -> Estimate:
        """What asking for the missing answers takes."""
        config, size = self.config, self.config.stages.importance.pairs
        sample = self.work.next_pairs()[:size] if config.llm.backend != OFFLINE and self.missing else []
        if not sample:
            return Estimate()
        return cost_of(config, [(self.comparisons.request(sample), -(-self.missing // size))], self.comparisons.model)

    def assess(self) -> None:
        """Compute how sure the answers make the order."""
        if not self.answers:
            return
        whole = self._whole()
        for pair, first in self.answers:
            whole.hear(pair, first)
        whole.preferences.update(last=True)
        self.contradicted = whole.preferences.contradicted()
        neighbours = pairwise(page for page in self.file.ids if page in self.pages)
        sure = ((above, below, whole.sureness(above, below)) for above, below in neighbours)
        self.unsure = sorted(((a, b, s) for a, b, s in sure if s is not None and s < SURE), key=lambda item: item[2])

    async def ask(self, progress: Progress, env: Mapping[str, str] | None, journal: Journal) -> None:
        """Ask round by round until no more answers are wanted; why it ended early is in the result of the run."""
        size, run = self.config.stages.importance.pairs, self.run
        async with open_service(self.wiki, (), progress.note, env, EngineOptions()) as service:
            assert isinstance(service, ModelService)
            pool = Pool(service, run, progress, journal.write)
            async with pool.running():
                while not run.stopped and (pairs := self.work.next_pairs()):
                    batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
                    if self.options.calls is not None:
                        batches = batches[: max(0, self.options.calls - run.spent.requests)]
                        if not batches:
                            run.end(4, f"{self.options.calls} requests are sent", "run again to continue: answers so far are kept")
                            break
                    before = len(self.answers)
                    await pool.each(batches, lambda pairs: self._batch(service, pairs, journal))
                    progress.note(f"{len(self.answers):,} comparisons, {self.missing:,} to go")
                    if len(self.answers) == before and not run.stopped:
                        run.end(3, "no comparison of a whole round was answered", "see the failures above")

    async def _batch(self, service: ModelService, pairs: Sequence[Pair], journal: Journal) -> None:
        """Ask about these pairs in one request, and keep the answers."""
        tally, request, answers, run = Tally(), self.comparisons.request(pairs), dict[Pair, bool](), self.run
        try:
            reply = await service.client.send(request, tally)
            service.tokens.learn(request, reply)
            answers = first_of(reply.text, pairs)
            self.log.append(self.comparisons, answers)
        except (AnswerError, ServiceError) as error:
            if error.final:
                raise
            detail = f"{error.detail} ({len(pairs)} pairs, the first of {pairs[0].a} and {pairs[0].b})"
            run.failed.append(FailedQuestion(pairs[0].a, self.list.stage, error.cause, detail))
        finally:
            run.spent.add(tally.usage, tally.cost_usd, tally.requests)
            journal.write("asked", requests=tally.requests, cost_usd=tally.cost_usd)
        self.answers += answers.items()
        for pair in pairs:
            if pair in answers or not run.stopped:
                self.work.hear(pair, answers.get(pair))
        run.asked += len(answers)

    def write(self, *, change: bool) -> None:
        """Write the list with the new order if `change`, and remember the order."""
        order = self.work.order() if change else self.order
        if (change or self.placed != self.file.placed) and self.file.write(order, self.placed, self.config.folders):
            self.written = f"{self.config.wiki.data}/{self.list.file}"
        self.file = RankingFile.read(self.file.path, self.config.folders)
        write_text_atomically(self._last, json.dumps(self.order, ensure_ascii=False) + "\n", within=self.config.folders)

    def propose(self) -> None:
        """Propose the scores that differ from those on the pages by the noise threshold or more."""
        wiki, name, noise, asked = self.wiki, self.list.field, self.config.stages.importance.noise, self.comparisons
        lock, store = wiki.shared(LockFile).read(), wiki.shared(ProposalStore)
        renewals = []
        for place, (page_id, exact) in enumerate(self.scores().items(), 1):
            page = self.pages.get(page_id)
            if page is None:
                continue
            value = int(exact) if exact.is_integer() else exact
            # The same score of the same page is the same question.
            key = canonical_hash([name, page_id, value])
            question = Question(key, page.hash, asked.prompt.hash[:16], self.list.stage, asked.settings_hash, asked.model)
            entry = lock.entry(page_id, self.list.stage, page)
            if entry is not None and name in entry.rejected and entry.key == key and not entry.question.reasons(question):
                continue
            old = current_value(page.data, name)
            if not is_missing(old) and (same(old, value) or within(old, value, noise)) and store.get(page_id) is None:
                continue
            reason = f"place {place} of {len(self.file.ids)} in {self.list.file}"
            answer = StageAnswer(self.list.stage, [FieldAnswer(name, value, reason=reason)], question, run=self.run.run, noise=noise)
            changes, renewed = propose(wiki, lock, page, [answer])
            renewals += renewed
            self.run.proposed += [(page_id, change.field) for change in changes]
            self.run.held += [(page_id, change.field, flag) for change in changes for flag in change.flags]
        renew(wiki, renewals)
        self.run.in_page_order({file.id: place for place, file in enumerate(wiki.files)})


class ComparisonLog:
    """The answers about one list, one JSON line each, in the order in which they came: nothing that was answered is asked again.

    A line carries a hash of itself and of this very file (`databases.origin`): answers that came with a clone are not believed.
    """

    def __init__(self, file: Path, within: Folders | None = None) -> None:
        self._file, self._within = file, within

    def read(self, comparisons: Comparisons) -> Iterator[tuple[Pair, bool]]:
        """(pair, whether A came first) of the answers to questions as they are asked now: of the same texts, prompt and model."""
        try:
            raw = read_bytes(self._file, self._within, LOCK_BYTES)
        except OSError:
            return
        seal_key = origin(self._file)
        for row in raw.split(b"\n"):
            body, _, seal = row.rpartition(b" ")
            if not body or seal != _seal(body, seal_key):
                continue
            a, b, first, key = json.loads(body)
            pair = Pair(a, b)
            if a in comparisons.pages and b in comparisons.pages and comparisons.key(pair) == key:
                yield pair, first

    def append(self, comparisons: Comparisons, answers: Mapping[Pair, bool]) -> None:
        """Keep these answers, safe from the end of this process. Raises `UserError` if they cannot be written."""
        with os_errors("answers cannot be kept", self._file, "make room or make it writable"):
            make_folder(self._file.parent, self._within)
            handle = open_file(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, self._within)
            with os.fdopen(handle, "ab", buffering=0) as stream:
                key = origin(self._file)
                bodies = [json.dumps([pair.a, pair.b, first, comparisons.key(pair)]).encode() for pair, first in answers.items()]
                # A line that was cut off ends at this newline.
                write_whole(stream, b"\n" + b"".join(body + b" " + _seal(body, key) + b"\n" for body in bodies))


def _seal(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=12, key=key).hexdigest().encode()


def _oriented(a: str, b: str, seen: set[Pair], random: Random) -> Pair:
    """The pair in an order that was not asked about, else in either one: models prefer what comes first."""
    pair, turned = Pair(a, b), Pair(b, a)
    return turned if pair in seen or (turned not in seen and random.random() < 0.5) else pair


class WholeList:
    """Ranks all pages of a list; ids in `fixed` (without a page, or placed by a person) keep their place in `before`."""

    def __init__(self, ids: Sequence[str], before: Sequence[str], fixed: Iterable[str], starts: Mapping[str, float], per_page: int) -> None:
        kept = set(fixed)
        self._ids = [page for page in ids if page not in kept]
        self._fixed = [(place, page) for place, page in enumerate(before) if page in kept]
        self._places = {page: place for place, page in enumerate(self._ids)}
        self.limit = per_page * len(self._ids)
        self.preferences = Preferences(len(self._ids), [_TRUST * starts.get(page, 0.0) for page in self._ids])
        self._seen: set[Pair] = set()

    def next_pairs(self) -> list[Pair]:
        """The next questions, which do not depend on each other's answers; [] if no more are wanted."""
        missing = self.missing()
        if missing <= 0:
            return []
        self.preferences.update()
        # Seeded: the same answers give the same questions.
        random = Random(f"{len(self.preferences)} {len(self._seen)}")
        pairs = self.preferences.pairs(random)[:missing]
        return [_oriented(self._ids[one], self._ids[other], self._seen, random) for one, other in pairs]

    def hear(self, pair: Pair, first: bool | None) -> None:
        """Take in an answer: whether A comes first; None if the question has no usable answer."""
        if pair.a in self._places and pair.b in self._places and pair not in self._seen:
            self._seen.add(pair)
            a, b = self._places[pair.a], self._places[pair.b]
            if first is None:
                self.preferences.asked[min(a, b), max(a, b)] += 1
            else:
                self.preferences.add(*((a, b) if first else (b, a)))

    def missing(self) -> int:
        """How many more answers are wanted."""
        return self.limit - len(self.preferences) if len(self._ids) > 1 else 0

    def order(self) -> list[str]:
        """All ids of the list, best first."""
        self.preferences.update(last=True)
        found = [self._ids[item] for item in self.preferences.order()]
        for place, page in self._fixed:
            found.insert(place, page)
        return found

    def sureness(self, above: str, below: str) -> float | None:
        """The probability that the first page belongs above the second; None if it is not known."""
        if above not in self._places or below not in self._places:
            return None
        return self.preferences.above(self._places[above], self._places[below])


class Insertions:
    """Puts `new` pages into a list whose own order stays as it is; only its pages in `known` can be compared."""

    def __init__(self, new: Sequence[str], before: Sequence[str], known: Iterable[str], per_page: int) -> None:
        self._before = [page for page in before if page not in set(new)]
        comparable = set(known)
        self._opponents = [page for page in self._before if page in comparable]
        self._places = {page: place for place, page in enumerate(self._opponents)}
        self._new = {page: Insertion(len(self._opponents)) for page in new}
        self._per_page = per_page
        self._seen: set[Pair] = set()

    def next_pairs(self) -> list[Pair]:
        found = []
        for page, insertion in self._new.items():
            place = insertion.opponent() if insertion.asked.total() < self._per_page else None
            if place is not None:
                found.append(_oriented(page, self._opponents[place], self._seen, Random(f"{page} {place}")))
        return found

    def hear(self, pair: Pair, first: bool | None) -> None:
        new, other, won = (pair.a, pair.b, first) if pair.a in self._new else (pair.b, pair.a, not first)
        if new in self._new and other in self._places and pair not in self._seen:
            self._seen.add(pair)
            if first is None:
                self._new[new].asked[self._places[other]] += 1
            else:
                self._new[new].add(self._places[other], won=bool(won))

    def missing(self) -> int:
        most = min(self._per_page, 2 * len(self._opponents))
        return sum(max(0, most - insertion.asked.total()) for insertion in self._new.values())

    def order(self) -> list[str]:
        found = list(self._before)
        # From the end, so that places above stay right; ids without a page stay above the page that they were above.
        for page, insertion in sorted(self._new.items(), key=lambda item: -item[1].place()):
            place = insertion.place()
            found.insert(found.index(self._opponents[place]) if place < len(self._opponents) else len(found), page)
        return found


Work = WholeList | Insertions
"""A ranking under way. Both say what to ask next, and what order the answers make."""
