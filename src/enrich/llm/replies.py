"""What a server's reply says: the answer's text without the model's thoughts, why it ended, its usage; whole or streamed.

Nothing from a server is trusted: malformed parts are treated as missing. Thinking models write `<think>…</think>` before the answer or fill
`reasoning_content`, and many models put JSON into prose or code fences. That much is read; nothing else is guessed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from enrich.llm.failures import TransientError
from enrich.llm.messages import Usage

_THOUGHTS = re.compile(r"\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_THOUGHTS_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
# The text between two lines that begin with a fence.
_FENCED = re.compile(r"^[^\S\n]*```[^\n]*\n(.*?)^[^\S\n]*```[^\n]*$", re.MULTILINE | re.DOTALL)
_BEGINS_OBJECT = re.compile(r'\{\s{0,20}"')
# So many openings of an object are tried: reading one takes time in proportion to the text.
_OPENINGS = 40
# Characters at an answer's end in which a repetition is looked for.
_REPEATED = 600
# Bytes. An answer of 30,000 tokens is about 200 kB of JSON. A stream repeats some 200 bytes for each token, log-probabilities have a kB for each.
LARGEST_BODY, LARGEST_STREAM = 4_000_000, 12_000_000
_STREAM_STARTS = (b"data:", b":", b"event:", b"id:", b"retry:")


class EmbeddedError(Exception):
    """An error inside a reply with status 200, as OpenRouter and gateways send it. `status` is the HTTP status it means, `body` as for one."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
        super().__init__(str(status))


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token with its probability, and the likeliest ones at its place with theirs."""

    text: str
    chance: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A well-formed reply: its text, why it ended (`stop`, `length`, `content_filter`, …), the model's refusal, its usage if stated.

    `reasoned`: the model wrote thoughts before its answer, which are not in `text`. `runaway`: its end is one piece over and over. `tokens` are
    those that were generated, thoughts included, if the server gives their log-probabilities.
    """

    text: str
    finish: str
    refusal: str
    usage: Usage | None
    reasoned: bool = False
    runaway: bool = False
    tokens: tuple[Token, ...] = ()


def read_completion(body: bytes) -> Completion:
    """The first choice of a chat completion, whole or streamed. Raises `TransientError` (malformed) and `EmbeddedError`."""
    tree = _joined(body) if body.lstrip()[:6].startswith(_STREAM_STARTS) else parsed(body)
    choice = _first_choice(tree)
    for error in (choice.get("error"), None if choice.get("message") else tree.get("error")):
        if error:
            raise EmbeddedError(_status(error), json.dumps({"error": error}).encode())
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise malformed("the reply has no answer (`choices` is missing or empty)")
    content = message.get("content")
    # The content is a string or a list of parts, each with a text or a refusal.
    parts = [{"text": part} if isinstance(part, str) else _mapping(part) for part in content] if isinstance(content, list) else []
    whole = _string(content) or "".join(_string(part.get("text")) for part in parts)
    text, thoughts = _split_thoughts(whole)
    reasoning = _string(message.get("reasoning_content")) or _string(message.get("reasoning"))
    finish = _string(choice.get("finish_reason"))
    if not whole.strip() and finish != "length" and json_object(reasoning) is not None:
        # A server whose parser takes everything for thoughts, as vLLM does where thinking is off.
        text = reasoning
    usage = _mapping(tree.get("usage"))
    return Completion(
        text=text,
        finish=finish,
        refusal=_string(message.get("refusal")) or "".join(_string(part.get("refusal")) for part in parts),
        usage=usage_of(usage),
        reasoned=bool(thoughts or reasoning) or bool(_count(_mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))),
        runaway=repeats_itself(whole or reasoning),
        tokens=_tokens(_mapping(choice.get("logprobs")).get("content")),
    )


def _first_choice(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = tree.get("choices")
    return _mapping(choices[0] if isinstance(choices, list) and choices else None)


def _tokens(listed: object) -> tuple[Token, ...]:
    """The tokens with their probabilities; () if one of them is malformed, because the others would be at a wrong place."""
    found = []
    for entry in listed if isinstance(listed, list) else ():
        own, *others = (_token(one) for one in (entry, *(_mapping(entry).get("top_logprobs") or ())))
        if own is None:
            return ()
        found.append(Token(*own, tuple(filter(None, others))))
    return tuple(found)


def _token(entry: object) -> tuple[str, float] | None:
    text, logprob = _mapping(entry).get("token"), _mapping(entry).get("logprob")
    if not isinstance(text, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float) or math.isnan(logprob):
        return None
    return text, math.exp(min(logprob, 0.0))


def json_object(text: str) -> dict[str, Any] | None:
    """The one JSON object in a text: the whole, one in a code fence, or one in prose. None if there is none or more than one.

    >>> json_object('Here it is: {"a": 1}. Tell me more!'), json_object('{"a": 1} or {"a": 2}')
    ({'a': 1}, None)
    """
    stripped = text.strip()
    if (whole := _object(stripped)) is not None:
        return whole
    fenced = (_object(part.strip()) for part in _FENCED.findall(stripped))
    for objects in ([one for one in fenced if one is not None], list(_objects(stripped))):
        if objects:
            return objects[0] if all(one == objects[0] for one in objects) else None
    return None


def _object(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects in prose, outermost ones only."""
    decoder, place = json.JSONDecoder(), text.find("{")
    for _ in range(_OPENINGS):
        if place < 0:
            return
        try:
            data, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            if _BEGINS_OBJECT.match(text, place):
                return  # a broken object: what is inside of it is not the answer
            data, end = None, place + 1
        if isinstance(data, dict) and data:
            yield data
        place = text.find("{", end)


def _split_thoughts(text: str) -> tuple[str, str]:
    """(the answer, the thoughts before it). Templates often open the thoughts themselves, so that only their end is in the text."""
    if "<" not in text or _object(text.strip()) is not None:
        return text, ""
    if ends := list(_THOUGHTS_END.finditer(text)):
        return text[ends[-1].end() :], text[: ends[-1].start()]
    return ("", text) if _THOUGHTS.match(text) else (text, "")


def repeats_itself(text: str) -> bool:
    """Whether the end of a text is one piece over and over (of up to 150 characters): more room would be spent in vain.

    >>> repeats_itself('{"score": 5e+1' + "0" * 1000), repeats_itself("So many words. " * 50), repeats_itself("A text that was cut off")
    (True, True, False)
    """
    end = text[-_REPEATED:]
    return len(end) == _REPEATED and any(end.startswith(end[piece:]) for piece in range(1, _REPEATED // 4 + 1))


def malformed(what: str) -> TransientError:
    """The error of a reply without an answer in it."""
    return TransientError("invalid", what, answered=True)


def parsed(body: bytes) -> Mapping[str, Any]:
    """The JSON object in a response. Raises `TransientError`."""
    try:
        return _mapping(json.loads(body))
    except (ValueError, RecursionError):
        raise malformed("the reply is not JSON") from None


def _joined(body: bytes) -> Mapping[str, Any]:
    """The chunks of a stream as one completion. Raises `TransientError` for a stream that broke off."""
    texts: dict[str, list[str]] = {"content": [], "reasoning_content": [], "reasoning": [], "refusal": []}
    tree: dict[str, Any] = {}
    tokens: list[Any] = []
    finish, done, size = "", False, 0
    for line in body.splitlines():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            done = True
            break
        chunk = parsed(data)
        tree |= {key: chunk[key] for key in ("usage", "error") if chunk.get(key)}
        choice = _first_choice(chunk)
        tree |= {"error": choice["error"]} if choice.get("error") else {}
        finish = _string(choice.get("finish_reason")) or finish
        tokens += _mapping(choice.get("logprobs")).get("content") or ()
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        for name, pieces in texts.items():
            piece = _string(delta.get(name))
            size += len(piece)
            pieces.append(piece)
    if size > LARGEST_BODY:
        raise malformed(f"the streamed answer has more than {LARGEST_BODY:,} characters")
    if "error" in tree:
        return tree
    if not finish and not done:
        raise malformed("the stream broke off")
    message = {name: "".join(pieces) for name, pieces in texts.items()}
    return {**tree, "choices": [{"message": message, "finish_reason": finish or "stop", "logprobs": {"content": tokens}}]}


def _status(error: object) -> int:
    """The HTTP status that an error inside a reply means; 500 (tried again) if it does not say."""
    fields = _mapping(error)
    code = _count(fields.get("code")) or _count(fields.get("status")) or _count(fields.get("status_code")) or 0
    return code if 400 <= code < 600 else 500


def usage_of(stated: object, given_name: str = "prompt_tokens", output_name: str = "completion_tokens") -> Usage | None:
    """The usage as stated, None if it is missing or senseless."""
    tree = _mapping(stated)
    given, output = _count(tree.get(given_name)), _count(tree.get(output_name))
    if given is None or output is None:
        return None
    details = _mapping(tree.get(f"{given_name}_details"))
    cached = min(_count(details.get("cached_tokens")) or 0, given)
    written = min(_count(details.get("cache_write_tokens")) or _count(details.get("cache_creation_tokens")) or 0, given - cached)
    return Usage(input=given, cached_input=cached, cache_write=written, output=output)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    """A whole number ≥ 0, as a number or as digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None
