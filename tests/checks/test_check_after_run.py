"""`enrich check` has nothing to say about what `enrich run` writes. The generators' wikis: tests/runs/test_generators.py."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.demo import DemoWiki, own_wiki, particular
from tests.fake_server import Serve

OURS = re.compile(r"^(?:quality|llmSummary|insights|ratings):.*\n(?:[ -].*\n)*", re.MULTILINE)
WIKIS = Path(__file__).parents[1] / "wikis"
SAMPLE_TOML = '[wiki]\ncontent = "content/docs"\ndata = "data"\nids = "stem"\nprofile = "longterm-wiki"\n'


def stripped(root: Path) -> int:
    """Take the values that `enrich` writes from all pages of a wiki, so that all are asked about; their number."""
    pages = [file for file in root.rglob("*.md*") if file.is_file()]
    for file in pages:
        head, mark, body = file.read_text(encoding="utf-8").partition("\n---\n")
        file.write_text(f"{OURS.sub('', head + chr(10))[:-1]}{mark}{body}", encoding="utf-8")
    return len(pages)


@pytest.fixture(params=["lighthouses", "seed_style", "own", pytest.param("sample", marks=pytest.mark.sample)])
def wiki(request: pytest.FixtureRequest, tmp_path: Path) -> DemoWiki:
    root = tmp_path / "wiki"
    if request.param == "own":
        shutil.copytree(own_wiki(), root)
        return DemoWiki.at(root)
    if request.param == "sample":
        sample: Path = request.getfixturevalue("sample")
        shutil.copytree(sample / "data", root / "data", ignore=shutil.ignore_patterns("insights"))
        for source in sorted(sample.glob("content/docs/**/*.mdx"))[::9]:
            target = root / source.relative_to(sample)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        (root / "enrich.toml").write_text(SAMPLE_TOML)
    else:
        shutil.copytree(WIKIS / str(request.param), root)
        if not (root / "enrich.toml").exists():
            (root / "enrich.toml").write_text('[wiki]\ncontent = "."\n')
    assert stripped(root) >= 1
    return DemoWiki.at(root)


@pytest.mark.parametrize("backend", ["offline", "server"])
def test_check_finds_nothing_new_after_a_run(wiki: DemoWiki, backend: str, serve: Serve) -> None:
    if backend == "server":
        wiki.asks(serve(particular()))
    before = wiki.findings()
    assert wiki.enrich("run", "--apply", ENRICH_WIKI__MIN_WORDS="10").exit == 0
    assert [line for line in wiki.lock() if line["stage"] == "insights"]
    assert wiki.findings() - before == Counter()
