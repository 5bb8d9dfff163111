"""All commands on a wiki that somebody else made to do harm: nothing outside of it is read, written, deleted or started (docs/security.md)."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enrich.runs.results import Journal
from tests.demo import ROOT, DemoWiki, honest, page_text
from tests.fake_server import FakeServer, status

KEY = "sk-canary-5150"
CANARY = "CANARY-1729"
TIMEOUT = 120
SETTINGS = '[wiki]\ncontent = "content"\ndata = "data"\nmin_words = 5\n'
MODEL_RUN, SERVED = "run --refresh --backend openai", "review --serve"
# Each ends by itself or by Ctrl-C. Exit codes are those of the contract (README, docs/cli.md).
COMMANDS = (
    "plan", "run", "run --failed", "run --apply --refresh --pr-body body.md",
    "page good", "diff --format html -o report.html", "diff --json", "accept --safe --all",
    "reject good", "apply --all", "adopt", "build --split", "build --exit-code", "show good --json", "check", "check --format github",
    "eval --save answers.jsonl", "eval --golden gold.yaml", "build --dates dates.json", "review --from decisions.json",
    "eval --answers frontmatter@HEAD", MODEL_RUN, SERVED, "cache stats", "cache prune", "cache clear", "init",
)  # fmt: skip
# Python reads its library and its settings, git reads nothing but the wiki's objects.
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev/null", "/dev/urandom", "/bin", "/opt/python")
STRACE = ("strace", "-f", "-y", "-v", "-qq", "-s", "9999", "--seccomp-bpf", "-e", "signal=none", "-e")
CALLS = (
    "open,openat,creat,execve,unlink,unlinkat,rmdir,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,truncate,chmod"
)


@dataclass(frozen=True)
class Place:
    """A user's home folder with files that are nobody's business, and a wiki beside it."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def wiki(self) -> Path:
        return self.root / "wiki"

    def link(self, name: str, target: str) -> None:
        """A link in the wiki, relative as git would keep it, to something in the home folder."""
        file = self.wiki / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(os.path.relpath(self.home / target, file.parent))

    def snapshot(self) -> dict[str, bytes | None]:
        files = sorted(self.home.rglob("*"))
        return {file.relative_to(self.home).as_posix(): file.read_bytes() if file.is_file() else None for file in files}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for name in (
        "priv/secret.md",
        "priv/secret.yaml",
        "priv/system.md",
        "priv/entities/e.yaml",
        "priv/sub/deep.md",
        "runs/20200101T000000Z-abcdef/x",
    ):
        (place.home / name).parent.mkdir(parents=True, exist_ok=True)
        (place.home / name).write_text(page_text(1, body=f"{CANARY} {CANARY} " * 20), encoding="utf-8")
    for name in ("rc", "priv/cache.db", "runs/journal.jsonl", "keep/good.json", "keep/.enrich-1.tmp"):
        (place.home / name).parent.mkdir(parents=True, exist_ok=True)
        (place.home / name).write_text(CANARY, encoding="utf-8")
    (place.root / "tmp").mkdir()
    for number, name in enumerate(("good", "better")):
        file = place.wiki / "content" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page_text(number), encoding="utf-8")
    (place.wiki / "enrich.toml").write_text(SETTINGS, encoding="utf-8")
    return place


def hostile_git(place: Place) -> None:
    """A repository whose configuration names programs, and a bare one inside the content folder, as in a wiki that came as an archive."""
    boom = f"touch {place.home}/BOOM; false"

    def git(*arguments: str, cwd: Path = place.wiki) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
        return subprocess.run(["git", *who, *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "pages", "--date", "2024-05-06T07:08:09Z")
    program = f'"{boom}"'
    parts = {
        "core": {"repositoryformatversion": "1", "fsmonitor": program, "pager": program, "sshCommand": program, "askPass": program},
        'remote "origin"': {"url": "../elsewhere", "uploadpack": program, "promisor": "true"},
        "extensions": {"partialClone": "origin"},
        "alias": {"log": f'"!{boom}"', "ls-tree": f'"!{boom}"'},
        'filter "x"': {"smudge": program, "clean": program, "required": "true"},
        'diff "x"': {"textconv": program, "command": program},
        "diff": {"external": program},
        "gpg": {"program": program},
        "log": {"showSignature": "true"},
        "include": {"path": str(place.home / "rc")},
    }  # fmt: skip
    text = "".join(f"[{name}]\n" + "".join(f"\t{key} = {value}\n" for key, value in values.items()) for name, values in parts.items())
    (place.wiki / ".gitattributes").write_text("*.md filter=x diff=x\n", encoding="utf-8")
    bare = place.wiki / "content" / "bare"
    git("init", "-q", "--bare", str(bare))
    tree = git("hash-object", "-t", "tree", "-w", "/dev/null", cwd=bare)
    git("update-ref", "HEAD", git("commit-tree", tree, "-m", "x", cwd=bare), cwd=bare)
    shutil.rmtree(bare / "objects" / tree[:2])  # git would fetch the missing object
    for config in (place.wiki / ".git" / "config", bare / "config"):
        config.write_text(text, encoding="utf-8")
    (bare / "page.md").write_text(page_text(7), encoding="utf-8")


def hostile_content(place: Place) -> None:
    hostile_git(place)
    content, data = place.wiki / "content", place.wiki / "data"
    place.link("content/link.md", "priv/secret.md")
    place.link("content/folder", "priv")
    for name, target in (("zero.md", "/dev/zero"), ("loop.md", "loop.md"), ("tty.md", "/dev/tty")):
        (content / name).symlink_to(target)
    os.mkfifo(content / "pipe.md")
    with (content / "sparse.md").open("wb") as file:
        file.truncate(10_000_000_000)
    (content / "title.md").write_text("---\n&title: A\nb: 1\n---\n" + page_text(3).split("---\n")[2], encoding="utf-8")
    place.link("data/entities", "priv/entities")
    place.link("data/resources.json", "priv/secret.yaml")
    (data / "insights").mkdir()
    os.mkfifo(data / "insights" / "pipe.yaml")
    place.link("data/insights/out.yaml", "priv/secret.yaml")
    (data / "git-dates.json").symlink_to("/dev/zero")
    (data / "research-ranking.yaml").symlink_to("/dev/zero")


def hostile_files(place: Place) -> None:
    """Every file and folder of `enrich` is a link out of the wiki."""
    for name, target in (
        ("database.json", "rc"), ("pages.json", "rc"), ("backlinks.json", "rc"), ("report.html", "rc"), ("answers.jsonl", "rc"),
        ("body.md", "rc"), ("gold.yaml", "rc"), ("dates.json", "rc"), ("decisions.json", "rc"),
        ("enrich.lock", "rc"),
        (".gitignore", "rc"), ("proposals", "keep"), ("cache/runs", "runs"), ("cache/locks/run", "rc"), ("cache/locks/wiki", "rc"),
        ("cache/answers/cache.db", "priv/cache.db"), ("cache/states.db", "rc"), ("cache/pages/pages.sqlite", "rc"), ("cache/tokens.json", "rc"),
    ):  # fmt: skip
        place.link(name, target)


def hostile_folders(place: Place) -> None:
    """The folders are real; what is in them is not what it should be."""
    place.link("cache/answers", "priv")
    place.link("cache/locks", "keep")
    place.link("cache/pages", "priv")
    place.link("proposals/good.json", "rc")
    place.link("prompts", "priv")
    place.link("cache/runs/99990101T000000Z-abcdef/journal.jsonl", "rc")
    place.link("cache/runs/20200101T000000Z-abcdef", "priv")
    place.link("database.json", "new-file")


def hostile_pipes(place: Place) -> None:
    for name in (
        "prompts/summary.md",
        "proposals/good.json",
        "enrich.lock",
        "cache/runs/20200101T000000Z-abcdef/journal.jsonl",
        "cache/tokens.json",
    ):
        (place.wiki / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(place.wiki / name)


def run(place: Place, command: str, **env: str) -> tuple[int, str, list[str]]:
    """(exit code, output, what strace saw) of a command in the wiki."""
    log = place.root / "strace.log"
    traced = [*STRACE, f"trace={CALLS}", "-o", str(log)] if can_trace() else []
    given = {
        "HOME": str(place.home), "TMPDIR": str(place.root / "tmp"), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"),
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1", "OPENAI_API_KEY": KEY, **env,
    }  # fmt: skip
    line = [*traced, sys.executable, "-m", "enrich", *command.split()]
    with subprocess.Popen(line, cwd=place.wiki, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        shown, address = b"", None
        while command == SERVED and address is None and (row := process.stdout.readline()):
            shown, address = shown + row, re.search(rb"http://\S+", row)
        if address:
            jar = urllib.request.HTTPCookieProcessor()  # the address leaves a cookie and leads to the page
            with urllib.request.build_opener(jar).open(address[0].decode(), timeout=TIMEOUT) as page:
                shown += page.read()
            for child in children(process.pid) if traced else [process.pid]:
                os.kill(child, signal.SIGINT)
        out = shown + process.communicate(timeout=TIMEOUT)[0]
    return process.returncode, out.decode(), log.read_text("utf-8", "replace").split("\n") if traced else []


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


@cache
def can_trace() -> bool:
    return (
        shutil.which("strace") is not None and subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False).returncode == 0
    )


OPENED = re.compile(r"open(?:at)?\(.*?, (O_[A-Z_|]+)[^=]*\) = \d+<(.*)>$")
CHANGED = re.compile(r"^\d+ (?!open|execve)(\w+)\((.*)\) = 0$")
NAMED = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')


def trespasses(place: Place, calls: Sequence[str]) -> Iterator[str]:
    """The system calls that read, wrote, deleted or started something that is not the wiki's or the system's."""
    ours = (str(place.wiki), str(place.root / "tmp"))
    code = (*filter(None, sys.path), sys.prefix, sys.base_prefix, str(ROOT / "prompts"))
    readable = (*ours, *SYSTEM, *code, *map(os.path.realpath, code))
    for call in calls:
        opened, changed = OPENED.search(call), CHANGED.match(call)
        if opened and not opened[2].startswith(readable if "O_RDONLY" in opened[1] or "O_PATH" in opened[1] else (*ours, "/dev/null")):
            # The folders above the wiki are opened on the way to it.
            if "O_PATH" not in opened[1] and not str(place.wiki).startswith(opened[2]):
                yield call
        elif changed:
            for folder, name in NAMED.findall(changed[2]):
                path = Path(folder or place.wiki, name)
                if not str(Path(os.path.realpath(path.parent), path.name)).startswith(ours):
                    yield call
        elif " execve(" in call and call.endswith("= 0"):
            program = NAMED.findall(call)[0][1]
            if program not in (sys.executable, shutil.which("git")) or (program != sys.executable and KEY in call):
                yield call


VARIANTS: dict[str, tuple[Callable[[Place], None], ...]] = {
    "content": (hostile_content,),
    "folders": (hostile_folders,),
    "pipes": (hostile_pipes,),
    "everything": (hostile_content, hostile_files),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_command_leaves_a_hostile_wiki(place: Place, variant: str, serve: Callable[..., FakeServer]) -> None:
    server = serve(honest)
    for act in VARIANTS[variant]:
        act(place)
    before = place.snapshot()
    codes = {}
    for command in COMMANDS:
        code, output, calls = run(place, command, **({"ENRICH_LLM__BASE_URL": server.base_url} if command == MODEL_RUN else {}))
        codes[command] = code
        assert code in (0, 1, 3, 10), (command, output)
        assert "Traceback" not in output, (command, output)
        assert CANARY not in output, (command, output)
        assert code != 1 or output.rstrip().rpartition("\n")[2].startswith(("error: ", '{"error": ')), (command, output)
        assert list(trespasses(place, calls)) == [], command
        assert place.snapshot() == before, command
    for file in place.wiki.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 1_000_000:
            assert CANARY.encode() not in file.read_bytes(), file
    assert not any(CANARY in json.dumps(seen.body) for seen in server.seen)
    if variant == "content":  # the harmless pages are enriched as usual, and pages that are not files are reported
        assert codes["run"] == codes["run --apply --refresh --pr-body body.md"] == 3
        assert (codes["build --split"], codes["check"], codes["eval --answers frontmatter@HEAD"]) == (3, 0, 0)
        assert (codes[MODEL_RUN], codes[SERVED], len(server.seen)) == (3, 0, 4)
        assert b"llmSummary" in (place.wiki / "content" / "good.md").read_bytes()
        assert '"lastUpdated":"2024-05-06"' in (place.wiki / "database.json").read_text("utf-8")


@pytest.mark.parametrize("key", ["wiki.content", "wiki.data", "wiki.profile", "stages.summary.prompt", "eval.golden"])
@pytest.mark.parametrize("how", ["path", "absolute", "link"])
def test_only_the_user_names_a_folder_outside_the_wiki(tmp_path: Path, key: str, how: str) -> None:
    names = {"wiki.profile": "own.yaml", "stages.summary.prompt": "summary.md", "eval.golden": "golden.yaml"}
    name = names.get(key, "priv")
    wiki, outside = DemoWiki(tmp_path / "wiki", 1), tmp_path / "outside" / name
    outside.parent.mkdir()
    if key == "stages.summary.prompt":
        shutil.copy(ROOT / "prompts" / "summary.md", outside)
    elif key in names:
        outside.write_text("pages: {}\n" if key == "eval.golden" else "")
    else:
        outside.mkdir()
        (outside / "page.md").write_text(page_text(5))
    value = {"path": f"../outside/{name}", "absolute": str(outside), "link": name}[how]
    if how == "link":
        (wiki.root / name).symlink_to(outside)
    section, _, setting = key.rpartition(".")
    lines = {"wiki": {"content": "content", "min_words": 5}} | ({} if section == "wiki" else {section: {}})
    lines[section][setting] = value
    text = "".join(f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()) for name, keys in lines.items())
    (wiki.root / "enrich.toml").write_text(text)
    command = ("eval",) if key == "eval.golden" else ("run",)
    refused = wiki.enrich(*command)
    assert refused.exit == 1
    assert f"`{key}` leads outside" in refused.err and len(refused.err.splitlines()) == 1
    variable = f"ENRICH_{key.upper().replace('.', '__')}"
    assert wiki.enrich(*command, **{variable: value}).exit == 0
    assert wiki.enrich(*command, ENRICH_TRUST_FOLDER=str(outside.parent)).exit == 0


def test_golden_data_is_looked_for_in_the_wiki(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path / "wiki", 2, '[eval]\ngolden = "gold/set.jsonl"\n')
    (wiki.root / "gold").mkdir()
    (wiki.root / "gold" / "set.jsonl").write_text('{"page": "park-1", "ratings": {"rigor": 5}}\n')
    before = Path.cwd()
    result = wiki.enrich("eval", "--json")
    assert result.json["pages"]["ratings"] == 1
    os.chdir(tmp_path)
    try:
        out = subprocess.run(
            [sys.executable, "-m", "enrich", "--wiki", "wiki", "eval", "--json"], env=wiki.env(), capture_output=True, check=True
        )
    finally:
        os.chdir(before)
    assert json.loads(out.stdout)["pages"] == result.json["pages"]


@pytest.mark.parametrize("fault", ["read-only", "no inodes", "full disk"])
def test_a_page_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    wiki = DemoWiki(tmp_path, 4)
    wiki.enrich("run")
    target, real_open, real_access, real_write = wiki.file(1).stat().st_ino, os.open, os.access, os.write
    at_work = False

    def access(path: Any, mode: int, **more: Any) -> bool:
        nonlocal at_work
        at_work = os.stat(path, dir_fd=more.get("dir_fd")).st_ino == target
        return real_access(path, mode, **more) and not (at_work and fault == "read-only")

    def opening(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if (
            at_work
            and fault == "no inodes"
            and str(path).endswith(".tmp")
            and "content" in str(Path(f"/dev/fd/{named['dir_fd']}").readlink())
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_open(path, flags, *more, **named)

    def write(handle: int, data: Any) -> int:
        if at_work and fault == "full disk" and "/content/.enrich-" in str(Path(f"/dev/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(handle, data)

    with monkeypatch.context() as broken:
        for name, function in (("access", access), ("open", opening), ("write", write)):
            broken.setattr(os, name, function)
        done = wiki.enrich("apply", "--all", "--json")
    assert done.exit == 3
    assert [(item["page"], item["cause"]) for item in done.json["refused"]] == [("park-1", "not-writable")]
    assert {item["page"] for item in done.json["applied"]} == {"park-0", "park-2", "park-3"}
    assert "llmSummary" not in wiki.frontmatter(1)
    assert wiki.enrich("apply", "--all").exit == 0
    assert "llmSummary" in wiki.frontmatter(1)
    assert {state for state, _ in wiki.states().values()} == {"current"}


def test_a_folder_that_cannot_be_read_is_reported_and_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wiki = DemoWiki(tmp_path, 1)
    (wiki.docs / "closed").mkdir()
    (wiki.docs / "closed" / "page.md").write_text(page_text(2))
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = wiki.enrich("run", "--json")
    assert done.exit == 3
    assert [failure["page"] for failure in done.json["failed"]] == ["closed"]
    built = wiki.enrich("build")
    assert (built.exit, "content/closed" in built.err) == (3, True)
    assert wiki.enrich("check", "--exit-code").exit == 10


def test_few_open_files_lower_the_concurrency(tmp_path: Path, serve: Callable[..., FakeServer]) -> None:
    wiki = DemoWiki(tmp_path, 80)
    wiki.server = serve(honest, latency=0.02).base_url
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731
    command = [sys.executable, "-m", "enrich", "run", "--json"]
    done = subprocess.run(command, cwd=wiki.root, env=wiki.env(OPENAI_API_KEY="k"), capture_output=True, preexec_fn=limit, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == []
    assert b"requests at once" in done.stderr


def test_runs_of_one_second_sort_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run --failed` reads the newest run: names of folders must order runs that begin within the same second."""
    moments = iter(datetime(2026, 3, 1, 12, 0, 0, number * 500, tzinfo=UTC) for number in range(30))
    monkeypatch.setattr("enrich.runs.results.datetime", SimpleNamespace(now=lambda zone: next(moments)))
    names = []
    for _ in range(30):
        with Journal(tmp_path) as journal:
            names.append(journal.run)
    assert names == sorted(names) and names[-1].startswith("20260301T120000Z")


def test_a_run_dated_in_the_future_hides_no_failure_and_other_folders_are_kept(tmp_path: Path, serve: Callable[..., FakeServer]) -> None:
    wiki = DemoWiki(tmp_path, 2)
    runs = wiki.root / "cache" / "runs"
    wiki.server = serve(honest).base_url
    wiki.enrich("run")
    earlier = next(runs.iterdir())
    shutil.copytree(earlier, runs / "99990101T000000Z-abcdef")
    wiki.append(1)
    wiki.server = serve([status(400, "no")] * 3).base_url
    assert wiki.enrich("run").exit in (1, 3)
    wiki.server = serve(honest).base_url
    assert {item["page"] for item in wiki.enrich("run", "--failed", "--json").json["proposed"]} == {"park-1"}
    (runs / "notes").mkdir()
    assert wiki.enrich("cache", "clear", "--json").json["runs_dropped"] == 4
    assert [folder.name for folder in runs.iterdir()] == ["notes"]
