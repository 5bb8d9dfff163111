"""One request to one model, until there is a usable answer or a reason why not.

There is one layer of transport retries (the SDK's own are off); asking again because an answer does not validate is the caller's task. A 429
holds all requests to its model and uses up no retry. An answer that its ceiling cut off is asked for again with twice the room, never returned.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from enrich.errors import AnswerError, ServiceError
from enrich.llm.budget import Budget, counted_usage
from enrich.llm.limits import Limits, LimitSettings, Turn
from enrich.llm.messages import Event, Reply, Request, Tally, Usage
from enrich.llm.parameters import LEAST_ROOM, Parameters, Structured, reasoning_room
from enrich.llm.prices import Price, Prices
from enrich.llm.server import (
    Completion,
    Endpoint,
    RefusedParameterError,
    ThrottledError,
    TransientError,
    failure_of_status,
    failure_of_transport,
    read_completion,
    shown,
)
from enrich.llm.transport import UnreadableBodyError, headers_of, open_sdk

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

# Twice the room, at most twice: an answer that is cut off at four times its room would not end.
_RAISES = 2
# Characters at an answer's end in which a repetition is looked for.
_REPEATED = 600
# A request is changed at most so many times because the server refuses something in it.
_REWRITES = 4
# An answer of more characters than its output ceiling can hold, and more than this, is not checked but refused: checks take time.
_CHARACTERS_PER_TOKEN, _ANY_ANSWER = 16, 20_000


@dataclass(frozen=True, slots=True)
class ClientSettings(LimitSettings):
    """How requests are sent. Times in seconds; `attempts` includes the first one; `reasoning_room` in tokens, None: by the model's name."""

    timeout_seconds: float = 120.0
    structured_output: str = "json_schema"
    reasoning_room: int | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    attempts: int = 4
    retry_wait_seconds: float = 0.5
    longest_retry_wait_seconds: float = 20.0


class Client:
    """Asks models at one endpoint. An async context manager; `send` may be called any number of times at once.

    `prices` gives costs; with a `budget` every model's price must be known. `events` is called with an `Event` for every attempt, note
    and hold.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ClientSettings,
        prices: Prices,
        budget: Budget | None = None,
        events: Callable[[Event], None] | None = None,
    ) -> None:
        self.endpoint, self.settings, self.budget, self._prices = endpoint, settings, budget, prices
        self._report = events or (lambda event: None)
        self._random = random.Random()
        self.limits = Limits(settings, clock=monotonic, rng=self._random)
        self._parameters: dict[str, Parameters] = {}
        self._noted: set[str] = set()
        self._stopping = asyncio.Event()
        self._reached = False
        self._ended: ServiceError | None = None
        self._sdk: AsyncOpenAI | None = None
        self._options: Any = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sdk is not None:
            await self._sdk.close()

    def stop(self, why: str) -> None:
        """Send nothing more: requests in flight are finished, all others (waiting, or pausing before a retry) get a final `ServiceError`."""
        self._ended = self._ended or ServiceError("stopped", why, final=True)
        self.limits.stop(self._ended)
        self._stopping.set()

    # Where answers come at once there is one round, and nothing is kept of a reply. `runs.service.Engine` says what these do.
    keeps_replies = False

    async def begin_round(self) -> Sequence[Any]:
        return ()

    async def page_done(self) -> None:
        pass

    async def end_round(self) -> bool:
        return False

    def batch_of(self, key: str) -> str:
        del key
        return ""

    def remembered(self, key: str, name: str, number: int | None) -> int | None:
        del key, name
        return number

    def forget(self, key: str) -> None:
        pass

    def status(self) -> str:
        """The requests in flight and what limits them, per model."""
        return self.limits.status()

    async def send(self, request: Request, tally: Tally | None = None) -> Reply:
        """The model's answer to `request`: text that was not cut off; whether it fits the schema is for the caller to check.

        `tally` is added to after each attempt, so that what a failure cost is known too. Raises `ServiceError` (final: no later request
        can succeed), `AnswerError` (`refused`, `filtered`, `cut-off`, `too-long`, `too-large`, `invalid`, `key-in-answer`), `BudgetSpent`, and
        `UserError` for an unknown price under a budget.
        """
        price = self._prices.required(request.model) if self.budget is not None else self._prices.price_of(request.model)
        own = Tally()
        room = reasoning_room(request.model) if self.settings.reasoning_room is None else self.settings.reasoning_room
        asked = Asked(request, price, request.max_output_tokens + room, (own,) if tally is None else (own, tally))
        for _ in range(_RAISES + 1):
            completion = await self._retried(asked)
            if completion.finish != "length":
                return Reply(completion.text, own.usage, own.cost_usd, own.requests)
            if _repeats_itself(completion.text):
                raise AnswerError("cut-off", "the answer repeats itself without an end")
            ceiling = self._ceiling(asked)
            asked.room *= 2
            if self._ceiling(asked) <= ceiling or not self._parameters_of(request.model).ceiling_name:
                break
        raise AnswerError("cut-off", f"still cut off at {ceiling} tokens")

    async def _retried(self, asked: Asked) -> Completion:
        """A completion, cut off or not, through all transport failures. The only retry layer."""
        try:
            return await self._once(asked)
        except TransientError as error:
            if self.settings.attempts == 1:
                raise self._given_up(error) from None
        # Loaded and used only after a failure: it would be a quarter of an ordinary request's CPU.
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        def wait(failures: int) -> float:
            longest = min(self.settings.longest_retry_wait_seconds, self.settings.retry_wait_seconds * 2.0 ** (failures - 1))
            # Random waits, so that requests which failed together do not come back together.
            return longest * self._random.uniform(0.5, 1.0)

        await self._pause(wait(1))
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.settings.attempts - 1),
            wait=lambda state: wait(state.attempt_number + 1),
            retry=retry_if_exception_type(TransientError),
            sleep=self._pause,
            reraise=True,
        )
        try:
            return await retrying(self._once, asked)
        except TransientError as error:
            raise self._given_up(error) from None

    def _given_up(self, error: TransientError) -> AnswerError | ServiceError:
        """What the last of several failures means to the caller."""
        if error.cause == "invalid":
            return AnswerError("invalid", error.detail)
        if error.cause == "unreachable" and not self._reached:
            self._ended = ServiceError(
                "unreachable", error.detail, final=True, do="start the server, or check llm.base_url and the network"
            )
            return self._ended
        return ServiceError(error.cause, error.detail)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past `stop`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _once(self, asked: Asked) -> Completion:
        """One attempt for the retry layer: waits for its turn and through 429s, and rewrites the request if a 400 asks for it."""
        model = asked.request.model
        while True:
            # Roughly: enough for pacing, where a closer estimate would cost too much for every request.
            tokens = sum(len(message.content) for message in asked.request.messages) // 4
            turn = await self.limits.turn(model, tokens + asked.room)
            # Written now and not before the wait: it includes what other requests learned meanwhile.
            parameters, ceiling = self._parameters_of(model), self._ceiling(asked)
            try:
                return await self._attempt(asked, turn, parameters.body(asked.request, ceiling), ceiling)
            except ThrottledError:
                continue
            except RefusedParameterError as error:
                turn.unusable(error.detail)
                self._rewrite(asked, parameters, error, ceiling)
            except ServiceError as error:
                if error.cause == "bad-request":
                    turn.unusable(error.detail)
                raise
            finally:
                turn.end()

    async def _attempt(self, asked: Asked, turn: Turn, body: bytes, ceiling: int) -> Completion:
        """Send one HTTP request, under the budget, and account for its outcome."""
        if self._ended is not None:
            raise self._ended
        model = asked.request.model
        most = None if asked.price is None else asked.price.at_most(len(body), ceiling)
        reservation = await self.budget.reserve(model, most) if self.budget is not None and most is not None else None
        if self._ended is not None:  # while this waited for money
            if self.budget is not None and reservation is not None:
                self.budget.settle(reservation, 0.0)
            raise self._ended
        usage, counted, cause, seen = None, None, "cancelled", False
        # What the attempt costs if no usage says so: its upper bound, or nothing if the server turned it away unread.
        unstated = most
        started = monotonic()
        try:
            response = await self._post(body)
            self._reached = True
            turn.heard(response.headers)
            if response.status_code != 200:
                unstated = None if most is None else 0.0
                raise failure_of_status(response.status_code, response.headers, response.content, model=model, endpoint=self.endpoint)
            completion = read_completion(response.content)
            seen = True
            counted, wrong = counted_usage(completion.usage, len(body), len(completion.text.encode("utf-8", "replace")), ceiling)
            usage = completion.usage if counted is not None else None
            if wrong and completion.usage is not None:
                stated = f"{completion.usage.input} tokens in and {completion.usage.output} out"
                self._note_once(model, f"states a usage of {stated}, {wrong}")
            cause = "cut-off" if completion.finish == "length" else ""
            self._check(completion, asked.request, ceiling)
            turn.clean(monotonic() - started)
            return completion
        except TransientError as error:
            cause, unstated = error.cause, most if error.sent or most is None else 0.0
            self._reached = self._reached or error.answered
            turn.failed(error.asked_wait)
            raise
        except ThrottledError as error:
            cause = "rate-limited"
            seconds, why = turn.throttled(error.asked_wait)
            self._report(Event("held", model, why, seconds=seconds))
            raise
        except RefusedParameterError:
            cause = "parameter"
            raise
        except AnswerError as error:
            cause = error.cause
            turn.clean(monotonic() - started)
            raise
        except ServiceError as error:
            cause = error.cause
            self._ended = error if error.final else self._ended
            raise
        finally:
            cost = unstated if counted is None or asked.price is None else asked.price.cost(counted)
            if self.budget is not None and reservation is not None:
                stated_cost, cost = cost, self.budget.settle(reservation, cost, seen=seen)
                if stated_cost is not None and cost < stated_cost:
                    self._note_once(model, f"states a usage of ${stated_cost:.4f}, more than was reserved: ${cost:.4f} counts")
            for tally in asked.tallies:
                tally.add(usage or Usage(), cost)
            self._report(Event("attempt", model, "", cause, monotonic() - started, usage, cost))

    async def _post(self, body: bytes) -> httpx2.Response:
        """The HTTP response to `body`, read to its end within the timeout. Raises `TransientError` if there is none."""
        # Only with the first request: the SDK costs half a second, and a run whose answers are all cached sends none.
        import httpx2
        from openai import APIConnectionError, APIStatusError

        if self._sdk is None:
            self._sdk = open_sdk(self.endpoint, self.settings.timeout_seconds, self.settings.concurrency)
            self._options = {"headers": headers_of(self.endpoint)}
        try:
            # A server that sends a byte now and then never trips the transport's own timeouts.
            async with asyncio.timeout(self.settings.timeout_seconds):
                return await self._sdk.post("/chat/completions", cast_to=httpx2.Response, content=body, options=self._options)
        except APIStatusError as error:
            return error.response
        except (APIConnectionError, TimeoutError, OSError, UnreadableBodyError) as error:
            raise failure_of_transport(error, self.endpoint) from None
        except Exception as error:
            import aiohttp

            # The SDK's transport does not translate some of aiohttp's errors (a reply that is not HTTP).
            if isinstance(error, aiohttp.ClientError):
                raise failure_of_transport(error, self.endpoint) from None
            raise

    def _check(self, completion: Completion, request: Request, ceiling: int) -> None:
        """Raise if a well-formed reply is not an answer."""
        if completion.refusal:
            raise AnswerError("refused", shown(completion.refusal, self.endpoint))
        if completion.finish == "content_filter":
            raise AnswerError("filtered", "the server's content filter stopped the answer")
        if not completion.text.strip() and completion.finish != "length":
            raise TransientError("invalid", "the answer is empty", answered=True)
        if len(completion.text) > max(_ANY_ANSWER, _CHARACTERS_PER_TOKEN * ceiling):
            raise AnswerError(
                "too-large", f"the answer has {len(completion.text):,} characters, far more than its {ceiling:,} tokens allow"
            )
        if self.endpoint.leaked_in(completion.text, [message.content for message in request.messages]):
            raise AnswerError("key-in-answer", "the answer has the API key in it, so it is not kept")

    def _note_once(self, model: str, what: str) -> None:
        """Report something about a model's usage, the first time it happens."""
        if model not in self._noted:
            self._noted.add(model)
            self._report(Event("note", model, f"{model} {what}"))

    def _parameters_of(self, model: str) -> Parameters:
        if model not in self._parameters:
            structured: Structured = "json_object" if self.settings.structured_output == "json_object" else "json_schema"
            options = {"reasoning_effort": self.settings.reasoning_effort, "service_tier": self.settings.service_tier}
            self._parameters[model] = Parameters.first(is_openai=self.endpoint.is_openai, structured=structured, options=options)
        return self._parameters[model]

    def _ceiling(self, asked: Asked) -> int:
        """The output ceiling of the next attempt."""
        ceiling = self._parameters_of(asked.request.model).ceiling(asked.request, asked.room)
        return ceiling if asked.most is None else min(ceiling, asked.most)

    def _rewrite(self, asked: Asked, written_with: Parameters, error: RefusedParameterError, sent: int) -> None:
        """Change how requests to the model are written, or this one alone if the server says what its prompt leaves room for.

        Requests that were sent before a change are only written again. Raises if nothing is left to change.
        """
        model, refused = asked.request.model, error.refused
        asked.rewrites += 1
        if refused.context is not None and refused.most is not None:
            if refused.most < min(LEAST_ROOM, asked.request.max_output_tokens):
                raise AnswerError("too-long", error.detail)
            asked.most = min(refused.most, asked.most or refused.most)
        changed = written_with.without(refused, sent) if self._parameters_of(model) == written_with else None
        if changed is not None:
            self._parameters[model], note = changed
            self._report(Event("note", model, f"{model} {note}"))
        rewritten = self._parameters_of(model) != written_with or self._ceiling(asked) < sent
        if not rewritten or asked.rewrites > _REWRITES:
            raise ServiceError("bad-request", error.detail)


@dataclass(slots=True)
class Asked:
    """One request on its way: `room` is the output that it wants in tokens, `tallies` what its attempts are added to.

    `most` is the largest ceiling that the server said fits its prompt, `rewrites` how often it was changed after a 400, `replies` how many
    responses to it were read in batches.
    """

    request: Request
    price: Price | None
    room: int
    tallies: tuple[Tally, ...]
    most: int | None = None
    rewrites: int = 0
    replies: int = 0


def _repeats_itself(text: str) -> bool:
    """Whether the end of a text is one piece over and over (of up to 150 characters): more room would be spent in vain.

    >>> _repeats_itself('{"score": 5e+1' + "0" * 1000), _repeats_itself("So many words. " * 50), _repeats_itself("A text that was cut off")
    (True, True, False)
    """
    end = text[-_REPEATED:]
    return len(end) == _REPEATED and any(end.startswith(end[piece:]) for piece in range(1, _REPEATED // 4 + 1))
