"""The Batch API of OpenAI and of servers that speak it: a file of requests that is answered within a day, at a lower price.

The requests go up as a JSONL file (`/v1/files`), a batch is created from it (`/v1/batches`), and its answers come back as an output file and an
error file, in any order. `vllm run-batch` reads and writes files of the same form.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from enrich.errors import ServiceError
from enrich.files import Folders, read_bytes, write_text_atomically
from enrich.llm.failures import ThrottledError, TransientError, failure_of_status
from enrich.llm.server import Endpoint

if TYPE_CHECKING:
    import httpx2

    from enrich.llm.transport import Connection

Shape = TypeVar("Shape", bound=BaseModel)
Method = Literal["get", "post"]
ENDED = ("completed", "failed", "expired", "cancelled")
# A file of answers is not read if it is larger; 1,000 long answers are 20 MB.
_LARGEST_OUTPUT = 1_000_000_000
# For a file on its way up or down.
_FILE_SECONDS = 600.0
# Before each further attempt of what may be repeated.
_WAITS = (1.0, 4.0, 16.0)
# The clocks of client and server differ by less.
_DAY = 86400.0


class _Counts(BaseModel):
    completed: int = 0
    failed: int = 0


class BatchProblem(BaseModel):
    """Why a batch failed; `line` counts from 1, None if it is not about one line."""

    code: str | None = None
    line: int | None = None
    message: str | None = None


class _Problems(BaseModel):
    data: list[BatchProblem] | None = None


class BatchState(BaseModel):
    """A batch as the server describes it (the fields of the SDK's `Batch` that are used here)."""

    id: str
    status: str
    created_at: float = 0
    metadata: dict[str, Any] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    errors: _Problems | None = None

    @property
    def answered(self) -> int:
        """The number of requests that have an answer or an error."""
        return 0 if self.request_counts is None else self.request_counts.completed + self.request_counts.failed

    @property
    def problems(self) -> Sequence[BatchProblem]:
        return (self.errors and self.errors.data) or ()


class _Page(BaseModel):
    data: list[BatchState]
    has_more: bool | None = None


class _File(BaseModel):
    id: str


class _Response(BaseModel):
    status_code: int
    body: dict[str, Any]


class OutputRow(BaseModel):
    """One line of an output or error file: the response to the request `custom_id`, or why there is none."""

    custom_id: str
    response: _Response | None = None
    error: BatchProblem | None = None

    @property
    def status(self) -> int:
        """The HTTP status, 0 without a response."""
        return 0 if self.response is None else self.response.status_code


def request_line(custom_id: str, body: bytes) -> bytes:
    """One line of an input file; `body` is the JSON of a chat completion request."""
    return b'{"custom_id":%s,"method":"POST","url":"/v1/chat/completions","body":%s}\n' % (json.dumps(custom_id).encode(), body)


def output_rows(data: bytes) -> tuple[list[OutputRow], int]:
    """(the rows of an output or error file, paid answers first; the number of lines that are none)."""
    rows, unreadable = [], 0
    for line in data.splitlines():
        try:
            rows += [OutputRow.model_validate_json(line)] if line.strip() else []
        except (ValidationError, RecursionError):
            unreadable += 1
    return sorted(rows, key=lambda row: row.status != 200), unreadable


class BatchFiles:
    """Files for `vllm run-batch`: a batch `NAME` is `NAME.jsonl` in `folder`, its answers are expected in `NAME.output.jsonl`.

    The answers are read when there are as many lines as requests, or when the batch is cancelled.
    """

    def __init__(self, folder: Path, within: Folders) -> None:
        self.folder, self._within = folder, within
        self._cancelled: set[str] = set()

    async def close(self) -> None:
        pass

    async def upload(self, name: str, data: bytes) -> str:
        write_text_atomically(self.folder / name, data.decode("utf-8"), within=self._within)
        return name

    async def create(self, file_id: str, name: str) -> BatchState | None:
        return await self.state(name)

    async def find(self, name: str, since: float, *, known: bool = True) -> BatchState | None:
        return await self.state(name)

    async def state(self, batch_id: str) -> BatchState | None:
        asked, answers = (self._lines(f"{batch_id}{ending}") for ending in (".jsonl", ".output.jsonl"))
        if not asked and not answers:
            return None
        status = "cancelled" if batch_id in self._cancelled else "completed" if answers >= asked else "in_progress"
        counts = _Counts(completed=answers)
        return BatchState(id=batch_id, status=status, output_file_id=f"{batch_id}.output.jsonl" if answers else None, request_counts=counts)

    async def cancel(self, batch_id: str) -> None:
        self._cancelled.add(batch_id)

    async def download(self, file_id: str) -> bytes | None:
        try:
            return read_bytes(self.folder / file_id, self._within, _LARGEST_OUTPUT)
        except OSError:
            return None

    def _lines(self, name: str) -> int:
        data = read_bytes(self.folder / name, self._within, _LARGEST_OUTPUT) if os.path.lexists(self.folder / name) else b""
        return data.count(b"\n")


class BatchApi:
    """Files and batches at one endpoint. Raises `ServiceError`; what may be repeated is tried four times."""

    def __init__(self, endpoint: Endpoint, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._endpoint, self._pause = endpoint, pause
        self._connection: Connection | None = None

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def upload(self, name: str, data: bytes) -> str:
        """The id of a new file. If the reply is lost the file is sent again: files cost nothing and expire."""
        files = [("file", (name, data, "application/jsonl"))]
        headers = {"Content-Type": "multipart/form-data"}
        return (await self._read(_File, "post", "/files", body={"purpose": "batch"}, files=files, headers=headers)).id

    async def create(self, file_id: str, name: str) -> BatchState | None:
        """The new batch; None if the reply was lost, so that only `find` can say whether there is one."""
        body = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"enrich": name},
        }
        try:
            return await self._read(BatchState, "post", "/batches", attempts=1, body=body)
        except ServiceError as error:
            if error.final:
                raise
            return None

    async def find(self, name: str, since: float, *, known: bool = True) -> BatchState | None:
        """The batch with `name` in its metadata that was created after `since` (seconds since 1970), None if there is none.

        A server without a Batch API is an error, unless it need not be `known` for one.
        """
        query: dict[str, Any] = {"limit": 100}
        while True:
            content = await self._call("get", "/batches", known=known, params=query)
            if content is None:
                return None
            page = self._parsed(_Page, content)
            for state in page.data:
                if (state.metadata or {}).get("enrich") == name:
                    return state
            # The newest come first.
            last = page.data[-1] if page.data else None
            if last is None or not page.has_more or last.id == query.get("after") or last.created_at < since - _DAY:
                return None
            query["after"] = last.id

    async def state(self, batch_id: str) -> BatchState | None:
        """The batch; None if the server does not know it."""
        content = await self._call("get", f"/batches/{batch_id}", known=False)
        return None if content is None else self._parsed(BatchState, content)

    async def cancel(self, batch_id: str) -> None:
        """Ask the server to cancel a batch. One that has ended meanwhile stays as it is."""
        try:
            await self._call("post", f"/batches/{batch_id}/cancel", known=False)
        except ServiceError as error:
            if error.cause != "bad-request":
                raise

    async def download(self, file_id: str) -> bytes | None:
        """The content of a file; None if the server does not have it."""
        return await self._call("get", f"/files/{file_id}/content", known=False)

    async def _read(self, shape: type[Shape], method: Method, path: str, **more: Any) -> Shape:
        return self._parsed(shape, await self._call(method, path, **more) or b"")

    def _parsed(self, shape: type[Shape], content: bytes) -> Shape:
        try:
            return shape.model_validate_json(content)
        except (ValidationError, RecursionError):
            raise ServiceError("batch", f"{self._endpoint.host} does not describe files and batches as OpenAI does", final=True) from None

    async def _call(self, method: Method, path: str, *, attempts: int = 4, known: bool = True, **more: Any) -> bytes | None:
        """The body of a response with status 200; None for 404 if the server need not know what it is about."""
        if self._connection is None:
            from enrich.llm.transport import Connection

            self._connection = Connection(self._endpoint, _FILE_SECONDS, 2, largest_body=_LARGEST_OUTPUT)
        for wait in (*_WAITS[: attempts - 1], None):
            try:
                response = await self._connection.send(method, path, **more)
                if response.status_code == 200:
                    return response.content
                if response.status_code == 404 and not known:
                    return None
                raise self._failure(response)
            except (TransientError, ThrottledError) as error:
                if wait is None:
                    detail = error.detail if isinstance(error, TransientError) else f"{self._endpoint.host} refuses {error.detail}"
                    raise ServiceError("batch", detail, do="run again: what was submitted is found again") from None
                await self._pause(max(wait, min(error.asked_wait or 0.0, 60.0)))
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, response: httpx2.Response) -> Exception:
        """The error that a status other than 200 means here."""
        if response.status_code == 404:
            what = f"{self._endpoint.host} has no Batch API"
            return ServiceError(
                "batch", what, final=True, do="use `--engine local`, or `--files` for `vllm run-batch`; `--cancel` gives up what it has"
            )
        failure = failure_of_status(response.status_code, response.headers, response.content, model="", endpoint=self._endpoint)
        if isinstance(failure, TransientError | ThrottledError) or (isinstance(failure, ServiceError) and failure.final):
            return failure
        return ServiceError("bad-request", f"{self._endpoint.host} refuses a batch: {failure}", final=True)


BatchServer = BatchApi | BatchFiles
"""Where batches are answered."""
