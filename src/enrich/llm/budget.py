"""A budget that is never exceeded, also where a server states a wrong usage: money is reserved before a request and settled after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from enrich.errors import EnrichError
from enrich.llm.messages import Usage

# A usage of more than so many times what was sent or allowed is a server's mistake and not counted.
MOST_TIMES = 4
# No text has more bytes for a token than this (a page of tables with long runs of blanks comes nearest).
_BYTES_PER_TOKEN = 16
# Sums of floats are off by less than this, and every token costs more.
_ROUNDING = 1e-9


class BudgetSpent(EnrichError):  # noqa: N818 (the end that was asked for, not a failure)
    """The budget does not cover the next request, and no request in flight could free some of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Money held for one attempt, in USD. `bound`: its upper bound by the text sent and the output ceiling."""

    model: str
    bound: float
    usd: float


class Budget:
    """Money in USD: what is spent plus what is reserved never exceeds `limit_usd`. `spent_usd` starts with what others have spent.

    A server can use more than a request's bound (hidden text, ignored ceilings), so reservations are bounds times the most that the model was
    seen to use. Before anything was seen, one request at a time is sent, with up to `MOST_TIMES` its bound reserved.
    """

    def __init__(self, limit_usd: float, spent_usd: float = 0.0) -> None:
        self.limit_usd, self.spent_usd = limit_usd, spent_usd
        self._held: set[Reservation] = set()
        self._times: dict[str, float] = {}
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def reserved_usd(self) -> float:
        return sum(held.usd for held in self._held)

    async def reserve(self, model: str, bound: float) -> Reservation:
        """Reserve money for one attempt. Waits while requests in flight may still free some; then raises `BudgetSpent`."""
        while True:
            left = self.limit_usd - self.spent_usd - self.reserved_usd + _ROUNDING
            times = self._times.get(model)
            wanted = bound * (times or 1.0)
            if wanted <= left and not (times is None and any(held.model == model for held in self._held)):
                break
            if not self._held:
                raise BudgetSpent(f"${self.spent_usd:.4f} of ${self.limit_usd:.2f} is spent; the next request could cost ${wanted:.4f}")
            settled = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await settled
        reservation = Reservation(model, bound, wanted if times is not None else min(MOST_TIMES * bound, left))
        self._held.add(reservation)
        return reservation

    def commit(self, bound: float) -> None:
        """Count money that will be spent later: a request of a batch. Raises `BudgetSpent` if it is not there."""
        if self.spent_usd + self.reserved_usd + bound > self.limit_usd + _ROUNDING:
            raise BudgetSpent(f"${self.spent_usd:.4f} of ${self.limit_usd:.2f} is spent; the next request could cost ${bound:.4f}")
        self.spent_usd += bound

    def settle(self, reservation: Reservation, usd: float | None, *, seen: bool = False) -> float:
        """Replace the reservation by what the attempt cost, and return that. None (unknown) counts as the request's bound.

        `seen`: the server answered, so that `usd` says how much the model uses. More than was reserved is not counted.
        """
        self._held.remove(reservation)
        cost = min(reservation.bound if usd is None else usd, reservation.usd)
        self.spent_usd += cost
        if seen:
            times = usd / reservation.bound if usd is not None and reservation.bound else 1.0
            self._times[reservation.model] = min(MOST_TIMES, max(1.0, times, self._times.get(reservation.model, 1.0)))
        waiting, self._waiting = self._waiting, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)
        return cost


def counted_usage(stated: Usage | None, sent_bytes: int, answer_bytes: int, ceiling: int) -> tuple[Usage | None, str]:
    """(the usage that is counted, what was wrong with the stated one or ""); None: unknown, so that the attempt's upper bound counts.

    More than a few times of what was sent or allowed is a server's mistake; less than the texts' tokens at the least is raised to them.
    """
    if stated is None:
        return None, ""
    if stated.input > MOST_TIMES * sent_bytes + 1000 or stated.output > MOST_TIMES * ceiling + 1000:
        return None, "more than was sent or allowed: the upper bound counts"
    least_input, least_output = sent_bytes // _BYTES_PER_TOKEN, answer_bytes // _BYTES_PER_TOKEN
    if stated.input >= least_input and stated.output >= least_output:
        return stated, ""
    raised = Usage(max(stated.input, least_input), stated.cached_input, stated.cache_write, max(stated.output, least_output))
    return raised, "less than the texts have: their least number of tokens counts"
