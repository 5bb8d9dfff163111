"""What all tests share: the sample wiki where it stands beside the checkout, and no network by accident."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.server_fixtures import llama, serve

__all__ = ["lighthouses", "llama", "sample", "serve"]

# A red run says something of the change at hand, so everybody draws the same cases; `pytest --hypothesis-profile explore` draws new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("repeatable")

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "wiki-sample"


@pytest.fixture(scope="session")
def sample() -> Path:
    """The 184 real pages beside the checkout (read-only, for tests and measurements only); skipped by name where they are not."""
    if not SAMPLE.is_dir():
        pytest.skip("needs ../shared/wiki-sample beside the checkout")
    return SAMPLE


@pytest.fixture
def lighthouses(tmp_path: Path) -> Path:
    """A copy of the small wiki `tests/wikis/lighthouses`, which has a profile of its own."""
    return Path(shutil.copytree(Path(__file__).parent / "wikis" / "lighthouses", tmp_path / "lighthouses"))
