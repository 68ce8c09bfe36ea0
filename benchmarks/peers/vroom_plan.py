"""Metres of the shortest plan of some days, as VROOM finds it; days as JSON on stdin (see benchmarks/travel.py)."""

import json
import math
import sys
from itertools import pairwise
from typing import Any

import numpy  # type: ignore[import-not-found]  # in an environment of its own
import vroom  # type: ignore[import-not-found]

EARTH, METRES_A_SECOND, PARKING = 6_371_009, 24 / 3.6 / 1.3, 480


def metres(one: list[float], other: list[float]) -> int:
    north, other_north = math.radians(one[0]), math.radians(other[0])
    down = math.sin((other_north - north) / 2) ** 2
    across = math.sin(math.radians(other[1] - one[1]) / 2) ** 2
    return round(2 * EARTH * math.asin(math.sqrt(down + math.cos(north) * math.cos(other_north) * across)))


def planned(day: dict[str, Any]) -> int:
    places = [*day["homes"], *(job[:2] for job in day["jobs"])]
    apart = numpy.array([[metres(one, other) for other in places] for one in places], dtype=numpy.uint32)
    plan = vroom.Input()
    plan.set_durations_matrix("car", (apart / METRES_A_SECOND + PARKING * (apart > 0)).astype(numpy.uint32))
    plan.set_distances_matrix("car", apart)
    plan.set_costs_matrix("car", apart)
    opens, closes = map(int, day["hours"])
    for number in range(len(day["homes"])):
        plan.add_vehicle(vroom.Vehicle(number, start=number, end=number, time_window=vroom.TimeWindow(opens, closes)))
    for number, (_, _, lasts, start, until) in enumerate(day["jobs"], start=len(day["homes"])):
        plan.add_job(
            vroom.Job(
                number, number, default_service=int(lasts), time_windows=[vroom.TimeWindow(int(start), int(until))]
            )
        )
    solution = plan.solve(exploration_level=3, nb_threads=2)
    left = len(solution.unassigned)
    if left:
        print(f"{left} jobs of a day did not fit", file=sys.stderr)
    routes = solution.routes
    stops = [(row["vehicle_id"], row["location_index"]) for _, row in routes.iterrows()]
    return sum(int(apart[a][b]) for (one, a), (other, b) in pairwise(stops) if one == other)


print(sum(map(planned, json.load(sys.stdin))))
