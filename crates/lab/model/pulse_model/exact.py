"""Folds what the product folded, step by step, and compares.

The product's side is `pulse-folds`, which says what its records are. Nothing of a record is believed but
the step itself: what went in. What came of it is computed here, and must be the same to the last field.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, BinaryIO

from .health import UNKNOWN, Edge, Health, Outcome, Rule, observe
from .ledger import Gap, Ledger
from .schedule import Grid

HEALTH = "BIq"
EDGE = "Bq"
FOLD = Struct("<" + HEALTH + EDGE)
TREE = Struct("<qqIIIIq")
STEP_FIELDS = 4
STEP = Struct("<BBqB" + "Bqq" + "qIB" * 2 + EDGE + "qqqq" + HEALTH)
RECORDS_AT_ONCE = 4096

CLAIM, SETTLE, MAKE_DUE = range(3)
REASONS = {"lost": 1, "late": 2}
NO_GAP = (-1, 0, 0)
NO_EDGE = (0, -1)
COMPLAINTS_SHOWN = 20
OUTCOMES = tuple(Outcome)
# In the order of the walks.
TWO = (Outcome.OK, Outcome.FAIL)
FOUR = (Outcome.OK, Outcome.DEGRADED, Outcome.FAIL, Outcome.MISSED)


@dataclass(slots=True)
class Comparison:
    """How often it was compared, and what differed."""

    steps: int = 0
    stale: int = 0
    gaps: int = 0
    edges: int = 0
    differences: int = 0
    complaints: list[str] = field(default_factory=list)

    def differs(self, what: str, theirs: tuple[int, ...], ours: tuple[int, ...]) -> None:
        """Notes a difference."""
        self.differences += 1
        if len(self.complaints) < COMPLAINTS_SHOWN:
            numbers = tuple(map(int, ours))
            self.complaints.append(f"{what}: the product has {theirs}, the model {numbers}")


def compare(stream: BinaryIO) -> dict[str, Any]:
    """The verdict over everything that the product folded."""
    about = json.loads(stream.readline())
    every, walks = Comparison(), Comparison()
    rules = [Rule(*rule) for rule in about["rules"]]
    for letters, length in ((TWO, about["two"]), (FOUR, about["four"])):
        for rule in rules:
            _every(stream, every, letters, length, rule)
    for number in range(about["trees"]):
        _tree(stream, walks, f"tree {number}", about["trunk"], about["branches"])
    if stream.read(1):
        every.differs("the end", (1,), ())
    return {
        "good": every.differences + walks.differences == 0,
        "seed": about["seed"],
        "rules": len(rules),
        "sequences": every.steps,
        "random_sequences": about["trees"] * 2 ** about["branches"],
        "random_steps": walks.steps,
        "random_stale": walks.stale,
        "random_gaps": walks.gaps,
        "edges": every.edges + walks.edges,
        "differences": every.differences + walks.differences,
        "complaints": every.complaints + walks.complaints,
    }


def _every(stream: BinaryIO, found: Comparison, letters: tuple[Outcome, ...], length: int, rule: Rule) -> None:
    """Every sequence of these, in the order of a walk: each letter, and what follows it."""
    count = sum(len(letters) ** slots for slots in range(1, length + 1))
    backwards = letters[::-1]
    waiting = [(UNKNOWN, 1, outcome) for outcome in backwards]
    for theirs in _records(stream, FOLD, count):
        before, slot, outcome = waiting.pop()
        after, edge = observe(before, slot, outcome, rule)
        ours = (*_health(after), *_edge(edge))
        found.edges += edge is not None
        if ours != theirs:
            found.differs(f"{rule}, slot {slot} {outcome.name}", theirs, ours)
        if slot < length:
            slot += 1
            waiting += [(after, slot, outcome) for outcome in backwards]
    found.steps += count


def _tree(stream: BinaryIO, found: Comparison, name: str, trunk: int, branches: int) -> None:
    """One tree of random walks; each record says how deep it is, so its parent is the last one above."""
    interval_ms, phase_ms, timeout_ms, failing, window, recovering, first_ms = TREE.unpack(
        _exactly(stream, TREE.size)
    )
    rule = Rule(failing, window or None, recovering)
    grid = Grid(interval_ms, phase_ms)
    above: list[tuple[Ledger, Health]] = [(Ledger(first_ms), UNKNOWN)]
    for record in _records(stream, STEP, trunk + 2 ** (branches + 1) - 2):
        depth, kind, at_ms, outcome = record[:STEP_FIELDS]
        del above[depth:]
        ledger, health = above[-1]
        edge = None
        if kind == CLAIM:
            ledger, came = _claim(ledger, grid, at_ms, timeout_ms)
        elif kind == SETTLE:
            ledger, came = _settle(ledger, grid, at_ms)
            if came[0]:
                health, edge = observe(health, at_ms, OUTCOMES[outcome], rule)
            else:
                found.stale += 1
        else:
            ledger, came = ledger.make_due(at_ms), (1, -1, -1, *NO_GAP, *NO_GAP)
        above.append((ledger, health))
        ours = (*came, *_edge(edge), *_ledger(ledger), *_health(health))
        found.steps += 1
        found.edges += edge is not None
        found.gaps += came[3] >= 0
        if ours != record[STEP_FIELDS:]:
            found.differs(f"{name}, step {record[:STEP_FIELDS]}", record[STEP_FIELDS:], ours)


def _claim(ledger: Ledger, grid: Grid, now_ms: int, timeout_ms: int) -> tuple[Ledger, tuple[int, ...]]:
    claimed = ledger.claim(grid, now_ms, timeout_ms)
    if claimed is None:
        return ledger, (0, -1, -1, *NO_GAP, *NO_GAP)
    after, slot_ms, start_within_ms, gaps = claimed
    return after, (1, slot_ms, start_within_ms, *_gaps(gaps))


def _settle(ledger: Ledger, grid: Grid, slot_ms: int) -> tuple[Ledger, tuple[int, ...]]:
    settled = ledger.settle(grid, slot_ms)
    if settled is None:
        return ledger, (0, -1, -1, *NO_GAP, *NO_GAP)
    after, gaps = settled
    return after, (1, slot_ms, -1, *_gaps(gaps))


def _gaps(gaps: list[Gap]) -> tuple[int, ...]:
    told = [(gap.from_ms, gap.slots, REASONS[gap.reason]) for gap in gaps] + [NO_GAP, NO_GAP]
    return (*told[0], *told[1])


def _edge(edge: Edge | None) -> tuple[int, int]:
    if edge is None:
        return NO_EDGE
    return edge.to, edge.at_ms


def _ledger(ledger: Ledger) -> tuple[int, ...]:
    return (
        -1 if ledger.next_ms is None else ledger.next_ms,
        -1 if ledger.under_way_ms is None else ledger.under_way_ms,
        -1 if ledger.until_ms is None else ledger.until_ms,
        -1 if ledger.last_ms is None else ledger.last_ms,
    )


def _health(health: Health) -> tuple[int, int, int]:
    failures_ms = health.failures_ms
    return health.state, len(failures_ms), failures_ms[0] if failures_ms else -1


def _records(stream: BinaryIO, shape: Struct, count: int) -> Iterator[tuple[int, ...]]:
    while count > 0:
        some = min(count, RECORDS_AT_ONCE)
        yield from shape.iter_unpack(_exactly(stream, some * shape.size))
        count -= some


def _exactly(stream: BinaryIO, size: int) -> bytes:
    read = stream.read(size)
    if len(read) != size:
        raise EOFError(f"{size} bytes were to come, {len(read)} came")
    return read
