"""The profile: shipped default, a wiki's own file over it key by key, and errors that name file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from enrich.errors import UserError
from enrich.wiki.profile import load_profile
from tests.demo import cases

CASES = cases(__file__)


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "profile.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_wikis_file_is_laid_over_the_default_key_by_key(tmp_path: Path) -> None:
    root = own(
        tmp_path,
        "default_clusters: [birds]\n"
        "risk: {type_aliases: {lab: null, keeper: person}}\n"
        "coverage: {targets: {article: {tables: {min: 7}}}}\n",
    )
    mine, default = load_profile("profile.yaml", root), load_profile()
    assert mine.default_clusters == ["birds"]
    assert mine.risk.type_aliases["keeper"] == "person"
    assert "lab" not in mine.risk.type_aliases
    assert mine.coverage.targets["article"].tables.min == 7
    assert mine.coverage.targets["article"].tables.rate == default.coverage.targets["article"].tables.rate
    assert mine.coverage.targets["table"] == default.coverage.targets["table"]


@pytest.mark.parametrize(("text", "said"), CASES["what_does_not_fit_is_named_with_file_and_key"])
def test_what_does_not_fit_is_named_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_profile("profile.yaml", own(tmp_path, text))


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.yaml: the profile cannot be read"):
        load_profile("missing.yaml", tmp_path)
    with pytest.raises(UserError, match=r"there is no profile 'birds'.*default"):
        load_profile("birds", tmp_path)
