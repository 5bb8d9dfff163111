"""The engine `batch`: questions are answered by OpenAI's Batch API within a day, for half the price.

A run asks about its pages as always. A request whose answer has come in a batch is answered at once; a request that waits in a batch, or is
put into the next one, ends in `AnswerWaitsError`, and the question stays open until a later run, or a later round of this one (`--wait`), asks
again. So re-asks, sections of long pages, checks and proposals are the same code as for the other engines.

No request is paid twice: the record of a batch is written into `cache/batches` before anything is uploaded, its id as soon as the server says
it; after a crash between the two, the batch is found again by the name in its metadata. The record is removed when the batch's rows are stored.
A row is stored under each question that it answers and removed when that question has its final answer, so that a paid answer is neither lost
nor asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from enrich.config import Config
from enrich.errors import ServiceError, UserError
from enrich.files import DATA_BYTES, names_in, read_bytes, remove_file, write_text_atomically
from enrich.llm.batches import ENDED, BatchServer, BatchState, OutputRow, output_rows, request_line
from enrich.llm.cache import AnswerCache
from enrich.llm.client import Asked, Client, Server
from enrich.llm.costs import counted_usage, keep_learned, learned
from enrich.llm.failures import RefusedParameterError, ThrottledError, TransientError
from enrich.llm.messages import AnswerWaitsError, Event, Tally, Usage
from enrich.llm.parameters import Parameters
from enrich.llm.replies import Completion, EmbeddedError, read_completion
from enrich.runs.results import Spending
from enrich.runs.service import EngineOptions
from enrich.text import counted, usd

# A file is submitted when it has so much: far below OpenAI's limits (50,000 requests, 200 MB), so that a batch that fails costs little.
_FILE_REQUESTS, _FILE_BYTES = 1_000, 40_000_000
# A request without an answer (a server's error, an expired batch) is submitted again so often.
_ATTEMPTS = 3
# A server lists a batch within so many seconds after it has read the request that creates it.
_LISTED_SECONDS = 3.0
# A file with more faulty lines is faulty as a whole.
_FAULTY_LINES = 10
_QUEUE_LIMIT = re.compile(r"limit:? ([\d,]+)", re.IGNORECASE)
# The limit of queued tokens counts the input.
_BYTES_PER_TOKEN = 3
_LIMITS = "queue.json"
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=10**12)]


class _Stored(BaseModel):
    # The folder can have come with a clone.
    model_config = ConfigDict(strict=True)


class Row(_Stored):
    """What is known of one request of a batch. Without `status` and `cause` it has no answer yet.

    `attempt` counts how often the same request failed before. `cause` and `detail`: a failure that has no HTTP response.
    """

    id: str = ""
    batch: str = ""
    attempt: _Count = 0
    status: _Count = 0
    body: str = ""
    cause: str = ""
    detail: str = ""
    usage: dict[str, _Count] | None = None
    cost_usd: _Amount | None = None


_TURNS = TypeAdapter(dict[str, Row])


class BatchRequest(_Stored):
    """One request of a batch. `turn` is its place in the conversation about its questions, `most_usd` the most that it can cost."""

    questions: list[tuple[str, str]]
    turn: str
    attempt: _Count = 0
    sent_bytes: _Count = 0
    ceiling: _Count = 0
    most_usd: _Amount | None = None

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.questions]


class BatchRecord(_Stored):
    """One batch that was submitted, or was going to be. `since`: when its last step began, in seconds since 1970.

    `server` is the host that it was sent to, "" for files. `requests` by custom id, in the order of the file's lines.
    """

    name: str
    server: str
    model: str
    since: float
    requests: dict[str, BatchRequest]
    file_id: str = ""
    batch_id: str = ""
    answered: _Count = 0

    @property
    def most_usd(self) -> float:
        return sum(request.most_usd or 0.0 for request in self.requests.values())


class BatchRecords:
    """The open batches of a wiki, and the rows of batches that ended. A context manager."""

    def __init__(self, config: Config, note: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self._within, self._note = config.cache / "batches", config.folders, note
        self._rows = AnswerCache(self.folder / "rows", note, config.folders)
        self.names = set(self._found())
        self.queue_tokens = learned(dict[str, int], self.folder / _LIMITS, self._within)

    def learn_queue(self, model: str, tokens: int) -> None:
        """Keep how many tokens of a model the account may have in the server's queue."""
        self.queue_tokens[model] = tokens
        keep_learned(self.queue_tokens, self.folder / _LIMITS, self._within)

    def __enter__(self) -> Self:
        self._rows.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.__exit__()

    def open(self) -> Iterator[BatchRecord]:
        """The records, oldest first. Raises `UserError` for one that cannot be read: its batch may be paid."""
        for name in sorted(self.names):
            file = self.folder / f"{name}.json"
            try:
                yield BatchRecord.model_validate_json(read_bytes(file, self._within, DATA_BYTES))
            except (OSError, ValidationError, RecursionError):
                raise UserError(
                    "the record of a batch cannot be read", where=str(file), do="restore it, or delete it to give the batch up"
                ) from None

    def save(self, record: BatchRecord) -> None:
        """Write a record, safe from a loss of power. Raises `UserError`."""
        record.since = time.time()
        write_text_atomically(self.folder / f"{record.name}.json", record.model_dump_json() + "\n", within=self._within)
        self.names.add(record.name)

    def drop(self, record: BatchRecord) -> None:
        """Remove a record: its batch needs nothing more."""
        with suppress(OSError):
            remove_file(self.folder / f"{record.name}.json", self._within)
        self.names.discard(record.name)

    def row(self, key: str, turn: str) -> Row | None:
        """What is known of this turn of the question `key`; None if it was never submitted."""
        return self._turns(key).get(turn)

    def put(self, keys: Iterable[str], turn: str, row: Row | None) -> None:
        """Keep what is known of a turn under each of the questions `keys`; None removes it."""
        for key in keys:
            turns = self._turns(key)
            before = turns.pop(turn, None)
            if row is not None:
                turns[turn] = row
            if turns:
                self._rows.put(key, _TURNS.dump_python(turns, mode="json", exclude_defaults=True))
            elif before is not None:
                self._rows.remove(key)

    def forget(self, key: str) -> None:
        """Remove what is kept of a question: it has its final answer."""
        self._rows.remove(key)

    def _turns(self, key: str) -> dict[str, Row]:
        with suppress(ValidationError):
            return _TURNS.validate_python(self._rows.get(key) or {})
        return {}

    def _found(self) -> Iterator[str]:
        with suppress(OSError):
            for name in names_in(self.folder, self._within, own=True):
                if name.startswith("enrich-") and name.endswith(".json"):
                    yield name.removesuffix(".json")


@dataclass(slots=True)
class Collected:
    """What one batch that has ended brought."""

    name: str
    status: str
    spent: Spending = field(default_factory=Spending)


@dataclass(slots=True)
class _Draft:
    """A file in the making, for one model."""

    lines: list[bytes] = field(default_factory=list)
    requests: dict[str, BatchRequest] = field(default_factory=dict)
    size: int = 0

    @property
    def tokens(self) -> int:
        return self.size // _BYTES_PER_TOKEN


class BatchEngine(Client):
    """A client whose answers come from batches. One page is asked about at a time: nothing waits for a server."""

    def __init__(
        self, *client: Any, records: BatchRecords, servers: dict[str, BatchServer], mode: EngineOptions, poll_seconds: float
    ) -> None:
        """`client`: the arguments of `Client`. `servers` by host; "" is the one of files."""
        super().__init__(*client)
        self._records, self._batch_servers, self._mode, self._poll_seconds = records, servers, mode, poll_seconds
        self._drafts: dict[str, _Draft] = {}
        self._open: dict[str, BatchRecord] = {}
        self._committed: dict[str, float] = {}
        self._first: dict[str, Parameters] = {}
        self._problem: ServiceError | None = None
        self._held = self._begun = False
        self.keeps_replies = not mode.live

    async def __aexit__(self, *error: object) -> None:
        for server in self._batch_servers.values():
            await server.close()
        await super().__aexit__(*error)

    def status(self) -> str:
        """What the run waits for."""
        if not self._open:
            return super().status()
        done = sum(record.answered for record in self._open.values())
        total = sum(len(record.requests) for record in self._open.values())
        return f"{counted(len(self._open), 'batch')} open: {done:,} of {counted(total, 'request')} answered"

    # The rounds of a run

    async def begin_round(self) -> list[Collected]:
        """Store the rows of all batches that have ended. Raises `ServiceError`."""
        if self._mode.live:
            return []
        if self._begun:
            await self._pause(self._poll_seconds)
        self._begun = True
        found = await self._collect(cancel=self._mode.cancel)
        while self._mode.cancel and self._open and not self._stopping.is_set():
            await self._pause(self._poll_seconds)
            found += await self._collect(cancel=False)
        if found:
            self._held = False
        return found

    async def page_done(self) -> None:
        """Submit the files that are large enough: all requests of a page are in the same one."""
        for model, draft in list(self._drafts.items()):
            if len(draft.lines) >= _FILE_REQUESTS or draft.size >= _FILE_BYTES or draft.tokens >= self._queue_tokens(model):
                await self._submit(model)

    async def end_round(self) -> bool:
        """Submit what is left. With `wait`, whether batches are open. Raises `ServiceError` if one failed."""
        for model in list(self._drafts):
            await self._submit(model)
        if self._problem is not None:
            raise self._problem
        if self._open and not self._mode.wait:
            self._note(self.status())
        return self._mode.wait and bool(self._open)

    # Questions and their rows

    def batch_of(self, key: str) -> str:
        """The request in which a question was first submitted; "" if it was not. Questions that were asked together are answered together."""
        row = self._records.row(key, "0.0")
        return row.id if row is not None and (row.status or row.batch in self._records.names) else ""

    def remembered(self, key: str, name: str, number: int | None) -> int | None:
        """The number as it was when the question was first looked at: a page must be cut into the same sections each time."""
        if self._mode.live:
            return number
        if (row := self._records.row(key, name)) is not None:
            return row.attempt
        if number is not None:
            self._records.put([key], name, Row(attempt=number))
        return number

    def forget(self, key: str) -> None:
        """Forget the rows of a question that has its final answer."""
        self._records.forget(key)

    async def _retried(self, asked: Asked) -> tuple[Completion, Server, int]:
        """A completion from a row. Raises `AnswerWaitsError` if there is none yet."""
        server = self._servers[0]
        written = self._first.setdefault(asked.request.model, server.parameters[asked.request.model])
        while True:
            turn, keys = f"{asked.request.again}.{asked.replies}", [key for _, key in asked.request.questions]
            row = next(filter(None, (self._records.row(key, turn) for key in keys)), None)
            if row is None or not (row.status or row.cause):
                if row is not None and row.batch in self._records.names:
                    raise AnswerWaitsError("the answer waits in a batch")
                if row is not None and row.attempt + 1 >= _ATTEMPTS:
                    self._records.put(keys, turn, None)
                    raise ServiceError("batch", row.detail or f"no answer in {_ATTEMPTS} batches")
                if self._mode.live:
                    return await super()._retried(asked)
                self._queue(asked, turn, 0 if row is None else row.attempt + 1)
                raise AnswerWaitsError("the answer will come in a batch")
            sent, completion = self._ceiling(server, asked), None
            try:
                completion = self._completion(asked, row, sent)
            except RefusedParameterError as error:
                self._rewrite(server, asked, written, error, sent)
                written = (written.without(error.refused, sent) or (written,))[0]
            except (TransientError, ThrottledError) as error:
                # As if it had not come: the next look at it submits it again, or gives up.
                lost = Row(id=row.id, attempt=row.attempt, detail=error.detail, usage=row.usage, cost_usd=row.cost_usd)
                self._records.put(keys, turn, lost)
                continue
            except ServiceError:
                self._records.put(keys, turn, None)
                raise
            asked.replies += 1
            if completion is not None:
                return completion, server, sent

    def _completion(self, asked: Asked, row: Row, ceiling: int) -> Completion:
        """The completion in a row. Raises as an attempt of the client does."""
        if row.cause:
            raise ServiceError(row.cause, row.detail)
        body = row.body.encode("utf-8", "replace")
        server, model = self._servers[0], asked.request.model
        if row.status == 200:
            # Only the answer's own tally: the run's was booked when the batch was collected.
            asked.tallies[0].add(Usage(**(row.usage or {})), row.cost_usd)
        completion = self._read(server, asked.request, row.status, {}, body, dict(server.parameters[model].options))
        self._check(server.endpoint, completion, asked.request, ceiling)
        return completion

    def _note(self, line: str) -> None:
        self._report(Event("note", "", line))

    def _queue(self, asked: Asked, turn: str, attempt: int) -> None:
        """Put a request into its model's next file. Raises `BudgetSpent`."""
        request = asked.request
        if self._mode.cancel or self._problem is not None or self._held:
            return
        if self._ended is not None:
            raise self._ended
        custom_id = hashlib.sha256(f"{request.questions[0][1]} {turn} {attempt}".encode()).hexdigest()[:40]
        draft = self._drafts.setdefault(request.model, _Draft())
        if custom_id in draft.requests:
            return  # two pages with the same text
        ceiling = self._ceiling(self._servers[0], asked)
        # What is asked for in a file does not stream.
        body = replace(self._servers[0].parameters[request.model], stream=False).body(request, ceiling)
        most = None if asked.price is None else asked.price.at_most(len(body), ceiling)
        if self.budget is not None and most is not None:
            self.budget.commit(most)
        draft.requests[custom_id] = BatchRequest(
            questions=list(request.questions), turn=turn, attempt=attempt, sent_bytes=len(body), ceiling=ceiling, most_usd=most
        )
        draft.lines.append(request_line(custom_id, body))
        draft.size += len(body)

    # Batches on their way

    def _queue_tokens(self, model: str) -> float:
        """The tokens that the account may have in the server's queue."""
        return self._records.queue_tokens.get(model, float("inf"))

    async def _submit(self, model: str) -> None:
        """Upload a file and create its batch, with a record of each step."""
        draft = self._drafts.pop(model)
        if not draft.lines or self._stopping.is_set():
            return
        host = "" if self._mode.files else self.endpoint.host
        queued = sum(request.sent_bytes for record in self._open.values() for request in record.requests.values() if record.model == model)
        if self._open and queued // _BYTES_PER_TOKEN + draft.tokens > self._queue_tokens(model):
            self._held = True
            return
        # No other batch of the account has this name.
        name = f"enrich-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(8)}"
        record = BatchRecord(name=name, server=host, model=model, since=0.0, requests=draft.requests)
        self._committed[record.name] = record.most_usd
        self._records.save(record)
        for custom_id, request in record.requests.items():
            self._records.put(request.keys, request.turn, Row(id=custom_id, batch=record.name, attempt=request.attempt))
        server = self._batch_servers[host]
        try:
            record.file_id = await server.upload(f"{record.name}.jsonl", b"".join(draft.lines))
        except ServiceError:
            self._give_up(record)
            raise
        self._records.save(record)
        state = await server.create(record.file_id, record.name) or await self._found(record)
        if state is None:
            raise ServiceError("batch", f"{host} did not create a batch", final=True, do="run again: nothing was paid")
        record.batch_id = state.id
        self._records.save(record)
        self._open[record.name] = record
        most = f", at most {usd(record.most_usd)}" if record.most_usd else ""
        where = f"in {self._records.folder / record.name}.jsonl" if self._mode.files else f"at {host}"
        self._note(f"batch {state.id} {where}: {counted(len(record.requests), 'request')} to {model}{most}")

    async def _found(self, record: BatchRecord) -> BatchState | None:
        """The batch of a record without an id, looked for until the server must know it."""
        while True:
            late = time.time() >= record.since + _LISTED_SECONDS
            state = await self._batch_servers[record.server].find(record.name, record.since, known=not self._mode.cancel)
            if state is not None or late:
                return state
            await self._pause(_LISTED_SECONDS / 10)
            if self._stopping.is_set():
                raise self._ended or ServiceError("stopped", final=True)

    async def _collect(self, *, cancel: bool) -> list[Collected]:
        found = []
        for record in list(self._records.open()):
            if self._stopping.is_set():
                break
            if record.server not in self._batch_servers:
                self._note(f"{record.name} was sent to {record.server}: it is collected when that server is configured")
                continue
            state = await self._state(record)
            if state is not None and cancel and state.status not in ENDED:
                await self._batch_servers[record.server].cancel(state.id)
                state = await self._state(record)
            if state is not None and state.status in ENDED:
                found.append(await self._store(record, state))
            elif state is not None:
                record.answered = state.answered
                self._open[record.name] = record
                if self.budget is not None and record.name not in self._committed:
                    # What is open will be paid: it counts before anything is added to it.
                    self._committed[record.name] = record.most_usd
                    self.budget.spent_usd += record.most_usd
        return found

    async def _state(self, record: BatchRecord) -> BatchState | None:
        """The state of a record's batch; None if it does not exist, so that its record is dropped."""
        state: BatchState | None = None
        if record.batch_id:
            state = await self._batch_servers[record.server].state(record.batch_id)
            if state is None and not self._mode.cancel:
                raise ServiceError(
                    "batch",
                    f"{record.server} does not know the batch {record.batch_id}",
                    final=True,
                    do="use the key and the project that it was submitted with; `enrich run --engine batch --cancel` gives it up",
                )
        # A batch is created after the id of its file was recorded.
        elif (record.file_id or not record.server) and (state := await self._found(record)) is not None:
            record.batch_id = state.id
            self._records.save(record)
        if state is None:
            self._give_up(record)
        return state

    def _give_up(self, record: BatchRecord) -> None:
        """Drop the record of a batch that does not exist."""
        self._unmark(record)
        self._close(record, 0.0)

    def _unmark(self, record: BatchRecord) -> None:
        """Let the requests of a batch that was never worked on be submitted again."""
        for request in record.requests.values():
            rows = ((key, self._records.row(key, request.turn)) for key in request.keys)
            unanswered = [key for key, row in rows if row is not None and row.batch == record.name and not row.status]
            self._records.put(unanswered, request.turn, None)

    def _close(self, record: BatchRecord, cost_usd: float) -> None:
        self._records.drop(record)
        self._open.pop(record.name, None)
        if (committed := self._committed.pop(record.name, None)) is not None and self.budget is not None:
            self.budget.spent_usd += cost_usd - committed

    async def _store(self, record: BatchRecord, state: BatchState) -> Collected:
        """Store the rows of a batch that has ended. A request without a row is submitted again when it is asked next."""
        found, odd = Collected(record.name, state.status), Counter[str]()
        missing = dict(record.requests)
        files = [file for file in (state.output_file_id, state.error_file_id) if file]
        for file in files:
            data = await self._batch_servers[record.server].download(file)
            if data is None:
                odd["file that the server does not have"] += 1
                continue
            rows, odd["unreadable row"] = output_rows(data)
            for row in rows:
                if row.custom_id not in missing:
                    odd["duplicate row" if row.custom_id in record.requests else "unknown row"] += 1
                    continue
                request = missing[row.custom_id]
                self._records.put(request.keys, request.turn, self._row_of(record, request, row, found))
                if row.status:
                    del missing[row.custom_id]
            # Ctrl-C is heard, and the display moves, while many files are stored.
            await asyncio.sleep(0)
        if state.status == "failed":
            self._failed(record, state)
        elif state.status == "completed" and (not files or odd["file that the server does not have"]):
            for custom_id, request in missing.items():
                detail = f"batch {state.id} is completed, but has no output file"
                self._records.put(request.keys, request.turn, Row(id=custom_id, batch=record.name, cause="no-output", detail=detail))
        self._close(record, found.spent.cost_usd or 0.0)
        parts = [f"{len(record.requests) - len(missing):,} of {counted(len(record.requests), 'request')} answered"]
        parts += [counted(number, kind) for kind, number in odd.items() if number]
        self._note(f"batch {state.id} {state.status}: {', '.join(parts)}")
        return found

    def _row_of(self, record: BatchRecord, request: BatchRequest, row: OutputRow, found: Collected) -> Row:
        """The row as it is stored; what it cost is added to `found`."""
        kept = Row(id=row.custom_id, batch=record.name, attempt=request.attempt, status=row.status)
        if row.response is None:
            said = f"{row.error.code or ''}: {row.error.message or ''}" if row.error else "no answer"
            return kept.model_copy(update={"detail": self.endpoint.shown(said.strip(": "))})
        body = to_json(row.response.body, inf_nan_mode="null")
        text = body.decode("utf-8", "replace")
        if row.status != 200:
            return kept.model_copy(update={"body": self.endpoint.redact(text[:4000])})
        usage, cost = self._usage_of(record, request, body)
        found.spent.book(record.model, [name for name, _ in request.questions], Tally(1, usage or Usage(), cost))
        if self.endpoint.leaked_in(text, ()):
            return kept.model_copy(update={"status": 0, "cause": "key-in-answer", "detail": "the answer has the API key in it"})
        return kept.model_copy(update={"body": text, "usage": None if usage is None else usage.counts(), "cost_usd": cost})

    def _usage_of(self, record: BatchRecord, request: BatchRequest, body: bytes) -> tuple[Usage | None, float | None]:
        """(the usage as stated, None if it is senseless; the cost, at most that of the whole answer)."""
        try:
            completion = read_completion(body)
        except (TransientError, EmbeddedError):
            return None, request.most_usd
        answer_bytes = len(completion.text.encode("utf-8", "replace"))
        counts, _ = counted_usage(completion.usage, request.sent_bytes, answer_bytes, request.ceiling)
        price = self._prices.price_of(record.model)
        if counts is None or price is None or request.most_usd is None:
            return completion.usage if counts else None, request.most_usd
        return completion.usage, min(price.cost(counts), request.most_usd)

    def _failed(self, record: BatchRecord, state: BatchState) -> None:
        """A batch that the server did not accept: nothing of it was worked on."""
        problems = [(one.line, one.code or "", self.endpoint.shown(one.message or "no reason given")) for one in state.problems]
        ids = list(record.requests)
        faulty = {ids[line - 1]: message for line, _, message in problems if line is not None and 0 < line <= len(ids)}
        self._unmark(record)
        limits = [_QUEUE_LIMIT.search(message) for _, code, message in problems if code == "token_limit_exceeded"]
        if limits:
            stated = int(limits[0][1].replace(",", "")) if limits[0] else self._queue_tokens(record.model) / 2
            self._records.learn_queue(record.model, int(min(0.9 * stated, 1e12)))
            self._note(f"{record.model}: the account may have {stated:,.0f} tokens in the queue of batches: the files are made to fit")
        elif faulty and len(problems) <= _FAULTY_LINES:
            for custom_id, message in faulty.items():
                row, request = Row(id=custom_id, batch=record.name, cause="bad-request", detail=message), record.requests[custom_id]
                self._records.put(request.keys, request.turn, row)
        else:
            why = problems[0][2] if problems else "no reason given"
            self._problem = ServiceError("batch", f"batch {state.id} failed: {why}", final=True, do="nothing of it was paid; run again")
