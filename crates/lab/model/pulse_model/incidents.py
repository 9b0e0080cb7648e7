"""Whether the incidents that Pulse claims follow from what the target saw.

Where some slots can be read in more than one way, a claim stands when one reading explains all of it: the
readings are walked at once, and those that a claim contradicts are dropped on the way.
"""

from .health import UNKNOWN, Edge, Health, Outcome, Rule, State, observe
from .logs import Incident
from .readings import Reading

# A way to read the slots so far: the health it led to, and how many of the claims have begun.
Way = tuple[Health, int]


def explained(readings: list[Reading], rule: Rule, claimed: list[Incident]) -> bool:
    """Whether some reading of the slots makes exactly these incidents, in the order of their beginnings."""
    ways: set[Way] = {(UNKNOWN, 0)}
    for reading in readings:
        ways = {
            way
            for before in ways
            for outcome in reading.outcomes
            if (way := _follow(before, reading.slot_ms, outcome, rule, claimed)) is not None
        }
    last_ms = readings[-1].slot_ms if readings else 0
    return any(_complete(way, claimed, last_ms) for way in ways)


def plain(readings: list[Reading], rule: Rule) -> list[tuple[int, int | None]]:
    """The incidents when every slot that was hit counts with its first hit."""
    health, incidents = UNKNOWN, []
    for reading in readings:
        looked = reading.outcomes & {Outcome.OK, Outcome.FAIL}
        health, edge = observe(health, reading.slot_ms, min(looked, default=Outcome.MISSED), rule)
        if edge and edge.opened:
            incidents.append((edge.at_ms, None))
        elif edge:
            incidents[-1] = (incidents[-1][0], edge.at_ms)
    return incidents


def _follow(
    way: Way, slot_ms: int, outcome: Outcome, rule: Rule, claimed: list[Incident]
) -> Way | None:
    health, begun = way
    health, edge = observe(health, slot_ms, outcome, rule)
    if health.state is State.DOWN and health.failures_ms:
        # How long a row of failures is matters no more.
        health = Health(State.DOWN)
    if edge is None:
        return health, begun
    if not _claimed(edge, begun, claimed):
        return None
    return health, begun + edge.opened


def _claimed(edge: Edge, begun: int, claimed: list[Incident]) -> bool:
    if edge.opened:
        return begun < len(claimed) and claimed[begun].from_ms == edge.at_ms
    return claimed[begun - 1].until_ms == edge.at_ms


def _complete(way: Way, claimed: list[Incident], last_ms: int) -> bool:
    health, begun = way
    if begun < len(claimed):
        return False
    if health.state is not State.DOWN:
        return True
    until_ms = claimed[-1].until_ms
    return until_ms is None or until_ms > last_ms
