"""When an outage begins and when it ends, and when a check is degraded."""

import unittest

from pulse_model.health import UNKNOWN, Edge, Health, Outcome, Rule, State, observe

LETTERS = {
    "o": Outcome.OK,
    "d": Outcome.DEGRADED,
    "f": Outcome.FAIL,
    "i": Outcome.INCONCLUSIVE,
    "m": Outcome.MISSED,
}
STATES = {State.PENDING: "p", State.UP: "u", State.DOWN: "x", State.DEGRADED: "d"}
THREE = Rule(3)


def fold(letters: str, rule: Rule) -> tuple[list[Health], list[Edge]]:
    """What a sequence makes of a check, and its edges; slots count from 0."""
    health, after, edges = UNKNOWN, [], []
    for slot, letter in enumerate(letters):
        health, edge = observe(health, slot, LETTERS[letter], rule)
        after.append(health)
        edges += [edge] if edge else []
    return after, edges


def states(letters: str, rule: Rule) -> str:
    """A letter for each state."""
    return "".join(STATES[health.state] for health in fold(letters, rule)[0])


def down(at: int) -> Edge:
    """An outage begins."""
    return Edge(State.DOWN, at)


def degraded(at: int) -> Edge:
    """It is alive, and not well."""
    return Edge(State.DEGRADED, at)


def up(at: int) -> Edge:
    """It is well."""
    return Edge(State.UP, at)


class HealthTest(unittest.TestCase):
    def test_the_rule(self):
        cases = [
            ("", []),
            ("ooffo", []),
            ("offf", [down(1)]),
            ("fff", [down(0)]),
            ("offfffo", [down(1), up(6)]),
            ("ofmfif", [down(1)]),
            ("offfmofff", [down(1), up(5), down(6)]),
            ("ffoffof", []),
            ("ffdff", [degraded(0)]),
            ("fffdo", [down(0), degraded(3), up(4)]),
            ("ofdddo", [degraded(1), up(5)]),
        ]
        for letters, expected in cases:
            with self.subTest(letters):
                self.assertEqual(fold(letters, THREE)[1], expected)

    def test_a_threshold_of_one_needs_one(self):
        self.assertEqual(fold("ofo", Rule(1))[1], [down(1), up(2)])

    def test_a_window_begins_anew_after_an_outage(self):
        cases = [
            ("ofofof", [down(1)]),
            ("ofmoifof", [down(1)]),
            ("ofooofof", []),
            ("fffofof", [down(0), up(3)]),
            ("fffofoff", [down(0), up(3), down(4)]),
        ]
        for letters, expected in cases:
            with self.subTest(letters):
                self.assertEqual(fold(letters, Rule(3, window=5))[1], expected)

    def test_a_recovery_begins_with_the_first_good_slot_of_the_row(self):
        rule = Rule(2, recovering=3)

        self.assertEqual(fold("ffoofoo", rule)[1], [down(0)])
        self.assertEqual(fold("ffoofomdo", rule)[1], [down(0), degraded(5)])
        self.assertEqual(fold("ffoofomdomoo", rule)[1], [down(0), degraded(5), up(8)])

    def test_the_states(self):
        cases = [
            (THREE, "ffoffddo", "ppuuuddu"),
            (THREE, "odfff", "uuudx"),
            (Rule(1), "dfdo", "dxdu"),
            (Rule(2, recovering=2), "ddodoo", "pddddu"),
            (Rule(2, recovering=2), "ffdood", "pxxduu"),
            (Rule(1, recovering=3), "fdoooo", "xxxduu"),
            (Rule(3, window=5), "odododododod", "uuuuuduuuuud"),
            (Rule(3, window=5), "odofofof", "uuuuudux"),
        ]
        for rule, letters, expected in cases:
            with self.subTest(letters, rule=rule):
                self.assertEqual(states(letters, rule), expected)

    def test_what_is_remembered_has_an_end(self):
        for rule in (Rule(3), Rule(3, 5, 2), Rule(2, recovering=4)):
            with self.subTest(rule):
                after, _ = fold("odfoodofdoofd" * 20, rule)
                self.assertLessEqual(max(len(health.past) for health in after), 5)


if __name__ == "__main__":
    unittest.main()
