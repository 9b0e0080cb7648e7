#!/usr/bin/env python3
"""Tells what became of what channels were told in tests: kind by kind, alert by alert, by which receiver.

usage: channels.py FILE, where FILE has an alert a line, as tests write with PULSE_TOLD=FILE.

It fails when a kind has not been told everything, or something was not taken.
"""

import json
import sys
from collections import defaultdict

ALERTS = ("opened", "reminder", "resolved", "test")
KINDS = """
    webhook slack email discord teams telegram pagerduty opsgenie ntfy gotify pushover alertmanager
""".split()


def read(file):
    told = defaultdict(dict)
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            alert = json.loads(line)
            told[alert["kind"], alert["receiver"]][alert["alert"]] = alert
    return told


def tell(told):
    print(f"| kind | {' | '.join(ALERTS)} | receiver |")
    print(f"| --- |{' --- |' * len(ALERTS)} --- |")
    for (kind, receiver), alerts in sorted(told.items()):
        statuses = (str(alerts[alert]["status"]) if alert in alerts else "-" for alert in ALERTS)
        print(f"| {kind} | {' | '.join(statuses)} | {receiver} |")


def missing(told):
    """What went wrong or was not tried, in sentences."""
    for kind in sorted({kind for kind, _ in told} - set(KINDS)):
        yield f"{kind}: nobody expects it here"
    for kind in KINDS:
        taken = {
            name
            for (of, _), alerts in told.items()
            for name, alert in alerts.items()
            if of == kind and alert["taken"]
        }
        for alert in ALERTS:
            if alert not in taken:
                yield f"{kind}: no receiver has taken {alert}"


def main(file):
    told = read(file)
    tell(told)
    lacking = list(missing(told))
    for sentence in lacking:
        print(f"channels: {sentence}", file=sys.stderr)
    sys.exit(1 if lacking else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
