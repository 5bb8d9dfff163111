"""Whole runs of the command line against a truthful model: cost of a page, reruns, a large plan, faults, budgets, kills.

`python bench/run.py` runs everything (some minutes) and prints a table; `--only speed` (or plan, faults, budget, kills, share) takes a part,
`--json FILE` keeps the figures, `--runs N` sets of how many runs a figure is the median. Pages come from `../shared/wiki-sample` if it
is beside the checkout, else from `bench/wikis.py`. Every `enrich` is a separate process, and so is the model (`bench/page_model.py`).

CPU a page is what a run over all pages takes beyond a run over one page (the start-up), divided by the other pages.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "shared" / "wiki-sample"
MODEL = "bench-model"
TOML = f"""[wiki]
content = "content/docs"
data = "data"
profile = "longterm-wiki"
[llm]
backend = "openai"
model = "{MODEL}"
[prices."{MODEL}"]
input = 0.25
output = 2.0
"""


@dataclass(frozen=True)
class Measured:
    """One `enrich`: seconds of wall and CPU time, peak resident MB, exit code, its JSON document."""

    wall: float
    cpu: float
    peak: float
    exit: int
    json: Any


@dataclass
class Model:
    """A running `bench/page_model.py`; `counts` once it has ended."""

    base_url: str
    log: Path
    counts: dict[str, Any] = field(default_factory=dict)

    def asked(self) -> list[list[str]]:
        """Request number, page checksum, stages and what was done, for every request so far."""
        return [row.split("\t") for row in self.log.read_text().splitlines()] if self.log.exists() else []


@contextmanager
def model(folder: Path, *arguments: str) -> Iterator[Model]:
    log = folder / f"asked-{random.randrange(1 << 30)}.tsv"
    serving = subprocess.Popen(
        [sys.executable, str(HERE / "page_model.py"), "--log", str(log), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdin is not None and serving.stdout is not None
    running = Model(f"http://127.0.0.1:{serving.stdout.readline().strip()}/v1", log)
    try:
        yield running
    finally:
        serving.stdin.close()
        running.counts = json.loads(serving.stdout.readline())
        serving.wait()


def environment(server: Model | None) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ENRICH_", "OPENAI_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    return env | ({"OPENAI_BASE_URL": server.base_url} if server else {})


# A separate process measures its only child: this process would report the greatest peak of all its children.
_MEASURE = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
wall = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode, done.stdout, done.stderr]))
"""


def enrich(root: Path, server: Model | None, *arguments: str) -> Measured:
    """Run the command line in the wiki `root` with `--json` and measure it."""
    command = [sys.executable, "-c", _MEASURE, sys.executable, "-m", "enrich", *arguments, "--json"]
    done = subprocess.run(command, cwd=root, env=environment(server), capture_output=True, text=True, check=True)
    wall, cpu, peak, code, out, err = json.loads(done.stdout)
    try:
        document = json.loads(out)
    except ValueError:
        raise SystemExit(f"enrich {' '.join(arguments)}: exit {code}\n{err[-2000:]}") from None
    return Measured(wall, cpu, peak, code, document)


def new_wiki(folder: Path, toml: str = TOML) -> Path:
    """A copy of the sample wiki, or as many pages made up."""
    root = folder / f"wiki-{random.randrange(1 << 30)}"
    if SAMPLE.is_dir():
        shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("expected"))
    else:
        sys.path.insert(0, str(HERE.parent))
        from bench.wikis import write_wiki

        write_wiki(root, 180)
    (root / "enrich.toml").write_text(toml, encoding="utf-8")
    return root


Row = tuple[str, str, str]


def speed(folder: Path, runs: int, figures: dict[str, Any]) -> Iterator[Row]:
    rounds: list[dict[str, float]] = []
    for _ in range(runs):
        root = new_wiki(folder)
        with model(folder) as server:
            first = enrich(root, server, "plan", "--refresh").json["states"][0]["page"]
            one = enrich(root, server, "run", first, "--refresh")
            shutil.rmtree(root / "cache")
            whole = enrich(root, server, "run", "--refresh")
            again = enrich(root, server, "run")
            shutil.rmtree(root / "proposals")
            cached = enrich(root, server, "run", "--refresh")
            requests = len(server.asked())
        pages = whole.json["requests"]
        rounds.append(
            {
                "start_cpu_s": one.cpu,
                "start_wall_s": one.wall,
                "cpu_ms_a_page": (whole.cpu - one.cpu) * 1000 / (pages - 1),
                "wall_s": whole.wall,
                "cpu_s": whole.cpu,
                "peak_mb": whole.peak,
                "requests": pages,
                "nothing_due_wall_s": again.wall,
                "nothing_due_cpu_s": again.cpu,
                "cached_wall_s": cached.wall,
                "cached_cpu_s": cached.cpu,
                "requests_of_reruns": requests - 1 - pages,
                "failed": len(whole.json["failed"]) + len(cached.json["failed"]),
                "input_tokens": whole.json["tokens"]["input"],
                "page_tokens": page_tokens(root),
            }
        )
        shutil.rmtree(root)
    found = figures["speed"] = {name: median(one[name] for one in rounds) for name in rounds[0]}
    yield "start-up (a run over one page)", f"{found['start_cpu_s']:.2f} s CPU, {found['start_wall_s']:.2f} s wall", "≤ 0.8 s"
    yield f"a page ({found['requests']:.0f} requests)", f"{found['cpu_ms_a_page']:.1f} ms CPU", "≤ 9 ms"
    yield "whole run", f"{found['wall_s']:.2f} s wall, {found['cpu_s']:.2f} s CPU, {found['peak_mb']:.0f} MB", "≤ 3.0 s, ≤ 200 MB"
    yield "nothing due", f"{found['nothing_due_wall_s']:.2f} s wall, {found['nothing_due_cpu_s']:.2f} s CPU", "≤ 0.8 s"
    yield "proposals deleted", f"{found['cached_wall_s']:.2f} s wall, {found['cached_cpu_s']:.2f} s CPU", "≤ 2.2 s"
    yield "requests of both", f"{found['requests_of_reruns']:.0f}", "0"
    yield "prompt tokens / the pages' own", f"{found['input_tokens'] / found['page_tokens']:.2f}", "≤ 1.4"


def page_tokens(root: Path) -> float:
    """The pages' own tokens, as the model counts: four bytes each."""
    return sum(file.stat().st_size for file in (root / "content").rglob("*.md*")) / 4


def plan(folder: Path, runs: int, figures: dict[str, Any], pages: int = 20_000) -> Iterator[Row]:
    root = folder / "large"
    root.mkdir()
    (root / "enrich.toml").write_text(TOML, encoding="utf-8")
    words = "A page of the large wiki says in plain words what is known of its subject and what is not. " * 12
    for number in range(pages):
        file = root / "content" / "docs" / f"part-{number % 100}" / f"page-{number}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        paragraphs = "\n\n".join(f"## Part {part}\n\n{number} {words}" for part in range(18))
        scores = "    surprising: 3\n    important: 3.5\n    actionable: 2\n"
        insights = "".join(
            f'  - type: claim\n    text: "Words of insight {item}."\n{scores}    evidence: "Words of insight {item}."\n'
            for item in range(3)
        )
        head = f'title: "Page {number}"\nllmSummary: "Words of page {number}."\ninsights:\n{insights}'
        ratings = "ratings:\n  novelty: 4.5\n  rigor: 3\n  actionability: 5\n  completeness: 6.2\nquality: 50\n"
        file.write_text(f"---\n{head}{ratings}---\n\n{paragraphs}\n", encoding="utf-8")
    adopted = enrich(root, None, "adopt")
    rounds = []
    for _ in range(runs):
        once = enrich(root, None, "run")
        assert once.json["due"] == 0, once.json
        rounds.append({"wall_s": once.wall, "cpu_s": once.cpu, "peak_mb": once.peak})
    found = figures["plan"] = {name: median(one[name] for one in rounds) for name in rounds[0]}
    figures["plan"]["adopt_s"] = adopted.wall
    shutil.rmtree(root)
    shown = f"{found['wall_s']:.1f} s wall, {found['cpu_s']:.1f} s CPU, {found['peak_mb']:.0f} MB"
    yield f"{pages:,} pages, nothing due", shown, "≤ 20 s, ≤ 500 MB"


def faults(folder: Path, runs: int, figures: dict[str, Any]) -> Iterator[Row]:
    """550 requests: every stage alone over the sample. What a fault costs is one more request, never more."""
    rounds = []
    for seed in range(runs):
        root = new_wiki(folder, TOML + "\n".join(("", "[run]", "")).strip() + "\n")
        text = (root / "enrich.toml").read_text().replace("[llm]", "[llm]\nfuse = false\ntimeout_seconds = 4")
        (root / "enrich.toml").write_text(text, encoding="utf-8")
        with model(folder, "--latency", "0.05", "--faults", str(seed)) as server:
            first = enrich(root, server, "run", "--refresh")
            asked = len(server.asked())
            second = enrich(root, server, "run", "--refresh", "--failed")
        met = Counter(server.counts["faults"])
        done = first.json["due"]
        rounds.append(
            {
                "questions": done,
                "requests": first.json["requests"],
                "requests_server": asked,
                "faults": sum(met.values()),
                "wasted": first.json["requests"] + second.json["requests"] - done - sum(met.values()),
                "failed": len(first.json["failed"]),
                "left": len(second.json["failed"]) + len(first.json["failed"]) - second.json["asked"],
                "tokens_differ": first.json["tokens"]["input"] + second.json["tokens"]["input"] - server.counts["usage"].get("input", 0),
                "wall_s": first.wall,
            }
        )
        shutil.rmtree(root)
    found = figures["faults"] = {name: median(one[name] for one in rounds) for name in rounds[0]}
    figures["faults"]["rounds"] = rounds
    shown = f"{found['requests']:.0f} requests for {found['questions']:.0f} questions, {found['faults']:.0f} faults met"
    yield "faults", shown, "questions + faults"
    yield "… wasted requests", f"{found['wasted']:.0f} (all rounds: {[one['wasted'] for one in rounds]})", "0"
    yield "… failed, left after a second run", f"{found['failed']:.0f}, {found['left']:.0f}", "≤ 1 %, 0"
    requests = max(abs(one["requests"] - one["requests_server"]) for one in rounds)
    differ = f"{requests} requests, {max(abs(one['tokens_differ']) for one in rounds)} tokens"
    yield "… report against the server's counts", differ, "0, 0"


def budget(folder: Path, runs: int, figures: dict[str, Any]) -> Iterator[Row]:
    rounds = []
    for _ in range(runs):
        root = new_wiki(folder)
        with model(folder, "--latency", "0.05") as server:
            whole = enrich(root, server, "run", "--refresh")
            limit = whole.json["cost_usd"] / 3
            for name in ("cache", "proposals"):
                shutil.rmtree(root / name)
            third = enrich(root, server, "run", "--refresh", "--budget", f"{limit:.6f}")
            shutil.rmtree(root / "proposals")
            rest = enrich(root, server, "run", "--refresh")
        rounds.append(
            {
                "used": third.json["cost_usd"] / limit,
                "exit": third.exit,
                "rest_exit": rest.exit,
                "paid_twice": third.json["requests"] + rest.json["requests"] - whole.json["requests"],
            }
        )
        shutil.rmtree(root)
    found = figures["budget"] = {name: median(one[name] for one in rounds) for name in rounds[0]}
    yield "a budget for a third of the pages", f"{found['used']:.1%} used, exit {found['exit']:.0f}", "90 % to 100 %, exit 4"
    yield "… the next run", f"exit {found['rest_exit']:.0f}, {found['paid_twice']:.0f} questions paid twice", "exit 0, 0"


def state(root: Path) -> dict[str, Any]:
    """What a run leaves for people: pages, lock and proposals, without what differs between runs."""
    found: dict[str, Any] = {}
    for file in sorted((root / "content").rglob("*.md*")):
        found[str(file.relative_to(root))] = hashlib.sha256(file.read_bytes()).hexdigest()
    lock = root / "enrich.lock"
    found["lock"] = lock.read_text() if lock.exists() else ""
    for file in sorted((root / "proposals").glob("*.json")):
        tree = json.loads(file.read_text())
        for change in tree["fields"]:
            for name in ("asked", "run", "tokens", "cost_usd"):
                change.pop(name)
        found[file.name] = tree
    return found


def kills(folder: Path, runs: int, figures: dict[str, Any], moments: int = 30) -> Iterator[Row]:
    """`run --apply` killed at random moments, then finished: compared with an undisturbed run."""
    del runs
    calm = new_wiki(folder)
    strip(calm)
    with model(folder, "--latency", "0.02") as server:
        done = enrich(calm, server, "run", "--apply")
        wanted, length = state(calm), done.wall
        calm_requests = len(server.asked())
        chance = random.Random(4)
        differ = repeated = torn = persons = 0
        pristine = new_wiki(folder)
        strip(pristine)
        texts = {path: raw for path, raw in state(pristine).items() if path.endswith((".md", ".mdx"))}
        for _ in range(moments):
            root = folder / "killed"
            shutil.copytree(pristine, root)
            before = len(server.asked())
            command = [sys.executable, "-m", "enrich", "run", "--apply"]
            running = subprocess.Popen(command, cwd=root, env=environment(server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.3, length))
            running.send_signal(signal.SIGKILL)
            running.wait()
            now = state(root)
            torn += sum(now[path] not in (texts[path], wanted[path]) for path in texts)
            states = Counter(item["state"] for item in enrich(root, server, "plan").json["states"])
            persons += states["human-edited"] + states["unmanaged"]
            enrich(root, server, "run", "--apply")
            differ += state(root) != wanted
            extra = len(server.asked()) - before - calm_requests
            repeated = max(repeated, extra)
            shutil.rmtree(root)
    figures["kills"] = {"moments": moments, "differ": differ, "torn": torn, "taken_for_a_persons": persons, "most_repeated": repeated}
    yield (
        f"killed at {moments} moments, then finished",
        f"{differ} end differently, {torn} pages torn, {persons} taken for a person's",
        "0, 0, 0",
    )
    yield "… requests repeated, at most", f"{repeated}", "≤ 64 in flight"


def strip(root: Path) -> None:
    """Replace the values that `enrich` writes on the sample's pages by null, so that everything is due."""
    from enrich.wiki.frontmatter.edit import Value, edit_bytes
    from enrich.wiki.page_files import find_pages
    from enrich.wiki.pages import read_page

    for file in find_pages(root / "content" / "docs")[0]:
        page = read_page(file)
        gone: dict[tuple[str, ...], Value] = {
            (name,): None for name in ("llmSummary", "insights", "ratings", "quality") if page.frontmatter.get(name) is not None
        }
        if gone and page.problem is None:
            file.file.write_bytes(edit_bytes(page.raw, gone))


def share(folder: Path, runs: int, figures: dict[str, Any]) -> Iterator[Row]:
    """`enrich page` beside a `run` on the same page, both starting at once."""
    del runs
    root = new_wiki(folder)
    name = enrich(root, None, "plan").json["states"][0]["page"]
    with model(folder, "--latency", "1") as server:
        commands = (["page", name, "--refresh"], ["run", name, "--refresh"], ["page", name, "--refresh"])
        both = [
            subprocess.Popen([sys.executable, "-m", "enrich", *one], cwd=root, env=environment(server), stdout=subprocess.DEVNULL)
            for one in commands
        ]
        codes = [one.wait() for one in both]
        asked = len(server.asked())
    figures["share"] = {"requests": asked, "exits": codes}
    yield "a page by `page` twice and by `run` at once", f"{asked} request, exits {codes}", "1 request"


PARTS: dict[str, Callable[[Path, int, dict[str, Any]], Iterator[Row]]] = {
    "speed": speed,
    "plan": plan,
    "faults": faults,
    "budget": budget,
    "kills": kills,
    "share": share,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=list(PARTS), action="append")
    options = parser.parse_args()
    figures: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count()}
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "what", "measured", "target", title=f"whole runs, medians of {options.runs}; load {figures['load']:.1f} on {figures['cores']} cores"
    )
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(HERE.parent / "src")], check=True)
    with tempfile.TemporaryDirectory(prefix="enrich-bench-") as made:
        for name in options.only or PARTS:
            for row in PARTS[name](Path(made), options.runs, figures):
                table.add_row(*row)
    Console(width=150).print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
