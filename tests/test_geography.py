"""Grid references as degrees, and the outline of points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.geography import GREAT_BRITAIN, IRELAND, Grid, Point, hull
from bookings.slots.travel import Place, metres


@pytest.mark.parametrize(
    ("grid", "reference", "point"),
    [
        (GREAT_BRITAIN, (651409.903, 313177.270), (52.657977, 1.716052)),  # the Ordnance Survey's own example
        (IRELAND, (333800, 374000), (54.59652, -5.93058)),  # Belfast
    ],
)
def test_a_grid_reference_is_where_the_map_says(grid: Grid, reference: Point, point: Point) -> None:
    assert metres(Place(*grid.point(*reference)), Place(*point)) < 25


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=40))
def test_nothing_lies_further_out_than_the_corners(points: list[Point]) -> None:
    corners = hull(points)
    assert set(corners) <= set(points)
    for east, north in ((1, 0), (0, 1), (1, 1), (1, -3), (-1, 0), (-7, 2), (0, -1)):
        farthest = max(x * east + y * north for x, y in points)
        assert max(x * east + y * north for x, y in corners) == farthest
