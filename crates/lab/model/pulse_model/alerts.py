"""Whether every edge of every incident was told as promised.

At least once to the hook of its check, always under one id and in the same bytes, `opened` accepted before
`resolved` is sent, and nothing told that did not happen.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from .logs import Check, Delivery, Incident

OPENED, RESOLVED = "opened", "resolved"
# A hook, an incident and one of its edges.
Key = tuple[str, str, str]


@dataclass(slots=True)
class Alerts:
    """What the sink's log comes to."""

    edges: int = 0
    lost: int = 0
    repeated: int = 0
    refused: int = 0
    many_ids: int = 0
    many_bodies: int = 0
    bad_signatures: int = 0
    disordered: int = 0
    unfounded: int = 0
    complaints: list[str] = field(default_factory=list)
    # When each edge was first sent.
    first_us: dict[Key, int] = field(default_factory=dict)


def judge(checks: list[Check], incidents: dict[str, list[Incident]], deliveries: list[Delivery]) -> Alerts:
    """Holds the sink's log, in order of arrival, against the incidents of the checks."""
    found = Alerts()
    due = {key: told for check in checks for key, told in _edges(check, incidents.get(check.id, []))}
    tries: dict[Key, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        found.bad_signatures += not delivery.signature_ok
        found.refused += not delivery.accepted
        told = delivery.told
        key = (delivery.hook, told.incident, told.edge) if told else None
        if key is None or due.get(key) != (told.check, told.from_ms, told.until_ms):
            found.unfounded += 1
            found.complaints.append(f"{delivery.id} tells {delivery.hook} of {told}")
        else:
            tries[key].append(delivery)
    for key in due:
        _edge(found, key, tries[key])
    for hook, incident, edge in due:
        if edge == OPENED:
            _order(found, incident, tries[hook, incident, OPENED], tries[hook, incident, RESOLVED])
    _ids(found, deliveries)
    return found


def _edges(check: Check, incidents: list[Incident]):
    for incident in incidents:
        yield (check.hook, incident.id, OPENED), (check.id, incident.from_ms, None)
        if incident.until_ms is not None:
            told = (check.id, incident.from_ms, incident.until_ms)
            yield (check.hook, incident.id, RESOLVED), told


def _edge(found: Alerts, key: Key, tries: list[Delivery]) -> None:
    found.edges += 1
    accepted = sum(delivery.accepted for delivery in tries)
    if not accepted:
        found.lost += 1
        found.complaints.append(f"{key} was never accepted in {len(tries)} tries")
    found.repeated += max(accepted - 1, 0)
    if tries:
        found.first_us[key] = tries[0].at_us
    if len({delivery.id for delivery in tries}) > 1:
        found.many_ids += 1
        found.complaints.append(f"{key} was told under more than one id")


def _order(found: Alerts, incident: str, opened: list[Delivery], resolved: list[Delivery]) -> None:
    taken_us = min((it.at_us for it in opened if it.accepted), default=None)
    if resolved and (taken_us is None or taken_us > resolved[0].at_us):
        found.disordered += 1
        found.complaints.append(f"{incident}: resolved was sent before opened was taken")


def _ids(found: Alerts, deliveries: list[Delivery]) -> None:
    known: dict[str, Delivery] = {}
    changed, shared = set(), set()
    for delivery in deliveries:
        first = known.setdefault(delivery.id, delivery)
        if delivery.body_sha256 != first.body_sha256:
            changed.add(delivery.id)
        if not delivery.id or (delivery.hook, delivery.told) != (first.hook, first.told):
            shared.add(delivery.id)
    found.many_bodies += len(changed)
    found.many_ids += len(shared)
    found.complaints += [f"{it}: its body changed" for it in sorted(changed)]
    found.complaints += [f"{it!r} stands for more than one edge" for it in sorted(shared)]
