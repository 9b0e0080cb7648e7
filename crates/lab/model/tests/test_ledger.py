"""Which slot is under way, and which were missed."""

import unittest

from pulse_model.ledger import Gap, Ledger
from pulse_model.schedule import Grid

GRID = Grid(10_000, 0)
TIMEOUT_MS = 500


class LedgerTest(unittest.TestCase):
    def test_a_calm_slot_is_claimed_once_and_settled_once(self):
        ledger, slot_ms, within_ms, gaps = Ledger(10_000).claim(GRID, 10_003, TIMEOUT_MS)
        self.assertEqual((slot_ms, within_ms, gaps), (10_000, 8_497, []))
        self.assertIsNone(ledger.claim(GRID, 10_004, TIMEOUT_MS))
        ledger, gaps = ledger.settle(GRID, 10_000)
        self.assertEqual((ledger, gaps), (Ledger(20_000, last_ms=10_000), []))
        self.assertIsNone(ledger.settle(GRID, 10_000))

    def test_a_slot_without_a_result_is_lost_when_the_next_is_claimed(self):
        ledger, *_ = Ledger(10_000).claim(GRID, 10_000, TIMEOUT_MS)
        ledger, slot_ms, _, gaps = ledger.claim(GRID, 20_000, TIMEOUT_MS)
        self.assertEqual((slot_ms, gaps), (20_000, [Gap(10_000, 1, "lost")]))
        self.assertIsNone(ledger.settle(GRID, 10_000))

    def test_the_next_slot_waits_for_a_result_that_may_still_come(self):
        ledger, *_ = Ledger(10_000).claim(GRID, 19_000, TIMEOUT_MS)
        self.assertIsNone(ledger.claim(GRID, 24_499, TIMEOUT_MS))
        self.assertIsNotNone(ledger.claim(GRID, 24_500, TIMEOUT_MS))

    def test_slots_behind_the_newest_are_late(self):
        ledger, slot_ms, _, gaps = Ledger(10_400).claim(GRID, 55_000, TIMEOUT_MS)
        self.assertEqual((slot_ms, gaps), (50_000, [Gap(10_400, 4, "late")]))
        self.assertEqual(ledger.last_ms, 40_000)

    def test_a_result_of_a_claim_that_was_never_committed_counts(self):
        ledger, gaps = Ledger(10_000).settle(GRID, 30_000)
        self.assertEqual((ledger, gaps), (Ledger(40_000, last_ms=30_000), [Gap(10_000, 2, "late")]))

    def test_a_result_of_no_slot_is_stale(self):
        for slot_ms in (9_999, 10_001, 25_000):
            self.assertIsNone(Ledger(10_000).settle(GRID, slot_ms))

    def test_a_run_asked_for_is_due_at_once_and_never_before_the_last(self):
        self.assertEqual(Ledger(20_000).make_due(13_000).next_ms, 13_000)
        self.assertEqual(Ledger(20_000, last_ms=15_000).make_due(14_000).next_ms, 15_001)
        self.assertEqual(Ledger(12_000).make_due(13_000).next_ms, 12_000)


if __name__ == "__main__":
    unittest.main()
