"""The package's face: what it offers, and that looking at it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

from enrich.config import PriceSection
from enrich.llm.messages import Usage
from enrich.llm.prices import Prices


def test_importing_it_loads_neither_sdk_nor_http_client() -> None:
    code = (
        "import sys, enrich.llm.client, enrich.llm.cache, enrich.llm.templates\n"
        "from enrich.llm.endpoint import Endpoint\n"
        "Endpoint.from_settings(None, '', {'OPENAI_API_KEY': 'sk-x'})\n"
        "heavy = {'openai', 'aiohttp', 'httpx2', 'diskcache', 'jinja2', 'genai_prices'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_prices_of_our_own_win_over_the_library() -> None:
    prices = Prices(
        {"gpt-5-mini": PriceSection(input=1.0, output=2.0), "mine": PriceSection(input=3.0, cached_input=0.0, cache_write=4.0, output=5.0)}
    )
    plain, mine = prices.price_of("gpt-5-mini"), prices.price_of("mine")
    assert plain is not None
    assert mine is not None
    usage = Usage(input=1_000_000, cached_input=200_000, cache_write=100_000, output=1_000_000)
    assert plain.cost(usage) == 1.0 + 2.0, "without rates of their own, cached and written tokens cost what input costs"
    assert mine.cost(usage) == 0.7 * 3 + 0 + 0.1 * 4 + 5
    assert mine.at_most(1_000_000, 1_000_000) == 9.0


def test_the_library_knows_common_models_and_says_so_where_not() -> None:
    known = Prices().price_of("gpt-4o-mini")
    assert known is not None
    assert 0 < known.cached_input < known.input < known.output
    assert known.cache_write >= known.input
    assert Prices().price_of("a-model-nobody-has-heard-of") is None
