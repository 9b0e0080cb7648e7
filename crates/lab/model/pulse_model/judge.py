"""Holds a lab's logs against the model: one verdict, as figures."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from . import alerts, incidents, logs, readings
from .health import UNKNOWN, Outcome, observe
from .logs import Check, Logs, Run
from .readings import Killings, Reading

# Of a hundred slots that were hit, in a show without faults: else anything would pass.
MOST_AMBIGUOUS = 20
COMPLAINTS_SHOWN = 50


@dataclass(slots=True)
class Slots:
    """What the slots of all checks come to."""

    due: int = 0
    hit: int = 0
    ambiguous: int = 0
    unaccounted: int = 0
    doubled: int = 0
    off_grid: int = 0
    # Told otherwise than any reading of the hits allows.
    contradicted: int = 0
    # Hit, and told as missed as a killed process may explain.
    hit_and_missed: int = 0
    # Checks whose incidents follow from no reading.
    unexplained: int = 0
    double_open: int = 0
    incidents: int = 0
    complaints: list[str] = field(default_factory=list)


def judge(folder: Path) -> dict[str, Any]:
    """The verdict over a lab's folder."""
    log = logs.read(folder)
    killings, slots, delays_us = Killings(log.faults), Slots(), {}
    for check in log.checks:
        read, strays = readings.read(check, log.hits.get(check.id, {}), killings, log.until_ms)
        slots.off_grid += len(strays)
        slots.complaints += [f"{check.name}: hit for {slot_ms}, no slot of it" for slot_ms in strays]
        _hold_runs(slots, check, read, log.claims.runs.get(check.id, []), log.until_ms)
        _hold_incidents(slots, check, read, log)
        delays_us |= _deciding(check, read)
    told = alerts.judge(log.checks, log.claims.incidents, log.deliveries)
    return _verdict(log, slots, told, delays_us)


def _hold_runs(slots: Slots, check: Check, read: list[Reading], runs: list[Run], until_ms: int) -> None:
    claimed: dict[int, list[Outcome]] = {reading.slot_ms: [] for reading in read}
    chain = list(claimed)
    places = {slot_ms: place for place, slot_ms in enumerate(chain)}
    for run in runs:
        if run.slot_ms > until_ms:
            continue
        place = places.get(run.slot_ms)
        if place is None:
            slots.off_grid += 1
            slots.complaints.append(f"{check.name}: told of {run.slot_ms}, no slot of it")
            continue
        for slot_ms in chain[place : place + run.slots]:
            claimed[slot_ms].append(run.outcome)
    for reading in read:
        _hold_slot(slots, check, reading, claimed[reading.slot_ms])


def _hold_slot(slots: Slots, check: Check, reading: Reading, told: list[Outcome]) -> None:
    slots.due += 1
    slots.hit += bool(reading.hits)
    slots.ambiguous += reading.ambiguous
    if len(told) != 1:
        slots.unaccounted += not told
        slots.doubled += len(told) > 1
        slots.complaints.append(f"{check.name}: {reading.slot_ms} was told as {told}")
    elif told[0] not in reading.outcomes:
        slots.contradicted += 1
        met = [(hit.attempt, hit.status, hit.at_us // 1000) for hit in reading.hits]
        slots.complaints.append(f"{check.name}: {reading.slot_ms} met {met} and was told as {told[0].name}")
    elif reading.hits and told[0] is Outcome.MISSED:
        slots.hit_and_missed += 1


def _hold_incidents(slots: Slots, check: Check, read: list[Reading], log: Logs) -> None:
    claimed = sorted(log.claims.incidents.get(check.id, []), key=lambda it: it.from_ms)
    slots.incidents += len(claimed)
    for first, second in zip(claimed, claimed[1:]):
        if first.until_ms is None or first.until_ms > second.from_ms:
            slots.double_open += 1
            slots.complaints.append(f"{check.name}: {first} and {second} are open at once")
    judged = [it for it in claimed if it.from_ms <= log.until_ms]
    if not incidents.explained(read, check.rule, judged):
        slots.unexplained += 1
        plain = incidents.plain(read, check.rule)
        told = [(it.from_ms, it.until_ms) for it in judged]
        slots.complaints.append(f"{check.name}: claims {told}, its hits say {plain}")


def _deciding(check: Check, read: list[Reading]) -> dict[tuple[str, int, str], int]:
    """When the answer that decided each edge left the target, by check, slot and edge.

    Only of edges that can be read in one way.
    """
    health, decided = UNKNOWN, {}
    for reading in read:
        if reading.ambiguous:
            health = UNKNOWN
            continue
        outcome = next(iter(reading.outcomes)) if reading.hits else Outcome.MISSED
        health, edge = observe(health, reading.slot_ms, outcome, check.rule)
        if edge:
            word = alerts.OPENED if edge.opened else alerts.RESOLVED
            decided[check.id, edge.at_ms, word] = reading.hits[-1].answered_us
    return decided


def _delays(log: Logs, told: alerts.Alerts, decided: dict[tuple[str, int, str], int]) -> list[int]:
    delays = []
    for check in log.checks:
        for incident in log.claims.incidents.get(check.id, []):
            for word, at_ms in ((alerts.OPENED, incident.from_ms), (alerts.RESOLVED, incident.until_ms)):
                sent_us = told.first_us.get((check.hook, incident.id, word))
                answered_us = decided.get((check.id, at_ms, word))
                if sent_us is not None and answered_us is not None:
                    delays.append(sent_us - answered_us)
    return sorted(delays)


def _verdict(
    log: Logs, slots: Slots, told: alerts.Alerts, decided: dict[tuple[str, int, str], int]
) -> dict[str, Any]:
    delays_us = _delays(log, told, decided)
    differences = slots.contradicted + slots.unexplained + slots.off_grid
    faults = Counter(
        differences=differences,
        unaccounted=slots.unaccounted,
        doubled=slots.doubled,
        double_open=slots.double_open,
        lost=told.lost,
        many_ids=told.many_ids,
        many_bodies=told.many_bodies,
        bad_signatures=told.bad_signatures,
        disordered=told.disordered,
        unfounded=told.unfounded,
    )
    vacuous = log.calm and slots.ambiguous * 100 > MOST_AMBIGUOUS * max(slots.hit, 1)
    complaints = slots.complaints + told.complaints
    if vacuous:
        complaints.append(f"{slots.ambiguous} of {slots.hit} slots hit may be read in more than one way")
    figures = asdict(slots) | asdict(told)
    del figures["complaints"], figures["first_us"]
    return {
        "good": not vacuous and not any(faults.values()),
        "differences": differences,
        **figures,
        "delays": len(delays_us),
        "delay_p50_us": _percentile(delays_us, 50),
        "delay_p99_us": _percentile(delays_us, 99),
        "delay_max_us": _percentile(delays_us, 100),
        "complaints": complaints[:COMPLAINTS_SHOWN],
    }


def _percentile(ordered: list[int], percent: int) -> int:
    """Nearest rank; 0 of none."""
    return ordered[max(ceil(len(ordered) * percent / 100), 1) - 1] if ordered else 0
