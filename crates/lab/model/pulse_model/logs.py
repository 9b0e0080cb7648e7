"""The files of a lab: JSON lines, read into values.

`checks`, `hits`, `deliveries` and `faults` are what the lab's oracles know. `claims` is what Pulse said in
the end: it is judged, and nothing is computed from it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from .health import Outcome, Rule


class Check(NamedTuple):
    """What a user configured."""

    id: str
    name: str
    created_ms: int
    interval_ms: int
    timeout_ms: int
    threshold: int
    expected_status: int
    hook: str
    window: int | None = None
    recovery: int = 1

    @property
    def rule(self) -> Rule:
        """What makes an outage, and what ends it."""
        return Rule(self.threshold, self.window, self.recovery)

    @property
    def uuid(self) -> UUID:
        """The id as a number."""
        return UUID(self.id)


class Hit(NamedTuple):
    """A request that reached the target, and what it met."""

    check: str
    slot_ms: int
    attempt: int
    at_us: int
    status: int | None
    delay_ms: int

    @property
    def answered_us(self) -> int:
        """When the answer left, at the earliest."""
        return self.at_us + self.delay_ms * 1000


class Told(NamedTuple):
    """The alert that a delivery tells of."""

    edge: str
    incident: str
    check: str
    from_ms: int
    until_ms: int | None


class Delivery(NamedTuple):
    """A request that reached the sink."""

    hook: str
    id: str
    body_sha256: str
    at_us: int
    status: int | None
    signature_ok: bool
    told: Told | None

    @property
    def accepted(self) -> bool:
        """Whether the sender may rest."""
        return self.status is not None and 200 <= self.status < 300


class Fault(NamedTuple):
    """A process that was killed, and started again."""

    role: str
    at_us: int
    back_us: int


class Incident(NamedTuple):
    """An outage, as Pulse claims it."""

    id: str
    from_ms: int
    until_ms: int | None


class Run(NamedTuple):
    """How a slot ended, or a row of missed ones, as Pulse claims it."""

    slot_ms: int
    slots: int
    outcome: Outcome


@dataclass(slots=True)
class Claims:
    """What Pulse says of each check."""

    incidents: dict[str, list[Incident]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Logs:
    """Everything a lab wrote down."""

    until_ms: int
    calm: bool
    checks: list[Check]
    hits: dict[str, dict[int, list[Hit]]]
    deliveries: list[Delivery]
    faults: list[Fault]
    claims: Claims


def read(folder: Path) -> Logs:
    """Reads a lab's folder."""
    show = json.loads((folder / "show.json").read_text())
    hits: dict[str, dict[int, list[Hit]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(folder / "hits.jsonl"):
        hit = _pick(Hit, row)
        hits[hit.check][hit.slot_ms].append(hit)
    return Logs(
        until_ms=show["until_ms"],
        calm=show["calm"],
        checks=[_pick(Check, row) for row in _rows(folder / "checks.jsonl")],
        hits=hits,
        deliveries=[_delivery(row) for row in _rows(folder / "deliveries.jsonl")],
        faults=[_pick(Fault, row) for row in _rows(folder / "faults.jsonl")],
        claims=_claims(folder / "claims.jsonl"),
    )


def _claims(file: Path) -> Claims:
    claims = Claims()
    for row in _rows(file):
        if "outcome" in row:
            row["outcome"] = Outcome[row["outcome"].upper()]
            claims.runs[row["check"]].append(_pick(Run, row))
        else:
            claims.incidents[row["check"]].append(_pick(Incident, row))
    return claims


def _delivery(row: dict[str, Any]) -> Delivery:
    row["told"] = _pick(Told, row["told"]) if row["told"] else None
    return _pick(Delivery, row)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _pick(kind: Any, row: dict[str, Any]) -> Any:
    """A value of a kind, of the fields it has; a lab may write down more."""
    return kind(**{name: row[name] for name in kind._fields})
