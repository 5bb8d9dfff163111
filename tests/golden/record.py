"""Record what the command line does on frozen wikis, and compare it with `expected/*.json`.

Usage:
    python tests/golden/record.py [NAME …]           compare the scenarios whose names contain NAME; exit 1 if any differs
    python tests/golden/record.py --write [NAME …]   record them again

The program is used through its command line only, so that its code can be reorganised freely. Documents are stored as tables of short
cells: numbers, names and hashes, never text. Message wording, clocks, run ids, ports and temporary paths are masked (see `masked`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.demo import Result, called  # noqa: E402
from tests.fake_server import Act, FakeServer, Seen, completion, invalid_json, refusal, schema_invalid  # noqa: E402

SAMPLE = ROOT.parent / "shared" / "wiki-sample"
EXPECTED = HERE / "expected"
NOW = "2026-03-13T20:14:00Z"
WIKIS = ("lighthouses", "own", "sample")
PRICES = '\n[prices."fake-model"]\ninput = 0.5\ncached_input = 0.05\noutput = 2.0\n'

# Fields that hold wording for people, and fields that depend on the clock or on who runs the test.
MESSAGES = {"message", "do", "detail", "note", "stopped"}
CLOCKS = {"asked", "run", "seconds", "t", "when", "by", "days", "age"}
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
COUNTED = {"asked", "run"}  # these are also names of counts
# Strings under these keys are stored as they are, if they look like names; every other string is stored as a hash.
NAMES = {"page", "stage", "field", "state", "reasons", "flag", "flags", "kind", "severity", "rule", "cause", "retry", "backend", "model"}

# Items that have only these keys are stored in one line a page.
SMALL = ("field", "stage", "rule", "line", "state", "flag", "severity", "reasons")


def sha(value: Any, digits: int = 8) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
    return "#" + hashlib.sha256(data).hexdigest()[:digits]


def masked(value: Any, root: str, key: str = "") -> Any:
    """`value` without message wording, clocks, run ids, ports and the temporary folder."""
    if isinstance(value, dict):
        return {name: masked(inner, root, name) for name, inner in value.items()}
    if isinstance(value, list):
        return ["…" for _ in value] if key in ("notes", "notices") else [masked(inner, root, key) for inner in value]
    if key in MESSAGES and value not in ("", None):
        return "…"
    if key in CLOCKS and value not in ("", None) and not (key in COUNTED and isinstance(value, int)):
        return "…"
    if key == "date" and str(value) >= YESTERDAY:
        return "…"
    if isinstance(value, str):
        value = value.replace(root, "ROOT")
        value = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN", value)
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", value)
    return value


def cells(value: Any, key: str = "", prefix: str = "") -> dict[str, str]:
    """A document as short cells without spaces, by dotted path."""
    if isinstance(value, dict) and value and key not in ("seen", "older"):
        return {path: cell for name, inner in value.items() for path, cell in cells(inner, name, f"{prefix}{name}.").items()}
    path = prefix.rstrip(".")
    if isinstance(value, str):
        named = key in NAMES and re.fullmatch(r"[\w./:+-]+", value)
        return {path: value if named or value in ("…", "ROOT") or re.fullmatch("#[0-9a-f]+", value) else sha(value) if value else '""'}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        kinds = ",".join(f"{item['kind']}/{item['severity']}" for item in value if {"kind", "severity"} <= set(item))
        return {path: f"{kinds}{sha(value)}×{len(value)}"}
    if isinstance(value, list) and value:
        return {path: ",".join(next(iter(cells(item, key).values())) if not isinstance(item, list) else sha(item) for item in value)}
    return {path: sha(value) if isinstance(value, dict) and value else json.dumps(value)}


def table(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of cells; columns are named once, and a cell that all rows share is stored once. `flat` undoes it."""
    filled = {name: cells(row) for name, row in sorted(rows.items())}
    columns = sorted({column for row in filled.values() for column in row})
    found = {column: {row.get(column, "-") for row in filled.values()} for column in columns}
    same = {column: found[column].pop() for column in columns if len(filled) > 1 and len(found[column]) == 1}
    columns = [column for column in columns if column not in same]
    cut = {name: " ".join(row.get(column, "-") for column in columns) for name, row in filled.items()}
    return {"columns": " ".join(columns), "same": same, "rows": cut}


def named_rows(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows by what identifies an item; items that look the same are numbered."""
    rows: dict[str, Any] = {}
    for item in items:
        keys = [key for key in ("page", "stage", "field", "file", "line") if key in item]
        name = stem = ":".join(str(item[key]) for key in keys) or "item"
        number = 1
        while name in rows:
            number += 1
            name = f"{stem}~{number}"
        rows[name] = {key: inner for key, inner in item.items() if key not in keys}
    return rows


def by_page(items: list[dict[str, Any]]) -> dict[str, str]:
    """Small items in one line a page."""
    lines: dict[str, list[str]] = {}
    for item in items:
        lines.setdefault(item["page"], []).append(":".join(cells({key: item[key] for key in SMALL if key in item}).values()))
    return {page: " ".join(line) for page, line in lines.items()}


def summary(document: Any) -> Any:
    """A document of the command line: tables of its lists of objects, cells of all else."""
    if not isinstance(document, dict):
        return cells(document)
    if isinstance(document.get("pages"), list) and all("fields" in page for page in document["pages"]):
        fields = [{"page": page["page"], **field} for page in document["pages"] for field in page["fields"]]
        pages = [{key: inner for key, inner in page.items() if key != "fields"} for page in document["pages"]]
        # The columns of a field are stored with the proposals.
        fields = [{key: field[key] for key in ("page", "stage", "field", "state", "flags")} | {"all": sha(field)} for field in fields]
        document = {**document, "pages": pages, "fields": fields}
    stored: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            small = all("page" in item and set(item) <= {"page", "path", "message", *SMALL} for item in value)
            stored[key] = by_page(value) if small else table(named_rows(value))
        elif key == "metrics" and "golden" in document:
            stored |= {
                f"metrics.{name}": " ".join(f"{part}={sha(inner)}" for part, inner in metric.items()) for name, metric in value.items()
            }
        else:
            stored |= cells(value, key, f"{key}.")
    return stored


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every stored value with its path; tables as row/column."""
    if isinstance(value, dict) and set(value) == {"columns", "same", "rows"}:
        for name, row in value["rows"].items():
            yield f"{prefix}/{name}", "present"
            for column, cell in [*zip(value["columns"].split(), row.split(), strict=True), *value["same"].items()]:
                if cell != "-":
                    yield f"{prefix}/{name}/{column}", cell
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}/{key}")
    else:
        yield prefix, value


class Wiki:
    """A fresh copy of a frozen wiki in a temporary folder, the command line run in it, and what was seen."""

    def __init__(self, name: str, folder: Path, server: FakeServer | None = None) -> None:
        self.root = folder / "wiki"
        self.seen: dict[str, Any] = {}
        self.before: dict[str, Any] = {}
        if name == "sample":
            for part in ("content", "data"):
                shutil.copytree(SAMPLE / part, self.root / part)
            (self.root / "enrich.toml").write_text(
                '[wiki]\ncontent = "content/docs"\ndata = "data"\nprofile = "longterm-wiki"\n', encoding="utf-8"
            )
        else:
            shutil.copytree(HERE / name, self.root)
        shutil.copytree(HERE / "prompts", self.root / "prompts")
        with (self.root / "enrich.toml").open("a", encoding="utf-8") as toml:
            toml.write(PRICES)
        home = folder / "home"
        home.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ENRICH_", "OPENAI_", "GIT_", "XDG_"))}
        self.env = kept | {"HOME": str(home), "USER": "golden", "LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1", "COLUMNS": "120"}
        self.env |= {"GIT_CEILING_DIRECTORIES": str(folder), "OPENAI_API_KEY": "sk-fake", "ENRICH_LLM__CONCURRENCY": "1"}
        self.env |= {"ENRICH_WIKI__MIN_WORDS": "10"} if name == "lighthouses" else {}
        if server is not None:
            self.env |= {"OPENAI_BASE_URL": server.base_url, "ENRICH_LLM__BACKEND": "openai", "ENRICH_LLM__MODEL": "fake-model"}
        self.pages = [item["page"] for item in self.call("plan", "--json")["states"]]
        self.pages = list(dict.fromkeys(self.pages))

    def start(self, *arguments: str, **env: str) -> Result:
        return called(self.root, self.env | env, arguments)

    def note(self, title: str, value: Any) -> None:
        self.seen[f"{len(self.seen) + 1:02} {title}"] = value

    def note_changes(self, title: str, when: str, now: dict[str, Any], form: Callable[[dict[str, Any]], Any] = dict) -> None:
        """Note what differs from the last time under this title."""
        old = self.before.get(title, {})
        self.note(f"{title} {when}", form({key: value for key, value in now.items() if old.get(key) != value}))
        gone = sorted(set(old) - set(now))
        self.note(f"{title} {when}: removed", f"{len(gone)} {sha(gone)}")
        self.before[title] = now

    def call(self, *arguments: str, drop: tuple[str, ...] = (), **env: str) -> Any:
        """Run a command that prints one JSON document; note its exit code and the document, and return the document."""
        done = self.start(*arguments, **env)
        try:
            document = json.loads(done.out)
        except ValueError:
            raise AssertionError(f"{arguments}: no JSON document; exit {done.exit}\n{done.err}") from None
        shown = masked({key: value for key, value in document.items() if key not in drop}, str(self.root))
        if arguments[0] == "check":
            # How old an insight is depends on today.
            shown["findings"] = [finding for finding in shown["findings"] if finding["rule"] != "insight-stale"]
            del shown["counts"]
        if arguments[0] == "show":
            shown["issues"] = [{**issue, "text": "…"} for issue in shown["issues"] if issue["kind"] != "Stale"]
            shown["update"] = {"every": (shown["update"] or {}).get("every")}
            (shown["record"] or {}).pop("recommendedScore", None)  # depends on the clock: `build --now` has it
        self.note(" ".join(arguments), {"exit": done.exit, **summary(shown)})
        return document

    def text(self, *arguments: str) -> None:
        """Note which pages and fields a text for people names; its wording is free."""
        done = self.start(*arguments)
        words = set(re.findall(r"[\w./-]+", done.out))
        fields = {"llmSummary", "insights", "ratings", "quality", "novelty", "rigor", "actionability", "completeness"}
        named = {
            "exit": done.exit,
            "pages": sha([page for page in self.pages if page in words]),
            "fields": " ".join(sorted(words & fields)),
        }
        self.note(f"texts: {' '.join(arguments)}", named)

    def error(self, title: str, *arguments: str, **env: str) -> None:
        done = self.start(*arguments, "--json", **env)
        document = json.loads(done.out)
        keys = {key: sorted(inner) if isinstance(inner, dict) else "" for key, inner in document.items()}
        self.note(f"error: {title}", {"exit": done.exit, "keys": json.dumps(keys)})

    def files(self, when: str) -> None:
        """Note the bytes of all pages and data, the lock's lines and the proposals, as far as they changed since the last time."""
        content = self.root / "content"
        files = [file for file in sorted(content.rglob("*")) if file.is_file()]
        self.note_changes("pages", when, {file.relative_to(content).as_posix(): sha(file.read_bytes(), 16) for file in files})
        lock = self.root / "enrich.lock"
        lines = [json.loads(line) for line in lock.read_text(encoding="utf-8").splitlines()] if lock.exists() else []
        self.note_changes("lock", when, named_rows(masked(lines, str(self.root))), table)
        files = sorted(self.root.glob("proposals/**/*.json"))
        pages = masked([json.loads(file.read_text(encoding="utf-8")) for file in files], str(self.root))
        fields = [{"page": page["page"], **field} for page in pages for field in page.pop("fields")]
        self.note_changes("proposal files", when, {file.name: page for file, page in zip(files, pages, strict=True)}, table)
        self.note_changes("proposed fields", when, named_rows(fields), table)

    def database(self) -> None:
        self.call("build", "--json", "--now", NOW)
        document = json.loads((self.root / "database.json").read_text(encoding="utf-8"))
        self.note(
            "database.json records",
            table({record["id"]: {key: sha(inner, 6) for key, inner in record.items()} for record in document.pop("pages")}),
        )
        parts = {
            key: {name: sha(inner) for name, inner in part.items()} if isinstance(part, dict) else sha(part)
            for key, part in document.items()
        }
        self.note("database.json other parts", parts)

    def proposed(self) -> list[tuple[str, str]]:
        """(page, field) of what waits for a decision."""
        document = json.loads(self.start("diff", "--json").out)
        return [(page["page"], field["field"]) for page in document["pages"] for field in page["fields"]]


def offline(wiki: Wiki) -> None:
    """One whole loop with the built-in baseline, and wrong uses of the command line."""
    wiki.call("run", "--json")
    wiki.files("after run")
    wiki.call("diff", "--json")
    for form in ("text", "word", "markdown"):
        wiki.text("diff", "--format", form)
    waiting = wiki.proposed()
    if waiting:
        wiki.call("accept", ":".join(waiting[0]), "--json")
        wiki.call("reject", waiting[-1][0], "--json")
    wiki.call("apply", "--all", "--json")
    wiki.files("after apply")
    wiki.call("run", "--json")
    wiki.call("plan", "--json", "--exit-code")
    wiki.call("check", "--json")
    wiki.database()
    for page in wiki.pages[:: max(1, len(wiki.pages) // 4)][:5]:
        wiki.call("show", page, "--format", "json")
    wiki.call("eval", "--answers", "offline", "--format", "json")
    wiki.call("cache", "stats", "--json")
    wiki.call("adopt", "--json")
    wiki.files("after adopt")
    for command in ("plan", "run", "show", "diff", "accept", "check"):
        wiki.error(f"unknown page for {command}", command, "no-such-page")
    wiki.error("unknown option", "plan", "--no-such-option")
    wiki.error("bad value", "run", "--limit", "many")
    wiki.error("bad configuration value", "plan", ENRICH_LLM__CONCURRENCY="none")
    wiki.env.pop("OPENAI_API_KEY")
    wiki.error("no key", "run", "--refresh", ENRICH_LLM__BACKEND="openai")
    with (wiki.root / "enrich.toml").open("a", encoding="utf-8") as toml:
        toml.write("[no_such_section]\nkey = 1\n")
    wiki.error("unknown configuration key", "plan")


class Model:
    """A model whose answers depend on the request alone: mostly honest, with invented numbers, false quotes, invalid and refused answers."""

    def __init__(self) -> None:
        self.refuses = True
        self.requests: list[Any] = []

    def __call__(self, seen: Seen) -> Act:
        self.requests.append(seen.body)
        title, prose = _page(seen.body)
        pick = int(hashlib.sha256(title.encode()).hexdigest(), 16)
        first_try = len(seen.body["messages"]) <= 3
        if self.refuses and pick % 7 == 3:
            return refusal()
        if first_try and pick % 5 in (1, 2):
            return schema_invalid() if pick % 5 == 1 else invalid_json()
        found = [
            part.strip()
            for part in re.split(r"(?<=[.!?])\s+", prose)
            if 30 <= len(part) <= 300 and not re.search(r"[<>{}|`$*_\[\]#\\]", part)
        ]
        one, two = (found or ["The page says little about this."])[0], (found or ["It says little more than that."])[-1]
        summary_text = f"{one} It cost 987,654 dollars." if pick % 4 == 0 else one
        quote = "Zebras gallop across purple meadows while accordions whisper." if pick % 6 == 0 else two
        insight = {"type": "claim", "evidence": quote, "text": two, "surprising": 2.5, "important": 3.0, "actionable": 2.0}
        schema = seen.body["response_format"]["json_schema"]["schema"]["properties"]
        ratings = schema.get("ratings", {}).get("properties", {})
        whole = {
            "summary": {"summary": summary_text, "evidence": [one]},
            "insights": {
                "insights": [insight]
                if pick % 3
                else [insight, {**insight, "type": "quantitative", "text": f"{two} 41% of it.", "important": 4.0}]
            },
            "ratings": {name: {"reason": two, "score": 2.5 + (pick + number) % 9 * 0.5} for number, name in enumerate(ratings)},
        }
        usage = {"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300, "prompt_tokens_details": {"cached_tokens": 1024}}
        return Act(body=completion({part: whole[part] for part in schema}, usage=usage), name="golden")

    def table(self, titles: Mapping[str, str]) -> dict[str, Any]:
        """Request hashes by page and stages, in no order; the wording of a correction at the end of a second request is masked."""
        rows: dict[str, list[str]] = {}
        for body in self.requests:
            title = _page(body)[0]
            stages = ",".join(body["response_format"]["json_schema"]["schema"]["properties"])
            again = len(body["messages"]) > 3
            if again:
                body = {**body, "messages": [*body["messages"][:-1], "…"]}
            rows.setdefault(f"{titles.get(title, sha(title))} {stages}{' again' if again else ''}", []).append(sha(body, 16))
        return {name: " ".join(sorted(hashes)) for name, hashes in sorted(rows.items())}


def _page(body: Mapping[str, Any]) -> tuple[str, str]:
    """(title, prose) of the page in a request."""
    text = "\n".join(message["content"] for message in body["messages"][:3])
    page = re.search(r"<<<PAGE \w+\n(.*)\nPAGE \w+>>>", text, re.DOTALL)
    lines = (page.group(1) if page else text).split("\n")
    title = next((line.removeprefix("Title:").strip() for line in lines if line.startswith("Title:")), "")
    prose = " ".join(
        line for line in lines if len(line) > 60 and re.match(r"[A-Z]", line) and not line.startswith(("Title:", "Description:"))
    )
    return title, prose


def model(wiki: Wiki, answers: Model) -> None:
    """Runs with a model behind the fake server: selections, failures, budget, refresh, decisions."""
    titles: dict[str, str] = {}
    for file in sorted((wiki.root / "content").rglob("*.md*")):
        head = re.match(r"\ufeff?---\r?\n(.*?)\r?\n---", file.read_bytes().decode(), re.DOTALL)
        if head:
            found = re.search(r"^title:.*(?:\r?\n .*)*", head.group(1), re.MULTILINE)
            title = yaml.safe_load(found.group(0))["title"] if found else ""
            titles.setdefault(str(title), str(file.relative_to(wiki.root / "content")))
    large = len(wiki.pages) > 50
    wiki.call("run", "--stage", "summary", "--limit", "2", "--json")
    wiki.call("page", wiki.pages[2], "--json")
    wiki.call("run", "--limit", "7", "--json")
    wiki.call("run", "--failed", "--json")
    answers.refuses = False
    wiki.call("run", "--failed", "--json")
    wiki.call("run", "--budget", "0.012", "--json")
    wiki.call("run", "--limit", "30" if large else "1000", "--json")
    wiki.files("after runs")
    wiki.call("diff", "--json")
    waiting = wiki.proposed()
    wiki.call("accept", *(":".join(change) for change in waiting[:2]), "--json")
    wiki.call("reject", ":".join(waiting[-1]), "--json")
    wiki.call("accept", "--safe", "--json")
    wiki.call("apply", "--json")
    wiki.call("apply", "--all", "--json")
    wiki.files("after apply")
    wiki.call("run", "--refresh", "--apply", "--limit", "3", "--json")
    wiki.call("run", "--refresh", "--no-cache", "--stage", "ratings", "--limit", "2", "--json")
    wiki.call("page", wiki.pages[0], "--refresh", "--stage", "insights", "--apply", "--json")
    wiki.call("apply", "--all", "--overwrite", "--json")
    wiki.files("at the end")
    wiki.call("plan", "--json", drop=("tokens", "cost_usd"))
    wiki.call("eval", "--format", "json")
    wiki.call("cache", "stats", "--json", drop=("answer_bytes",))
    wiki.note("requests", answers.table(titles))


def record(name: str) -> dict[str, Any]:
    """What a scenario (`own-offline`, `sample-model`, …) gives today."""
    wiki, _, loop = name.partition("-")
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        if loop == "offline":
            copy = Wiki(wiki, Path(folder).resolve())
            offline(copy)
            return copy.seen
        answers = Model()
        with FakeServer(answers) as server:
            copy = Wiki(wiki, Path(folder).resolve(), server)
            model(copy, answers)
            return copy.seen


def differences(name: str, seen: Mapping[str, Any]) -> list[str]:
    """One line for each value that is not what is stored."""
    file = EXPECTED / f"{name}.json"
    before = dict(flat(json.loads(file.read_text(encoding="utf-8")))) if file.exists() else {}
    after = dict(flat(json.loads(json.dumps(seen))))
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    return [f"{name}{path}: {before.get(path, 'missing')} → {after.get(path, 'missing')}" for path in paths]


SCENARIOS = [f"{wiki}-{loop}" for wiki in reversed(WIKIS) for loop in ("model", "offline")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    chosen = [name for name in SCENARIOS if not options.names or any(part in name for part in options.names)]
    if not SAMPLE.is_dir():
        print("left out: the scenarios on wiki-sample, which is not there", file=sys.stderr)
        chosen = [name for name in chosen if not name.startswith("sample")]
    failed = False
    with ProcessPoolExecutor(2) as pool:
        for name, seen in zip(chosen, pool.map(record, chosen), strict=True):
            found = differences(name, seen)
            failed = failed or bool(found)
            print(f"{name}: {len(found)} differences", *found[: 5 if options.write else 200], sep="\n  ")
            if options.write:
                EXPECTED.mkdir(exist_ok=True)
                text = json.dumps(seen, ensure_ascii=False, indent=1) + "\n"
                (EXPECTED / f"{name}.json").write_text(text, encoding="utf-8")
    return int(failed and not options.write)


if __name__ == "__main__":
    sys.exit(main())
