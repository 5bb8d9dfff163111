"""What the commands print for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo import DemoWiki


def test_counts_agree_with_their_nouns(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 1)
    printed = "".join(
        wiki.enrich(*command).out
        for command in (["plan"], ["run"], ["apply", "--all"], ["build"], ["check"], ["adopt"], ["cache", "prune"], ["cache", "clear"])
    )
    assert "1 page: " in printed and "1 record in" in printed
    for wrong in ("1 pages", "1 records", "1 fields", "1 requests", "1 runs"):
        assert f" {wrong}" not in f" {printed}".replace("\n", " "), wrong


def test_the_plan_prints_totals_and_its_first_ten_rows(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 14)
    plain = wiki.enrich("plan")
    assert sum(line.lstrip().startswith("park-") for line in plain.out.splitlines()) == 10
    assert "… and 4 more pages (-v lists all)" in plain.out
    assert "14 pages: 42 due" in plain.out
    assert sum(line.lstrip().startswith("park-") for line in wiki.enrich("plan", "-v").out.splitlines()) == 14
    assert len(wiki.enrich("plan", "--json").json["states"]) == 42
    wiki.enrich("run", "--limit", "2")
    assert "6 answers proposed: `enrich diff`" in wiki.enrich("plan").out


@pytest.mark.parametrize(("command", "warns"), [("plan", True), ("run", True), ("diff", False), ("apply", False)])
def test_warnings_about_the_wiki_as_a_whole_come_where_it_is_planned(tmp_path: Path, command: str, warns: bool) -> None:
    wiki = DemoWiki(tmp_path, 1, toml='roots = ["nowhere"]\n')
    assert ("nowhere" in wiki.enrich(command).err) == warns
