"""A small wiki in a temporary folder, a model that answers truthfully about it, and the command line as its users call it."""

from __future__ import annotations

import atexit
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from enrich.cli.main import main  # in this process: much faster than one process a command
from enrich.grounding.statements import NearDuplicates
from tests.fake_server import Act, FakeServer, Seen, completion

ROOT = Path(__file__).resolve().parents[1]
PROSE = (
    "Wind turbines of this type deliver {n} megawatts in a steady breeze. Their blades are made of glass fibre and are inspected twice a year. "
    "Most of the cost is spent before the first kilowatt hour flows, which makes the interest rate the largest single lever. "
    "Nobody has yet measured how much the wake of one row takes from the next one at this site. "
    "A second park of the same size would need {m} kilometres of new cable, and the grid owner wants to be asked early."
)


def cases(test: str) -> dict[str, Any]:
    """The tables of the tests in a folder, by test: `cases.yaml` beside the test file."""
    tables: dict[str, Any] = yaml.safe_load(Path(test).with_name("cases.yaml").read_text(encoding="utf-8"))
    return tables


def page_text(number: int, head: str = "", body: str | None = None) -> str:
    """A page with a title, about eighty words, and the numbers `10 + number` and `100 + number`."""
    text = PROSE.format(n=10 + number, m=100 + number) if body is None else body
    return f"---\ntitle: Park {number}\ndescription: What park {number} delivers.\n{head}---\n\n## Overview\n\n{text}\n"


@dataclass(frozen=True)
class Result:
    """What one call of the command line gave back."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def called(folder: Path, env: Mapping[str, str], arguments: Sequence[str]) -> Result:
    """Run the command line in a folder, in this process: only its outcome counts, and it is much faster."""
    out, err = io.StringIO(), io.StringIO()
    before, here = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(list(arguments))
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    return Result(code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())


class DemoWiki:
    """A wiki of `pages` parks in `root`; `server` (a base URL) is the server that `enrich` asks, None means the offline backend."""

    def __init__(self, root: Path, pages: int = 3, toml: str = "") -> None:
        self.root = root
        self.server: str | None = None
        self.docs = root / "content"
        self.docs.mkdir(parents=True)
        (root / "enrich.toml").write_text(f'[wiki]\ncontent = "content"\n{toml}', encoding="utf-8")
        for number in range(pages):
            self.file(number).write_text(page_text(number), encoding="utf-8")

    @classmethod
    def at(cls, root: Path, content: str = "content") -> DemoWiki:
        """The wiki that is in `root` already."""
        wiki = cls.__new__(cls)
        wiki.root, wiki.docs, wiki.server = root, root / content, None
        return wiki

    def file(self, number: int) -> Path:
        return self.docs / f"park-{number}.md"

    def append(self, number: int, text: str = "More to read.") -> None:
        """Add a paragraph to a page's body."""
        self.file(number).write_text(f"{self.file(number).read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")

    def frontmatter(self, number: int) -> dict[str, Any]:
        """A page's frontmatter, read by a YAML reader that is not ours."""
        values: dict[str, Any] = yaml.safe_load(self.file(number).read_text(encoding="utf-8").split("---\n")[1])
        return values

    def asks(self, server: FakeServer) -> FakeServer:
        """Let `enrich` ask this server."""
        self.server = server.base_url
        return server

    def env(self, **more: str) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ENRICH_", "OPENAI_"))}
        if self.server is not None:
            env |= {"OPENAI_BASE_URL": self.server, "ENRICH_LLM__BACKEND": "openai"}
        return env | more

    def enrich(self, *arguments: str, **env: str) -> Result:
        """Run the command line in the wiki's folder."""
        return called(self.root, self.env(**env), arguments)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "enrich", *arguments], cwd=self.root, env=self.env(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def findings(self) -> Counter[tuple[str, str, str]]:
        """(page, rule, message) of everything that `enrich check` reports."""
        return Counter((one["page"], one["rule"], one["message"]) for one in self.enrich("check", "--json").json["findings"])

    def content(self) -> dict[str, bytes]:
        """All pages' bytes by path."""
        return {file.relative_to(self.docs).as_posix(): file.read_bytes() for file in sorted(self.docs.rglob("*")) if file.is_file()}

    def states(self, **env: str) -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
        """(page, stage) → (state, reasons) as `enrich plan` sees them."""
        plan = self.enrich("plan", "--json", **env).json
        return {(item["page"], item["stage"]): (item["state"], tuple(item["reasons"])) for item in plan["states"]}

    def lock(self) -> list[dict[str, Any]]:
        file = self.root / "enrich.lock"
        return [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def script(file: Path) -> ModuleType:
    """The module in a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@cache
def own_wiki() -> Path:
    """A copy of the repository's own wiki as it is in git's index, for reading; of the checkout if git does not know it."""
    folder = Path(tempfile.mkdtemp(prefix="enrich-own-wiki-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = ["content", "enrich.toml"]
    listed = subprocess.run(["git", "ls-files", "-z", *names], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        command = ["git", "checkout-index", "-z", "--stdin", f"--prefix={folder}/"]
        subprocess.run(command, cwd=ROOT, input=listed.stdout, check=True)
    else:
        shutil.copytree(ROOT / "content", folder / "content")
        shutil.copy(ROOT / "enrich.toml", folder)
    return folder


_BODY = re.compile(r"<<<PAGE [0-9a-f]{32}\n(.*)\nPAGE [0-9a-f]{32}>>>", re.DOTALL)


def page_of(seen: Seen) -> str:
    """The page's text in a request."""
    found = _BODY.search(seen.text)
    return found.group(1) if found else ""


def parts_of(seen: Seen) -> list[str]:
    """The stages a request asks for."""
    return list(seen.body["response_format"]["json_schema"]["schema"]["properties"])


def free_port() -> int:
    """A port that nothing listens at, and that no connection or server of another process gets by chance: the system gives out higher ones."""
    first = 20_000 + os.getpid() % 10_000
    for port in range(first, first + 2000):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@contextmanager
def serving(command: Sequence[str]) -> Iterator[str]:
    """The base URL of a server that we did not write: a process started by `command`, with `--port` added, once it listens."""
    port = free_port()
    server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(6000):
            with socket.socket() as tried:
                if server.poll() is not None or tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        assert server.poll() is None, "the server did not start"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def default_signals() -> None:
    """For the start of a child: a shell's background jobs and `nohup` ignore these signals, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


KILLED = 137


def forked(act: Callable[[], None], output: int) -> int:
    """The id of a forked child that calls `act`, which may call the command line, and writes to the file descriptor `output`."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads do not survive a fork: none of them is needed
        child = os.fork()
    if child:
        return child
    code: object = 99
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (1, 2):
            os.dup2(output, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        act()
        code = 0
    except SystemExit as error:
        code = error.code
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def killed_child(step: int, arguments: Sequence[str], prepare: Callable[[Callable[[], None]], None]) -> int:
    """The exit code of a command in a forked child that dies (`KILLED`) right before its `step`-th counted event; -1: it is not killed.

    `prepare` is called in the child and arranges that each event calls the function it is given.
    """
    seen = 0

    def count() -> None:
        nonlocal seen
        if seen == step:
            os._exit(KILLED)
        seen += 1

    def act() -> None:
        prepare(count)
        main(list(arguments))

    with Path(os.devnull).open("w") as null:
        return os.waitstatus_to_exitcode(os.waitpid(forked(act, null.fileno()), 0)[1])


def honest_parts(seen: Seen, score: float = 4.5) -> dict[str, Any]:
    """A truthful answer to every stage that is asked for, made of the page's own sentences."""
    prose = [line for line in page_of(seen).split("\n") if len(line) > 60 and not line.startswith(("Title:", "Description:"))]
    sentences = re.split(r"(?<=[.])\s+", prose[0]) if prose else ["The page says little."]
    title = next((line.removeprefix("Title: ") for line in page_of(seen).split("\n") if line.startswith("Title:")), "")
    first, second = sentences[0], sentences[min(1, len(sentences) - 1)]
    whole: Mapping[str, Any] = {
        "summary": {"summary": first, "evidence": [first]},
        "insights": {
            "insights": [
                {
                    "type": "claim",
                    "evidence": [second],
                    "text": second,
                    "reason": "It is plain.",
                    "surprising": 2.5,
                    "important": 3.0,
                    "actionable": 2.0,
                }
            ]
        },
        "ratings": {
            name: {"reason": f"Of {title} its {name}: {first}", "score": score}
            for name in seen.body["response_format"]["json_schema"]["schema"]["properties"].get("ratings", {}).get("properties", {})
        },
    }
    return {part: whole[part] for part in parts_of(seen)}


def honest(seen: Seen) -> Act:
    """The fake server's script for a model that answers truthfully."""
    return answering(honest_parts(seen))


def particular() -> Callable[[Seen], Act]:
    """The same for a model that says of each page what it has said of no other."""
    said = NearDuplicates()

    def acting(seen: Seen) -> Act:
        parts = honest_parts(seen)
        if "insights" in parts:
            plain = [line for line in page_of(seen).split("\n")[2:] if len(line) > 40 and not re.search(r"[|<>{}\[\]#:`*]", line)]
            sentences = (sentence for line in plain for sentence in re.split(r"(?<=[.。])\s+", line))
            text = next((sentence for sentence in sentences if not said.add(sentence)), "")
            parts["insights"]["insights"] = [parts["insights"]["insights"][0] | {"text": text, "evidence": [text]}] if text else []
        return answering(parts)

    return acting


def answering(parts: Mapping[str, Any]) -> Act:
    """A complete answer with these parts and a usage to count."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 400}}
    return Act(body=completion(dict(parts), usage=usage), name="honest")


def changed(change: Callable[[Seen, dict[str, Any]], None]) -> Callable[[Seen], Act]:
    """The script for a model whose honest answer is changed before it goes out."""

    def acting(seen: Seen) -> Act:
        parts = honest_parts(seen)
        change(seen, parts)
        return answering(parts)

    return acting


def at(faults: Mapping[int, Act], otherwise: Callable[[Seen], Act] = honest) -> Callable[[Seen], Act]:
    """The script that does `faults[n]` with the n-th request (from 0) and answers the others."""
    return lambda seen: faults.get(seen.number) or otherwise(seen)


def until(server: FakeServer, requests: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server has seen so many requests of a process."""
    with stopped_at_last(process):
        while server.requests < requests:
            assert process.poll() is None, f"only {server.requests} of {requests} requests came: {process.stderr.read().decode()}"
            time.sleep(0.01)


def said(process: subprocess.Popen[bytes], words: str) -> None:
    """Wait until the process has written a line with these words to standard error."""
    lines: list[str] = []
    with stopped_at_last(process):
        while not lines or words not in lines[-1]:
            lines.append(process.stderr.readline().decode())
            assert lines[-1], f"it ended without saying {words!r}: {lines}"


@contextmanager
def stopped_at_last(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill the process if what is within takes minutes: a test that waits for it then fails and does not hang."""
    net = threading.Timer(300, process.kill)
    net.start()
    try:
        yield
    finally:
        net.cancel()
