"""Git's history is read from the wiki's own repository, whatever its configuration says, and from no other."""

# The module itself: which repository git sees cannot be seen through a command.
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enrich.wiki.data import git_dates
from enrich.wiki.git import NoHistory, history


def git(*arguments: str, cwd: Path) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *who, *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def commit(top: Path, *files: str, date: str = "2024-05-06T12:00:00Z") -> None:
    for name in files:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("---\ntitle: A\n---\n", encoding="utf-8")
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "pages", "--date", date, cwd=top)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    top.mkdir()
    git("init", "-q", cwd=top)
    commit(top, "content/a.md", "site/content/b ü.md")
    return top


def dates(root: Path) -> dict[str, str]:
    return dict(git_dates(root, root / "content", 100)[0].modified)


def test_a_wiki_is_read_at_the_top_in_a_subfolder_in_a_worktree_and_as_a_submodule(top: Path, tmp_path: Path) -> None:
    assert dates(top) == {"a.md": "2024-05-06"}
    assert dates(top / "site") == {"b ü.md": "2024-05-06"}
    git("pack-refs", "--all", cwd=top)
    git("gc", "-q", cwd=top)
    assert dates(top / "site") == {"b ü.md": "2024-05-06"}
    git("worktree", "add", "-q", str(tmp_path / "tree"), cwd=top)
    commit(tmp_path / "tree", "content/c.md", date="2025-01-02T12:00:00Z")
    assert dates(tmp_path / "tree") == {"a.md": "2024-05-06", "c.md": "2025-01-02"}
    assert dates(top) == {"a.md": "2024-05-06"}
    outer = tmp_path / "outer"
    outer.mkdir()
    git("init", "-q", cwd=outer)
    git("submodule", "--quiet", "add", str(top), "inner", cwd=outer)
    assert dates(outer / "inner") == {"a.md": "2024-05-06"}
    git("clone", "-q", "--depth", "1", f"file://{top}", str(tmp_path / "shallow"), cwd=tmp_path)
    assert dates(tmp_path / "shallow") == {"a.md": "2024-05-06"}


def test_hashes_of_either_kind_are_read(tmp_path: Path) -> None:
    git("init", "-q", "--object-format=sha256", cwd=tmp_path)
    commit(tmp_path, "content/a.md")
    assert dates(tmp_path) == {"a.md": "2024-05-06"}


@pytest.mark.parametrize(
    "kind", ["none", "bare", "another's", "file", "alternates", "linked objects", "linked pack", "linked repository", "linked references"]
)
def test_another_repository_is_not_read(top: Path, tmp_path: Path, kind: str) -> None:
    wiki = tmp_path / "wiki"
    (wiki / "content").mkdir(parents=True)
    if kind == "bare":  # git would find it in the content folder
        git("clone", "-q", "--bare", str(top), str(wiki / "content"), cwd=tmp_path)
    elif kind in ("another's", "file"):
        git("worktree", "add", "-q", str(tmp_path / "tree"), cwd=top)
        (wiki / ".git").write_text("gitdir: ../top/.git\n" if kind == "file" else (tmp_path / "tree" / ".git").read_text())
    elif kind == "linked repository":
        (wiki / ".git").symlink_to(top / ".git")
    elif kind != "none":
        git("init", "-q", cwd=wiki)
        commit(wiki, "content/x.md")
        own, theirs = wiki / ".git", top / ".git"
        if kind == "alternates":
            (own / "objects" / "info" / "alternates").write_text(f"{theirs}/objects\n")
        else:
            name = {"linked objects": "objects", "linked pack": "objects/pack", "linked references": "refs/heads"}[kind]
            (own / name).rename(own / "aside")
            (own / name).symlink_to(theirs / name)
    found, notices = git_dates(wiki, wiki / "content", 100)
    assert (found.modified, len(notices)) == ({}, 1)


def test_git_runs_without_our_environment_and_with_a_limit(top: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\ncase $* in *endless*) exec yes;; *slow*) exec sleep 60;; esac\nenv; pwd\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234")
    monkeypatch.setenv("GIT_DIR", str(top / ".git"))
    monkeypatch.setattr("enrich.wiki.git._BYTES", 10_000_000)
    with history(top) as repository:
        said = repository.git("log").decode()
        assert "sk-1234" not in said
        assert "GIT_ALLOW_PROTOCOL=none" in said and "GIT_NO_LAZY_FETCH=1" in said
        assert not any(line.startswith(("GIT_DIR=", "PWD=")) and str(top) in line for line in said.splitlines())
        with pytest.raises(NoHistory):
            repository.git("endless")
        monkeypatch.setattr("enrich.wiki.git._SECONDS", 0.3)
        with pytest.raises(NoHistory):
            repository.git("slow")
