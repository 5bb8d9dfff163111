"""What a run costs: prices, the budget that is never exceeded, and the token estimate against counts of OpenAI's o200k encoding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.config import PriceSection, load_config
from enrich.llm.costs import Budget, BudgetSpent, Correction, Price, Prices, estimate_tokens
from enrich.llm.messages import Event, Usage
from tests import fake_server as fake
from tests.fake_server import FakeServer, Seen
from tests.llm.asking import client, request
from tests.llm.virtual import VirtualLoop, in_virtual_time


def test_reserved_and_spent_never_exceed_the_limit() -> None:
    async def run(loop: VirtualLoop) -> tuple[float, int, int]:
        budget = Budget(1.0)
        done, stopped, highest = 0, 0, 0.0

        async def ask(number: int) -> None:
            nonlocal done, stopped, highest
            try:
                held = await budget.reserve("fake", 0.2)
            except BudgetSpent:
                stopped += 1
                return
            highest = max(highest, budget.spent_usd + budget.reserved_usd)
            await asyncio.sleep(0.1 + number * 0.01)
            budget.settle(held, 0.05)
            done += 1

        await asyncio.gather(*(ask(number) for number in range(40)))
        assert highest <= 1.0 + 1e-9
        assert budget.reserved_usd == 0
        return budget.spent_usd, done, stopped

    spent, done, stopped = in_virtual_time(run)
    # The last one needs 0.2 free: 17 at 0.05 fit, and all others are refused.
    assert spent == pytest.approx(0.85)
    assert (done, stopped) == (17, 23)


def test_near_the_end_it_waits_for_settlements_first() -> None:
    async def run(loop: VirtualLoop) -> float:
        budget = Budget(1.0)
        held = await budget.reserve("fake", 0.9)
        loop.call_later(5, budget.settle, held, 0.1)
        await budget.reserve("fake", 0.5)
        return loop.time()

    assert in_virtual_time(run) == 5


def in_parallel(server: FakeServer, budget: Budget, requests: int, events: list[Event]) -> list[object]:
    """`requests` requests at once under a budget: replies and errors."""

    async def run() -> list[object]:
        async with client(server, events.append, budget=budget) as asking:
            return await asyncio.gather(*(asking.send(request("words " * 1500)) for _ in range(requests)), return_exceptions=True)

    return asyncio.run(run())


@pytest.mark.parametrize("times", [0, 0.9, 2, 3.9, 50])
@pytest.mark.parametrize("lies_from", [0, 3])
def test_parallel_requests_keep_the_budget_whatever_usage_a_server_states(
    serve: Callable[..., FakeServer], times: float, lies_from: int
) -> None:
    """Found in a trial: usage of four times the reservation was believed, and `--budget 0.06` cost $0.21; usage of zero cost nothing for ever."""

    def act(seen: Seen) -> fake.Act:
        factor = times if seen.number >= lies_from else 0.2
        return fake.ok({"summary": "x"}, usage={"prompt_tokens": int(len(seen.raw) * factor), "completion_tokens": int(500 * factor)})

    server = serve(act, latency=0.01)
    budget, events = Budget(0.06), list[Event]()
    outcomes = in_parallel(server, budget, 60, events)
    assert 0 < budget.spent_usd <= 0.06 + 1e-8
    assert budget.reserved_usd == 0
    assert {type(outcome).__name__ for outcome in outcomes} <= {"Reply", "BudgetSpent"}
    costs = sum(event.cost_usd or 0 for event in events if event.kind == "attempt")
    assert costs == pytest.approx(budget.spent_usd), "what is reported is what was counted"
    if times >= 0.9:
        assert server.requests < 60
    if times in (0, 50) or (times > 1 and lies_from):
        assert len([event for event in events if event.kind == "note" and "states a usage" in event.detail]) == 1


def test_before_a_first_answer_one_request_is_sent(serve: Callable[..., FakeServer]) -> None:
    def act(seen: Seen) -> None:
        if seen.number == 1:
            server.hold()  # the others are out at the same time: the last one of them frees the answers
        if seen.number == 5:
            server.release()

    server = serve(act, latency=0.2)
    outcomes = in_parallel(server, Budget(1.0), 6, [])
    first, *others = (seen.at for seen in server.seen)
    assert min(others) - first >= 0.2
    assert (len(others), {type(one).__name__ for one in outcomes}) == (5, {"Reply"})


FILE = '[llm]\nmodel = "gpt-6-luna"\n[prices."gpt-6-luna"]\ninput = 0\noutput = 0\n[prices."own"]\ninput = 0\noutput = 0\n'


def test_a_wikis_file_does_not_undercut_a_list_price_and_the_environment_may(tmp_path: Path) -> None:
    (tmp_path / "enrich.toml").write_text(FILE, encoding="utf-8")
    lines: list[str] = []
    listed = Prices().price_of("gpt-6-luna")
    assert listed is not None
    config = load_config(tmp_path, env={})
    prices = Prices(config.prices, config.source.file_rates, lines.append)
    assert prices.price_of("gpt-6-luna") == prices.price_of("gpt-6-luna") == listed
    assert [line.partition(":")[0] for line in lines] == ["gpt-6-luna"]
    assert prices.price_of("own") == Price(0, 0, 0, 0), "no list price is known"
    config = load_config(tmp_path, env={f"ENRICH_PRICES__GPT-6-LUNA__{rate}": "0.01" for rate in ("INPUT", "OUTPUT")})
    assert Prices(config.prices, config.source.file_rates).price_of("gpt-6-luna") == Price(0.01, 0.01, 0.01, 0.01)
    config = load_config(tmp_path, env={"ENRICH_PRICES__GPT-6-LUNA__INPUT": "0.01"})
    assert Prices(config.prices, config.source.file_rates).price_of("gpt-6-luna") == Price(0.01, 0.01, 0.01, listed.output)


def test_prices_of_our_own_win_over_the_library() -> None:
    prices = Prices(
        {"gpt-5-mini": PriceSection(input=1.0, output=2.0), "mine": PriceSection(input=3.0, cached_input=0.0, cache_write=4.0, output=5.0)}
    )
    plain, mine = prices.price_of("gpt-5-mini"), prices.price_of("mine")
    usage = Usage(input=1_000_000, cached_input=200_000, cache_write=100_000, output=1_000_000)
    assert plain.cost(usage) == 1.0 + 2.0, "without rates of their own, cached and written tokens cost what input costs"
    assert mine.cost(usage) == 0.7 * 3 + 0 + 0.1 * 4 + 5
    assert mine.at_most(1_000_000, 1_000_000) == 9.0


def test_the_library_knows_common_models_and_says_so_where_not() -> None:
    known = Prices().price_of("gpt-4o-mini")
    assert 0 < known.cached_input < known.input < known.output
    assert known.cache_write >= known.input
    assert Prices().price_of("a-model-that-does-not-exist") is None


ENGLISH = (
    "The controller starts with eight requests in flight and doubles them while every round is clean. When the serv"
    "er answers 429, all workers of that model wait, and the limit is cut by a third. Nothing is lost, because a re"
    "fused request keeps its place in the queue and spends none of its retries.\n\nA budget of $5.00 covers about 1,2"
    "50 pages at 4,000 tokens each, if the price per million tokens stays at $0.25 for input and $2.00 for output.\n"
)
TABLE = (
    "| model | input | output | cached |\n|---|---|---|---|\n| small | 0.25 | 2.00 | 0.025 |\n| large | 1.25 | 10.00 |"
    " 0.125 |\n| batch | 0.125 | 1.00 | – |\n\n- **Reservation**: an upper bound, `bytes + ceiling`\n- [Settlement](/do"
    "cs/settlement): what *usage* says\n"
)
CHINESE = "模型的回答必须得到页面的支持。每个数字都需要引用，每个引用都必须逐字出现在页面上。"
RUSSIAN = "Ответ модели должен подтверждаться страницей. Каждое число требует цитаты, и каждая цитата должна дословно стоять на странице."
GERMAN = (
    "Die Antwort des Modells muss von der Seite gestützt sein. Jede Zahl braucht ein Zitat, und jedes Zitat muss wö"
    "rtlich auf der Seite stehen."
)

# The whole sample, and every twentieth file of it in order of their paths.
SAMPLE_TOKENS = 942_457
SAMPLE_PAGES = (479, 7419, 5152, 131, 3287, 5004, 3222, 10574, 8203, 3440)


@pytest.mark.parametrize(
    ("text", "counted", "within"), [(ENGLISH, 105, 0.15), (TABLE, 99, 0.15), (CHINESE, 27, 0.25), (RUSSIAN, 30, 0.25), (GERMAN, 33, 0.25)]
)
def test_an_estimate_is_near_the_count(text: str, counted: int, within: float) -> None:
    assert estimate_tokens(text) == pytest.approx(counted, rel=within)


@pytest.mark.sample
def test_pages_of_another_wiki_are_within_15_percent_and_their_sum_within_5(sample: Path) -> None:
    files = sorted(str(path) for path in (sample / "content").rglob("*") if path.suffix in (".md", ".mdx"))
    estimates = [estimate_tokens(Path(file).read_text(encoding="utf-8")) for file in files]
    assert sum(estimates) == pytest.approx(SAMPLE_TOKENS, rel=0.05)
    for estimated, counted in zip(estimates[::20], SAMPLE_PAGES, strict=True):
        assert estimated == pytest.approx(counted, rel=0.15)


def test_usage_corrects_the_estimates_of_its_model_alone() -> None:
    correction = Correction()
    assert correction.apply("a", 1000) == 1000
    for _ in range(50):
        correction.learn("a", 2000, 3000)
    assert correction.apply("a", 1000) == pytest.approx(1500, rel=0.02)
    assert correction.apply("b", 1000) == 1000


@pytest.mark.parametrize("counted", [10**12, 1])
def test_a_lying_server_moves_it_only_so_far(counted: int) -> None:
    correction = Correction()
    for _ in range(100):
        correction.learn("a", 5000, counted)
    assert 0.25 <= correction.factor("a") <= 4
