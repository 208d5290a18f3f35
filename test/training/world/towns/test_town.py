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

from collections import Counter
import functools
import hashlib
import itertools

import numpy as np
from pair_drive_training.world.towns.curves import headings_of
from pair_drive_training.world.towns.town import Control, Town, Turn
from pair_drive_training.world.towns.world_towns import (
    CITIES,
    simple_town,
    TOWNS,
    world_town,
    world_towns,
)
import pytest
import shapely

# The score's car: length, width, and its centre ahead of the rear axle.
CAR = 5.176, 2.297, 1.461
PLACES = ('simple', 0, 5, 10)


@functools.cache
def town_of(place: str | int) -> Town:
    return simple_town() if place == 'simple' else world_town(3, place)


@pytest.fixture(params=PLACES, name='town')
def _town(request: pytest.FixtureRequest) -> Town:
    return town_of(request.param)


def car_boxes(poses: np.ndarray, size: tuple[float, float] = CAR[:2],
              ahead: float = CAR[2]) -> np.ndarray:
    """Corners [N, 4, 2] of boxes whose centre is ``ahead`` of the poses [N, 3]."""
    x = ahead + size[0] / 2 * np.array([1.0, 1.0, -1.0, -1.0])
    y = size[1] / 2 * np.array([1.0, -1.0, -1.0, 1.0])
    cos, sin = np.cos(poses[:, 2:]), np.sin(poses[:, 2:])
    return np.stack([poses[:, :1] + cos * x - sin * y, poses[:, 1:2] + sin * x + cos * y],
                    axis=-1)


def drive(*lines: np.ndarray) -> np.ndarray:
    """Poses [N, 3] every half metre along lines that join."""
    line = np.concatenate([lines[0], *(other[1:] for other in lines[1:])])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    heading = np.unwrap(headings_of(line))
    places = np.arange(0.0, along[-1], 0.5)
    return np.column_stack([np.interp(places, along, column)
                            for column in (line[:, 0], line[:, 1], heading)])


def heading_change(first: np.ndarray, second: np.ndarray) -> float:
    (x, y), (u, v) = first[-1] - first[-2], second[1] - second[0]
    return abs(float(np.arctan2(x * v - y * u, x * u + y * v)))


def digest(town: Town) -> str:
    content = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, np.ndarray):
            content.update(np.ascontiguousarray(value, np.float64).tobytes())
        elif isinstance(value, shapely.Geometry):
            content.update(shapely.to_wkb(value, byte_order=1))
        elif isinstance(value, dict):
            add(tuple(value.items()))
        elif isinstance(value, tuple | list):
            for item in value:
                add(item)
        elif hasattr(value, '__dataclass_fields__'):
            add([getattr(value, field) for field in value.__dataclass_fields__])
        else:
            content.update(repr(value).encode())

    add(town)
    return content.hexdigest()[:16]


def test_lanes_join_without_gap_and_without_kink(town):
    for lane in town.lanes.values():
        for following in lane.outgoing:
            other = town.lanes[following]
            assert lane.fid in other.incoming
            assert np.hypot(*(other.baseline[0] - lane.baseline[-1])) < 0.01
            assert heading_change(lane.baseline, other.baseline) < np.radians(3.0)


def test_lines_are_smooth_and_finely_sampled(town):
    for lane in town.lanes.values():
        steps = np.hypot(*np.diff(lane.baseline, axis=0).T)
        turns = np.abs(np.diff(np.unwrap(np.arctan2(*np.diff(lane.baseline, axis=0).T[::-1]))))
        assert steps.max() < 6.5 and steps.min() > 0.1
        # No sharper than a circle of 7 m through points a metre apart.
        assert turns.max(initial=0.0) < 1.0 / 7.0
        assert steps[:-1][turns > 0.02].max(initial=0.0) < 2.0


def test_car_on_any_way_stays_on_drivable_ground(town):
    areas = np.array([*town.groups.values(), *town.car_parks.values(),
                      *(junction.polygon for junction in town.junctions.values())])
    tree = shapely.STRtree(areas)
    ways = [[first.baseline, town.lanes[connector].baseline, town.lanes[last].baseline]
            for first in town.lanes.values() if not first.is_connector
            for connector in first.outgoing for last in town.lanes[connector].outgoing]
    corners = np.concatenate([car_boxes(drive(*way)) for way in ways]).reshape(-1, 2)
    inside = np.zeros(len(corners), bool)
    inside[tree.query(shapely.points(corners), 'within')[0]] = True
    assert len(corners) > 10_000
    assert inside.all()


def test_every_road_leads_to_every_other(town):
    def reached(start: int, step: str) -> set[int]:
        seen, queue = {start}, [start]
        while queue:
            group = queue.pop()
            for lane in town.lanes.values():
                for other in getattr(lane, step) if lane.group == group else ():
                    if town.lanes[other].group not in seen:
                        seen.add(town.lanes[other].group)
                        queue.append(town.lanes[other].group)
        return seen

    every = {lane.group for lane in town.lanes.values()}
    start = min(every)
    assert reached(start, 'outgoing') == reached(start, 'incoming') == every
    assert all(lane.outgoing for lane in town.lanes.values())


def test_junctions_contain_their_connectors_and_groups_their_lanes(town):
    for lane in town.lanes.values():
        polygon = town.lane_polygons[lane.fid]
        if lane.is_connector:
            assert town.junctions[lane.junction].polygon.contains(polygon)
            assert town.group_connectors[lane.group][0].buffer(0.01).contains(polygon)
        else:
            assert town.groups[lane.group].buffer(0.01).contains(polygon)
    assert all(area.is_valid and area.geom_type == 'Polygon' for area in (
        *town.groups.values(), *town.lane_polygons.values(),
        *(junction.polygon for junction in town.junctions.values()),
        *(item[0] for item in town.group_connectors.values())))


def test_roads_do_not_run_into_each_other(town):
    groups = np.array(list(town.groups.values()))
    first, second = shapely.STRtree(groups).query(groups, 'intersects')
    shared = shapely.intersection(groups[first], groups[second])
    assert shapely.area(shared)[first != second].max() < 0.1
    areas = [junction.polygon for junction in town.junctions.values()
             if junction.control is not Control.MERGE]
    assert not any(a.intersects(b) for a, b in itertools.combinations(areas, 2))


def test_neighbours_lie_on_the_side_that_is_said(town):
    for lane in town.lanes.values():
        if lane.right is not None:
            other = town.lanes[lane.right]
            ahead = lane.baseline[1] - lane.baseline[0]
            across = other.baseline[0] - lane.baseline[0]
            assert other.left == lane.fid and other.index == lane.index + 1
            assert ahead[0] * across[1] - ahead[1] * across[0] < 0.0


def test_nobody_waits_for_each_other(town):
    for junction in town.junctions.values():
        for waiting, firsts in junction.yields_to.items():
            assert town.lanes[waiting].junction == junction.fid
            for first in firsts:
                assert waiting not in junction.yields_to.get(first, ())
                assert town.lanes[first].phase == town.lanes[waiting].phase


def test_crossing_ways_are_settled(town):
    """Who meets has a different green, or one of the two waits."""
    for junction in town.junctions.values():
        members = [lane for lane in town.lanes.values() if lane.junction == junction.fid]
        for one, other in itertools.combinations(members, 2):
            if one.incoming == other.incoming or one.phase != other.phase:
                continue
            if town.lanes[one.incoming[0]].group == town.lanes[other.incoming[0]].group:
                continue
            overlap = town.lane_polygons[one.fid].intersection(town.lane_polygons[other.fid])
            settled = (other.fid in junction.yields_to.get(one.fid, ())
                       or one.fid in junction.yields_to.get(other.fid, ()))
            assert settled or overlap.area < 1.0


def test_left_turn_waits_for_oncoming_traffic_at_green():
    town = town_of('simple')
    junction = next(iter(town.junctions.values()))
    lefts = [lane for lane in town.lanes.values() if lane.turn is Turn.LEFT]
    assert len(lefts) == 4 and len(junction.phases) == 2
    for left in lefts:
        firsts = {town.lanes[first].turn for first in junction.yields_to[left.fid]}
        assert firsts == {Turn.STRAIGHT, Turn.RIGHT}
    assert all(town.lanes[waiting].turn is Turn.LEFT for waiting in junction.yields_to)


def test_ring_of_a_roundabout_goes_first():
    town = town_of(0)
    ring = next(junction for junction in town.junctions.values()
                if junction.control is Control.ROUNDABOUT)
    assert len(ring.yields_to) >= 3
    for entry, firsts in ring.yields_to.items():
        assert all(town.lanes[first].turn is Turn.STRAIGHT for first in firsts)
        assert {town.lanes[first].outgoing for first in firsts} == {town.lanes[entry].outgoing}
    assert len(ring.polygon.interiors) == 1


def test_nothing_stands_on_the_road(town):
    roads = town.asphalt
    assert not any(shapely.Polygon(building.footprint).intersects(roads)
                   for building in town.buildings)
    standing = [*(plant.position for plant in town.plants), *town.poles[:, :2],
                *(head.position[:2] for head in town.signal_heads)]
    assert not shapely.intersects_xy(roads, np.array(standing)).any()
    # The devkit's BEV maps draw no holes.
    drawn = [shapely.Polygon(area.exterior) for area in town.walkways.values()]
    assert not any(area.intersection(roads).area > 0.5 for area in drawn)


def test_parked_cars_stand_beside_the_lanes(town):
    lanes = shapely.union_all([town.lane_polygons[lane] for lane in town.lanes])
    poses = np.array([place.pose for place in town.parking])
    boxes = shapely.polygons(car_boxes(poses, (4.8, 1.9), 0.0))
    assert shapely.contains_properly(shapely.buffer(town.asphalt, 0.1), boxes).all()
    assert not shapely.intersects(lanes, boxes).any()
    tree = shapely.STRtree(boxes)
    first, second = tree.query(boxes, 'intersects')
    assert (first == second).all()
    assert {place.at_kerb for place in town.parking} == {True, False}


def test_car_parks_open_onto_a_road(town):
    roads = shapely.union_all(list(town.groups.values()))
    assert town.car_parks
    for area in town.car_parks.values():
        assert 1.0 < area.intersection(roads).area < 15.0


def test_crosswalks_span_the_road(town):
    assert town.crossings
    for crossing in town.crossings.values():
        line = shapely.LineString(crossing.line)
        assert crossing.polygon.buffer(0.01).contains(line)
        for connector in crossing.connectors:
            assert line.crosses(shapely.LineString(town.lanes[connector].baseline))


def test_signals_face_those_who_come(town):
    facing = Counter()
    for head in town.signal_heads:
        for connector in head.connectors:
            start = town.lanes[connector].baseline
            towards = head.position[:2] - start[0]
            ahead = (start[1] - start[0]) / np.hypot(*(start[1] - start[0]))
            assert towards @ ahead > -2.0
            assert ahead @ [np.cos(head.heading), np.sin(head.heading)] < -0.99
            facing[connector] += 1
    signalled = [lane.fid for lane in town.lanes.values() if lane.phase is not None]
    assert signalled and all(facing[connector] == 2 for connector in signalled)


def test_walks_run_beside_the_roads(town):
    for walk in town.walks:
        middle = shapely.LineString(walk)
        assert (walk[0] == walk[-1]).all()
        assert middle.distance(town.asphalt) < 2.0
    roads = shapely.union_all(list(town.groups.values()))
    assert not any(shapely.LineString(walk).intersects(roads) for walk in town.walks)


def test_world_has_every_kind_of_road():
    controls, arms, turns, lanes, limits = set(), set(), set(), set(), set()
    for number in (0, 5, 10):
        town = town_of(number)
        for junction in town.junctions.values():
            controls.add(junction.control)
            into = {town.lanes[lane.incoming[0]].group for lane in town.lanes.values()
                    if lane.junction == junction.fid}
            if junction.control in (Control.SIGNALS, Control.PRIORITY):
                arms.add(len(into))
        turns |= {lane.turn for lane in town.lanes.values() if lane.is_connector}
        lanes |= {lane.index for lane in town.lanes.values() if not lane.is_connector}
        limits |= {lane.speed_limit for lane in town.lanes.values() if not lane.is_connector}
        assert 6 <= sum(junction.control is not Control.MERGE
                        for junction in town.junctions.values()) <= 12
    assert controls == set(Control) and arms == {3, 4} and turns == set(Turn)
    assert {0, 1} <= lanes
    assert None in limits and len(limits) > 3


def test_world_lays_its_towns_apart_in_all_cities():
    towns = world_towns(11)
    assert len(towns) == TOWNS
    assert Counter(town.city for town in towns) == dict.fromkeys(CITIES, TOWNS // len(CITIES))
    for city in CITIES:
        here = [town for town in towns if town.city == city]
        ids = [set(town.lanes) | set(town.groups) | set(town.junctions) for town in here]
        assert not any(a & b for a, b in itertools.combinations(ids, 2))
        centres = [town.centre for town in here]
        assert all(np.hypot(*(a - b)) >= 2000.0 for a, b in itertools.combinations(centres, 2))
        for town in here:
            reach = np.abs(np.array(town.asphalt.bounds).reshape(2, 2) - town.centre)
            assert reach.max() < 400.0


def test_seed_decides_everything():
    assert digest(world_town(3, 5)) == digest(town_of(5))
    assert digest(world_town(4, 5)) != digest(town_of(5))


@pytest.mark.parametrize(('place', 'expected'), [
    ('simple', 'aa80f3ca4e41980f'), (0, '676c2e37bf48d026')])
def test_town_is_the_same_on_every_machine(place, expected):
    # Whoever changes how towns are drawn changes these, and with them every world's checksum.
    assert digest(town_of(place)) == expected
