"""Files are replaced as a whole, at any moment, and only if they are what was read; one process at a time holds a lock."""

# Functions of `enrich.files`: what a crash, a full disk or a second process does to them cannot be seen through a command.
from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enrich import UserError, files
from enrich.databases import KeyedStore
from enrich.files import (
    Folders,
    PageMoved,
    locked,
    names_in,
    read_bytes,
    remove_file,
    remove_folder,
    remove_leftovers,
    replace_file,
    write_text_atomically,
)

OLD, NEW = b"---\ntitle: old\n---\n", b"---\ntitle: new\n---\n"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "wiki" / "page.mdx"
    file.parent.mkdir()
    file.write_bytes(OLD)
    return file


def replaced(page: Path, root: Path | None = None) -> None:
    replace_file(page, NEW, expected=sha(OLD), root=root or page.parent)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_new_bytes_have_the_old_name_and_mode_and_an_open_file_keeps_the_old_ones(page: Path) -> None:
    page.chmod(0o640)
    link = page.parent / "other.mdx"
    link.symlink_to("page.mdx")
    with page.open("rb") as reader:
        replaced(link)
        assert reader.read() == OLD
    assert page.read_bytes() == NEW
    assert page.stat().st_mode & 0o7777 == 0o640
    assert link.is_symlink()
    assert names(page.parent) == ["other.mdx", "page.mdx"]


@pytest.mark.parametrize("when", ["before", "while the copy is written", "removed"])
def test_a_page_that_changed_is_not_replaced(page: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    sync = os.fsync

    def edit_then_sync(handle: int) -> None:
        page.write_bytes(b"a person was faster")
        sync(handle)

    if when == "before":
        page.write_bytes(b"a person was faster")
    elif when == "removed":
        page.unlink()
    else:
        monkeypatch.setattr(os, "fsync", edit_then_sync)
    with pytest.raises(PageMoved, match="it was removed" if when == "removed" else "it changed") as caught:
        replaced(page)
    assert caught.value.file == page
    assert names(page.parent) == ([] if when == "removed" else ["page.mdx"])
    assert when == "removed" or page.read_bytes() == b"a person was faster"


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_link_out_of_the_wiki_is_refused(page: Path, where: str) -> None:
    outside = page.parent.parent / "outside"
    outside.mkdir()
    (outside / "secret.mdx").write_bytes(OLD)
    if where == "file":
        link = page.parent / "link.mdx"
        link.symlink_to(outside / "secret.mdx")
    else:
        (page.parent / "sub").symlink_to(outside)
        link = page.parent / "sub" / "secret.mdx"
    with pytest.raises(UserError, match="outside"):
        replaced(link, root=page.parent)
    assert (outside / "secret.mdx").read_bytes() == OLD
    assert names(outside) == ["secret.mdx"]


def test_loops_of_links_and_folders_are_refused(page: Path) -> None:
    loop = page.parent / "loop.mdx"
    loop.symlink_to("loop.mdx")
    with pytest.raises(UserError):
        replaced(loop)
    folder = page.parent / "folder.mdx"
    folder.mkdir()
    with pytest.raises(UserError, match="not a regular file"):
        replaced(folder)


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        ("open", errno.EACCES, "folder is not writable"),
        ("open", errno.EROFS, "folder is not writable"),
        ("write", errno.ENOSPC, "disk is full"),
        ("fsync", errno.EDQUOT, "disk is full"),
        ("exchange", errno.EPERM, "folder is not writable"),
        ("write", errno.EIO, "cannot be written"),
    ],
)
def test_a_fault_of_the_disk_is_one_line_and_leaves_no_trace(
    page: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, says: str
) -> None:
    real: Callable[..., Any] = getattr(os, call, None) or files._exchange

    def failing(*args: Any, **kwargs: Any) -> Any:
        if call == "open" and not str(args[0]).endswith(".tmp"):
            return real(*args, **kwargs)
        if call == "write" and len(args[1]) > 5:
            return real(args[0], args[1][:5])  # the first bytes still fit
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*((files, "_exchange") if call == "exchange" else (os, call)), failing)
    with pytest.raises(UserError, match=says) as caught:
        replaced(page)
    monkeypatch.undo()
    assert "\n" not in caught.value.line
    assert str(page) in caught.value.line
    assert page.read_bytes() == OLD
    assert names(page.parent) == ["page.mdx"]


READ_ONLY = """
import os, sys
from pathlib import Path
from enrich.errors import UserError
from enrich.files import replace_file
page = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)  # root is refused nothing
try:
    replace_file(page, b"new", expected=sys.argv[2], root=page.parent)
except UserError as error:
    print(error.line)
"""


@pytest.mark.parametrize(("what", "says"), [("file", "the file is read-only"), ("folder", "the folder is not writable")])
def test_read_only_files_are_not_replaced(what: str, says: str) -> None:
    # Not in pytest's own folder: that one is closed to the plain user that root has to become.
    with tempfile.TemporaryDirectory() as name:
        page = Path(name, "wiki", "page.mdx")
        page.parent.mkdir()
        page.write_bytes(OLD)
        for place in (page.parent.parent, page.parent, page):
            if os.geteuid() == 0:
                os.chown(place, 65534, 65534)
        place = page if what == "file" else page.parent
        mode = place.stat().st_mode
        place.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", READ_ONLY, str(page), sha(OLD)], capture_output=True, text=True, check=True)
        place.chmod(mode)
        assert says in done.stdout
        assert page.read_bytes() == OLD
        assert names(page.parent) == ["page.mdx"]


KILLED = """
import os, signal, sys
from pathlib import Path
from enrich.files import replace_file, write_text_atomically
page, step, expected, new, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4].encode(), sys.argv[5]
count = 0
def stopping(real):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
for name in ("open", "write", "fchmod", "fsync", "replace", "rename", "close", "unlink"):
    setattr(os, name, stopping(getattr(os, name)))
if how == "page":
    replace_file(page, new, expected=expected, root=page.parent)
else:
    write_text_atomically(page, new.decode())
"""


@pytest.mark.parametrize("how", ["page", "own"])
def test_killed_at_any_step_the_file_is_old_or_new(page: Path, how: str) -> None:
    seen = set()
    for step in range(1, 40):
        page.write_bytes(OLD)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(page), str(step), sha(OLD), NEW.decode(), how], capture_output=True, check=False
        )
        found = page.read_bytes()
        assert found in (OLD, NEW)
        seen.add(found)
        left = [name for name in names(page.parent) if name != "page.mdx"]
        assert all(name.startswith(".enrich-") and not name.endswith((".md", ".mdx")) for name in left)
        assert len(remove_leftovers(page.parent, older_than=0, now=2**40)) == len(left)
        assert names(page.parent) == ["page.mdx"]
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    else:
        pytest.fail("never came to an end")
    assert seen == {OLD, NEW}
    assert step > 6  # it was stopped in between, not only before


def test_our_own_files_are_made_with_their_folders_and_keep_their_mode(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "enrich.lock"
    write_text_atomically(file, "eins\r\nzwei é\n")
    assert file.read_bytes() == "eins\r\nzwei é\n".encode()
    mask = os.umask(0)
    os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask
    file.chmod(0o600)
    write_text_atomically(file, "drei\n")
    assert file.read_text() == "drei\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert names(file.parent) == ["enrich.lock"]


def test_our_own_file_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_our_own_file_where_no_folder_can_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_text_atomically(tmp_path / "file" / "report.json", "{}")


class TestLeftovers:
    def test_only_old_temporaries_go(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        for name, age in [
            (".enrich-1-a.tmp", 900),
            ("sub/.enrich-2-b.tmp", 601),
            (".enrich-3-c.tmp", 599),
            ("page.mdx", 900),
            (".enrich-p.md", 900),
        ]:
            (tmp_path / name).write_text("x")
            os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
        removed = remove_leftovers(tmp_path, older_than=600, now=10_000)
        assert [str(file.relative_to(tmp_path)) for file in removed] == [".enrich-1-a.tmp", "sub/.enrich-2-b.tmp"]
        assert names(tmp_path) == [".enrich-3-c.tmp", ".enrich-p.md", "page.mdx", "sub"]

    def test_links_and_what_they_lead_to_stay(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / ".enrich-1.tmp").write_text("x")
        inside = tmp_path / "inside"
        inside.mkdir()
        (inside / "folder").symlink_to(outside)
        (inside / ".enrich-2.tmp").symlink_to(outside / ".enrich-1.tmp")
        assert remove_leftovers(inside, older_than=0, now=2**40) == []
        assert (outside / ".enrich-1.tmp").exists()

    def test_a_file_that_another_process_is_writing_stays_however_old(self, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sync, found = os.fsync, []

        def look_then_sync(handle: int) -> None:
            found.append((names(page.parent)[0], remove_leftovers(page.parent, older_than=0, now=2**40)))
            sync(handle)

        monkeypatch.setattr(os, "fsync", look_then_sync)
        replaced(page)
        assert found[0][0].startswith(".enrich-")
        assert found[0][1] == []
        assert page.read_bytes() == NEW
        assert remove_leftovers(page.parent / "none", older_than=0, now=2**40) == []


HOLDER = """
import sys, time
from pathlib import Path
from enrich.files import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_excludes_other_processes_and_ends_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    waited: list[str] = []

    def waiting(name: str) -> None:
        waited.append(name)
        holder.kill()

    with locked(path, waiting):
        assert waited == [f"process {holder.pid}"]
    holder.communicate()
    with locked(path, waited.append):
        pass
    assert len(waited) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be locked"), locked(tmp_path / "file" / "lock"):
        pass


@pytest.mark.parametrize("saves", [1, 2])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_save_between_the_last_check_and_the_exchange_is_kept(
    page: Path, monkeypatch: pytest.MonkeyPatch, saves: int, in_place: bool
) -> None:
    exchange, left = files._exchange, [f"save {number}".encode() for number in range(saves)]

    def save_then_exchange(folder: int, one: str, other: str) -> bool:
        if left:
            if in_place:
                page.write_bytes(left.pop(0))
            else:
                (page.parent / "editor").write_bytes(left.pop(0))
                (page.parent / "editor").replace(page)
        return exchange(folder, one, other)

    monkeypatch.setattr(files, "_exchange", save_then_exchange)
    with pytest.raises(PageMoved, match="it changed"):
        replaced(page)
    assert page.read_bytes() == f"save {saves - 1}".encode()
    assert names(page.parent) == ["page.mdx"]


def test_without_an_exchange_the_page_is_replaced_as_before(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_renameat2", lambda: None)
    replaced(page)
    assert page.read_bytes() == NEW


class TestFolders:
    """A wiki with links: where they may lead depends on what is done there."""

    @pytest.fixture
    def wiki(self, tmp_path: Path) -> Folders:
        for name in ("wiki/inside/file", "outside/file", "outside/20240101T000000Z-abcdef/file"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        root = tmp_path / "wiki"
        for name, target in (
            ("in", "inside"), ("out", "../outside"), ("file-in", "inside/file"), ("file-out", "../outside/file"), ("new-out", "../outside/new"),
            ("chain", "out"), ("loop", "loop"), ("absolute", str(tmp_path / "outside")),
        ):  # fmt: skip
            (root / name).symlink_to(target)
        return Folders(root)

    OUT = ("out/file", "file-out", "chain/file", "absolute/file", "inside/../../outside/file", "../outside/file")

    def test_reading_follows_links_that_stay_inside(self, wiki: Folders) -> None:
        for name in ("inside/file", "in/file", "file-in", "inside/../in/file"):
            assert read_bytes(wiki.root / name, wiki, 100) == b"wiki/inside/file", name
        assert names_in(wiki.root / "in", wiki) == ["file"]
        for name in (*self.OUT, "loop", "loop/file"):
            with pytest.raises(OSError, match="leads outside|symbolic links|Not a directory"):
                read_bytes(wiki.root / name, wiki, 100)
        with pytest.raises(OSError, match="leads outside"):
            names_in(wiki.root / "out", wiki)
        trusting = Folders(wiki.root, (wiki.root.parent / "outside",))
        assert {read_bytes(wiki.root / name, trusting, 100) for name in self.OUT} == {b"outside/file"}

    def test_what_is_written_locked_and_removed_is_behind_no_link(self, wiki: Folders) -> None:
        outside = wiki.root.parent / "outside"
        before = sorted(outside.rglob("*"))
        for name in (*self.OUT, "new-out", "in/file", "file-in", "loop", "out/new/new"):
            file = wiki.root / name
            with pytest.raises(UserError):
                write_text_atomically(file, "x", within=wiki)
            with pytest.raises(UserError), locked(file, within=wiki):
                pass
        for name in ("out/file", "chain/file"):
            with pytest.raises(OSError):
                remove_file(wiki.root / name, wiki)
        for name in ("out", "out/20240101T000000Z-abcdef", "absolute"):
            remove_folder(wiki.root / name, wiki)
        for name in ("file-out", "out/file", "out/store.db"):
            with KeyedStoreCloser(KeyedStore(wiki.root / name, within=wiki)) as store:
                store.put(b"k", "v")
        (outside / ".enrich-1.tmp").write_text("x")
        for name in ("out", "."):
            assert remove_leftovers(wiki.root / name, older_than=0, now=2**40, within=wiki) == []
        (outside / ".enrich-1.tmp").unlink()
        assert sorted(outside.rglob("*")) == before
        assert (outside / "file").read_text() == "outside/file"
        assert (wiki.root / "inside" / "file").read_text() == "wiki/inside/file"
        write_text_atomically(wiki.root / "no" / ".." / "inside" / "new", "x", within=wiki)
        assert (wiki.root / "inside" / "new").read_text() == "x"
        remove_file(wiki.root / "file-out", wiki)
        assert not (wiki.root / "file-out").is_symlink() and (outside / "file").exists()

    def test_a_trusted_folder_may_be_behind_a_link(self, wiki: Folders) -> None:
        outside = wiki.root.parent / "outside"
        trusting = Folders(wiki.root, (outside,))
        write_text_atomically(wiki.root / "out" / "deep" / "report", "x", within=trusting)
        write_text_atomically(wiki.root / "file-out", "y", within=trusting)
        assert ((outside / "deep" / "report").read_text(), (outside / "file").read_text()) == ("x", "y")
        remove_folder(wiki.root / "out" / "deep", trusting)
        assert not (outside / "deep").exists()
        with pytest.raises(UserError, match="not links"):
            write_text_atomically(wiki.root / "file-in", "x", within=trusting)

    @pytest.mark.parametrize("kind", ["pipe", "folder", "/dev/zero", "large", "endless"])
    def test_what_is_not_a_regular_file_of_a_bounded_size_is_not_read(self, wiki: Folders, kind: str) -> None:
        file = wiki.root / "special"
        if kind == "pipe":
            os.mkfifo(file)
        elif kind == "folder":
            file.mkdir()
        elif kind == "large":
            with file.open("wb") as stream:
                stream.truncate(10_000_000_000)
        elif kind == "endless":
            file.symlink_to("/proc/self/mem")
        else:
            file.symlink_to(kind)
        for within in (wiki, None):
            with pytest.raises(OSError):
                read_bytes(file, within, 1_000_000)
        if kind in ("pipe", "folder"):
            with pytest.raises(UserError, match="not a regular file"):
                write_text_atomically(file, "x", within=wiki)


class KeyedStoreCloser:
    def __init__(self, store: KeyedStore) -> None:
        self.store = store

    def __enter__(self) -> KeyedStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def test_all_files_are_opened_in_one_place() -> None:
    """`enrich.files` knows about links, pipes and sizes: whoever opens a file in another way must be known here."""
    package = Path(files.__file__).parent
    known = {
        "files.py": "this is the place",
        "cli/main.py": "the null device",
        "grounding/number_words.py": "the package's data",
        "stages/scores.py": "the package's prompts",
        "stages/definition.py": "the package's prompts",
        "databases.py": "the machine's id",
        "review/terminal_app.py": "a draft in the system's temporary folder",
        "wiki/git.py": "a temporary repository",
        "records/database.py": "the package's code",
        "runs/init.py": "the package's prompts and templates",
        "records/record.py": "the package's code",
    }
    opening = re.compile(
        r"(?<![\w.])open\(|\.(?:read_bytes|read_text|write_bytes|write_text|unlink|rmdir|mkdir|touch)\(|os\.open\(|rmtree\("
    )
    of_package = re.compile(r"def open|resources\.|_TEMPLATES|_FILE\.|\(folder / f\"\{")
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        found = [line for line in file.read_text(encoding="utf-8").split("\n") if opening.search(line) and not of_package.search(line)]
        assert name in known or found == [], name


class TestStoredValues:
    """`KeyedStore`: what came with a clone is never believed."""

    def test_values_come_back_in_their_own_file_only(self, tmp_path: Path) -> None:
        file, copy = tmp_path / "pages.sqlite", tmp_path / "clone.sqlite"
        store = KeyedStore(file, "stamp")
        key = store.key("page", b"content")
        store.put(key, ["value"])
        store.close()
        copy.write_bytes(file.read_bytes())
        assert KeyedStore(file, "stamp").get(key) == ["value"]
        assert KeyedStore(copy, "stamp").get(key) is None

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE VIEW more AS SELECT 1",
            "CREATE TRIGGER more AFTER INSERT ON entries BEGIN DELETE FROM entries; END",
            "CREATE INDEX more ON entries(hex(value))",
        ],
    )
    def test_a_foreign_schema_is_replaced(self, tmp_path: Path, statement: str) -> None:
        file = tmp_path / "pages.sqlite"
        KeyedStore(file).close()
        with sqlite3.connect(file) as database:
            database.execute(statement)
        database.close()
        store = KeyedStore(file)
        key = store.key("page", b"content")
        store.put(key, {"a": 1})
        store.close()
        assert KeyedStore(file).get(key) == {"a": 1}
        with sqlite3.connect(file) as database:
            assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
        database.close()


def test_lone_surrogates_are_written_as_escapes(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "lock", json.dumps({"page": "a\ud800é"}, ensure_ascii=False))
    assert json.loads((tmp_path / "lock").read_text(encoding="utf-8")) == {"page": "a\ud800é"}
