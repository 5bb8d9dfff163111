"""The token estimate against counts of OpenAI's o200k encoding (made once with `bpe-openai`, written down here)."""

from __future__ import annotations

from pathlib import Path

import pytest

# Internal names: the client's faults and limits cannot all be reached through the command line.
from enrich.llm.tokens import Correction, estimate_tokens

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
