"""When a check is due.

Slots are milliseconds since 1970. A check is due when it is created, and from then on at the instants
`phase + k * interval`, the first of them at least half an interval after the slot before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

# The two highest bits of a UUID's second half are its variant, the same for all.
RANDOM_BITS = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants at which one check is due."""

    interval_ms: int
    phase_ms: int

    @classmethod
    def of(cls, check: UUID, interval_ms: int) -> "Grid":
        """The grid of a check, its phase taken from the random half of its id."""
        return cls(interval_ms, (check.int & RANDOM_BITS) % interval_ms)

    def after(self, slot_ms: int) -> int:
        """The slot that follows: the first of the grid at least half an interval later."""
        earliest = slot_ms + (self.interval_ms + 1) // 2
        steps = -((self.phase_ms - earliest) // self.interval_ms)
        return self.phase_ms + steps * self.interval_ms

    def walk(self, first_ms: int, until_ms: int) -> Iterator[int]:
        """All slots from `first_ms` on, up to and including `until_ms`."""
        slot_ms = first_ms
        while slot_ms <= until_ms:
            yield slot_ms
            slot_ms = self.after(slot_ms)
