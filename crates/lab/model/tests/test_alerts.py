"""Whether every edge was told as promised."""

import unittest

from pulse_model import alerts

from .fixtures import CHECK, ID, delivery, incident

OVER = incident(1, 4)
GOOD = [delivery("opened", OVER, 10), delivery("resolved", OVER, 20)]
FAULTS = ("lost", "many_ids", "many_bodies", "bad_signatures", "disordered", "unfounded")


def faults(deliveries, claimed=(OVER,)):
    """The figures that are not 0."""
    found = alerts.judge([CHECK], {ID: list(claimed)}, deliveries)
    return {name: getattr(found, name) for name in FAULTS if getattr(found, name)}


class AlertsTest(unittest.TestCase):
    def test_both_edges_told_once_in_order_are_fine(self):
        found = alerts.judge([CHECK], {ID: [OVER]}, GOOD)
        self.assertEqual((found.edges, found.repeated, found.refused, found.complaints), (2, 0, 0, []))

    def test_an_edge_that_was_only_refused_is_lost(self):
        self.assertEqual(faults([delivery("opened", OVER, 10, 500)]), {"lost": 2})
        self.assertEqual(faults([delivery("opened", OVER, 10, None), *GOOD]), {})

    def test_the_same_twice_is_a_repetition_and_no_fault(self):
        found = alerts.judge([CHECK], {ID: [OVER]}, [*GOOD, GOOD[0]._replace(at_us=30)])
        self.assertEqual((found.repeated, found.complaints), (1, []))

    def test_an_open_incident_owes_no_resolution_and_may_not_tell_one(self):
        self.assertEqual(faults(GOOD[:1], [incident(1, None)]), {})
        self.assertEqual(faults(GOOD, [incident(1, None)]), {"unfounded": 1})

    def test_two_ids_or_two_bodies_for_one_edge_are_a_fault(self):
        self.assertEqual(faults([*GOOD, GOOD[0]._replace(id="x", at_us=30)]), {"many_ids": 1})
        self.assertEqual(faults([*GOOD, GOOD[0]._replace(body_sha256="x")]), {"many_bodies": 1})

    def test_one_id_for_two_edges_is_a_fault(self):
        mixed = [GOOD[0], GOOD[1]._replace(id=GOOD[0].id, body_sha256=GOOD[0].body_sha256)]
        self.assertEqual(faults(mixed), {"many_ids": 1})

    def test_resolved_must_wait_until_opened_was_taken(self):
        early = [delivery("opened", OVER, 10, 500), GOOD[1], delivery("opened", OVER, 30)]
        self.assertEqual(faults(early), {"disordered": 1})

    def test_forged_wrong_and_foreign_alerts_are_a_fault(self):
        self.assertEqual(faults([GOOD[0]._replace(signature_ok=False), GOOD[1]]), {"bad_signatures": 1})
        self.assertEqual(faults([*GOOD, delivery("opened", incident(2, 4, "j"), 30)]), {"unfounded": 1})
        self.assertEqual(faults([*GOOD, GOOD[0]._replace(told=None, id="x")]), {"unfounded": 1})
        self.assertEqual(faults([*GOOD, GOOD[0]._replace(hook="other", id="x")]), {"unfounded": 1})
        moved = GOOD[1].told._replace(until_ms=GOOD[1].told.until_ms + 1)
        self.assertEqual(faults([GOOD[0], GOOD[1]._replace(told=moved)]), {"lost": 1, "unfounded": 1})


if __name__ == "__main__":
    unittest.main()
