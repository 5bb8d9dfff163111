"""The number of tokens of a text or a request, and how many a model takes in one request: estimated, and learned from what servers say.

Tokens are estimated without a tokenizer: a few counts, weighted. The weights in `_WEIGHTS` were fitted by `bench/fit_tokens.py` (least squares
on the relative error, no negative weight) against OpenAI's o200k encoding on 400 Markdown and reST documents of installed packages, this
repository's own pages, and translated program messages in eight languages. On 184 pages of another wiki, which were not part of the fit: sum
+0.7 %, median 2.0 %, 95 % of the pages within 7.5 %, the worst 12.1 %. Chinese, Japanese, Korean, Russian, Spanish within 3 % in sum, French
-7 %, German -16 %, Polish -25 %: for other languages, and for other tokenizers, `Correction` learns a factor.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, RootModel, TypeAdapter

from enrich.errors import UserError
from enrich.files import SETTINGS_BYTES, Folders, read_bytes, write_text_atomically
from enrich.llm.failures import number_said
from enrich.llm.messages import Reply, Request, Usage

# Tokens for each match. A long word counts as a word too; its surplus is added here.
_WEIGHTS: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"[A-Za-z]+"), 0.945),
    (re.compile(r"[A-Za-z]{8,}"), 0.490),
    (re.compile(r"[0-9]{1,3}"), 1.648),
    (re.compile(r"[!-/:-@\[-`{-~]+"), 0.754),
    (re.compile(r"\n+"), 1.815),
)
# Each character outside ASCII, by script: letters of alphabets, typographic signs and symbols, ideographs and syllables and emoji.
_OUTSIDE_ASCII: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"[\u0080-\u1fff]"), 0.280),
    (re.compile(r"[\u2000-\u2e7f]"), 0.546),
    (re.compile(r"[\u2e80-\U0010ffff]"), 0.693),
)

# Tokens that a chat format adds to each message, and to the whole.
PER_MESSAGE, PER_REQUEST = 4, 3

# Without any usage of a model its factor is 1; so many estimated tokens of usage move it half-way.
_PRIOR_TOKENS = 2_000.0
# After so much usage the older usage counts half, so that a changed model shows.
_MEMORY_TOKENS = 5_000_000.0
_FURTHEST = 4.0
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Answers use about this share of their token limit until answers of the model have been seen: limits are set for the longest answers.
_OUTPUT_SHARE = 0.35
# Estimating a page takes over a millisecond, so a run learns from its first requests and then from a few.
_LEARNT_FIRST, _LEARNT_EACH = 20, 25
_LEAST = 256

Shape = TypeVar("Shape")


def learned(shape: type[Shape], file: Path, within: Folders | None, most: int = SETTINGS_BYTES) -> Shape:
    """What earlier runs learned and kept in `file` as JSON, of at most so many bytes; empty if it is missing or damaged."""
    with suppress(OSError, ValueError):
        return TypeAdapter(shape).validate_json(read_bytes(file, within, most))
    return shape()


def keep_learned(value: object, file: Path, within: Folders | None) -> None:
    """Write what was learned; an error is ignored, because an estimate must not fail a run."""
    with suppress(UserError):
        write_text_atomically(file, json.dumps(value) + "\n", durable=False, within=within)


def estimate_tokens(text: str) -> int:
    """Estimated tokens of `text`; 0 for an empty one. English Markdown: a page within 15 %, a wiki's sum within 5 %. Under 2 ms for 20 kB."""
    total = sum(len(pattern.findall(text)) * weight for pattern, weight in _WEIGHTS)
    if not text.isascii():
        total += sum(len(pattern.findall(text)) * weight for pattern, weight in _OUTSIDE_ASCII)
    return max(1, math.ceil(total)) if text else 0


class Correction(RootModel[dict[str, tuple[_Positive, _Positive]]]):
    """Per model, how many tokens the server counts for each estimated one, learned from the usage of its answers.

    The data are model → (estimated tokens, counted tokens), each a sum; pydantic reads and writes them.
    """

    root: dict[str, tuple[_Positive, _Positive]] = {}

    def learn(self, model: str, estimated: int, counted: int) -> None:
        """Add one request: the tokens that were estimated, and the tokens that its usage states. Zeros are left out."""
        if estimated <= 0 or counted <= 0:
            return
        before, after = self.root.get(model, (0.0, 0.0))
        if before > _MEMORY_TOKENS:
            before, after = before / 2, after / 2
        self.root[model] = (before + estimated, after + counted)

    def factor(self, model: str) -> float:
        """The factor for estimates, from 1/4 to 4; 1.0 for a model without usage."""
        estimated, counted = self.root.get(model, (0.0, 0.0))
        factor = (counted + _PRIOR_TOKENS) / (estimated + _PRIOR_TOKENS)
        return min(_FURTHEST, max(1 / _FURTHEST, factor))

    def apply(self, model: str, estimated: int) -> int:
        """The estimate, corrected for `model`."""
        return round(estimated * self.factor(model))


class TokenUse:
    """How a model's token usage compares to the estimate, kept in the cache folder: `input` for prompts, `output` for answers."""

    def __init__(self, folder: Path, within: Folders | None = None) -> None:
        self._file, self._within = folder / "tokens.json", within
        self._seen = 0
        stored = learned(dict[str, Correction], self._file, within)
        self.input, self.output = stored.get("input", Correction()), stored.get("output", Correction())

    def learn(self, request: Request, reply: Reply) -> None:
        """Compare one reply's usage with the estimate. Replies that took several requests are left out: their usage covers several prompts."""
        self._seen += 1
        if reply.requests == 1 and reply.usage.input and (self._seen <= _LEARNT_FIRST or self._seen % _LEARNT_EACH == 0):
            self.input.learn(request.model, input_tokens(request), reply.usage.input)
            self.output.learn(request.model, output_tokens(request), reply.usage.output)

    def expected(self, request: Request) -> Usage:
        """The tokens that a request is likely to take."""
        given, answer = input_tokens(request), output_tokens(request)
        return Usage(self.input.apply(request.model, given), output=self.output.apply(request.model, answer))

    def save(self) -> None:
        """Write the file."""
        keep_learned({"input": self.input.root, "output": self.output.root}, self._file, self._within)


def input_tokens(request: Request) -> int:
    """Estimated tokens of a request's messages and schema, without the model's correction."""
    schema = json.dumps(request.schema, separators=(",", ":")) if request.schema is not None else ""
    messages = sum(estimate_tokens(message.content) + PER_MESSAGE for message in request.messages)
    questions = sum(estimate_tokens("\n".join([one.instructions, *(said for _, said in one.levels)])) for one in request.scores)
    return messages + estimate_tokens(schema) + questions + PER_REQUEST


def output_tokens(request: Request) -> int:
    """Estimated tokens of a request's answer, without the model's correction."""
    return round(request.max_output_tokens * _OUTPUT_SHARE)


class ContextLimits:
    """The context of each model. What servers state is kept in the cache folder."""

    def __init__(self, folder: Path, configured: int | None, within: Folders | None = None) -> None:
        self._file, self._configured, self._within = folder / "context.json", configured, within
        self._learned = learned(dict[str, int], self._file, within)
        self._known: dict[str, int | None] = {}

    def of(self, model: str) -> int | None:
        """The model's context in tokens; None if it is not known. A server's word counts more than the library's."""
        if self._configured is not None:
            return self._configured
        if model in self._learned:
            return self._learned[model]
        if model not in self._known:
            self._known[model] = _context_in_library(model)
        return self._known[model]

    def learn(self, model: str, error: str, sent: int) -> int:
        """The context that a server's error states, which is kept; else, for this process, less than the tokens that were `sent`."""
        stated = number_said("n_ctx", error) or number_said("window", error) or 0
        known = stated if stated >= _LEAST else max(_LEAST, sent * 2 // 3)
        if self._configured is not None:
            return known
        changed = self._learned.get(model) != known
        self._learned[model] = known
        if changed and known == stated:
            keep_learned(self._learned, self._file, self._within)
        return known


def _context_in_library(model: str) -> int | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, None, None)
    except (LookupError, ValueError):
        return None
    return info.context_window
