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
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from enrich.databases import origin
from enrich.errors import AnswerError, ServiceError, UserError, os_errors
from enrich.files import DATA_BYTES, LOCK_BYTES, Folders, locked, make_folder, open_file, read_bytes, write_text_atomically
from enrich.llm.costs import TokenUse, learned
from enrich.llm.messages import Tally, Usage, canonical_hash
from enrich.review.lock import LockFile, Question
from enrich.review.proposals import ProposalStore
from enrich.review.propose import StageAnswer, propose, renew
from enrich.runs.plan import Estimate
from enrich.runs.pool import Pool, Silent, terminated_as_interrupted
from enrich.runs.results import FailedQuestion, Journal, RunResult, write_whole
from enrich.runs.service import ModelService, Service, endpoints, open_service, prices_of, with_any_key
from enrich.stages.fields import FieldAnswer, current_value, is_missing, same, within
from enrich.stages.importance import Comparisons, Insertion, Pair, Preferences, description, first_of
from enrich.stages.stage import OFFLINE
from enrich.wiki.pages import Page, read_page
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


@dataclass(slots=True)
class RankResult:
    """A list with its scores under the frontmatter `key`, and the run that asked about it. `unsure` are neighbours with the probability of their order.

    `known` answers are there, `missing` ones are wanted; `estimate` is what asking for them takes.
    """

    key: str
    order: list[str]
    run: RunResult
    unlisted: list[str] = field(default_factory=list)
    placed: list[str] = field(default_factory=list)
    unsure: list[tuple[str, str, float]] = field(default_factory=list)
    contradicted: float = 0.0
    known: int = 0
    missing: int = 0
    estimate: Estimate = field(default_factory=Estimate)
    written: str = ""

    def scores(self) -> dict[str, float]:
        """The score of each id of the list."""
        return {page: score(place, len(self.order)) for place, page in enumerate(self.order)}

    def document(self) -> dict[str, Any]:
        """The document of `rank --json`."""
        run, scores = self.run, self.scores()
        return {
            "field": self.key,
            "ranking": [{"page": page, "score": scores[page]} for page in self.order],
            "unlisted": self.unlisted,
            "placed": self.placed,
            "unsure": [{"above": above, "below": below, "probability": round(sure, 3)} for above, below, sure in self.unsure],
            "contradicted": round(self.contradicted, 3),
            "comparisons": {"known": self.known, "missing": self.missing, "asked": run.asked},
            "estimate": {"requests": self.estimate.requests, "tokens": self.estimate.tokens.counts(), "cost_usd": self.estimate.cost_usd},
            "host": self.estimate.host,
            "model": self.estimate.model,
            "written": self.written,
            **{
                key: run.document()[key]
                for key in ("run", "exit", "proposed", "held", "failed", "requests", "tokens", "cost_usd", "seconds")
            },
            **({"stopped": run.stopped, "do": run.do} if run.stopped else {}),
        }


def rank(wiki: Wiki, options: RankOptions, progress: Any = None, env: Mapping[str, str] | None = None) -> RankResult:
    """Show, ask and propose as `options` say. Raises `UserError` before anything is asked; later errors are in the result."""
    started = perf_counter()
    progress = progress or Silent()
    config = wiki.config
    if options.name not in LISTS:
        raise UserError(f"unknown list {options.name!r}", do=f"use one of {', '.join(LISTS)}", exit_code=2)
    asks = options.ask and config.llm.backend != OFFLINE
    if options.ask and not config.stages.importance.enabled:
        do = "set `enabled = true` under [stages.importance], or use --propose for the scores of the list as it is"
        raise UserError("the stage `importance` is off", where=str(config.root / "enrich.toml"), do=do)
    if options.ask and not asks:
        raise UserError("the offline baseline cannot compare pages", do='name a model (llm.backend = "openai"), or order the list by hand')

    def waiting(holder: str) -> None:
        progress.note(f"another ranking ({holder or 'process unknown'}) is under way: waiting for it to end")

    with terminated_as_interrupted(), locked(config.cache / "locks" / "rank", waiting, config.folders):
        ranking = _Ranking(wiki, options)
        result = ranking.shown()
        if asks or options.propose:
            with Journal(config.cache / "runs", config.folders) as journal:
                result.run.run = journal.run
                journal.write("start", backend=config.llm.backend, kind="rank", due=result.missing)
                if asks and result.missing:
                    asyncio.run(ranking.ask(result.run, progress, os.environ if env is None else env, journal))
                if not result.run.stopped:
                    result.written = ranking.write(change=asks)
                    result.order = list(ranking.file.ids)
                    result.unlisted = [page for page in result.unlisted if page not in set(result.order)]
                    _propose(wiki, ranking, result)
                ranking.assess(result)
                result.run.seconds = perf_counter() - started
                journal.write("end", exit=result.run.exit, requests=result.run.spent.requests, cost_usd=result.run.spent.cost_usd)
    return result


class _Ranking:
    """One list: its file, the pages that can be compared, the answers so far, and the work that is left."""

    def __init__(self, wiki: Wiki, options: RankOptions) -> None:
        self.wiki, self.config, self.options, self.list = wiki, wiki.config, options, LISTS[options.name]
        folder = self.config.cache / "rankings"
        self._last = folder / f"{self.list.name}-last.json"
        self.file = RankingFile.read(self.config.data / self.list.file, self.config.folders)
        pages = map(read_page, wiki.files)
        self.pages = {page.id: page for page in pages if page.problem is None and not wiki.not_asked(page)}
        self.comparisons = Comparisons.load(self.config, self.list, {page.id: description(page) for page in self.pages.values()})
        self.log = ComparisonLog(folder / f"{self.list.name}.jsonl", self.config.folders)
        self.placed = {page for page in (self.file.placed | self._moved()) if page in self.file.ids}
        self.answers = list(self.log.read(self.comparisons))
        self.work = self._work()
        for pair, first in self.answers:
            self.work.hear(pair, first)

    def _moved(self) -> set[str]:
        """The pages that a person moved since `enrich` wrote the list."""
        before = learned(list[str], self._last, self.config.folders, DATA_BYTES)
        return moved(before, self.file.ids) if before else set()

    def whole(self) -> WholeList:
        """The ranking of all pages, by the answers so far."""
        values = {page.id: page.data.get(self.list.field) for page in self.pages.values()}
        scores = {page: float(value) for page, value in values.items() if isinstance(value, int | float)}
        fixed = self.placed | {page for page in self.file.ids if page not in self.pages}
        starts = starting_scores(self.file.ids, scores)
        return WholeList(list(self.pages), self.file.ids, fixed, starts, self.config.stages.importance.comparisons)

    def _work(self) -> Work:
        listed = [page for page in self.file.ids if page in self.pages]
        if self.options.everything or not listed:
            return self.whole()
        named = {file.id for file in self.wiki.select(self.options.pages)} if self.options.pages else set()
        new = [page for page in self.pages if page in named or (not self.options.pages and page not in self.file.ids)]
        return Insertions(new, self.file.ids, listed, self.config.stages.importance.comparisons)

    def shown(self) -> RankResult:
        """The list as it is, and what asking for the rest would take."""
        config, model = self.config, self.comparisons.model
        listed = list(self.file.ids)
        result = RankResult(self.list.field, listed, RunResult("", config.llm.backend), placed=sorted(self.placed))
        result.unlisted = [page for page in self.pages if page not in set(listed)]
        self.assess(result)
        if config.llm.backend != OFFLINE and result.missing and (sample := self.work.next_pairs()[: config.stages.importance.pairs]):
            request = self.comparisons.request(sample)
            servers = endpoints(config, with_any_key(config, os.environ))
            one, price = TokenUse(config.cache, config.folders).expected(request), prices_of(config, servers).price_of(model)
            requests = -(-result.missing // config.stages.importance.pairs)
            tokens = Usage(one.input * requests, output=one.output * requests)
            cost = None if price is None else round(price.cost(one) * requests, 6)
            result.estimate = Estimate(requests, tokens, cost, ", ".join(server.host for server in servers), model)
        return result

    def assess(self, result: RankResult) -> None:
        """Fill in how many answers there are, and how sure they make the order of `result`."""
        result.known, result.missing = len(self.answers), max(0, self.work.missing())
        if not self.answers:
            return
        whole = self.whole()
        for pair, first in self.answers:
            whole.hear(pair, first)
        whole.preferences.update(last=True)
        result.contradicted = whole.preferences.contradicted()
        sure = (
            (above, below, whole.sureness(above, below)) for above, below in pairwise(page for page in result.order if page in self.pages)
        )
        result.unsure = sorted(((a, b, s) for a, b, s in sure if s is not None and s < SURE), key=lambda item: item[2])

    async def ask(self, result: RunResult, progress: Any, env: Mapping[str, str], journal: Journal) -> None:
        """Ask round by round until no more answers are wanted; why it ended early is in `result`."""
        size = self.config.stages.importance.pairs
        async with open_service(self.wiki, (), progress.note, env) as service:
            pool = Pool(service, result, progress, journal.write)
            async with pool.running():
                while not result.stopped and (pairs := self.work.next_pairs()):
                    batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
                    if self.options.calls is not None:
                        batches = batches[: max(0, self.options.calls - result.spent.requests)]
                        if not batches:
                            result.end(4, f"{self.options.calls} requests are sent", "run again to continue: answers so far are kept")
                            break
                    before = len(self.answers)
                    await pool.each(batches, lambda pairs: self._batch(service, pairs, result, journal))
                    progress.note(f"{len(self.answers):,} comparisons, {max(0, self.work.missing()):,} to go")
                    if len(self.answers) == before and not result.stopped:
                        result.end(3, "no comparison of a whole round was answered", "see the failures above")

    async def _batch(self, service: Service, pairs: Sequence[Pair], result: RunResult, journal: Journal) -> None:
        """Ask about these pairs in one request, and keep the answers."""
        assert isinstance(service, ModelService)
        tally, request, answers = Tally(), self.comparisons.request(pairs), {}
        try:
            reply = await service.client.send(request, tally)
            service.tokens.learn(request, reply)
            answers = first_of(reply.text, pairs)
            self.log.append(self.comparisons, answers)
        except (AnswerError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.final:
                raise
            detail = f"{error.detail} ({len(pairs)} pairs, the first of {pairs[0].a} and {pairs[0].b})"
            result.failed.append(FailedQuestion(pairs[0].a, self.list.stage, error.cause, detail))
        finally:
            result.spent.add(tally.usage, tally.cost_usd, tally.requests)
            journal.write("asked", requests=tally.requests, cost_usd=tally.cost_usd)
        for pair in pairs:
            if pair in answers:
                self.work.hear(pair, answers[pair])
                self.answers.append((pair, answers[pair]))
            elif not result.stopped:
                self.work.fail(pair)
        result.asked += len(answers)

    def write(self, *, change: bool) -> str:
        """Write the list with the new order if `change`, and remember it; return the file's path if it changed."""
        order = self.work.order() if change else list(self.file.ids)
        written = self.file.write(order, self.placed, self.config.folders) if change or self.placed != self.file.placed else False
        self.file = RankingFile.read(self.file.path, self.config.folders)
        write_text_atomically(self._last, json.dumps(list(self.file.ids), ensure_ascii=False) + "\n", within=self.config.folders)
        return f"{self.config.wiki.data}/{self.list.file}" if written else ""


def _propose(wiki: Wiki, ranking: _Ranking, result: RankResult) -> None:
    """Propose the scores that differ from those on the pages by the noise threshold or more."""
    name, noise = ranking.list.field, wiki.config.stages.importance.noise
    lock, store = wiki.shared(LockFile).read(), wiki.shared(ProposalStore)
    renewals = []
    for place, page_id in enumerate(result.order):
        page = ranking.pages.get(page_id)
        if page is None:
            continue
        value = score(place, len(result.order))
        value = int(value) if value.is_integer() else value
        question = _question(ranking.comparisons, page, value)
        entry = lock.entry(page_id, ranking.list.stage, page)
        if entry is not None and name in entry.rejected and entry.key == question.key and not entry.question.reasons(question):
            continue
        old = current_value(page.data, name)
        if not is_missing(old) and (same(old, value) or within(old, value, noise)) and store.get(page_id) is None:
            continue
        reason = f"place {place + 1} of {len(result.order)} in {ranking.list.file}"
        answer = StageAnswer(ranking.list.stage, [FieldAnswer(name, value, reason=reason)], question, run=result.run.run, noise=noise)
        changes, renewed = propose(wiki, lock, page, [answer])
        renewals += renewed
        result.run.proposed += [(page_id, change.field) for change in changes]
        result.run.held += [(page_id, change.field, flag) for change in changes for flag in change.flags]
    renew(wiki, renewals)
    result.run.in_page_order({file.id: place for place, file in enumerate(wiki.files)})


def _question(comparisons: Comparisons, page: Page, value: float) -> Question:
    """The question that a score answers: the same score of the same page is the same question."""
    key = canonical_hash([comparisons.list.field, page.id, value])
    return Question(key, page.hash, comparisons.prompt.hash[:16], comparisons.list.stage, comparisons.settings_hash, comparisons.model)


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

    def hear(self, pair: Pair, first: bool) -> None:
        """Take in an answer: whether A comes first."""
        if pair.a in self._places and pair.b in self._places and pair not in self._seen:
            self._seen.add(pair)
            winner, loser = (pair.a, pair.b) if first else (pair.b, pair.a)
            self.preferences.add(self._places[winner], self._places[loser])

    def fail(self, pair: Pair) -> None:
        """Take note that a question has no usable answer."""
        self._seen.add(pair)
        places = sorted((self._places[pair.a], self._places[pair.b]))
        self.preferences.asked[places[0], places[1]] += 1

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

    def hear(self, pair: Pair, first: bool) -> None:
        new, other, won = (pair.a, pair.b, first) if pair.a in self._new else (pair.b, pair.a, not first)
        if new in self._new and other in self._places and pair not in self._seen:
            self._seen.add(pair)
            self._new[new].add(self._places[other], won=won)

    def fail(self, pair: Pair) -> None:
        self._seen.add(pair)
        new, other = (pair.a, pair.b) if pair.a in self._new else (pair.b, pair.a)
        self._new[new].asked[self._places[other]] += 1

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


def starting_scores(order: Sequence[str], scores: Mapping[str, float]) -> dict[str, float]:
    """First scores between -1 and 1: by the places in `order`, and for other pages by their importance from 0 to 100."""
    starts = {page: max(-1.0, min(1.0, (value - 50) / 45)) for page, value in scores.items()}
    return starts | {page: (score(place, len(order)) - 50) / 45 for place, page in enumerate(order)}
