"""When an outage begins and when it ends.

`threshold` failures in a row begin one, as of the first of them; the first good slot ends it. Slots that
nobody looked at, and looks that told nothing, neither count nor break the row.
"""

from enum import IntEnum
from typing import NamedTuple


class Outcome(IntEnum):
    """How a slot ended, as far as health is concerned."""

    OK = 0
    FAIL = 1
    INCONCLUSIVE = 2
    MISSED = 3


class Edge(NamedTuple):
    """An outage begins with the failing slot `at_ms`, or ends with the good slot `at_ms`."""

    opened: bool
    at_ms: int


class Health(NamedTuple):
    """What is known of a check."""

    known: bool = False
    failures: int = 0
    since_ms: int | None = None
    down: bool = False


UNKNOWN = Health()
WELL = Health(known=True)


def observe(
    health: Health, slot_ms: int, outcome: Outcome, threshold: int
) -> tuple[Health, Edge | None]:
    """Health after a slot, and the edge that the slot made."""
    if outcome is Outcome.OK:
        return WELL, Edge(False, slot_ms) if health.down else None
    if outcome is not Outcome.FAIL:
        return health, None
    known, failures, since_ms, down = health
    first_ms = slot_ms if failures == 0 else since_ms
    enough = failures + 1 >= threshold
    # Too few failures of a check that nobody knew before leave it unknown.
    after = Health(known or enough, failures + 1, first_ms, down or enough)
    return after, Edge(True, first_ms) if enough and not down else None
