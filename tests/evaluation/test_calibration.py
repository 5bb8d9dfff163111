"""Ratings calibrated to people's: simulated judges whose bias and noise are known, and `enrich eval --calibrate` as its users call it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from enrich.evaluation.calibration import fit, isotonic  # what many simulated judges need would take a minute through the command line
from enrich.stages.scores import interpolated
from tests.demo import DemoWiki, answering, honest_parts
from tests.fake_server import Act, Seen, Serve
from tests.runs.test_samples import proposal

# Judges by factor and shift of the rating that they tend to give for a true one, and the noise of one rating.
JUDGES = {"inflated": (0.5, 4.5, 0.8), "harsh": (0.7, 0.0, 1.2), "fair": (1.0, 0.0, 0.5)}
SPREADS = {"novelty": 1.2, "rigor": 2.0, "actionability": 1.6, "completeness": 2.4}  # of the true ratings, around 5
LEARNT, TRIED = 3000, 5000


def scale(value: float) -> float:
    return round(min(10.0, max(0.0, value)), 1)


def simulated(judge: str, dimension: str, pages: int, seed: str) -> dict[str, tuple[float, float]]:
    """(the judge's rating, people's) by page; people's ratings have noise too."""
    rng = random.Random(f"{judge} {dimension} {seed}")
    factor, shift, noise = JUDGES[judge]
    found = {}
    for page in range(pages):
        true = rng.gauss(5, SPREADS[dimension])
        found[f"page-{page}"] = scale(rng.gauss(factor * true + shift, noise)), scale(rng.gauss(true, 0.4))
    return found


def test_simulated_judges_are_never_worse_and_the_intervals_cover_nine_of_ten() -> None:
    coverages, kept = {}, {}
    for judge in JUDGES:
        for dimension in SPREADS:
            made = fit(f"ratings.{dimension}", simulated(judge, dimension, LEARNT, "learnt"))
            tried = simulated(judge, dimension, TRIED, "tried").values()
            errors = [abs(interpolated(made.points, given) - people) for given, people in tried]
            raw = sum(abs(given - people) for given, people in tried) / TRIED
            assert made.gain is not None
            assert made.gain.low is not None
            assert made.gain.high is not None
            # The mean error on pages that were never seen is at most the raw one and the interval of the gain.
            assert sum(errors) / TRIED <= raw + (made.gain.high - made.gain.low) / 2, (judge, dimension)
            coverages[judge, dimension] = sum(error <= made.margin + 1e-9 for error in errors) / TRIED
            kept[judge, dimension] = bool(made.points)
    assert len(coverages) == 12
    assert min(coverages.values()) >= 0.88, coverages
    assert max(coverages.values()) <= 0.92, coverages
    # Where there is a bias it is taken out; a fair judge of pages that differ is left as it is.
    assert all(kept[judge, dimension] for judge in ("inflated", "harsh") for dimension in SPREADS)
    assert not kept["fair", "completeness"]


def test_few_pages_give_nothing_and_the_same_pages_the_same_map() -> None:
    few = simulated("harsh", "rigor", 19, "few")
    assert (fit("ratings.rigor", few).gain, fit("ratings.rigor", few).points) == (None, ())
    some = simulated("harsh", "rigor", 60, "some")
    assert fit("ratings.rigor", some) == fit("ratings.rigor", dict(reversed(some.items())))


@pytest.mark.parametrize(
    ("pairs", "points"),
    [
        ([(1, 2), (2, 5), (3, 3), (4, 6)], ((1.0, 2.0), (2.5, 4.0), (4.0, 6.0))),
        ([(3, 1), (3, 5), (5, 4)], ((3.0, 3.0), (5.0, 4.0))),
        ([(5, 9), (4, 9)], ((4.5, 9.0),)),
        ([(1, 9), (2, 5), (3, 1)], ((2.0, 5.0),)),
    ],
)
def test_isotonic_pools_neighbours_that_fall(pairs: list[tuple[float, float]], points: tuple[tuple[float, float], ...]) -> None:
    assert isotonic(pairs) == points
    assert interpolated(points, -1) == points[0][1]
    assert interpolated(points, 99) == points[-1][1]


PAGES = 24
TOML = '[llm]\nmodel = "judge"\n[stages.ratings]\ndimensions = ["rigor", "novelty"]\n'


def people(number: int) -> float:
    return round(2 + (number % 12) / 2, 1)


def biased(seen: Seen) -> Act:
    """`rigor` is two points too high, `novelty` is what people say."""
    parts = honest_parts(seen)
    number = int(next(line for line in seen.text.split("\n") if line.startswith("Title: Park ")).rpartition(" ")[2])
    if "ratings" in parts:
        parts["ratings"]["rigor"]["score"] = people(number) + 2.0
        parts["ratings"]["novelty"]["score"] = people(number)
    return answering(parts)


@pytest.fixture
def wiki(tmp_path: Path) -> DemoWiki:
    made = DemoWiki(tmp_path, PAGES, TOML)
    entries = [{"page": f"park-{number}", "ratings": {"rigor": people(number), "novelty": people(number)}} for number in range(PAGES - 1)]
    (made.root / "golden.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return made


CALIBRATE = ("eval", "--golden", "golden.jsonl", "--stage", "ratings", "--calibrate")


def test_calibrated_ratings_are_proposed_without_a_new_request(wiki: DemoWiki, serve: Serve) -> None:
    server = wiki.asks(serve(biased))
    wiki.enrich("run", "--stage", "ratings")
    assert proposal(wiki, "park-3", "ratings.rigor")["new"] == people(3) + 2
    result = wiki.enrich(*CALIBRATE)
    assert "ratings.rigor: mean error 2.00 → " in result.err
    assert "ratings.novelty" in result.err
    stored = {one["field"]: one for one in json.loads((wiki.root / "enrich.calibration").read_text())["maps"]}
    assert (stored["ratings.rigor"]["model"], bool(stored["ratings.rigor"]["points"]), stored["ratings.novelty"]["points"]) == (
        "judge",
        True,
        [],
    )
    # The question has other settings now, so what was proposed is due, and the cache has the answers.
    assert wiki.states()["park-3", "ratings"] == ("due", ("missing",))
    before = server.requests
    run = wiki.enrich("run", "--stage", "ratings", "--json").json
    assert (server.requests - before, run["cached"]) == (0, PAGES)
    found = proposal(wiki, "park-3", "ratings.rigor")
    assert found["new"] == pytest.approx(people(3), abs=0.3)
    assert found["interval"][0] <= people(3) <= found["interval"][1]
    assert proposal(wiki, "park-3", "ratings.novelty")["new"] == people(3)
    assert "nine of ten people's ratings are within" in wiki.enrich("diff", "park-3", "--format", "word").out
    # Fitted again, it starts from what the model said, not from calibrated values.
    assert "ratings.rigor: mean error 2.00 → " in wiki.enrich(*CALIBRATE).err
    assert wiki.enrich("run", "--stage", "ratings", "--json").json["due"] == 0
    # The card says how sure a rating is.
    wiki.enrich("apply", "park-3", "--all", "--overwrite")
    card = wiki.enrich("show", "park-3", "--json").json
    assert card["margins"]["rigor"] == round(stored["ratings.rigor"]["margin"], 1)
    assert f"rigor {card['ratings']['rigor']:g} ±{card['margins']['rigor']:g}" in wiki.enrich("show", "park-3").out
    assert f"±{card['margins']['rigor']:g}" in wiki.enrich("show", "park-3", "--format", "html").out


def test_decisions_of_a_review_are_people_too(wiki: DemoWiki, serve: Serve) -> None:
    (wiki.root / "golden.jsonl").write_text("")
    wiki.asks(serve(biased))
    wiki.enrich("run", "--stage", "ratings")
    decisions = [
        {"page": f"park-{number}", "field": "ratings.rigor", "decision": "edit", "value": people(number), "new_hash": new_hash}
        for number in range(PAGES)
        for new_hash in [
            next(
                field["new_hash"]
                for field in wiki.enrich("diff", f"park-{number}", "--json").json["pages"][0]["fields"]
                if field["field"] == "ratings.rigor"
            )
        ]
    ]
    (wiki.root / "decided.json").write_text(json.dumps({"schema": 1, "decisions": decisions}))
    assert wiki.enrich("review", "--from", "decided.json").exit == 0
    result = wiki.enrich(*CALIBRATE)
    assert "ratings.rigor: mean error 2.00 → " in result.err
    assert "ratings.novelty: 0 pages with people's ratings, 20 are needed" in result.err


def test_a_map_of_another_prompt_is_not_used(wiki: DemoWiki, serve: Serve) -> None:
    wiki.asks(serve(biased))
    wiki.enrich("eval", "--golden", "golden.jsonl", "--stage", "ratings", "--ask")
    wiki.enrich(*CALIBRATE)
    (wiki.root / "prompts").mkdir()
    (wiki.root / "prompts" / "ratings.md").write_text("---\nversion: 9\n---\nRate the page.\n")
    wiki.enrich("run", "--stage", "ratings")
    found = proposal(wiki, "park-3", "ratings.rigor")
    assert (found["new"], "interval" in found) == (people(3) + 2, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "calibration"),
        ('{"schema": 2, "maps": []}', "schema"),
        ('{"schema": 1, "maps": [{"field": "ratings.rigor"}]}', "model"),
        (
            '{"schema": 1, "maps": [{"field": "f", "model": "m", "prompt": "p", "settings": "s", "points": [[2, 3], [1, 4]], "margin": 1,'
            ' "pages": 20, "raw_mae": 1, "mae": 1}]}',
            "points",
        ),
    ],
)
def test_a_broken_file_is_one_line(wiki: DemoWiki, serve: Serve, text: str, said: str) -> None:
    wiki.asks(serve(biased))
    (wiki.root / "enrich.calibration").write_text(text)
    result = wiki.enrich("plan")
    assert result.exit == 1
    assert "enrich.calibration" in result.err
    assert said in result.err


def test_only_a_models_ratings_can_be_calibrated(wiki: DemoWiki) -> None:
    for arguments in (("--answers", "frontmatter"), ("--backend", "offline")):
        assert wiki.enrich("eval", "--calibrate", *arguments).exit == 2
    assert not (wiki.root / "enrich.calibration").exists()
