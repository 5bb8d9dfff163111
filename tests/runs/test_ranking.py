"""`enrich rank`: how good a ranking is for its comparisons, what is asked after an end at any moment, and that people's places win."""

from __future__ import annotations

import re
import signal
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from random import Random

import pytest
import yaml

# Thousands of pages are ranked without files and server: only the choice of questions and the fit count here.
from enrich.runs.ranking import Insertions, WholeList, Work
from enrich.stages.importance import Pair
from enrich.wiki.rankings import RankingFile, moved, score
from tests.demo import DemoWiki, answering, said, until
from tests.fake_server import Act, Seen

ERRORS = 0.15
TOML = '[stages.importance]\nenabled = true\n[llm]\nmodel = "judge"\n'
_PAIR = re.compile(r"^Pair (\d+)\nA: Park (\d+) .*\nB: Park (\d+) .*$", re.MULTILINE)


def tau(order: list[str], truth: dict[str, int]) -> float:
    """Kendall's tau of an order, best first, with hidden scores."""
    values = [truth[page] for page in order]
    right = sum(one > other for one, other in combinations(values, 2))
    return 4 * right / (len(values) * (len(values) - 1)) - 1


def ranked(work: Work, truth: dict[str, int], random: Random) -> int:
    """Answer all questions, 15 % of them wrongly; return their number."""
    asked: Counter[Pair] = Counter()
    while pairs := work.next_pairs():
        for pair in pairs:
            asked[pair] += 1
            work.hear(pair, (truth[pair.a] > truth[pair.b]) != (random.random() < ERRORS))
    assert max(asked.values()) == 1
    return asked.total()


def hidden(count: int, seed: int) -> dict[str, int]:
    places = list(range(count))
    Random(seed).shuffle(places)
    return {f"park-{page}": place for page, place in enumerate(places)}


@pytest.mark.parametrize(("count", "seed"), [(200, 1), (200, 2), (200, 3), (2000, 1)])
def test_twelve_comparisons_a_page_rank_a_list_though_15_percent_of_the_answers_are_wrong(count: int, seed: int) -> None:
    truth = hidden(count, seed)
    work = WholeList(list(truth), [], [], {}, 12)
    assert ranked(work, truth, Random(seed)) <= 12 * count
    assert tau(work.order(), truth) >= 0.9


def test_twenty_new_pages_are_inserted_into_two_thousand() -> None:
    truth = hidden(2020, 5)
    new = list(truth)[:20]
    before = sorted(list(truth)[20:], key=lambda page: -truth[page])
    work = Insertions(new, before, before, 12)
    assert ranked(work, truth, Random(5)) <= 15 * len(new)
    order = work.order()
    assert [page for page in order if page not in new] == before
    best = sorted(truth, key=lambda page: -truth[page])
    assert sorted(abs(order.index(page) - best.index(page)) for page in new)[10] < 40
    # Others move by the pages that came in above them, which is less than the noise threshold of 1.
    shifts = [abs(score(order.index(page), 2020) - score(place, 2000)) for place, page in enumerate(before)]
    assert max(shifts) < 1


class Judge:
    """Prefers by a hidden score and errs in 15 % of the questions; knows which questions it has answered."""

    def __init__(self, count: int) -> None:
        self.truth = hidden(count, 7)
        self.answered: Counter[tuple[int, int]] = Counter()
        self.hangs_after = 10**9

    def __call__(self, seen: Seen) -> Act:
        if seen.number >= self.hangs_after:
            return Act(wire="hang")
        answer = {}
        for number, a, b in _PAIR.findall(seen.text):
            self.answered[int(a), int(b)] += 1
            right = self.truth[f"park-{a}"] > self.truth[f"park-{b}"]
            answer[number] = "A" if right != (Random(f"{a} {b}").random() < ERRORS) else "B"
        assert len(answer) == len(seen.body["response_format"]["json_schema"]["schema"]["properties"])
        return answering(answer)


def listed(wiki: DemoWiki, name: str = "reader-importance-ranking.yaml") -> list[str]:
    return list(RankingFile.read(wiki.root / "content" / "data" / name).ids)


def test_a_wiki_is_ranked_end_to_end_and_ended_at_any_moment_it_continues(tmp_path: Path, serve) -> None:  # type: ignore[no-untyped-def]
    count = 200
    wiki, judge = DemoWiki(tmp_path, count, TOML), Judge(count)
    server = wiki.asks(serve(judge))
    shown = wiki.enrich("rank", "--json").json
    assert (shown["comparisons"]["missing"], shown["estimate"]["requests"], shown["model"]) == (12 * count, 240, "judge")
    assert server.requests == 0
    # Killed: nothing that was answered is asked again.
    judge.hangs_after = 25
    process = wiki.start("rank", "--ask", ENRICH_LLM__CONCURRENCY="8")
    until(server, 26, process)
    process.kill()
    process.communicate()
    judge.hangs_after = 10**9
    limited = wiki.enrich("rank", "--ask", "--calls", "30")
    assert limited.exit == 4
    assert "30 requests are sent" in limited.err
    assert listed(wiki) == []  # no list is better than a bad one
    done = wiki.enrich("rank", "--ask", "--json")
    assert (done.exit, done.json["comparisons"]["missing"]) == (0, 0)
    # A reply that was on its way when the process was killed may be asked for again, no other.
    assert sum(times - 1 for times in judge.answered.values()) <= 10 * 8
    assert server.requests <= 2 * count
    assert judge.answered.total() <= 12 * count + 10 * 8
    assert tau(listed(wiki), judge.truth) >= 0.9
    # The scores are proposed, and once applied nothing is left to do or to ask.
    assert len(done.json["proposed"]) == count
    assert wiki.enrich("apply", "--all").exit == 0
    first = listed(wiki)[0]
    assert wiki.frontmatter(int(first.removeprefix("park-")))["readerImportance"] == 95
    requests = server.requests
    again = wiki.enrich("rank", "--ask", "--json").json
    assert (again["proposed"], server.requests) == ([], requests)


def test_new_pages_are_inserted_and_only_scores_that_change_visibly_are_proposed(tmp_path: Path, serve) -> None:  # type: ignore[no-untyped-def]
    wiki, judge = DemoWiki(tmp_path, 120, TOML), Judge(120)
    server = wiki.asks(serve(judge))
    order = sorted((f"park-{page}" for page in range(117)), key=lambda page: -judge.truth[page])
    file = wiki.root / "content" / "data" / "reader-importance-ranking.yaml"
    file.parent.mkdir()
    file.write_text("# By hand.\nranking:\n" + "".join(f"  - {page}  # kept\n" for page in order) + "# end\n")
    for page in order:
        value = score(order.index(page), len(order))
        number = int(page.removeprefix("park-"))
        wiki.file(number).write_text(wiki.file(number).read_text().replace("title:", f"readerImportance: {value}\ntitle:", 1))
    done = wiki.enrich("rank", "--ask", "--json").json
    now = listed(wiki)
    assert [page for page in now if page in order] == order
    assert set(now) - set(order) == {"park-117", "park-118", "park-119"}
    assert (server.requests <= 12, done["comparisons"]["asked"] <= 3 * 15) == (True, True)
    text = file.read_text()
    assert text.startswith("# By hand.\n")
    assert text.endswith("# end\n")
    assert text.count("# kept") == 117
    for item in done["proposed"]:
        if item["page"] in order:
            assert abs(score(now.index(item["page"]), 120) - score(order.index(item["page"]), 117)) >= 1
    assert {item["page"] for item in done["proposed"]} >= set(now) - set(order)


def test_a_persons_place_wins(tmp_path: Path, serve) -> None:  # type: ignore[no-untyped-def]
    wiki, judge = DemoWiki(tmp_path, 20, TOML), Judge(20)
    server = wiki.asks(serve(judge))
    wiki.enrich("rank", "--ask")
    file = wiki.root / "content" / "data" / "reader-importance-ranking.yaml"
    rows = file.read_text().splitlines()
    last = rows.pop()
    file.write_text("\n".join([*rows[:5], last, *rows[5:]]) + "\n")
    place = listed(wiki).index(last.removeprefix("  - "))
    shown = wiki.enrich("rank", "--json").json
    assert shown["placed"] == [last.removeprefix("  - ")]
    wiki.append(3)
    wiki.file(3).write_text(wiki.file(3).read_text().replace("What park 3 delivers.", "Other words."))
    assert wiki.enrich("rank", "--all", "--ask").exit == 0
    assert listed(wiki).index(last.removeprefix("  - ")) == place
    assert f"placed: [{last.removeprefix('  - ')}]" in file.read_text()
    requests = server.requests
    assert wiki.enrich("rank", "--propose").exit == 0  # a list can also be ordered without a model
    assert server.requests == requests


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    wiki = DemoWiki(tmp_path, 3)
    file = wiki.root / "content" / "data" / "research-ranking.yaml"
    file.parent.mkdir()
    assert "the stage `importance` is off" in wiki.enrich("rank", "--ask").err
    assert "cannot compare pages" in wiki.enrich("rank", "--ask", ENRICH_STAGES__IMPORTANCE__ENABLED="true").err
    assert wiki.enrich("rank", "--list", "poems").exit == 2
    file.write_text("ranking:\n  - [park-1]\n")
    assert "research-ranking.yaml: `ranking` (and `placed`) must be a list" in wiki.enrich("rank", "--list", "research").err
    file.write_text("ranking: [park-2, gone, park-1]\n")
    done = wiki.enrich("rank", "--list", "research", "--propose", "--json").json
    assert [(item["page"], item["score"]) for item in done["ranking"]] == [("park-2", 95), ("gone", 50), ("park-1", 5)]
    assert [item["page"] for item in done["proposed"]] == ["park-1", "park-2"]
    assert wiki.enrich("reject", "park-1:researchImportance").exit == 0
    assert wiki.enrich("rank", "--list", "research", "--propose", "--json").json["proposed"] == [
        {"page": "park-2", "field": "researchImportance"}
    ]
    assert wiki.enrich("apply", "--all").exit == 0
    assert wiki.frontmatter(2)["researchImportance"] == 95


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        (
            "",
            ["b", "1"],
            '# The most important page first. Scores follow from the places; move a line to change one.\nranking:\n  - b\n  - "1"\n',
        ),
        (
            "# x\nranking:\n# of a\n- a # one\n- b\nother: 1\n",
            ["b", "new", "a"],
            "# x\nranking:\n- b\n- new\n# of a\n- a # one\nother: 1\n",
        ),
        ("ranking: [a, b]\n", ["b", "a"], None),
        ("placed: [b]\nranking:\n  - a\n  - b\n", ["b", "a"], "ranking:\n  - b\n  - a\n"),
    ],
)
def test_a_list_is_edited_line_by_line(tmp_path: Path, text: str, order: list[str], expected: str | None) -> None:
    file = tmp_path / "list.yaml"
    if text:
        file.write_text(text)
    assert RankingFile.read(file).write(order, ())
    assert list(RankingFile.read(file).ids) == order
    assert expected is None or file.read_text() == expected
    assert not RankingFile.read(file).write(order, ())
    RankingFile.read(file).write(order, {order[0]})
    assert RankingFile.read(file).placed == {order[0]}


def test_moves_are_the_fewest_that_explain_an_order() -> None:
    before = list("abcdefgh")
    for now, wanted in (("abcdefgh", ""), ("habcdefg", "h"), ("bcdeafgh", "a"), ("xabcdefg", ""), ("abdfgh", ""), ("", "")):
        assert moved(before, list(now)) == set(wanted)
    assert len(moved(before, list("hgfedcba"))) == 7


def test_scores_of_places() -> None:
    assert [score(place, 3) for place in range(3)] == [95, 50, 5]
    assert score(0, 1) == 50
    assert (score(555, 652), score(72, 652)) == (18.5, 85)  # FIELDS.md section 18.1
    assert all(one >= other for one, other in pairwise(score(place, 700) for place in range(700)))


@pytest.mark.sample
def test_the_reference_wikis_lists_give_the_scores_that_its_pages_have(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "enrich.toml").write_text(f'[wiki]\ncontent = "{sample}/content/docs"\ndata = "{sample}/data"\n')
    wiki = DemoWiki.at(tmp_path)
    equal = []
    for name, key in (("reader", "readerImportance"), ("research", "researchImportance")):
        shown = wiki.enrich("rank", "--list", name, "--json", ENRICH_TRUST_FOLDER=str(sample)).json
        scores = {item["page"]: item["score"] for item in shown["ranking"]}
        fronts = {file.stem: yaml.safe_load(file.read_text().split("---\n")[1]) for file in sample.glob("content/docs/**/*.md*")}
        equal.append(sum(front.get(key) == scores[page] for page, front in fronts.items() if page in scores))
    assert equal == [128, 72]


def test_terminated_it_keeps_what_is_on_its_way(tmp_path: Path, serve) -> None:  # type: ignore[no-untyped-def]
    wiki, judge = DemoWiki(tmp_path, 60, TOML), Judge(60)
    server = wiki.asks(serve(judge, held=True))
    process = wiki.start("rank", "--ask")
    until(server, 3, process)
    process.send_signal(signal.SIGTERM)
    said(process, "stopping")
    server.release()
    process.communicate(timeout=120)
    assert (process.returncode, server.requests) == (130, 3)
    assert wiki.enrich("rank", "--ask").exit == 0
    assert set(judge.answered.values()) == {1}
