"""What each slot of a check may have come to, judged by the hits at its target.

A slot that was hit must count, with the outcome of its hits. It may be told as missed instead only if a
process was killed while it was under way, and not even then when the next slot was hit too early: nobody
hands out a slot while the one before is waited for, so that one had ended by its result. A slot that was
never hit can tell nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from .health import Outcome
from .ledger import WAITED_FOR_MS
from .logs import Check, Fault, Hit
from .schedule import Grid

# How far the first slot may lie from the creation of its check.
FIRST_WITHIN_MS = 250
# From the end of a look until its result is recorded, when nobody dies.
RECORDED_WITHIN_MS = 1_000
# From a slot's hand-over to the queue, which is no later than its first hit, until that is committed; and
# from a scheduler's death until another goes on.
COMMITTED_WITHIN_US = 1_000_000
# The clocks of the lab and of the store are one machine's, read at different moments.
SKEW_MS = 50

UNSEEN = frozenset({Outcome.MISSED, Outcome.INCONCLUSIVE})


class Reading(NamedTuple):
    """A slot, and the outcomes it may have had."""

    slot_ms: int
    outcomes: frozenset[Outcome]
    hits: list[Hit]

    @property
    def ambiguous(self) -> bool:
        """Whether a slot that was hit may have come to more than one thing."""
        return bool(self.hits) and len(self.outcomes) > 1


class Killings:
    """Instants at which processes died, to be asked for spans."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        faults = sorted(faults, key=lambda fault: fault.at_us)
        self._at_us = [fault.at_us for fault in faults]
        self._servers = [fault for fault in faults if fault.role != "worker"]

    def within(self, from_us: int, until_us: int) -> bool:
        """Whether any process died then."""
        return bisect_left(self._at_us, from_us) < bisect_right(self._at_us, until_us)

    def left_uncommitted(self, from_us: int, until_us: int, due_us: int) -> bool:
        """Whether a scheduler died in a span, and the next slot was due before that was made up for."""
        return any(
            from_us <= it.at_us <= until_us and due_us <= it.back_us + COMMITTED_WITHIN_US
            for it in self._servers
        )


def read(
    check: Check, hits: dict[int, list[Hit]], killings: Killings, until_ms: int
) -> tuple[list[Reading], list[int]]:
    """The slots of a check up to `until_ms`, and the slots hit that are none of its."""
    grid = Grid.of(check.uuid, check.interval_ms)
    chain = list(grid.walk(_first(check, hits), until_ms))
    known = set(chain)
    strays = [slot_ms for slot_ms in hits if slot_ms <= until_ms and slot_ms not in known]
    readings, next_us = [], _first_hit_after(hits, until_ms)
    for slot_ms in reversed(chain):
        mine = hits.get(slot_ms, [])
        readings.append(Reading(slot_ms, _outcomes(check, grid, slot_ms, mine, next_us, killings), mine))
        if mine:
            next_us = mine[0].at_us
    readings.reverse()
    return readings, strays


def _first(check: Check, hits: dict[int, list[Hit]]) -> int:
    near = [it for it in hits if abs(it - check.created_ms) <= FIRST_WITHIN_MS]
    return min(near, default=check.created_ms)


def _first_hit_after(hits: dict[int, list[Hit]], slot_ms: int) -> int | None:
    later = [it for it in hits if it > slot_ms]
    return hits[min(later)][0].at_us if later else None


def _outcomes(
    check: Check, grid: Grid, slot_ms: int, hits: list[Hit], next_us: int | None, killings: Killings
) -> frozenset[Outcome]:
    if not hits:
        return UNSEEN
    outcomes = frozenset().union(*(_seen(check, hit) for hit in hits))
    if _may_be_missed(check, grid, slot_ms, hits[0], next_us, killings):
        return outcomes | {Outcome.MISSED}
    return outcomes


def _seen(check: Check, hit: Hit) -> frozenset[Outcome]:
    """What a look that met this must have come to."""
    if hit.status != check.expected_status or hit.delay_ms > 2 * check.timeout_ms:
        return frozenset({Outcome.FAIL})
    if hit.delay_ms * 2 > check.timeout_ms:
        return frozenset({Outcome.OK, Outcome.FAIL})
    return frozenset({Outcome.OK})


def _may_be_missed(
    check: Check, grid: Grid, slot_ms: int, hit: Hit, next_us: int | None, killings: Killings
) -> bool:
    waited_for_us = (slot_ms + check.timeout_ms + WAITED_FOR_MS - SKEW_MS) * 1000
    if next_us is not None and next_us < waited_for_us:
        return _handed_out_in_vain(check, grid.after(slot_ms), hit, slot_ms, killings)
    # The window itself is not known from outside: it ends no later than at the next hit.
    until_us = waited_for_us if next_us is None else next_us
    return killings.within(slot_ms * 1000, until_us)


def _handed_out_in_vain(
    check: Check, next_ms: int, hit: Hit, slot_ms: int, killings: Killings
) -> bool:
    """Whether a scheduler may have died between handing out a slot and committing that, and another have
    gone on with the next one before the result was in."""
    committed_us = hit.at_us + COMMITTED_WITHIN_US
    if not killings.left_uncommitted(slot_ms * 1000, committed_us, next_ms * 1000):
        return False
    looked_ms = check.timeout_ms if hit.status is None else min(hit.delay_ms, check.timeout_ms)
    recorded_us = hit.at_us + (looked_ms + RECORDED_WITHIN_MS) * 1000
    return recorded_us >= next_ms * 1000 or killings.within(hit.at_us, recorded_us)
