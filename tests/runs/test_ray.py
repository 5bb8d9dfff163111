"""`enrich run --engine ray`: the same pages as `local`, whatever becomes of a worker. Ray starts once for all tests that need it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The limiter's clock cannot be set through the command line.
from enrich.runs import ray_workers
from enrich.runs.ray_workers import Limiter
from tests.demo import ROOT, DemoWiki, honest, until
from tests.fake_server import FakeServer
from tests.runs.test_batch import troubled

Serve = Callable[..., FakeServer]
_WORKER, _MARK = "ray::Worker", "CLUSTER_OF_TEST"

# Without it, only the process that started a cluster may use it.
_NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
# The cluster lives in a process of its own, and ends with it.
_CLUSTER = """
import sys
import ray
context = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster on this machine; skipped by name where Ray is missing (extra `ray`)."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the package ray (extra `ray`)")
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", _MARK: str(os.getpid()), **_NO_TOKEN}
    command = [sys.executable, "-c", _CLUSTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


def run(wiki: DemoWiki, cluster: str, *more: str) -> subprocess.Popen[bytes]:
    """A process of its own: Ray is one per process, and its threads outlive a run."""
    return wiki.start("run", "--engine", "ray", "--workers", "2", "--ray-address", cluster, "--apply", "--json", *more, **_NO_TOKEN)


def workers() -> list[int]:
    """The process ids of this cluster's workers; tests that run beside this one may have another cluster."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except OSError:
                continue
            if command.startswith(_WORKER.encode()) and f"{_MARK}={os.getpid()}\0".encode() in environment:
                found.append(int(folder.name))
    return found


@pytest.mark.ray
def test_ray_ends_as_the_local_engine(tmp_path: Path, serve: Serve, cluster: str) -> None:
    local, other = DemoWiki(tmp_path / "local", 60), DemoWiki(tmp_path / "ray", 60)
    local.asks(serve(troubled))
    other.asks(serve(troubled))
    local.enrich("run", "--apply")
    process = run(other, cluster)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err.decode()
    assert local.content() == other.content()


@pytest.mark.ray
def test_a_killed_worker_loses_nothing(tmp_path: Path, serve: Serve, cluster: str) -> None:
    wiki = DemoWiki(tmp_path / "ray", 40)
    server = serve(honest, latency=0.3)
    wiki.asks(server)
    process = run(wiki, cluster)
    until(server, 4, process)
    os.kill(workers()[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    assert {state for state, _ in wiki.states().values()} == {"current"}


@pytest.mark.ray
def test_a_build_on_ray_writes_the_same_bytes(tmp_path: Path, cluster: str) -> None:
    wiki = DemoWiki(tmp_path, 70)  # several blocks of pages
    wiki.file(3).write_text("---\ntitle: [\n---\nThe bridge burned down.\n")
    files = []
    for more in ([], ["--engine", "ray", "--ray-address", cluster]):
        # Nothing of the build before: all pages are read and compared again.
        shutil.rmtree(wiki.root / "cache", ignore_errors=True)
        process = wiki.start("build", "--now", "2026-03-13T20:14:00Z", "--json", *more, **_NO_TOKEN)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        assert json.loads(out)["pages"] == 70
        files.append((wiki.root / "database.json").read_bytes())
    assert files[0] == files[1]
    assert b'"similarity":' in files[0]


@pytest.mark.ray
def test_the_rate_is_held_across_workers(cluster: str) -> None:
    """At most 100 requests a second, within 5 %; a busy machine may reach less. The requests alone: a driver that shares its processor cannot check
    so many pages a second."""
    command = [sys.executable, str(ROOT / "bench" / "engines.py"), "--only", "paced", "--requests", "500", "--ray-address", cluster]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **_NO_TOKEN})
    assert done.returncode == 0, done.stderr
    rate = float(done.stdout.partition("at 100/s: ")[2].split()[0])
    assert 0 < rate <= 105, done.stdout


def test_the_limiter_grants_its_rate_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own. Requests and tokens each have a rate, for each model; an hour without requests allows no burst."""
    now = 0.0
    monkeypatch.setattr(ray_workers, "monotonic", lambda: now)
    limiter = Limiter(6000, 600_000)
    granted = []
    for number in range(1000):
        now = number * 0.004  # asked for 250 times a second
        granted.append(now + limiter.lease("m", 10))
    assert (len(granted) - 1) / (granted[-1] - granted[0]) == pytest.approx(100)
    now = 3600.0
    granted = [now + limiter.lease("m", 500) for _ in range(100)]
    assert (len(granted) - 1) / (granted[-1] - granted[0]) == pytest.approx(20)
    assert limiter.lease("other", 500) == 0


def test_without_the_package_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    wiki = DemoWiki(tmp_path, 1)
    wiki.asks(serve(honest))
    result = wiki.enrich("run", "--engine", "ray")
    assert result.exit == 1 and "pip install 'enrich[ray]'" in result.err
    assert wiki.enrich("run", "--workers", "2").exit == 2
    result = wiki.enrich("build", "--engine", "ray")
    assert result.exit == 1 and "pip install 'enrich[ray]'" in result.err
    assert wiki.enrich("build", "--ray-address", "host:6379").exit == 2
