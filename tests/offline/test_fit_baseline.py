"""The baseline's figures: shipped and documented as the fitting script finds them, and honest about noise."""

from __future__ import annotations

import importlib.util
import math
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

# Internal names: the script fits what the baseline uses; hostile bodies go through the judges without files.
from enrich.stages.baseline import SCORES
from enrich.stages.baseline_ratings import NAMES

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bench" / "fit_baseline.py"
SHIPPED = ROOT / "src" / "enrich" / "stages" / "baseline_coefficients.yaml"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_baseline", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_baseline"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.sample
def test_shipped_files_are_what_the_sample_gives(sample: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(sample)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-400:]


def test_beats_the_median_on_all_four_ratings_and_by_a_tenth_on_two() -> None:
    parts = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["dimensions"]
    gains = [parts[name]["cross_validated"]["gain"] for name in ("novelty", "rigor", "actionability", "completeness")]
    assert min(gains) > 0
    assert sorted(gains)[-2] >= 0.10


def test_shipped_coefficients_hold_numbers_only() -> None:
    data = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert list(data["features"]) == list(NAMES)
    for name, part in data["dimensions"].items():
        assert list(part["weights"]) in ([], list(NAMES)), name
        assert (part["cross_validated"]["gain"] > 0) == bool(part["weights"]), name
        assert all(math.isfinite(weight) for weight in part["weights"].values())
    longest = max(len(word) for value in _texts(data) for word in [value])
    assert longest < 200  # how it was fitted, and nothing of what it was fitted on


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def test_cross_validation_sees_a_signal_and_no_more(script: ModuleType) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(160, 6))
    groups = [f"page {number}" for number in range(160)]
    signal = np.clip(5 + x[:, 0] + 0.3 * rng.normal(size=160), 0, 10)
    noise = np.clip(5 + rng.normal(size=160), 0, 10)
    found = script.cross_validated(x, signal, groups, 0.1)
    assert found.low > 0.4
    assert found.low < found.gain < found.high
    assert script.cross_validated(x, noise, groups, 0.1).gain < 0.03


def test_missing_sample_is_skipped_by_name(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(script, "SAMPLE", tmp_path / "wiki-sample")
    assert script.main([], say=lines.append) == 0
    assert lines[0].startswith("skipped: ")
    assert "wiki-sample" in lines[0]
    assert script.main([str(tmp_path / "elsewhere")], say=lines.append) == 1  # a wiki that was named must be there


@pytest.mark.sample
def test_other_ratings_are_noticed(sample: Path, tmp_path: Path) -> None:
    wiki = tmp_path / "wiki"
    shutil.copytree(sample / "content", wiki / "content")
    for file in sorted(wiki.rglob("*.mdx"))[:40]:
        file.chmod(0o644)
        file.write_text(file.read_text(encoding="utf-8").replace("  rigor: ", "  rigor: 1 # "), encoding="utf-8")
    done = subprocess.run([sys.executable, str(SCRIPT), str(wiki)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "baseline_coefficients.yaml is not what this wiki gives" in done.stdout


@pytest.mark.sample
def test_insight_scores_are_the_samples_medians(sample: Path, script: ModuleType) -> None:
    found = script.fit_insights(sample)
    assert {name: round(median * 2) / 2 for name, (_, median) in found.items()} == SCORES
    assert all(result.low <= 0 for result, _ in found.values())  # else docs/baseline.md must no longer say that they predict nothing
