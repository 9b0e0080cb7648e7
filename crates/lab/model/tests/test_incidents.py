"""Whether incidents follow from the hits."""

import unittest

from pulse_model.health import Outcome, Rule
from pulse_model.incidents import explained, plain
from pulse_model.readings import UNSEEN, Reading

from .fixtures import SLOTS, hit, incident

OUTCOMES = {
    "o": frozenset({Outcome.OK}),
    "f": frozenset({Outcome.FAIL}),
    ".": UNSEEN,
    "F": frozenset({Outcome.FAIL, Outcome.MISSED}),
    "O": frozenset({Outcome.OK, Outcome.MISSED}),
}


def read(letters: str) -> list[Reading]:
    """Small letters are certain, capitals may be missed instead, a dot was not seen."""
    return [Reading(slot, OUTCOMES[letter], [hit(slot)]) for letter, slot in zip(letters, SLOTS)]


class IncidentsTest(unittest.TestCase):
    def test_what_follows_is_explained_and_nothing_else_is(self):
        cases = [
            ("oooo", [], True),
            ("oooo", [incident(1, 3)], False),
            ("offfo", [incident(1, 4)], True),
            ("offfo", [], False),
            ("offfo", [incident(2, 4)], False),
            ("offfo", [incident(1, 3)], False),
            ("offfo", [incident(1, None)], False),
            ("offf", [incident(1, None)], True),
            ("offf", [incident(1, 20)], True),
            ("off.fo", [incident(1, 5)], True),
            ("offfofffo", [incident(1, 4), incident(5, 8)], True),
            ("offfofffo", [incident(1, 8)], False),
            ("offfofffo", [incident(1, 4)], False),
        ]
        for letters, claimed, expected in cases:
            with self.subTest(letters, claimed=claimed):
                self.assertEqual(explained(read(letters), Rule(3), claimed), expected)

    def test_a_doubtful_slot_is_read_as_the_claims_need_it_but_in_one_way_only(self):
        cases = [
            ("offFo", [incident(1, 4)], True),
            ("offFo", [], True),
            ("oFffo", [], True),
            ("oFffo", [incident(2, 4)], False),
            ("oFfffo", [incident(2, 5)], True),
            ("offfOfo", [incident(1, 4)], True),
            ("offfOfo", [incident(1, 6)], True),
            ("offfOfffo", [incident(1, 4), incident(5, 8)], True),
            ("offfOfffo", [incident(1, 4)], False),
            # Each edge has a reading, but not both the same one.
            ("ofFofFfo", [incident(4, 7)], True),
            ("oFffOfffo", [incident(1, 4)], False),
        ]
        for letters, claimed, expected in cases:
            with self.subTest(letters, claimed=claimed):
                self.assertEqual(explained(read(letters), Rule(3), claimed), expected)

    def test_the_plain_reading_lets_every_hit_count(self):
        self.assertEqual(plain(read("oFffo"), Rule(3)), [(SLOTS[1], SLOTS[4])])
        self.assertEqual(plain(read("off.f"), Rule(3)), [(SLOTS[1], None)])


if __name__ == "__main__":
    unittest.main()
