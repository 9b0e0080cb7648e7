#!/usr/bin/env python3
"""Tells what looks of the tests came to: kind by kind, outcome by outcome, with the phases of one.

usage: kinds.py FILE, where FILE has a look a line, as tests write with PULSE_LOOKS=FILE.

It fails when a kind lacks an outcome that it can have: no test has seen it then.
"""

import json
import sys
from collections import defaultdict

PHASES = ("dns_us", "connect_us", "tls_us", "first_byte_us", "total_us")

# On the way, before anything is said in the kind's own protocol.
NAMES = """
    fail(dns, nxdomain)  fail(dns, no_record)  fail(dns, servfail)  fail(timeout, while_resolving)
    fail(forbidden_address)  inconclusive(capped)
"""
PORTS = "fail(connect, refused)  fail(connect, unreachable)"
# In a handshake a reset is a part of it.
ENCRYPTED = PORTS + "  fail(timeout, while_connecting)"
CONNECTIONS = ENCRYPTED + "  fail(connect, reset)"
HANDSHAKES = """
    fail(tls, expired)  fail(tls, not_yet_valid)  fail(tls, wrong_host)  fail(tls, self_signed)
    fail(tls, unknown_ca)  fail(tls, handshake)  fail(timeout, while_securing)
"""
# Where every certificate is refused by the same code, one that is bad will do.
ONE_HANDSHAKE = "fail(tls, unknown_ca)  fail(timeout, while_securing)"
WAITING = "fail(timeout, while_waiting)"
READING = WAITING + "  fail(timeout, while_reading)"


JUDGED = "ok(degraded)  fail(assertion)"
WEB = JUDGED + "  fail(status)  fail(protocol)  fail(too_large)" + READING
CALL = JUDGED + "  fail(refused)  fail(status)  fail(protocol)" + WAITING
ASKED = JUDGED + "  fail(refused)  fail(protocol)" + READING

# What each kind can come to, besides well.
CAN = {
    "http": (NAMES, CONNECTIONS, WEB, "inconclusive(local)"),
    "https": (NAMES, ENCRYPTED, HANDSHAKES, JUDGED, "fail(status)  fail(protocol)"),
    "tcp": (NAMES, CONNECTIONS, READING, JUDGED),
    "tls": (NAMES, CONNECTIONS, HANDSHAKES, JUDGED, "fail(refused)  fail(protocol)", WAITING),
    "udp": (NAMES, PORTS, WAITING, JUDGED),
    "icmp": (NAMES, WAITING, JUDGED, "fail(connect, unreachable)  inconclusive(unsupported)"),
    "dns": (NAMES, PORTS, READING, JUDGED, "fail(protocol)"),
    "grpc": (NAMES, CONNECTIONS, CALL),
    "grpcs": (NAMES, ENCRYPTED, HANDSHAKES, "fail(refused)  fail(status)  fail(protocol)"),
    "ws": (NAMES, CONNECTIONS, WEB),
    "wss": (NAMES, ENCRYPTED, HANDSHAKES),
    "redis": (NAMES, CONNECTIONS, ASKED),
    "rediss": (NAMES, ENCRYPTED, HANDSHAKES),
    "postgres": (NAMES, CONNECTIONS, ONE_HANDSHAKE, ASKED),
    "mysql": (NAMES, CONNECTIONS, ONE_HANDSHAKE, ASKED),
    "smtp": (NAMES, CONNECTIONS, HANDSHAKES, READING, JUDGED, "fail(refused)  fail(protocol)"),
}


def outcomes(lists):
    """The outcomes that these lists name, each of which ends with a bracket."""
    named = " ".join(lists).split(")")
    return {f"{' '.join(outcome.split())})" for outcome in named if outcome.strip()}


def words(look):
    finer = ", ".join(word for word in (look["reason"], look["detail"]) if word)
    return f"{look['outcome']}({finer})" if finer else look["outcome"]


def milliseconds(phases):
    def one(name):
        return f"{phases[name] / 1000:.1f}" if name in phases else "-"

    return " / ".join(one(name) for name in PHASES)


def read(file):
    looks = defaultdict(list)
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            look = json.loads(line)
            looks[look["kind"], words(look)].append(look)
    return looks


def tell(looks):
    print("| kind | outcome | looks | dns / connect / tls / first byte / total, ms | seen by |")
    print("| --- | --- | --- | --- | --- |")
    for (kind, outcome), several in sorted(looks.items()):
        several.sort(key=lambda look: look["phases"].get("total_us", 0))
        shown = several[len(several) // 2]
        test = shown["test"].replace("::", ": ").replace("_", " ")
        print(f"| {kind} | {outcome} | {len(several)} | {milliseconds(shown['phases'])} | {test} |")
    print(f"\n{len(looks)} rows, {len({kind for kind, _ in looks})} kinds")


def missing(looks):
    """What no test has seen, in sentences."""
    for kind in sorted({kind for kind, _ in looks} - set(CAN)):
        yield f"{kind}: nobody has said what it can come to"
    for kind, lists in CAN.items():
        for outcome in sorted({"ok"} | outcomes(lists)):
            if (kind, outcome) not in looks:
                yield f"{kind}: no test has seen {outcome}"


def main(file):
    looks = read(file)
    tell(looks)
    lacking = list(missing(looks))
    for sentence in lacking:
        print(f"kinds: {sentence}", file=sys.stderr)
    sys.exit(1 if lacking else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
