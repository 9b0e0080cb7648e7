"""When a check is due."""

import unittest
from uuid import UUID

from pulse_model.schedule import Grid


class GridTest(unittest.TestCase):
    def test_on_the_grid_the_next_slot_is_one_interval_later(self):
        self.assertEqual(Grid(1000, 7).after(10_007), 11_007)

    def test_after_a_slot_off_the_grid_the_next_is_at_least_half_an_interval_away(self):
        grid = Grid(1000, 0)
        self.assertEqual([grid.after(it) for it in (10_400, 10_500, 10_501)], [11_000, 11_000, 12_000])

    def test_half_of_an_odd_interval_is_rounded_up(self):
        self.assertEqual(Grid(3, 0).after(1), 3)
        self.assertEqual(Grid(3, 0).after(2), 6)

    def test_the_variant_of_an_id_has_no_part_in_its_phase(self):
        one, other = (Grid.of(UUID(int=high << 62 | 123_456), 1000) for high in (0b10, 0b01))
        self.assertEqual((one, other), (Grid(1000, 456), Grid(1000, 456)))

    def test_a_walk_begins_with_its_first_slot_and_ends_in_time(self):
        self.assertEqual(list(Grid(2000, 0).walk(1500, 8000)), [1500, 4000, 6000, 8000])
        self.assertEqual(list(Grid(2000, 0).walk(1500, 1499)), [])


if __name__ == "__main__":
    unittest.main()
