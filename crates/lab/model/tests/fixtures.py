"""A check every 2 s, created at 1 000 500 ms, whose grid is 1 000 000 + k * 2000."""

from uuid import UUID

from pulse_model.logs import Check, Claims, Delivery, Hit, Incident, Logs, Run, Told
from pulse_model.health import Outcome

ID = str(UUID(int=0))
CREATED_MS = 1_000_500
SLOTS = [CREATED_MS, *range(1_002_000, 1_100_000, 2_000)]
CHECK = Check(ID, "a", CREATED_MS, 2_000, 800, 3, 200, "hook")


def hit(slot_ms: int, status: int | None = 200, after_ms: int = 10, attempt: int = 1) -> Hit:
    """A hit so long after its slot."""
    return Hit(ID, slot_ms, attempt, (slot_ms + after_ms) * 1000, status, 0)


def hits(letters: str) -> dict[int, list[Hit]]:
    """One slot per letter: o(k), f(ail), and a dot for one that was not hit."""
    status = {"o": 200, "f": 500}
    return {slot: [hit(slot, status[letter])] for letter, slot in zip(letters, SLOTS) if letter in status}


def runs(letters: str) -> list[Run]:
    """What Pulse says of the slots: o(k), f(ail), i(nconclusive), m(issed)."""
    outcome = {"o": Outcome.OK, "f": Outcome.FAIL, "i": Outcome.INCONCLUSIVE, "m": Outcome.MISSED}
    return [Run(slot, 1, outcome[letter]) for letter, slot in zip(letters, SLOTS)]


def incident(first: int, last: int | None, name: str = "i") -> Incident:
    """An incident from slot number `first` to number `last`."""
    return Incident(name, SLOTS[first], None if last is None else SLOTS[last])


def delivery(edge: str, of: Incident, at_us: int, status: int | None = 200, **changed) -> Delivery:
    """A delivery of an edge, to the check's hook."""
    until_ms = of.until_ms if edge == "resolved" else None
    told = Told(edge, of.id, ID, of.from_ms, until_ms)
    made = Delivery("hook", f"{of.id}-{edge}", f"body of {edge}", at_us, status, True, told)
    return made._replace(**changed)


def logs(seen: str, said: str, claimed: list[Incident], deliveries: list[Delivery] = ()) -> Logs:
    """The logs of one check in calm weather."""
    claims = Claims()
    claims.runs[ID] = runs(said)
    claims.incidents[ID] = claimed
    until_ms = SLOTS[len(said) - 1]
    return Logs(until_ms, True, [CHECK], {ID: hits(seen)}, list(deliveries), [], claims)
