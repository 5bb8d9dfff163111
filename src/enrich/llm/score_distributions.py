"""Scores as distributions: from the log-probabilities of a score's tokens, or from a decision endpoint.

A distribution is a mapping of values to probabilities that takes the score's place in an answer: `"score": {"4": 0.3, "5": 0.7}`.

*Log-probabilities* (chat completions, `logprobs` and `top_logprobs`). A score can have several tokens (`4`, `.`, `5`). For a token that was not
generated, what would have followed is not known: it is taken to be what followed the generated one.

*Decision endpoints* take text and typed questions and generate nothing. Two formats are in use: OpenAI's `/v1/decisions` (`openai` 3.54 and later,
`types/decision_create_params.py` and `types/decision.py`), and `/v1/systemone`, first of TypeSafe, now also of llama.cpp, Fireworks, Upstage and
others (`sparrow-decider` on PyPI serves it). A score question has two to ten levels from the lowest to the highest; its answer has a probability
for each level. Both bill input only.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from enrich.llm.messages import Request
from enrich.llm.replies import Completion, Token, malformed, parsed, usage_of

# The range of each score by its key in an answer.
RANGES: Mapping[str, tuple[float, float]] = {
    "score": (0.0, 10.0),
    **dict.fromkeys(("surprising", "important", "actionable", "neglected", "compact"), (1.0, 5.0)),
}
# With less of the probability known, a distribution says little about the rest.
_COVERED = 0.8
_SCORE = re.compile(rf'"({"|".join(RANGES)})"\s*:\s*(\d+(?:\.\d+)?)')
_BEGINNING = re.compile(r"\d+(?:\.\d*)?")
DECISIONS, SYSTEMONE = "decisions", "systemone"
OTHER_FORMAT = {DECISIONS: SYSTEMONE, SYSTEMONE: DECISIONS}


def with_distributions(text: str, tokens: Sequence[Token]) -> str:
    """The answer `text` with a distribution in place of each score for which `tokens` have one; the other scores stay numbers."""
    generated = "".join(token.text for token in tokens)
    # Thoughts and fences come before the answer, and characters of several tokens cannot be joined: scores are counted from the end.
    pairs = zip(reversed(list(_SCORE.finditer(text))), reversed(list(_SCORE.finditer(generated))), strict=False)
    for stated, given in pairs:
        if stated.groups() != given.groups():
            break
        found = _distribution(_spanning(tokens, given.start(2), given.end(2)), *RANGES[stated[1]])
        if found is not None:
            text = text[: stated.start(2)] + written(found) + text[stated.end(2) :]
    return text


def written(distribution: Mapping[float, float]) -> str:
    """The distribution as JSON, its values in order."""
    return json.dumps({f"{value:g}": round(share, 6) for value, share in sorted(distribution.items())})


def _spanning(tokens: Sequence[Token], start: int, end: int) -> list[tuple[Token, str, str]]:
    """(token, its text before the number, its text from there on) of the tokens that make a number, and of the one after it."""
    found, at = [], 0
    for token in tokens:
        after = at + len(token.text)
        if after > start and at <= end:
            before = max(0, start - at)
            found.append((token, token.text[:before], token.text[before:]))
        if after > end:
            break
        at = after
    return found


def _distribution(number: Sequence[tuple[Token, str, str]], low: float, high: float) -> dict[float, float] | None:
    found: defaultdict[float, float] = defaultdict(float)
    reached, prefix = 1.0, ""
    for place, (token, before, own) in enumerate(number):
        rest = "".join(later for _, _, later in number[place + 1 : -1])
        options = {text: chance for text, chance in token.alternatives if text != token.text} | {token.text: token.chance}
        for text, chance in options.items():
            if text == token.text and place < len(number) - 1:
                continue  # its values come with the next tokens
            text = text.removeprefix(before) if text.startswith(before) else text.lstrip() if not before.strip() else ""
            value = _value(prefix + text, rest, low, high)
            if value is not None:
                found[value] += reached * chance
        reached *= token.chance
        prefix += own
    total = sum(found.values())
    return {value: share / total for value, share in found.items() if share > 0} if total >= _COVERED else None


def _value(begun: str, rest: str, low: float, high: float) -> float | None:
    """The number that begins with `begun`; None if it is none, or out of range."""
    for text in (begun + rest, begun):
        match = _BEGINNING.match(text)
        if match is not None:
            # The digit after a point is not known: the middle of what it can be.
            value = float(match[0]) + (0.5 if match[0].endswith(".") and match.end() == len(text) else 0.0)
            if low <= value <= high:
                return round(value, 6)
    return None


def decision_fields(request: Request, form: str) -> dict[str, object]:
    """The body of a request to a decision endpoint: the messages' texts, and the questions in the endpoint's format."""
    text = "\n\n".join(message.content for message in request.messages)
    if form == SYSTEMONE:
        named = {
            _sent_name(one.name): {"type": "score", "instructions": one.instructions, "criteria": [said for _, said in one.levels]}
            for one in request.scores
        }
        return {"model": request.model, "state": text, "questions": named}
    listed: list[object] = []
    for one in request.scores:
        levels = [{"label": f"{value:g}", "description": said} for value, said in one.levels]
        listed.append({"type": "score", "name": _sent_name(one.name), "instructions": one.instructions, "levels": levels})
    return {"model": request.model, "input": text, "questions": listed}


def read_decision(body: bytes, request: Request) -> Completion:
    """The reply of a decision endpoint in either format, as an answer that has `ratings.rigor` under `ratings`, `rigor`.

    Raises `TransientError` if a level has no probability. A question that the model declined is the completion's refusal.
    """
    tree = parsed(body)
    answers = _answers(tree.get("answers"), request)
    answer: dict[str, dict[str, Any]] = {}
    refusal = ""
    for question in request.scores:
        stage, _, name = question.name.rpartition(".")
        given = answers.get(name, {})
        if given.get("type") == "refusal":
            refusal = f"the model declined to rate {name}"
            continue
        shares = _level_shares(given.get("probabilities"), len(question.levels))
        if shares is None:
            raise malformed(f"the reply has no probabilities for {name}")
        levels: defaultdict[float, float] = defaultdict(float)
        for (value, _), share in zip(question.levels, shares, strict=True):
            levels[value] += share
        answer.setdefault(stage, {})[name] = {"reason": "", "score": json.loads(written(levels))}
    return Completion(json.dumps(answer), "stop", refusal, usage_of(tree.get("usage"), "input_tokens", "output_tokens"))


def _answers(answers: object, request: Request) -> dict[str, Mapping[str, Any]]:
    """The answers by name: a mapping, or a list in the order of the questions."""
    if isinstance(answers, list):
        answers = dict(zip((_sent_name(question.name) for question in request.scores), answers, strict=False))
    return {name: answer for name, answer in answers.items() if isinstance(answer, Mapping)} if isinstance(answers, Mapping) else {}


def _level_shares(given: object, count: int) -> list[float] | None:
    """The probability of each level, the lowest first; None unless each has one and they sum to about 1."""
    if isinstance(given, list):
        given = {str(entry.get("value")): entry.get("probability") for entry in given if isinstance(entry, Mapping)}
    if not isinstance(given, Mapping):
        return None
    shares = [given.get(str(place)) for place in range(count)]
    numbers = [float(share) for share in shares if isinstance(share, int | float) and math.isfinite(share) and 0 <= share <= 1]
    total = sum(numbers)
    return [share / total for share in numbers] if len(numbers) == count and abs(total - 1) <= 1 - _COVERED else None


def _sent_name(name: str) -> str:
    return name.rpartition(".")[2]
