"""When an outage begins and when it ends."""

import unittest

from pulse_model.health import UNKNOWN, Edge, Outcome, observe

LETTERS = {"o": Outcome.OK, "f": Outcome.FAIL, "i": Outcome.INCONCLUSIVE, "m": Outcome.MISSED}


def edges(letters: str, threshold: int = 3) -> list[Edge]:
    """The edges that a sequence makes; slots count from 0."""
    health, found = UNKNOWN, []
    for slot, letter in enumerate(letters):
        health, edge = observe(health, slot, LETTERS[letter], threshold)
        found += [edge] if edge else []
    return found


class HealthTest(unittest.TestCase):
    def test_the_rule(self):
        down, up = (lambda at: Edge(True, at)), (lambda at: Edge(False, at))
        cases = [
            ("", []),
            ("ooffo", []),
            ("offf", [down(1)]),
            ("fff", [down(0)]),
            ("offfffo", [down(1), up(6)]),
            ("ofmfif", [down(1)]),
            ("offfmofff", [down(1), up(5), down(6)]),
            ("ffoffof", []),
        ]
        for letters, expected in cases:
            with self.subTest(letters):
                self.assertEqual(edges(letters), expected)

    def test_a_threshold_of_one_needs_one(self):
        self.assertEqual(edges("ofo", 1), [Edge(True, 1), Edge(False, 2)])


if __name__ == "__main__":
    unittest.main()
