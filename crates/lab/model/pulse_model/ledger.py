"""Which slot of a check is under way, and which were missed.

One slot is under way at a time, and waited for until its timeout and five seconds more are over. Whoever
hands out the next one tells it as lost if it has not ended, and tells every due slot before the newest as
late. A result counts when its slot is under way, or is one that was handed out by a claim that never was
committed; whatever else comes is stale.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from .schedule import Grid

WAITED_FOR_MS = 5_000
RECORDING_MS = 1_000


class Gap(NamedTuple):
    """Slots that nobody looked at."""

    from_ms: int
    slots: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a check stands with its slots."""

    next_ms: int | None
    under_way_ms: int | None = None
    until_ms: int | None = None
    last_ms: int | None = None

    def make_due(self, now_ms: int) -> "Ledger":
        """A run was asked for: it is due now, but never before what was handed out."""
        newest = max((it for it in (self.under_way_ms, self.last_ms) if it is not None), default=None)
        at_ms = now_ms if newest is None else max(now_ms, newest + 1)
        if self.next_ms is not None and self.next_ms <= at_ms:
            return self
        return replace(self, next_ms=at_ms)

    def claim(
        self, grid: Grid, now_ms: int, timeout_ms: int
    ) -> tuple["Ledger", int, int, list[Gap]] | None:
        """Hands out the newest due slot: the ledger then, the slot, how long it may take to start, gaps."""
        if self.next_ms is None or now_ms < self.next_ms:
            return None
        if self.under_way_ms is not None and now_ms < self.until_ms:
            return None
        *behind, slot_ms = grid.walk(self.next_ms, now_ms)
        last_ms, gaps = self._gaps(behind)
        until_ms = now_ms + timeout_ms + WAITED_FOR_MS
        next_ms = grid.after(slot_ms)
        start_within_ms = max(next_ms, until_ms) - now_ms - timeout_ms - RECORDING_MS
        return Ledger(next_ms, slot_ms, until_ms, last_ms), slot_ms, start_within_ms, gaps

    def settle(self, grid: Grid, slot_ms: int) -> tuple["Ledger", list[Gap]] | None:
        """Takes the result of a slot: the ledger then, and the gaps before the slot."""
        if self.last_ms is not None and slot_ms <= self.last_ms:
            return None
        if slot_ms == self.under_way_ms:
            return Ledger(self.next_ms, last_ms=slot_ms), []
        if self.next_ms is None or slot_ms < self.next_ms:
            return None
        *behind, newest_ms = grid.walk(self.next_ms, slot_ms)
        if newest_ms != slot_ms:
            return None
        _, gaps = self._gaps(behind)
        return Ledger(grid.after(slot_ms), last_ms=slot_ms), gaps

    def _gaps(self, behind: list[int]) -> tuple[int | None, list[Gap]]:
        """The last slot told, and what is told: the one under way as lost, those behind as late."""
        last_ms, gaps = self.last_ms, []
        if self.under_way_ms is not None:
            last_ms = self.under_way_ms
            gaps.append(Gap(last_ms, 1, "lost"))
        if behind:
            last_ms = behind[-1]
            gaps.append(Gap(behind[0], len(behind), "late"))
        return last_ms, gaps
