"""Token buckets: at most so much per second, with a small burst."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """`rate` units a second, `burst` units at once. A request larger than the burst waits for a full bucket and leaves it in debt."""

    rate: float
    burst: float
    level: float = field(init=False)
    seen: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.level = self.burst

    @classmethod
    def per_minute(cls, amount: float) -> Bucket:
        """A bucket whose any 60 seconds hold at most `amount` single units (a second's worth may go at once)."""
        burst = max(1.0, amount / 60)
        return cls(rate=(amount - burst + 1) / 60, burst=burst)

    def wait(self, now: float, units: float = 1.0) -> float:
        """Seconds until `units` may go; 0: now."""
        self._refill(now)
        lacking = min(units, self.burst) - self.level
        # Less than a millionth of a unit is rounding, not lack.
        return lacking / self.rate if lacking > 1e-6 else 0.0

    def take(self, now: float, units: float = 1.0) -> None:
        self._refill(now)
        self.level -= units

    def change_rate(self, now: float, rate: float, burst: float) -> None:
        self._refill(now)
        self.rate, self.burst, self.level = rate, burst, min(self.level, burst)

    def _refill(self, now: float) -> None:
        if now > self.seen:
            self.level = min(self.burst, self.level + (now - self.seen) * self.rate)
            self.seen = now
