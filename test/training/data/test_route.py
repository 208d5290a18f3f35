# Copyright 2026 The pair_drive_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Route correction, starting lane and centreline on small hand-made road networks."""

import numpy as np
from pair_drive_ros.scoring import SceneError
from pair_drive_training.data.city_map import baseline_with_headings, CityMap, Lane, Roadblock
from pair_drive_training.data.forecast import ego_footprint
from pair_drive_training.data.route import (
    centreline,
    correct_route,
    route_blocks,
    route_lanes,
    starting_lane,
)
import pytest
import shapely

LENGTH = 20.0


def network(*edges: tuple[str, str], at: dict[str, tuple[float, float]] | None = None,
            lanes: int = 1) -> CityMap:
    """
    Make a city of blocks in a row along x, each 20 m long, upper-case ids being connectors.

    Block number n of the mention lies at x = 20 n, or where ``at`` says.
    """
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    place = {name: (LENGTH * index, 0.0) for index, name in enumerate(names)} | (at or {})
    all_lanes, blocks = [], []
    for name in names:
        before = tuple(a for a, b in edges if b == name)
        after = tuple(b for a, b in edges if a == name)
        x, y = place[name]
        inside = []
        for number in range(lanes):
            points = np.array([[x, y - 3.5 * number], [x + LENGTH, y - 3.5 * number]])
            inside.append(Lane(f'{name}{number}', name.isupper(), name,
                               shapely.LineString(points).buffer(1.75, cap_style='flat'),
                               baseline_with_headings(points), 10.0,
                               tuple(f'{other}{number}' for other in before),
                               tuple(f'{other}{number}' for other in after)))
        all_lanes += inside
        blocks.append(Roadblock(name, name.isupper(),
                                shapely.union_all([lane.polygon for lane in inside]),
                                tuple(lane.fid for lane in inside), before, after))
    return CityMap('network', all_lanes, blocks, {})


def corrected(city: CityMap, route: str, x: float, y: float = 0.0,
              heading: float = 0.0) -> str:
    return ''.join(correct_route(city, np.array([x, y, heading]), route_blocks(city, route)))


def line_of(city: CityMap, route: str, x: float, y: float = 0.0):
    blocks = route_blocks(city, route)
    lanes = route_lanes(city, blocks)
    pose = np.array([x, y, 0.0])
    under = [lane.fid for lane in city.lanes.values()
             if lane.polygon.intersects(shapely.Point(pose[:2]))]
    start = starting_lane(lanes, under, pose, pose[:2] + [1.461, 0.0], ego_footprint(pose))
    return start, centreline(city, blocks, lanes, start)


STREET = network(('a', 'B'), ('B', 'c'), ('c', 'D'), ('D', 'e'), ('e', 'F'), ('F', 'g'))


def test_a_good_route_stays_as_it_is():
    assert corrected(STREET, 'aBc', 5.0) == 'aBc'


def test_a_route_that_starts_ahead_is_led_up_to():
    assert corrected(STREET, 'cDe', 5.0) == 'aBcDe'


def test_a_route_that_starts_behind_is_joined_where_the_ego_is():
    # From c nothing leads back to a; forward the first three blocks of the route are found.
    side = network(('a', 'B'), ('B', 'c'), ('x', 'Y'), ('Y', 'c'),
                   at={'x': (20.0, 50.0), 'Y': (40.0, 50.0), 'c': (60.0, 0.0)})
    assert corrected(side, 'aBc', 25.0, 50.0) == 'xYc'


def test_an_unreachable_route_stays_as_it_is():
    apart = network(('a', 'B'), ('x', 'Y'), at={'x': (0.0, 80.0), 'Y': (20.0, 80.0)})
    assert corrected(apart, 'aB', 5.0, 80.0) == 'aB'


def test_gaps_are_filled():
    assert corrected(STREET, 'aeFg', 5.0) == 'aBcDeFg'


def test_of_two_ways_to_the_goal_the_last_found_parent_counts():
    fork = network(('a', 'B'), ('a', 'C'), ('B', 'd'), ('C', 'd'), ('d', 'E'),
                   at={'C': (20.0, 50.0)})
    assert corrected(fork, 'adE', 5.0) == 'aCdE'


def test_the_ego_faces_its_block():
    # The oncoming block lies nearer, but its lanes lead the other way.
    city = network(('a', 'B'))
    points = np.array([[20.0, 1.0], [0.0, 1.0]])
    lane = Lane('z0', False, 'z', shapely.box(0.0, 0.2, 20.0, 1.8),
                baseline_with_headings(points), None, (), ())
    block = Roadblock('z', False, lane.polygon, ('z0',), (), ())
    both = CityMap('two ways', [*city.lanes.values(), lane],
                   [block, *city.roadblocks.values()], {})
    assert corrected(both, 'aB', 1.0, 0.9) == 'aB'
    assert corrected(both, 'z', 1.0, 0.9, np.pi) == 'z'


def test_a_loop_is_cut_before_it_closes():
    loop = network(('a', 'B'), ('B', 'c'), ('c', 'D'), ('D', 'e'), at={'D': (20.0, 0.5)})
    assert corrected(loop, 'aBcDe', 5.0) == 'aBc'


def test_off_the_road_the_nearest_block_is_taken():
    assert corrected(STREET, 'cDe', 45.0, 30.0) == 'cDe'


def test_an_empty_route_and_unknown_blocks_are_refused():
    with pytest.raises(SceneError, match='route is empty: filter such frames out'):
        route_blocks(STREET, [])
    with pytest.raises(SceneError, match='roadblock 77, which the map network does not have'):
        route_blocks(STREET, ['a', '77'])


def test_the_centreline_joins_the_baselines_with_repeated_points():
    start, line = line_of(STREET, 'aBc', 5.0)
    assert start.fid == 'a0'
    assert line.length == 60.0
    np.testing.assert_array_equal(line.poses[:, 0], [0, 20, 20, 40, 40, 60])


def test_the_centreline_starts_in_the_lane_below_the_ego():
    two = network(('a', 'B'), ('B', 'c'), lanes=2)
    start, line = line_of(two, 'aBc', 5.0, -3.4)
    assert start.fid == 'a1'
    np.testing.assert_array_equal(line.poses[:, 1], np.full(6, -3.5))


def test_beside_the_road_the_nearest_lane_is_taken():
    start, _ = line_of(STREET, 'aBc', 25.0, 6.0)
    assert start.fid == 'B0'


def test_the_shorter_of_two_ways_is_driven():
    detour = network(('a', 'B'), ('a', 'C'), ('B', 'd'), ('C', 'd'),
                     at={'C': (20.0, 0.0), 'd': (40.0, 0.0)})
    long = detour.lanes['B0']
    bent = Lane(long.fid, True, long.roadblock, long.polygon, baseline_with_headings(
        np.array([[20.0, 0.0], [30.0, 9.0], [40.0, 0.0]])), None, long.incoming, long.outgoing)
    city = CityMap('detour', [bent if lane.fid == 'B0' else lane
                              for lane in detour.lanes.values()],
                   list(detour.roadblocks.values()), {})
    _, line = line_of(city, 'aBCd', 5.0)
    assert line.length == 60.0


def test_without_a_way_to_the_goal_the_deepest_lane_is_the_end():
    broken = network(('a', 'B'), ('B', 'c'), ('x', 'Y'), at={'x': (0, 90.0), 'Y': (0, 90.0)})
    _, line = line_of(broken, 'aBcY', 5.0)
    assert line.length == 60.0


def test_a_search_through_a_grid_of_streets_ends():
    # 2^14 ways of 29 blocks lead here; each block is looked at once per level.
    edges = []
    for column in range(14):
        for side in 'pq':
            for after in 'pq':
                edges += [(f'{side}{column}', f'{side.upper()}{after.upper()}{column}'),
                          (f'{side.upper()}{after.upper()}{column}', f'{after}{column + 1}')]
    city = network(*edges)
    ids = route_blocks(city, ['p0', 'p14'])
    found = correct_route(city, np.array([1.0, 0.0, 0.0]), ids)
    assert found[0] == 'p0'
    assert found[-1] == 'p14'
    assert len(found) == 29
