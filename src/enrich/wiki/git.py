"""Git's history of a wiki, read without letting the wiki decide what git does.

A wiki that somebody else made can hold a repository whose configuration names programs (fsmonitor, hooks, filters, a helper that fetches missing
objects). Git therefore never sees it: it runs on a temporary repository that has the wiki's references and an empty configuration, and only
borrows the wiki's objects. Repositories inside the content folder are never looked at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from enrich.files import LOCK_BYTES, Folders, names_in, read_bytes, read_text

_SECONDS = 600
_BYTES = 1_000_000_000  # of one command's output
_REFERENCES = 20_000
_SHORT = 4096
# Nothing else of our environment reaches git: above all no key, and no GIT_ variable.
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
}
_SAFE = (
    "safe.bareRepository=explicit",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=off",
    "log.showSignature=false",
)


class NoHistory(Exception):  # noqa: N818 (a wiki without git is not an error)
    """Git's history cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class History:
    """A repository that can be read with `git`. `prefix` is the wiki's path in it, with a `/` at the end; "" for its top."""

    prefix: str
    _folder: Path
    _objects: Path

    def git(self, *arguments: str, given: str = "") -> bytes:
        """What a git command prints. Raises `NoHistory` if it fails, takes too long or prints too much."""
        program = shutil.which("git")
        if program is None:
            raise NoHistory("git cannot be run here")
        (self._folder / "given").write_text(given, encoding="utf-8", errors="surrogateescape")
        settings = [part for setting in _SAFE for part in ("-c", setting)]
        env = {**_ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder)}
        env |= {"GIT_DIR": str(self._folder), "GIT_OBJECT_DIRECTORY": str(self._objects)}
        with (self._folder / "given").open("rb") as stdin:
            return _output([program, "--no-pager", *settings, *arguments], stdin.fileno(), env, self._folder)

    def contents(self, names: Iterable[str]) -> list[bytes | None]:
        """The bytes of each object by its name (a hash, or `REVISION:PATH` without a line break); None for one that is missing."""
        output = self.git("cat-file", "--batch", given="".join(f"{name}\n" for name in names))
        found: list[bytes | None] = []
        at = 0
        while at < len(output):
            end = output.index(b"\n", at)
            size = output[at:end].rpartition(b" ")[2]
            missing = size == b"missing"
            found.append(None if missing else output[end + 1 : end + 1 + int(size)])
            at = end + 1 if missing else end + int(size) + 2
        return found


def user_name() -> str:
    """The name that git's settings of this user give ("" if there is none); the wiki's own settings are not read."""
    program = shutil.which("git")
    env = {**_ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), "GIT_DIR": os.devnull}
    del env["GIT_CONFIG_GLOBAL"]
    try:
        command = [program or "git", "config", "--global", "--get", "user.name"]
        found = subprocess.run(command, capture_output=True, env=env, cwd="/", timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return " ".join(found.decode("utf-8", "replace").split())[:80]


def _output(command: list[str], stdin: int, env: dict[str, str], folder: Path) -> bytes:
    try:
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd=folder)
    except OSError:
        raise NoHistory("git cannot be run here") from None
    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        output = bytearray()
        while block := os.read(process.stdout.fileno(), 1 << 20):
            output += block
            if len(output) > _BYTES:
                raise NoHistory("git's history is too large")
        if process.wait() != 0:
            raise NoHistory("git cannot read its history here")
        return bytes(output)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def history(wiki: Path) -> Iterator[History]:
    """The history of the repository that the folder `wiki` belongs to. Raises `NoHistory`."""
    wiki = wiki.resolve()
    top = next((folder for folder in (wiki, *wiki.parents) if os.path.lexists(folder / ".git")), None)
    if top is None:
        raise NoHistory("no git history here")
    try:
        own, common = _git_folders(top)
        _check_objects(common)
        with tempfile.TemporaryDirectory(prefix="enrich-git-") as name:
            _copy(own, common, Path(name))
            inside = wiki.relative_to(top).as_posix()
            yield History("" if inside == "." else f"{inside}/", Path(name), common / "objects")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoHistory(f"git's history cannot be read ({reason})") from None


def _git_folders(top: Path) -> tuple[Path, Path]:
    """(the folder with HEAD, the folder with objects and references): the same unless `top` is a linked worktree.

    A `.git` file of a worktree or submodule is followed only if the folder that it names refers back to `top`: a wiki must not name any repository.
    """
    own = top / ".git"
    if own.is_symlink():
        raise NoHistory("the repository is behind a link")
    if own.is_dir():
        return own, own
    named = read_text(own, Folders(top), _SHORT).removeprefix("gitdir:").strip()
    own = (top / named).resolve()
    within = Folders(own)
    if (own / "gitdir").is_file():  # a worktree
        back = Path(read_text(own / "gitdir", within, _SHORT).strip()).resolve()
        common = (own / read_text(own / "commondir", within, _SHORT).strip()).resolve()
    else:  # a submodule
        lines = read_text(own / "config", within, LOCK_BYTES).splitlines()
        tree = next((line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "worktree"), "")
        back, common = (own / tree).resolve() / ".git", own
    if back != top / ".git":
        raise NoHistory("the repository does not belong to this folder")
    return own, common


def _check_objects(common: Path) -> None:
    """Raise `NoHistory` if git would follow a link, or read objects of another repository."""
    if (common / "objects" / "info" / "alternates").exists():
        raise NoHistory("the repository borrows objects from another one")
    waiting = [common / "objects"]
    while waiting:
        place = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_symlink() or place.is_symlink():
                    raise NoHistory("the repository's objects are behind links")
                if entry.is_dir():
                    waiting.append(Path(entry.path))


def _copy(own: Path, common: Path, target: Path) -> None:
    """Make a repository in `target` with the references of another one."""
    head = read_text(own / "HEAD", Folders(own), _SHORT)
    (target / "HEAD").write_text(head, encoding="utf-8")
    (target / "objects").mkdir()
    (target / "refs").mkdir()
    within = Folders(common)
    for name in ("packed-refs", "shallow"):
        if os.path.lexists(common / name):
            (target / name).write_bytes(read_bytes(common / name, within, LOCK_BYTES))
    waiting = [Path(name) for name in ("refs", "reftable") if os.path.lexists(common / name)]
    count = 0
    while waiting:
        place = waiting.pop()
        (target / place).mkdir(exist_ok=True)
        for name in names_in(common / place, within):
            count += 1
            if count > _REFERENCES:
                raise NoHistory("the repository has too many references")
            if (common / place / name).is_dir():
                waiting.append(place / name)
            else:
                (target / place / name).write_bytes(read_bytes(common / place / name, within, LOCK_BYTES))
    reftable = (target / "reftable").is_dir()
    sha256 = _is_sha256(common)
    extensions = [*(["refStorage = reftable"] if reftable else []), *(["objectFormat = sha256"] if sha256 else [])]
    version = f"[core]\nrepositoryFormatVersion = {int(bool(extensions))}\nbare = true\n"
    (target / "config").write_text("\n".join([version, "[extensions]", *extensions, ""]), encoding="utf-8")


def _is_sha256(common: Path) -> bool:
    return "objectformat=sha256" in read_text(common / "config", Folders(common), LOCK_BYTES).lower().replace(" ", "")
