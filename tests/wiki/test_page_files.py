"""Which files are pages, their ids, and what a name means (DESIGN.md sections 4.1 and 4.2). Ids are the public names of pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from enrich.errors import UserError
from enrich.wiki.page_files import find_pages, matches, page_ids, select

TREE = (
    *(
        "index.md",
        "_index.md",
        "README.md",
        "guide/index.mdx",
        "guide/intro.md",
        "guide/_partial.md",
        "guide/02-tides.md",
        "notes.markdown",
    ),
    *("de/guide/intro.md", "fr/guide/intro.md", ".obsidian/x.md", "node_modules/p/readme.md", "prompts/system.md", "cache/a.md"),
    *("proposals/b.md", "guide/prompts/good.md", "build/out.md", "logs/a.md", "logs/keep.md", "drafts/plan.md", "picture.png"),
)


def write(root: Path, paths: Iterable[str], text: str = "Text.\n") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    write(tmp_path, TREE)
    (tmp_path / ".gitignore").write_text("# made\n/build/\nlogs/*\n!logs/keep.md\n", encoding="utf-8")
    (tmp_path / "drafts" / ".gitignore").write_text("*.md\n", encoding="utf-8")
    return tmp_path


def test_pages_are_what_is_neither_ours_nor_ignored_nor_a_partial(vault: Path) -> None:
    files, warnings = find_pages(vault, root=vault)
    assert [file.id for file in files] == [
        *("README", "_index", "de/guide/intro", "fr/guide/intro", "guide/02-tides", "guide/index", "guide/intro", "guide/prompts/good"),
        *("index", "logs/keep", "notes"),
    ]
    assert warnings == []
    assert [file.path for file in find_pages(vault, root=vault, exclude=["**/in*", "de/**", "logs/**"])[0]] == [
        *("README.md", "_index.md", "guide/02-tides.md", "guide/_partial.md", "guide/prompts/good.md", "notes.markdown"),
    ]
    # Below another content folder these names are pages like all others.
    assert "prompts/good" in {file.id for file in find_pages(vault / "guide", root=vault)[0]}


def test_index_pages_have_the_address_of_their_folder(vault: Path) -> None:
    files = {file.path: file for file in find_pages(vault, root=vault)[0]}
    assert {path: file.url for path, file in files.items() if file.is_index} == {
        "README.md": "/",
        "_index.md": "/",
        "guide/index.mdx": "/guide/",
        "index.md": "/",
    }
    assert files["guide/intro.md"].url == "/guide/intro/"


@pytest.mark.parametrize(
    ("ids", "paths", "expected"),
    [
        ("path", ["a/x.md", "b/x.md"], ["a/x", "b/x"]),
        ("path", ["a/x.md", "a/x.mdx", "a/y.md"], ["a/x.md", "a/x.mdx", "a/y"]),
        ("stem", ["a/x.md", "b/y.md", "a/index.md", "index.md"], ["x", "y", "__index__/a", "__index__"]),
        ("stem", ["a/x.md", "b/x.md", "x.md", "b/x.mdx"], ["a/x", "b/x.md", "x", "b/x.mdx"]),
        ("stem", ["a/index.md", "a/README.md"], ["a/index", "a/README"]),
    ],
)
def test_pages_that_would_have_the_same_id_are_all_known_by_their_paths(ids: str, paths: list[str], expected: list[str]) -> None:
    assert page_ids(paths, ids) == expected  # type: ignore[arg-type]


def test_equal_names_are_one_warning(tmp_path: Path) -> None:
    write(tmp_path, ["a/x.md", "b/x.md", "a/y.md", "b/y.md", "c/y.md"])
    assert find_pages(tmp_path, ids="stem")[1] == ["a/x.md: another page has the same name; 5 such pages are known by their longer paths"]
    assert find_pages(tmp_path)[1] == []


def test_a_page_is_named_by_anything_that_is_its_own(vault: Path) -> None:
    files = find_pages(vault, root=vault)[0]

    def named(*names: str) -> list[str]:
        return [
            file.id
            for file in select(
                names,
                files,
                vault,
                vault,
                lambda: {"E197": ["notes"], "ebb-and-flow": ["guide/02-tides"], "old": ["notes", "guide/02-tides"]},
            )
        ]

    for name in (
        "guide/02-tides",
        "guide/02-tides.md",
        "02-tides",
        "tides",
        "/guide/tides/",
        "guide/tides",
        str(vault / "guide/02-tides.md"),
    ):
        assert named(name) == ["guide/02-tides"], name
    assert named("/guide/") == named("__index__/guide") == named("guide/index.mdx") == ["guide/index"]
    assert named("E197") == named("notes") == ["notes"]
    assert named("/ebb-and-flow/") == ["guide/02-tides"]
    with pytest.raises(UserError, match="'old' names 2 pages"):
        named("old")
    assert named("*/guide/*") == ["de/guide/intro", "fr/guide/intro"]
    with pytest.raises(UserError, match="'intro' names 3 pages.*one of de/guide/intro, fr/guide/intro, guide/intro"):
        named("intro")
    with pytest.raises(UserError, match=r"no page 'guide/tdes'.*guide/02-tides"):
        named("guide/tdes")
    with pytest.raises(UserError, match="not a page of this wiki"):
        named("guide/_partial.md")
    with pytest.raises(UserError, match="no page 'E9'"):
        named("E9")


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b/c.md", "**", True),
        ("a/b/c.md", "a/**/c.md", True),
        ("a/c.md", "a/**/c.md", True),
        ("a/b/c.md", "a/*.md", False),
        ("a/b/c.md", "**/b/**", True),
        ("a/b", "a/b/**", True),
        ("a/b/c.md", "/a/b/*", True),
        ("/".join("a" * 60), "/".join(["**", "a"] * 30 + ["b"]), False),
    ],
)
def test_globs(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, pattern) is fits


def test_an_umlaut_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    composed, apart = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
    write(tmp_path, [f"{apart}.md", "both/\u00e9.md", "both/e\u0301.md", "Case.md"])
    files, _ = find_pages(tmp_path, root=tmp_path)
    for name in (composed, apart, f"{composed}.md", str(tmp_path / f"{composed}.md")):
        assert [file.id for file in select([name], files, tmp_path, tmp_path)] == [apart]
    assert [file.id for file in select(["both/\u00e9"], files, tmp_path, tmp_path)] == ["both/\u00e9"]
    with pytest.raises(UserError, match="CASE") as caught:
        select(["CASE"], files, tmp_path, tmp_path)
    assert caught.value.do.startswith("did you mean Case")


def test_a_link_to_a_folder_is_reported_unless_it_is_excluded(tmp_path: Path) -> None:
    """Its pages would be missing without a word."""
    write(tmp_path, ["wiki/a.md", "shared/b.md", "wiki/.gitignore"])
    (tmp_path / "wiki/shared").symlink_to("../shared")
    (tmp_path / "wiki/self").symlink_to(".")
    (tmp_path / "wiki/node_modules").symlink_to(".")
    files, warnings = find_pages(tmp_path / "wiki")
    assert [file.id for file in files] == ["a"]
    assert [warning.partition(";")[0] for warning in warnings] == [f"{name}: it is a link to a folder" for name in ("self", "shared")]
    assert find_pages(tmp_path / "wiki", exclude=["self", "shared/**"])[1] == []
