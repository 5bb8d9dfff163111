"""`/v1/files` and `/v1/batches` for the fake server, as OpenAI documents them: a script that answers chat completions row by row.

```python
batches = FakeBatches(honest)                     # each batch: validating, in_progress, finalizing, completed, one step a look
with FakeServer(batches) as server: ...
batches.fates = [Fate("expired", answered=0.5)]   # what becomes of the next batches
batches.paid                                      # how often each request was answered with status 200
```
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fake_server import Act, Seen, status

_PART = re.compile(rb'name="(\w+)"(?:; filename="[^"]*")?\r\n(?:[\w-]+:[^\r]*\r\n)*\r\n(.*?)\r\n--', re.DOTALL)
_STEPS = ("validating", "in_progress", "finalizing")


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one batch. `answered`: the share of its requests that are answered; the others are errors in the error file.

    `rows` changes the lines of the output file before they are stored. `errors` are those of a failed batch, `steps` the looks before the end.
    """

    end: str = "completed"
    answered: float = 1.0
    output: bool = True
    rows: Callable[[list[bytes]], list[bytes]] = lambda rows: rows
    errors: tuple[Mapping[str, Any], ...] = ()
    steps: tuple[str, ...] = _STEPS


@dataclass
class _Batch:
    tree: dict[str, Any]
    fate: Fate
    left: list[str]


@dataclass
class FakeBatches:
    """The script. `answer` gives the act for one request of a batch, as it would for a request of its own; `hook` is called with (when, path)
    before and after each request is handled."""

    answer: Callable[[Seen], Act]
    fates: list[Fate] = field(default_factory=list)
    hook: Callable[[str, Seen], None] = lambda when, seen: None
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, _Batch] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)
    downloaded: Counter[str] = field(default_factory=Counter)
    live: int = 0

    def __call__(self, seen: Seen) -> Act:
        self.hook("before", seen)
        act = self._act(seen)
        self.hook("after", seen)
        return act

    def orphans(self) -> list[str]:
        """Batches with answers that were never fetched."""
        return [
            name
            for name, batch in self.batches.items()
            if (file := batch.tree["output_file_id"]) in self.files and not self.downloaded[file]
        ]

    def _act(self, seen: Seen) -> Act:
        path = seen.path.partition("?")[0].removeprefix("/v1")
        match seen.method, path.strip("/").split("/"):
            case "POST", ["chat", "completions"]:
                self.live += 1
                return self.answer(seen)
            case "POST", ["files"]:
                return self._upload(seen)
            case "GET", ["files", name, "content"] if name in self.files:
                self.downloaded[name] += 1
                return Act(body=self.files[name], headers={"content-type": "application/octet-stream"}, name="content")
            case "POST", ["batches"]:
                return self._create(seen)
            case "GET", ["batches"]:
                return self._list(seen.path.partition("?")[2])
            case "GET", ["batches", name] if name in self.batches:
                self._step(self.batches[name])
                return Act(body=self.batches[name].tree, name="batch")
            case "POST", ["batches", name, "cancel"] if name in self.batches:
                return self._cancel(self.batches[name])
        return status(404, "No such file, batch or address")

    def _upload(self, seen: Seen) -> Act:
        parts = dict(_PART.findall(seen.raw))
        if parts.get(b"purpose") != b"batch" or not parts.get(b"file"):
            return status(400, "Invalid file", param="file")
        name = f"file-{len(self.files)}"
        self.files[name] = parts[b"file"]
        return Act(
            body={"id": name, "object": "file", "bytes": len(self.files[name]), "purpose": "batch", "status": "processed"}, name="file"
        )

    def _create(self, seen: Seen) -> Act:
        body = seen.body
        if (
            body.get("completion_window") != "24h"
            or body.get("endpoint") != "/v1/chat/completions"
            or body.get("input_file_id") not in self.files
        ):
            return status(400, "Invalid batch", param="input_file_id")
        name = f"batch_{len(self.batches)}"
        fate = self.fates.pop(0) if self.fates else Fate()
        keys = ("output_file_id", "error_file_id", "errors", "completed_at", "cancelled_at", "expires_at")
        tree: dict[str, Any] = {"id": name, "object": "batch", "status": "validating", "created_at": 1_900_000_000, **dict.fromkeys(keys)}
        tree |= {key: body.get(key) for key in ("endpoint", "input_file_id", "completion_window", "metadata")}
        total = len(self.files[body["input_file_id"]].splitlines())
        tree["request_counts"] = {"total": total, "completed": 0, "failed": 0}
        self.batches[name] = _Batch(tree, fate, [*fate.steps, fate.end])
        return Act(body=dict(tree), name="batch")

    def _list(self, query: str) -> Act:
        options = dict(re.findall(r"(\w+)=([^&]*)", query))
        names = list(reversed(self.batches))
        names = names[names.index(options["after"]) + 1 :] if "after" in options else names
        page = names[: int(options.get("limit", 20))]
        trees = [self.batches[name].tree for name in page]
        return Act(body={"object": "list", "data": trees, "has_more": len(page) < len(names)}, name="list")

    def _step(self, batch: _Batch) -> None:
        if batch.left:
            batch.tree["status"] = batch.left.pop(0)
            if not batch.left:
                self._end(batch)

    def _cancel(self, batch: _Batch) -> Act:
        if not batch.left:
            return status(400, f"Cannot cancel a batch with status '{batch.tree['status']}'.")
        batch.tree["status"] = "cancelling"
        batch.left, batch.fate = ["cancelling", "cancelled"], replace(batch.fate, end="cancelled")
        return Act(body=dict(batch.tree), name="cancelling")

    def _end(self, batch: _Batch) -> None:
        """Write the files that the batch leaves."""
        fate, tree = batch.fate, batch.tree
        if fate.end == "failed":
            tree["errors"] = {"object": "list", "data": [dict(error) for error in fate.errors]}
            return
        lines = [json.loads(line) for line in self.files[tree["input_file_id"]].splitlines()]
        ids = [line["custom_id"] for line in lines]
        assert len(set(ids)) == len(ids), "the ids of a file are not unique"
        assert len({line["body"]["model"] for line in lines}) == 1, "a batch is for one model"
        output: list[bytes] = []
        errors: list[bytes] = []
        for number, line in enumerate(lines):
            if number < round(fate.answered * len(lines)):
                assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
                raw = json.dumps(line["body"]).encode()
                act = self.answer(Seen(number, "POST", line["url"], {}, line["body"], raw, 0.0))
                response = {"status_code": act.status, "request_id": f"req_{number}", "body": act.body}
                self.paid[line["custom_id"]] += act.status == 200
                row = {"id": f"batch_req_{number}", "custom_id": line["custom_id"], "response": response, "error": None}
            else:
                code = "batch_expired" if fate.end == "expired" else "batch_cancelled"
                row = {
                    "id": f"batch_req_{number}",
                    "custom_id": line["custom_id"],
                    "response": None,
                    "error": {"code": code, "message": code},
                }
            (output if row["response"] and row["response"]["status_code"] == 200 else errors).append(json.dumps(row).encode())
        tree["request_counts"] |= {"completed": len(output), "failed": len(errors)}
        for key, rows in (("output_file_id", fate.rows(list(reversed(output)))), ("error_file_id", errors)):
            if rows and (fate.output or key == "error_file_id"):
                tree[key] = f"file-{len(self.files)}"
                self.files[tree[key]] = b"\n".join(rows) + b"\n"
