from __future__ import annotations

import pytest

from fbcompile.lowering.tile_grid import balanced_sizes


@pytest.mark.parametrize(("total", "granule"), [(1, 1), (7, 1), (112, 1), (30, 4), (1024, 8), (5, 8)])
def test_balanced_sizes_give_every_number_of_tiles(total, granule):
    sizes = balanced_sizes(total, granule)
    assert sizes[0] == total
    assert all(size % granule == 0 or size == total for size in sizes)
    possible = {-(-total // size) for size in range(granule, total, granule)} | {1}
    assert {-(-total // size) for size in sizes} == possible
