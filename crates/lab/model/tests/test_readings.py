"""What a slot may have come to."""

import unittest

from pulse_model import readings
from pulse_model.health import Outcome
from pulse_model.logs import Fault
from pulse_model.readings import UNSEEN, Killings

from .fixtures import CHECK, SLOTS, hit, hits

OK, FAIL = frozenset({Outcome.OK}), frozenset({Outcome.FAIL})
MAYBE = OK | {Outcome.MISSED}


def outcomes(seen, *faults, until=4):
    """The readings of the first slots, by number."""
    read, strays = readings.read(CHECK, seen, Killings(faults), SLOTS[until])
    return [reading.outcomes for reading in read], strays


def killed(role: str, at_ms: int, for_ms: int = 100) -> Fault:
    return Fault(role, at_ms * 1000, (at_ms + for_ms) * 1000)


class ReadingsTest(unittest.TestCase):
    def test_a_slot_that_was_hit_counts_and_one_that_was_not_tells_nothing(self):
        self.assertEqual(outcomes(hits("of.oo")), ([OK, FAIL, UNSEEN, OK, OK], []))

    def test_a_death_explains_nothing_when_the_next_slot_was_hit_as_usual(self):
        death = killed("worker", SLOTS[1] + 20)
        self.assertEqual(outcomes(hits("ooooo"), death)[0], [OK] * 5)

    def test_a_slot_may_be_lost_when_a_death_was_followed_by_silence(self):
        seen = hits("oo...o")
        self.assertEqual(outcomes(seen, killed("worker", SLOTS[1] + 20), until=5)[0][1], MAYBE)

    def test_silence_without_a_death_explains_nothing(self):
        self.assertEqual(outcomes(hits("oo...o"), until=5)[0][1], OK)
        early = killed("worker", SLOTS[1] - 500)
        self.assertEqual(outcomes(hits("oo...o"), early, until=5)[0][1], OK)

    def test_a_scheduler_that_died_may_have_handed_a_slot_out_in_vain(self):
        seen = hits("ooooo")
        seen[SLOTS[1]] = [hit(SLOTS[1], after_ms=1_900)]
        death = killed("server", SLOTS[1] + 1_895)
        self.assertEqual(outcomes(seen, death)[0], [OK, MAYBE, OK, OK, OK])
        self.assertEqual(outcomes(hits("ooooo"), death)[0], [OK] * 5)

    def test_so_may_one_that_was_dead_before_the_late_hit_of_what_it_had_handed_out(self):
        seen = hits("ooooo")
        seen[SLOTS[1]] = [hit(SLOTS[1], after_ms=2_150)]
        seen[SLOTS[2]] = [hit(SLOTS[2], after_ms=600)]
        self.assertEqual(outcomes(seen, killed("server", SLOTS[1] + 2_070))[0][1], MAYBE)
        self.assertEqual(outcomes(seen, killed("server", SLOTS[1] - 100))[0][1], OK)

    def test_the_last_slot_needs_no_hit_after_it(self):
        self.assertEqual(outcomes(hits("ooooo"))[0][-1], OK)
        self.assertEqual(outcomes(hits("ooooo"), killed("worker", SLOTS[4] + 9))[0][-1], MAYBE)

    def test_two_hits_of_a_slot_may_each_have_counted(self):
        seen = hits("ooooo")
        seen[SLOTS[2]].append(hit(SLOTS[2], 500, attempt=2))
        self.assertEqual(outcomes(seen)[0][2], OK | FAIL)

    def test_an_answer_about_as_late_as_the_timeout_may_be_either(self):
        for delay_ms, expected in ((100, OK), (700, OK | FAIL), (1_700, FAIL)):
            seen = hits("ooooo")
            seen[SLOTS[2]] = [hit(SLOTS[2])._replace(delay_ms=delay_ms)]
            self.assertEqual(outcomes(seen)[0][2], expected)

    def test_what_was_not_http_is_a_failure(self):
        seen = hits("ooooo") | {SLOTS[2]: [hit(SLOTS[2], None)]}
        self.assertEqual(outcomes(seen)[0][2], FAIL)

    def test_a_hit_between_two_slots_is_a_stray(self):
        seen = hits("ooooo") | {SLOTS[2] + 300: [hit(SLOTS[2] + 300)]}
        self.assertEqual(outcomes(seen)[1], [SLOTS[2] + 300])


if __name__ == "__main__":
    unittest.main()
