#!/usr/bin/env python3
"""Runs the test programs that cargo has built, in two lanes side by side.

    cargo test --workspace --no-run --message-format json-render-diagnostics | lanes.py

Before them go, one by one, those with lines about time: they bear no company. The lanes then begin with the
other plays of the lab, which have stores of their own and mostly wait, in one lane, and in the other with the
tests on the stores that the environment names. A lane that is free takes what the other has left.

Each program runs as cargo would run it. What it says is shown whole, when it has ended. It is red when it
fails, does not end in time, or ends without saying how many of its tests have passed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# Red, now and then, beside others that keep the processors busy. All are plays but `bench` and `wire`.
ALONE = """
    alone bench calm channels clickhouse_away edges hostile live postgres_dies stops walk wire zombies
""".split()

# What no program takes; one that does is ended.
LIMIT_S = 15 * 60

RESULT = re.compile(rb"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """A file with tests in it, as cargo has built it."""

    package: str
    folder: Path
    kind: str
    target: str
    executable: Path

    @property
    def name(self):
        kind = "" if self.kind == "test" else f" ({self.kind})"
        return f"{self.package} {self.target}{kind}"

    @property
    def is_play(self):
        return self.package == "pulse-lab" and self.kind == "test"

    @property
    def is_alone(self):
        return self.kind == "test" and self.target in ALONE


def programs(lines):
    """Those that cargo's messages tell of, package by package."""
    messages = (json.loads(line) for line in lines if line.startswith("{"))
    built = [m for m in messages if m["reason"] == "compiler-artifact" and m["profile"]["test"]]
    return sorted((program(m) for m in built), key=lambda it: (it.package, it.kind, it.target))


def program(message):
    folder = Path(message["manifest_path"]).parent
    package = package_of(message["package_id"], folder)
    target = message["target"]
    return Program(package, folder, target["kind"][0], target["name"], Path(message["executable"]))


def package_of(package_id, folder):
    """`path+file:///folder#name@1.0.0`, where the name is left out if it is the folder's."""
    words = package_id.rpartition("#")[2]
    return words.partition("@")[0] if "@" in words else folder.name


class Lanes:
    """What is still to be run, what runs, and what came of the rest."""

    def __init__(self, todo):
        self.alone = deque(it for it in todo if it.is_alone)
        self.plays = deque(it for it in todo if it.is_play and not it.is_alone)
        self.others = deque(it for it in todo if not it.is_play and not it.is_alone)
        self.running = set()
        self.counted = [0, 0, 0]
        self.red = []
        self.telling = threading.Lock()

    def run(self):
        side_by_side = (self.plays, self.others), (self.others, self.plays)
        with ThreadPoolExecutor(len(side_by_side)) as pool:
            try:
                for lanes in ((self.alone,),), side_by_side:
                    running = [pool.submit(self.lane, queues) for queues in lanes]
                    for lane in running:
                        lane.result()
            except BaseException:
                self.stop()
                raise

    def lane(self, queues):
        for queue in queues:
            while queue:
                try:
                    program = queue.popleft()
                except IndexError:
                    # The other lane was quicker.
                    break
                self.play(program)

    def play(self, program):
        began = time.monotonic()
        self.tell(f"-- {program.name}")
        with tempfile.TemporaryFile() as file:
            fault = self.fault(program, file)
            file.seek(0)
            said = file.read()
        results = RESULT.findall(said)
        if not fault and not results:
            fault = "did not say how many tests have passed"
        with self.telling:
            for counts in results[-1:]:
                self.counted = [sum(pair) for pair in zip(self.counted, map(int, counts))]
            if fault:
                self.red.append(program.name)
        verdict = f"FAILED: {fault}" if fault else "passed"
        self.tell(f"== {program.name}: {verdict}, {time.monotonic() - began:.1f} s", said)

    def fault(self, program, file):
        """Runs it. Why it is red; `None` when it is not."""
        environment = os.environ | {"CARGO_MANIFEST_DIR": str(program.folder)}
        # A session of its own, to end all of it at once.
        try:
            process = subprocess.Popen(
                [program.executable], cwd=program.folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )
        except OSError as error:
            return f"did not begin: {error}"
        self.running.add(process)
        try:
            status = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            end(process)
            return f"did not end within {LIMIT_S} s"
        finally:
            self.running.discard(process)
        return f"ended with {status}" if status else None

    def tell(self, line, said=b""):
        with self.telling:
            print(line, flush=True)
            sys.stdout.buffer.write(said)
            sys.stdout.buffer.flush()

    def stop(self):
        """Begins nothing more and ends what runs: the lanes show what it has said so far."""
        for queue in self.alone, self.plays, self.others:
            queue.clear()
        for process in list(self.running):
            end(process)


def end(process):
    """Asks a program and all it has started to end, and makes it."""
    for kind in signal.SIGTERM, signal.SIGKILL:
        try:
            os.killpg(process.pid, kind)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    todo = programs(sys.stdin)
    strangers = set(ALONE) - {it.target for it in todo if it.kind == "test"}
    if strangers:
        sys.exit(f"lanes: no such test: {', '.join(sorted(strangers))}")
    # Nobody builds while tests run: whoever built would put other programs below those that run.
    os.environ.setdefault("PULSE_BIN_DIR", str(todo[0].executable.parent.parent))

    began = time.monotonic()
    lanes = Lanes(todo)
    for number in signal.SIGHUP, signal.SIGINT, signal.SIGTERM:
        signal.signal(number, interrupted)
    lanes.run()
    passed, failed, ignored = lanes.counted
    print(f"{len(todo)} programs in {time.monotonic() - began:.0f} s, {ignored} tests ignored")
    print(f"tests: {passed} passed, {failed} failed", flush=True)
    if lanes.red:
        sys.exit(f"lanes: failed: {', '.join(sorted(lanes.red))}")


if __name__ == "__main__":
    main()
