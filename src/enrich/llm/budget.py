"""Money: reserved before a request is sent, settled when it is known what it cost (DESIGN.md section 6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from enrich.errors import EnrichError


class BudgetSpent(EnrichError):  # noqa: N818 - it is no fault, it is the end that was asked for
    """The budget does not cover the next request, and nothing is in flight whose settlement could free some of it."""


# Sums of floats are off by less than this; no token costs so little.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Money held for one attempt, in USD."""

    usd: float


class Budget:
    """At most `limit_usd` is spent: what is settled plus what is reserved never exceeds it."""

    def __init__(self, limit_usd: float) -> None:
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        self._held: set[Reservation] = set()
        self._settled = asyncio.Event()

    @property
    def reserved_usd(self) -> float:
        return sum(held.usd for held in self._held)

    async def reserve(self, usd: float) -> Reservation:
        """Holds `usd` (an upper bound of one attempt's cost). Waits while settlements in flight may still make room; then `BudgetSpent`."""
        while self.spent_usd + self.reserved_usd + usd > self.limit_usd + _ROUNDING:
            if not self._held:
                raise BudgetSpent(f"${self.spent_usd:.4f} of ${self.limit_usd:.2f} is spent; the next request could cost ${usd:.4f}")
            self._settled.clear()
            await self._settled.wait()
        reservation = Reservation(usd)
        self._held.add(reservation)
        return reservation

    def settle(self, reservation: Reservation, usd: float | None) -> None:
        """Replaces the reservation by what the attempt cost; None (nobody knows) counts as the whole reservation. Once per reservation."""
        self._held.remove(reservation)
        self.spent_usd += reservation.usd if usd is None else usd
        self._settled.set()
