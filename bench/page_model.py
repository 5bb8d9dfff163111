"""A model for measuring whole runs: a process that answers every page with its own sentences, truthfully and at once.

`python bench/page_model.py --latency 0.1` prints its port and serves until its standard input ends; then it prints its counts as JSON.
Answers are the same for the same page, whoever asks, so that two runs can be compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fake_server import Act, FakeServer, Seen, completion, cut_off, invalid_json, status, too_many

_PAGE = re.compile(r"<<<PAGE [0-9a-f]{32}\n(.*)\nPAGE [0-9a-f]{32}>>>", re.DOTALL)
_PLAIN = re.compile(r"^[A-Z][^\n<>{}|`$*_\[\]#\\&~\"“”]{40,}[.]$", re.MULTILINE)
_RATINGS = ("novelty", "rigor", "actionability", "completeness")


def page_in(seen: Seen) -> str:
    """The page's text in a request, "" where there is none."""
    found = _PAGE.search(seen.text)
    return found.group(1) if found else ""


def sentences_of(page: str) -> list[str]:
    """Sentences of plain prose on the page, of moderate length and without digits, so that nothing in them can be called unsupported."""
    head, _, body = page.partition("\n\n")
    found = (sentence.strip() for line in _PLAIN.findall(body) for sentence in re.split(r"(?<=[.])\s+(?=[A-Z])", line))
    good = [sentence for sentence in found if 40 <= len(sentence) <= 240 and not any(char.isdigit() for char in sentence)]
    return good or [head.split("\n")[0]]


def truth(page: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """An answer with the parts that the schema's properties name."""
    sentences = sentences_of(page)
    pick = crc32(page.encode("utf-8", "replace"))
    first = sentences[0].removeprefix("Title: ")
    others = [sentence.removeprefix("Title: ") for sentence in sentences[1:5]] or [first]
    parts: dict[str, Any] = {
        "summary": {"summary": first, "evidence": [first]},
        "insights": {
            "insights": [
                {
                    "type": ("claim", "neglected", "research-gap")[number % 3],
                    "evidence": sentence,
                    "text": sentence,
                    "surprising": 1 + (pick + number) % 5 / 2,
                    "important": 2 + (pick + number) % 4 / 2,
                    "actionable": 1.5,
                }
                for number, sentence in enumerate(others)
            ]
        },
        "ratings": {
            # Reasons that name something of the page, and scores near those of any structure: an honest rating is not asked for again.
            name: {"reason": f"It says: {first}", "score": 4.5 + (pick >> shift) % 20 / 10}
            for shift, name in enumerate(wanted.get("ratings", {}).get("properties", dict.fromkeys(_RATINGS)))
        },
    }
    return {name: parts[name] for name in wanted}


def wanted_of(seen: Seen) -> dict[str, Any]:
    """The stages that a request asks for, with their schemas."""
    form = seen.body.get("response_format", {})
    wanted: dict[str, Any] = form.get("json_schema", {}).get("schema", {}).get("properties", {})
    return wanted


class Truthful:
    """The script of a truthful model; remembers its answers, so that serving costs little. `usage` is what the server would count."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], dict[str, Any]] = {}

    def __call__(self, seen: Seen) -> Act:
        page, wanted = page_in(seen), wanted_of(seen)
        names = (page[:2000], *wanted)
        answer = self._known.get(names)
        if answer is None:
            answer = self._known[names] = truth(page, wanted)
        text = json.dumps(answer, ensure_ascii=False)
        usage = {"prompt_tokens": len(seen.raw) // 4, "completion_tokens": len(text) // 4, "total_tokens": (len(seen.raw) + len(text)) // 4}
        return Act(body=completion(text, usage=usage), name="honest")


FAULTS = {"429": 0.08, "500": 0.04, "hang": 0.01, "reset": 0.02, "invalid-json": 0.03, "schema-invalid": 0.03, "cut-off": 0.02}


class Faulty:
    """`inner` with faults at the given shares. They are dealt from a shuffled deck, so that the shares are met closely."""

    def __init__(self, inner: Callable[[Seen], Act], shares: dict[str, float], seed: int) -> None:
        self._inner, self._shares, self._random = inner, shares, random.Random(seed)
        self._deck: list[str] = []
        self.dealt: Counter[str] = Counter()

    def __call__(self, seen: Seen) -> Act:
        if not self._deck:
            self._deck = [name for name, share in self._shares.items() for _ in range(round(share * 100))]
            self._deck += [""] * (100 - len(self._deck))
            self._random.shuffle(self._deck)
        fault = self._deck.pop()
        if fault:
            self.dealt[fault] += 1
        if fault == "429":
            return too_many(retry_after="0.2")
        if fault == "500":
            return status(500, "the server had an error")
        if fault in ("hang", "reset"):
            return Act(wire=fault, name=fault)
        if fault == "invalid-json":
            return invalid_json()
        if fault == "schema-invalid":
            return Act(body=completion({name: {"nothing": "asked for"} for name in wanted_of(seen)}), name=fault)
        if fault == "cut-off":
            return cut_off()
        return self._inner(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--faults", type=int, metavar="SEED", help="deal the faults of FAULTS, shuffled by this seed")
    parser.add_argument("--log", type=Path, help="a line per request that was answered: number, page's checksum, stages")
    options = parser.parse_args()
    model: Callable[[Seen], Act] = Truthful()
    if options.faults is not None:
        model = faulty = Faulty(model, FAULTS, options.faults)
    if options.log:
        log, told = options.log.open("a", encoding="utf-8"), model

        def model(seen: Seen) -> Act:
            act = told(seen)
            log.write(f"{seen.number}\t{crc32(page_in(seen).encode()):08x}\t{','.join(wanted_of(seen))}\t{act.name}\n")
            log.flush()
            return act

    with FakeServer(model, latency=options.latency, keep=False) as server:
        print(server.port, flush=True)
        sys.stdin.read()
        counts = {"requests": server.requests, "statuses": server.statuses, "usage": server.usage}
        if options.faults is not None:
            counts["faults"] = faulty.dealt
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
