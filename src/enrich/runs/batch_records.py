"""What is known of batches between runs, in `cache/batches`: a record of each open batch, and the rows that wait to be read.

A record is written before anything is uploaded, and removed when the batch's rows are stored. A row is stored under each question that it
answers and removed when that question has its final answer, so that a paid answer is neither lost nor asked for again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from enrich.config import Config
from enrich.errors import UserError
from enrich.files import DATA_BYTES, names_in, read_bytes, remove_file, write_text_atomically
from enrich.llm.cache import AnswerCache
from enrich.llm.costs import keep_learned, learned

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

    def new_name(self) -> str:
        """A name that no other batch of the account has."""
        return f"enrich-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(8)}"

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

    def put(self, request: BatchRequest, row: Row) -> None:
        """Keep a row for each question of its request."""
        for _, key in request.questions:
            self._write(key, {**self._turns(key), request.turn: row})

    def take(self, key: str, turn: str) -> None:
        """Remove one turn of a question."""
        turns = self._turns(key)
        if turns.pop(turn, None) is not None:
            self._write(key, turns)

    def forget(self, key: str) -> None:
        """Remove what is kept of a question: it has its final answer."""
        self._rows.remove(key)

    def _turns(self, key: str) -> dict[str, Row]:
        with suppress(ValidationError):
            return _TURNS.validate_python(self._rows.get(key) or {})
        return {}

    def _write(self, key: str, turns: dict[str, Row]) -> None:
        if turns:
            self._rows.put(key, _TURNS.dump_python(turns, mode="json", exclude_defaults=True))
        else:
            self._rows.remove(key)

    def _found(self) -> Iterator[str]:
        with suppress(OSError):
            for name in names_in(self.folder, self._within, own=True):
                if name.startswith("enrich-") and name.endswith(".json"):
                    yield name.removesuffix(".json")
