"""When an outage begins and when it ends, and when a check is degraded.

Nothing is counted on the way: what matters of the past is kept, and every slot is judged by looking back at it.
Slots that nobody looked at, and looks that told nothing, are not part of it.
"""

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple


class Outcome(IntEnum):
    """How a slot ended, as far as health is concerned."""

    OK = 0
    FAIL = 1
    INCONCLUSIVE = 2
    MISSED = 3
    DEGRADED = 4


class State(IntEnum):
    """How a check is."""

    PENDING = 0
    UP = 1
    DOWN = 2
    DEGRADED = 3


class Rule(NamedTuple):
    """`failing` slots begin an outage, in a row or among the last `window`; `recovering` good ones in a row end it."""

    failing: int
    window: int | None = None
    recovering: int = 1


class Edge(NamedTuple):
    """It is down, degraded or well again, as of the slot `at_ms`."""

    to: State
    at_ms: int

    @property
    def opened(self) -> bool:
        """Whether an outage began."""
        return self.to is State.DOWN


class Health(NamedTuple):
    """How a check is, and the slots that may still matter, oldest first: a letter and an instant for each."""

    state: State = State.PENDING
    past: str = ""
    slots_ms: tuple[int, ...] = ()

    @property
    def failures_ms(self) -> tuple[int, ...]:
        """The failing slots in a row that the past ends with."""
        return self.slots_ms[len(self.past.rstrip("f")) :]


UNKNOWN = Health()
# By outcome: failing, ok, degraded. What tells nothing has no letter.
LETTERS = "of  d"


class Verdict(NamedTuple):
    """What the past comes to: the state, from which place on it still matters, and where an edge lies in it."""

    state: State
    begin: int
    edge: int | None = None


def observe(health: Health, slot_ms: int, outcome: Outcome, rule: Rule) -> tuple[Health, Edge | None]:
    """Health after a slot, and the edge that the slot made."""
    letter = LETTERS[outcome]
    if letter == " ":
        return health, None
    before, past, slots_ms = health
    past, slots_ms = past + letter, (*slots_ms, slot_ms)
    state, begin, edge = _judge(before, past, rule)
    if (before, state) == (State.DEGRADED, State.UP):
        # What was unwell is not counted again; what failed may yet be part of an outage.
        past = past.replace("d", "o").replace("f", "F")
    after = Health(state, past[begin:], slots_ms[begin:])
    return after, None if edge is None else Edge(state, slots_ms[edge])


# The same few pasts come again and again.
@lru_cache(4096)
def _judge(state: State, past: str, rule: Rule) -> Verdict:
    if state is State.DOWN:
        return _judge_down(past, rule)
    if past.endswith("o"):
        if state is not State.DEGRADED:
            return Verdict(State.UP, _recent(State.UP, past, rule))
        well = _row(past, "o")
        if len(past) - well < rule.recovering:
            return Verdict(state, _recent(state, past, rule))
        return Verdict(State.UP, _recent(State.UP, past, rule), well)
    begin = _row(past, "f") if rule.window is None else max(0, len(past) - rule.window)
    failing = [place for place in range(begin, len(past)) if past[place] in "fF"]
    if len(failing) >= rule.failing:
        return Verdict(State.DOWN, _row(past, "f"), failing[0])
    begin = _row(past, "fd") if rule.window is None else begin
    unwell = [place for place in range(begin, len(past)) if past[place] in "fd"]
    if state is State.DEGRADED or len(unwell) < rule.failing:
        return Verdict(state, _recent(state, past, rule))
    return Verdict(State.DEGRADED, _recent(State.DEGRADED, past, rule), unwell[0])


def _judge_down(past: str, rule: Rule) -> Verdict:
    if past.endswith("f"):
        return Verdict(State.DOWN, _row(past, "f"))
    good, well = _row(past, "od"), _row(past, "o")
    if len(past) - good < rule.recovering:
        return Verdict(State.DOWN, good)
    # What was well counts on; what failed has had its outage.
    state = State.UP if len(past) - well >= rule.recovering else State.DEGRADED
    return Verdict(state, len(past) if state is State.UP else well, good)


def _row(past: str, letters: str) -> int:
    """Where the end begins in which there is nothing but these."""
    return len(past.rstrip(letters))


def _recent(state: State, past: str, rule: Rule) -> int:
    """No rule looks back any further; and of a check that is up, what was well at first is nothing to remember."""
    begin = max(0, len(past) - max(rule.failing, rule.recovering, rule.window or 0))
    if state is not State.UP:
        return begin
    if rule.window is None:
        return max(begin, past.rfind("o") + 1)
    return len(past) - len(past[begin:].lstrip("o"))
