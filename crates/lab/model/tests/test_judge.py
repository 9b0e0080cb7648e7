"""One verdict over a lab's folder."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pulse_model import judge, logs

from .fixtures import CHECK, ID, SLOTS, delivery, hit, incident
from .fixtures import logs as the_logs

FAULTS = ("differences", "unaccounted", "doubled", "double_open", "lost")


def verdict(log):
    """The verdict over logs as they are in memory."""
    with mock.patch.object(logs, "read", return_value=log):
        return judge.judge(Path())


def told(of, opened_ms, resolved_ms):
    return [delivery("opened", of, opened_ms * 1000), delivery("resolved", of, resolved_ms * 1000)]


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.over = incident(1, 4)
        self.deliveries = told(self.over, SLOTS[3] + 60, SLOTS[4] + 80)

    def faults(self, *log):
        found = verdict(the_logs(*log))
        wrong = {name: found[name] for name in FAULTS if found[name]}
        self.assertEqual(found["good"], not wrong, found)
        return wrong

    def test_what_follows_from_the_hits_is_good(self):
        self.assertEqual(self.faults("offfoo", "offfoo", [self.over], self.deliveries), {})

    def test_the_delay_runs_from_the_deciding_answer_to_the_first_delivery(self):
        found = verdict(the_logs("offfoo", "offfoo", [self.over], self.deliveries))
        self.assertEqual((found["delays"], found["delay_p50_us"], found["delay_max_us"]), (2, 50_000, 70_000))

    def test_a_false_a_lost_and_a_moved_incident_differ(self):
        self.assertEqual(self.faults("oooooo", "oooooo", [self.over], self.deliveries), {"differences": 1})
        self.assertEqual(self.faults("offfoo", "offfoo", []), {"differences": 1})
        late = incident(2, 4)
        deliveries = told(late, SLOTS[3] + 60, SLOTS[4] + 80)
        self.assertEqual(self.faults("offfoo", "offfoo", [late], deliveries), {"differences": 1})

    def test_a_run_that_its_hits_do_not_allow_differs(self):
        self.assertEqual(self.faults("oooo", "oofo", []), {"differences": 1})
        self.assertEqual(self.faults("oooo", "oomo", []), {"differences": 1})
        self.assertEqual(self.faults("oo.o", "oooo", []), {"differences": 1})
        self.assertEqual(self.faults("oo.o", "oomo", []), {})

    def test_each_slot_is_told_once(self):
        log = the_logs("oooo", "oooo", [])
        del log.claims.runs[ID][1]
        log.claims.runs[ID].append(log.claims.runs[ID][0])
        found = verdict(log)
        self.assertEqual((found["unaccounted"], found["doubled"], found["good"]), (1, 1, False))

    def test_two_incidents_open_at_once_are_a_fault(self):
        two = [self.over, incident(3, 4, "j")]
        found = verdict(the_logs("offfoo", "offfoo", two, self.deliveries))
        self.assertEqual((found["double_open"], found["differences"], found["good"]), (1, 1, False))

    def test_calm_weather_in_which_all_is_doubtful_proves_nothing(self):
        log = the_logs("oooo", "oooo", [])
        for slot in SLOTS[:4]:
            log.hits[ID][slot].append(hit(slot, 500, attempt=2))
        self.assertFalse(verdict(log)["good"])
        log.calm = False
        self.assertTrue(verdict(log)["good"])

    def test_the_files_of_a_lab_are_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            rows = {
                "checks": [CHECK._asdict() | {"more": 1}],
                "hits": [hit(SLOTS[0])._asdict()],
                "deliveries": [{**self.deliveries[0]._asdict(), "told": self.deliveries[0].told._asdict()}],
                "faults": [{"role": "worker", "at_us": 1, "back_us": 2}],
                "claims": [
                    {"check": ID, "slot_ms": SLOTS[0], "slots": 1, "outcome": "ok"},
                    {"check": ID, "id": "i", "from_ms": SLOTS[1], "until_ms": None},
                ],
            }
            for name, some in rows.items():
                (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
            (path / "show.json").write_text('{"until_ms": 7, "calm": true}')

            log = logs.read(path)

        self.assertEqual((log.until_ms, log.checks, log.faults[0].role), (7, [CHECK], "worker"))
        self.assertEqual(log.hits[ID][SLOTS[0]], [hit(SLOTS[0])])
        self.assertEqual(log.deliveries, self.deliveries[:1])
        self.assertEqual(log.claims.incidents[ID], [incident(1, None)])


if __name__ == "__main__":
    unittest.main()
