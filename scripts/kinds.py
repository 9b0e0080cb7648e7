#!/usr/bin/env python3
"""Tells what looks of the tests came to: kind by kind, outcome by outcome, with the phases of one.

usage: kinds.py FILE, where FILE has a look a line, as tests write with PULSE_LOOKS=FILE.
"""

import json
import sys
from collections import defaultdict

PHASES = ("dns_us", "connect_us", "tls_us", "first_byte_us", "total_us")


def words(look):
    finer = ", ".join(word for word in (look["reason"], look["detail"]) if word)
    return f"{look['outcome']}({finer})" if finer else look["outcome"]


def milliseconds(phases):
    def one(name):
        return f"{phases[name] / 1000:.1f}" if name in phases else "-"

    return " / ".join(one(name) for name in PHASES)


def main(file):
    looks = defaultdict(list)
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            look = json.loads(line)
            looks[look["kind"], words(look)].append(look)
    print("| kind | outcome | looks | dns / connect / tls / first byte / total, ms | seen by |")
    print("| --- | --- | --- | --- | --- |")
    for (kind, outcome), several in sorted(looks.items()):
        several.sort(key=lambda look: look["phases"].get("total_us", 0))
        shown = several[len(several) // 2]
        test = shown["test"].replace("::", ": ").replace("_", " ")
        print(f"| {kind} | {outcome} | {len(several)} | {milliseconds(shown['phases'])} | {test} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
