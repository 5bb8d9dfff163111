"""The baseline's figures: shipped and documented as the fitting script finds them, and honest about noise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

# Internal names: the script fits what the baseline uses.
from enrich.stages.baseline import SCORES
from tests.demo import ROOT, script

SCRIPT = ROOT / "bench" / "fit_baseline.py"
SHIPPED = ROOT / "src" / "enrich" / "stages" / "baseline_coefficients.yaml"


@pytest.fixture(scope="module")
def fitting() -> ModuleType:
    return script(SCRIPT)


@pytest.mark.sample
def test_shipped_files_are_what_the_sample_gives(sample: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(sample)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-400:]


def test_cross_validation_sees_a_signal_and_no_more(fitting: ModuleType) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(160, 6))
    groups = [f"page {number}" for number in range(160)]
    signal = np.clip(5 + x[:, 0] + 0.3 * rng.normal(size=160), 0, 10)
    noise = np.clip(5 + rng.normal(size=160), 0, 10)
    found = fitting.cross_validated(x, signal, groups, 0.1)
    assert found.low > 0.4
    assert found.low < found.gain < found.high
    assert fitting.cross_validated(x, noise, groups, 0.1).gain < 0.03


def test_missing_sample_is_skipped_by_name(fitting: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(fitting, "SAMPLE", tmp_path / "wiki-sample")
    assert fitting.main([], say=lines.append) == 0
    assert lines[0].startswith("skipped: ")
    assert "wiki-sample" in lines[0]
    assert fitting.main([str(tmp_path / "elsewhere")], say=lines.append) == 1  # a wiki that was named must be there


@pytest.mark.sample
def test_insight_scores_are_the_samples_medians(sample: Path, fitting: ModuleType) -> None:
    found = fitting.fit_insights(sample)
    assert {name: round(median * 2) / 2 for name, (_, median) in found.items()} == SCORES
    assert all(result.low <= 0 for result, _ in found.values())  # else docs/baseline.md must no longer say that they predict nothing
