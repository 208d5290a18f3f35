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

from math import sqrt

import numpy as np
from pair_drive_ros.scoring import Objects, ObjectType
from pair_drive_training.data.city_map import baseline_with_headings, CityMap, Lane, Layer
from pair_drive_training.data.frames import Tracks
from pair_drive_training.data.idm_path import knots_of_baseline, Rail
from pair_drive_training.data.idm_traffic import IdmTraffic, IdmTrafficError
from pair_drive_training.data.idm_vehicle import idm_acceleration
import pytest
from scipy.interpolate import interp1d
import shapely

LENGTH, WIDTH = 4.0, 2.0
FAR_EGO = (0.0, 60.0, 0.0)
EGO_HALF_LENGTH = 2.588


def lane(name, points, limit=None, width=4.0, connector=False):
    points = np.array(points, float)
    polygon = shapely.LineString(points).buffer(width / 2.0, cap_style='flat')
    return Lane(name, connector, 'block', polygon, baseline_with_headings(points), limit, (), ())


def straight(name='lane', length=200, y=0.0, **options):
    return lane(name, [(x, y) for x in range(length + 1)], **options)


def city_of(*lanes, intersections=()):
    areas = {Layer.INTERSECTION: (tuple(map(str, range(len(intersections)))),
                                  np.array(intersections, object))}
    return CityMap('testville', lanes, (), areas)


def car(x, y=0.0, speed=0.0, heading=0.0, kind=ObjectType.VEHICLE):
    return kind, x, y, heading, speed


def tracks_of(objects):
    count = len(objects)
    values = np.array([item[1:] for item in objects], float).reshape(count, 4)
    velocity = values[:, 3:] * np.column_stack([np.cos(values[:, 2]), np.sin(values[:, 2])])
    return Tracks(np.array([item[0] for item in objects], np.int64),
                  np.tile([LENGTH, WIDTH], (count, 1)), values[:, :3], velocity,
                  tuple(f'{index:016x}' for index in range(count)))


def replay_of(now):
    """Everything drives on as it does now."""
    times = 0.1 * np.arange(41)[:, None, None]
    boxes = np.repeat(now.boxes[None], 41, axis=0)
    boxes[..., :2] += times * now.velocity
    return Objects(now.kind, now.size, boxes, np.repeat(now.velocity[None], 41, axis=0),
                   np.ones((41, len(now.kind)), bool))


def states_of(ego, speed=0.0):
    states = np.zeros((41, 11))
    travelled = 0.1 * speed * np.arange(41)
    states[:, 0] = ego[0] + travelled * np.cos(ego[2])
    states[:, 1] = ego[1] + travelled * np.sin(ego[2])
    states[:, 2], states[:, 3] = ego[2], speed
    return states


def prepared(city, *objects, ego=FAR_EGO):
    now = tracks_of(objects)
    return IdmTraffic.prepare(now, replay_of(now), now.tokens, np.array([*ego, 0, 0, 0, 0.0]),
                              city)


def simulated(city, *objects, ego=FAR_EGO, ego_speed=0.0):
    return prepared(city, *objects, ego=ego).run(states_of(ego, ego_speed))


def speeds(result, row=0):
    return np.hypot(*result.velocity[1:, row].T)


def test_the_model_gives_values_computed_by_hand():
    desired = 1.0 + 5.0 * 1.5 + 5.0 * (5.0 - 4.0) / (2.0 * sqrt(2.0))
    by_hand = 1.0 - 0.5 ** 4 - (desired / 20.0) ** 2
    assert by_hand == pytest.approx(0.673932, abs=1e-6)
    assert idm_acceleration(5.0, 10.0, 20.0, 4.0) == pytest.approx(by_hand, abs=1e-12)


def test_the_model_is_bounded_and_knows_no_gap_below_the_least():
    assert idm_acceleration(20.0, 10.0, 0.0, 0.0) == -2.0
    assert idm_acceleration(0.2, 10.0, -7.0, 0.0) == idm_acceleration(0.2, 10.0, 1.0, 0.0)
    assert idm_acceleration(0.0, 10.0, 1e9, 0.0) == pytest.approx(1.0)


def test_a_lone_car_approaches_the_limit():
    result = simulated(city_of(straight(length=1000, limit=8.0)), car(20.0, speed=5.0))
    speed = speeds(result)
    assert np.all(np.diff(speed) > 0.0)
    assert 7.0 < speed[-1] < 8.0
    # The old speed carries it over the first step; the road ends one point before the lane does.
    assert result.boxes[1, 0, 0] == pytest.approx(20.5)
    gap = 999.0 - 20.0 - LENGTH / 2.0
    assert speed[0] == pytest.approx(5.0 + 0.1 * idm_acceleration(5.0, 8.0, gap, 0.0), abs=1e-12)


def test_a_car_above_the_limit_slows_down():
    speed = speeds(simulated(city_of(straight(length=1000, limit=8.0)), car(20.0, speed=12.0)))
    assert np.all(np.diff(speed) < 0.0)
    assert speed[-1] > 8.0


@pytest.mark.parametrize('limit', [None, 0.0])
def test_without_a_limit_the_target_is_that_of_the_vehicle_before(limit):
    city = city_of(straight('slow', 1000, limit=6.0), straight('free', 1000, 10.0, limit=limit))
    first, second = car(20.0, speed=6.0), car(20.0, 10.0, speed=6.0)
    assert speeds(simulated(city, second, first))[-1] > 8.0
    assert speeds(simulated(city, first, second), row=1)[-1] < 6.1


def test_a_car_stops_behind_a_standing_ego():
    ego = (38.0, 0.0, 0.0)
    result = simulated(city_of(straight()), car(30.0, speed=3.0), ego=ego)
    front = result.boxes[:, 0, 0] + LENGTH / 2.0
    assert speeds(result)[:10].tolist() == pytest.approx([3.0 - 0.2 * n for n in range(1, 11)])
    assert speeds(result)[-1] < 0.3
    assert front[-1] < ego[0] - EGO_HALF_LENGTH


def test_the_rear_axle_is_the_centre_of_the_ego_that_traffic_sees():
    ego, speed = (60.0, 0.0, 0.0), 3.0
    result = simulated(city_of(straight()), car(40.0, speed=5.0), ego=ego, ego_speed=speed)
    gap = (ego[0] - EGO_HALF_LENGTH) - (40.0 + LENGTH / 2.0)
    expected = 5.0 + 0.1 * idm_acceleration(5.0, 10.0, gap, speed)
    assert speeds(result)[0] == pytest.approx(expected, abs=1e-9)


def test_only_the_part_of_the_egos_speed_along_the_lane_counts():
    ego, speed = (60.0, 0.0, np.pi / 3.0), 4.0
    result = simulated(city_of(straight()), car(30.0, speed=5.0), ego=ego, ego_speed=speed)
    corners = [2.588 * along * np.exp(1j * ego[2]) + 1.1485j * across * np.exp(1j * ego[2])
               for along, across in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    box = shapely.Polygon([(60.0 + corner.real, corner.imag) for corner in corners])
    gap = box.distance(shapely.box(28.0, -1.0, 32.0, 1.0))
    expected = 5.0 + 0.1 * idm_acceleration(5.0, 10.0, gap, speed * 0.5)
    assert speeds(result)[0] == pytest.approx(expected, abs=1e-9)


def test_those_behind_in_the_order_see_where_those_before_went():
    front, rear = car(60.0, speed=4.0), car(40.0, speed=6.0)
    # A car reaches as far ahead as it comes within the headway time, but not before its first
    # step: the follower sees only the leader's tail either way.
    for objects, row, moved in (((front, rear), 1, 0.4), ((rear, front), 0, 0.0)):
        result = simulated(city_of(straight()), *objects)
        gap = 60.0 + moved - 40.0 - LENGTH
        lead_speed = speeds(result, 1 - row)[0] if moved else 4.0
        expected = 6.0 + 0.1 * idm_acceleration(6.0, 10.0, gap, lead_speed)
        assert speeds(result, row)[0] == pytest.approx(expected, abs=1e-9)


def test_the_nearest_is_followed_in_whatever_order():
    far, near, follower = car(75.0, speed=1.0), car(60.0, speed=4.0), car(40.0, speed=6.0)
    city = city_of(straight())
    expected = 6.0 + 0.1 * idm_acceleration(6.0, 10.0, 60.0 - 40.0 - LENGTH, 4.0)
    assert speeds(simulated(city, follower, far, near))[0] == pytest.approx(expected, abs=1e-9)
    assert speeds(simulated(city, follower, near, far))[0] == pytest.approx(expected, abs=1e-9)


def test_a_car_brakes_for_a_fast_follower_that_comes_before_it_in_the_order():
    slow, fast = car(60.0, speed=4.0), car(45.0, speed=12.0)
    city = city_of(straight())
    assert speeds(simulated(city, fast, slow), row=1)[0] == pytest.approx(3.8)
    assert speeds(simulated(city, slow, fast))[0] > 4.0


@pytest.mark.parametrize(('side', 'braking'), [(2.0, True), (2.2, False)])
def test_an_ego_beside_the_lane_counts_as_far_as_it_reaches_into_the_corridor(side, braking):
    result = simulated(city_of(straight()), car(30.0, speed=5.0), ego=(42.0, side, 0.0))
    assert bool(speeds(result)[0] < 5.0) == braking


def test_a_car_brakes_to_the_end_of_its_lane_and_goes_no_further():
    result = simulated(city_of(straight(length=60)), car(40.0, speed=8.0), car(58.5, 0.0, 5.0))
    braking, at_the_end = result.boxes[1:, 0, 0], result.boxes[1:, 1, 0]
    assert np.all(np.diff(braking) >= 0.0)
    assert speeds(result)[-1] < 0.5
    assert braking[-1] + LENGTH / 2.0 < at_the_end[-1]
    assert at_the_end.max() == 59.0


def test_a_car_is_put_on_the_middle_of_its_lane_from_the_first_step():
    result = simulated(city_of(straight()), car(30.0, 1.5, heading=0.2))
    assert result.boxes[0, 0].tolist() == [30.0, 1.5, 0.2]
    assert result.boxes[1, 0].tolist() == [30.0, 0.0, 0.0]


@pytest.mark.parametrize(('objects', 'width', 'seen'), [
    pytest.param([car(30.0, 8.0)], 4.0, [True], id='parked off the road'),
    pytest.param([car(30.0, 8.0, speed=0.2)], 4.0, [False], id='moving off the road'),
    pytest.param([car(30.0, 3.5, speed=5.0)], 8.0, [True], id='far from the middle'),
    pytest.param([car(30.0), car(32.0)], 4.0, [True, False], id='on the one before'),
    pytest.param([car(30.0, 8.0), car(32.0, 8.0)], 4.0, [True, False], id='parked on a parked'),
    pytest.param([car(30.0), car(31.0, 2.2, heading=1.6)], 4.0, [True, False],
                 id='parked on a driver'),
])
def test_who_is_kept_where_it_stands_and_who_vanishes(objects, width, seen):
    result = simulated(city_of(straight(width=width)), *objects)
    assert result.seen[0].all()
    assert result.seen[1].tolist() == seen
    kept = [row for row, obj in enumerate(objects) if seen[row] and obj[2]]
    assert (result.boxes[1:, kept] == result.boxes[0, kept]).all()


def test_a_frozen_vehicle_hides_while_a_driver_passes_through_it():
    now = tracks_of([car(45.0, 3.4), car(30.0, speed=18.0)])
    now.size[1, 1] = 5.0
    traffic = IdmTraffic.prepare(now, replay_of(now), now.tokens,
                                 np.array([*FAR_EGO, 0, 0, 0, 0.0]), city_of(straight()))
    result = traffic.run(states_of(FAR_EGO))
    alongside = np.abs(result.boxes[1:, 1, 0] - 45.0) <= LENGTH
    assert result.seen[1:, 0].tolist() == (~alongside).tolist()
    assert 0 < alongside.sum() < 10


def test_a_vehicle_on_the_ego_vanishes():
    result = simulated(city_of(straight()), car(33.0), ego=(30.0, 0.0, 0.0))
    assert result.seen[:, 0].tolist() == [True] + [False] * 40


def test_vehicles_more_than_100_m_from_the_rear_axle_go_away_for_good():
    ego = (30.0, 30.0, np.pi)
    result = simulated(city_of(straight(length=300)), car(30.0), car(125.0), car(190.0), ego=ego,
                       ego_speed=10.0)
    seen = result.seen
    assert seen[:, 0].all()
    assert not seen[1:, 2].any()
    left = int(np.flatnonzero(~seen[:, 1])[0])
    assert not seen[left:, 1].any()
    # A step looks at where the ego and the vehicle were one step before.
    away = np.hypot(*(result.boxes[:, 1] - states_of(ego, 10.0)[:, :3])[:left, :2].T)
    assert away[left - 2] <= 100.0 < away[left - 1]


def test_other_types_replay_the_log_and_vehicles_seen_later_do_not_exist():
    now = tracks_of([car(30.0), car(10.0, 5.0, 1.0, kind=ObjectType.PEDESTRIAN)])
    later = tracks_of([car(30.0), car(10.0, 5.0, 1.0, kind=ObjectType.PEDESTRIAN), car(90.0),
                       car(20.0, 9.0, kind=ObjectType.BARRIER)])
    replay = replay_of(later)
    replay.seen[20:, 1] = False
    traffic = IdmTraffic.prepare(now, replay, later.tokens, np.array([*FAR_EGO, 0, 0, 0, 0.0]),
                                 city_of(straight()))
    result = traffic.run(states_of(FAR_EGO))
    assert result.seen[:, 1].tolist() == [True] * 20 + [False] * 21
    assert (result.boxes[:20, 1] == replay.boxes[:20, 1]).all()
    assert not result.seen[:, 2].any()
    # Seen in a later frame only: the log's interpolation shows it everywhere but now.
    assert result.seen[:, 3].tolist() == [False] + [True] * 40


def test_on_an_intersection_the_connector_of_the_nearest_heading_is_taken():
    ahead = lane('ahead', [(x, 0.0) for x in range(41)], 5.0, connector=True)
    across = lane('across', [(20.0, y) for y in range(-20, 21)], 7.0, connector=True)
    city = city_of(ahead, across, intersections=[shapely.box(0, -20, 40, 20)])
    result = simulated(city, car(20.0, 0.5, heading=1.3, speed=2.0))
    assert result.boxes[1, 0].tolist() == pytest.approx([20.0, 0.7, np.pi / 2.0])
    # Without a connector under it a vehicle on the intersection is on no rail and not parked.
    assert not simulated(city, car(5.0, 15.0)).seen[1, 0]


def test_heading_differences_are_not_wrapped():
    west = lane('west', [(x, 0.001 * x) for x in range(40, -1, -1)])
    north = lane('north', [(20.0, y) for y in range(-20, 21)])
    # 3 rad and -3.1406 rad are 0.14 rad apart, but count as 6.14.
    result = simulated(city_of(west, north), car(20.0, 0.0, heading=3.0))
    assert result.boxes[1, 0, 2] == pytest.approx(np.pi / 2.0)


def test_rail_agrees_with_scipy_and_drops_what_the_devkit_drops():
    angle = np.linspace(0.0, 4.0, 60)
    points = 50.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    baseline = baseline_with_headings(np.insert(points, 20, points[20], axis=0))
    knots = knots_of_baseline(baseline)
    assert len(knots) == 59
    assert (knots[-1, 1:3] == points[-2]).all()
    rail = Rail(knots)
    at = np.random.default_rng(0).uniform(rail.start, rail.end, 200)
    x, y, heading = np.array([rail.pose(progress) for progress in at]).T
    expected = interp1d(knots[:, 0], knots[:, 1:], axis=0)(at).T
    np.testing.assert_allclose([x, y], expected[:2], rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(np.exp(1j * heading), np.exp(1j * expected[2]), atol=1e-12)
    assert np.all((-np.pi <= heading) & (heading < np.pi))


def test_rail_cut_in_pieces():
    rail = Rail(knots_of_baseline(baseline_with_headings(
        np.column_stack([np.arange(6.0), np.zeros(6)]))))
    assert rail.end == 4.0
    assert rail.ahead(2.5)[:, 0].tolist() == [2.5, 3.0, 4.0]
    assert rail.ahead(4.0)[:, 0].tolist() == [3.0, 4.0]
    assert rail.between(0.5, 2.0)[:, 0].tolist() == [0.5, 1.0, 2.0]
    assert rail.between(4.0, 4.0)[:, 0].tolist() == [3.0, 4.0]


def crowd(seed, count=14):
    """Three lanes, two of them crossing, and vehicles all over them."""
    random = np.random.default_rng(seed)
    bend = 40.0 * np.linspace(0.0, 1.5, 60)[:, None] ** [1.0, 2.0] + [40.0, -30.0]
    city = city_of(straight(length=120, limit=9.0), straight('next', 120, 3.5), lane('bend', bend))
    lanes = list(city.lanes.values())
    objects = []
    for _ in range(count):
        chosen = lanes[random.integers(3)]
        x, y, heading = chosen.baseline[random.integers(len(chosen.baseline) - 8)]
        objects.append(car(x, y + random.choice([0.0, random.uniform(-6.0, 6.0)]),
                           random.choice([0.0, random.uniform(0.0, 9.0)]), heading))
    return prepared(city, *objects, ego=(20.0, -3.0, 0.3))


@pytest.mark.parametrize('seed', range(6))
def test_leaving_out_what_cannot_meet_changes_nothing(seed):
    traffic = crowd(seed)
    arrays = traffic.to_arrays()
    everything = {name: np.ones_like(value) for name, value in arrays.items()
                  if name in ('may_follow', 'may_hide')}
    np.fill_diagonal(everything['may_follow'], False)
    assert not arrays['may_follow'].all()
    slow = IdmTraffic.from_arrays(arrays | everything, traffic._replay)
    states = states_of((20.0, -3.0, 0.3), 4.0)
    assert_same(traffic.run(states), slow.run(states))


def test_plans_do_not_touch_each_other():
    traffic = crowd(0)
    states = states_of((20.0, -3.0, 0.3), 4.0)
    first = traffic.run(states)
    other = traffic.run(states_of((20.0, -3.0, 0.3), 0.0))
    assert_same(first, traffic.run(states))
    assert not np.array_equal(first.boxes, other.boxes)


def test_storage_is_plain_and_complete(tmp_path):
    traffic = crowd(1)
    np.savez(tmp_path / 'traffic.npz', **traffic.to_arrays())
    with np.load(tmp_path / 'traffic.npz', allow_pickle=False) as stored:
        again = IdmTraffic.from_arrays(dict(stored), traffic._replay)
    states = states_of((20.0, -3.0, 0.3), 4.0)
    assert_same(traffic.run(states), again.run(states))


def assert_same(a, b):
    assert (a.seen == b.seen).all()
    assert (a.boxes[a.seen] == b.boxes[b.seen]).all()
    assert (a.velocity[a.seen] == b.velocity[b.seen]).all()


def test_a_scene_without_vehicles():
    result = simulated(city_of(straight()), car(10.0, 5.0, kind=ObjectType.PEDESTRIAN))
    assert result.seen.all()
    assert IdmTraffic.from_arrays(prepared(city_of(straight())).to_arrays(),
                                  replay_of(tracks_of([]))).run(
                                      states_of(FAR_EGO)).boxes.shape == (41, 0, 3)


@pytest.mark.parametrize(('points', 'x', 'message'), [
    pytest.param([(0.0, 0.0), (80.0, 0.0)], 30.0, 'too few points', id='two points'),
    pytest.param([(0.0, 0.0), (20.0, 0.0), (30.0, 0.0), (80.0, 0.0)], 60.0, 'last but one',
                 id='past the end of the path'),
])
def test_what_the_devkit_cannot_simulate_is_refused(points, x, message):
    with pytest.raises(IdmTrafficError, match=message):
        prepared(city_of(lane('lane', points)), car(x))


def test_a_vehicle_past_the_end_of_its_path_but_out_of_range_is_no_error():
    city = city_of(lane('lane', [(0.0, 0.0), (20.0, 0.0), (30.0, 0.0), (80.0, 0.0)]))
    assert not simulated(city, car(60.0), ego=(160.0, 0.0, 0.0)).seen[1:].any()


def test_wrong_shapes_are_named():
    traffic = prepared(city_of(straight()), car(30.0))
    with pytest.raises(IdmTrafficError, match=r'\[41, 11\], got \[40, 11\]'):
        traffic.run(np.zeros((40, 11)))
    now = tracks_of([car(30.0)])
    replay = replay_of(now)
    short = Objects(replay.kind, replay.size, replay.boxes[:31], replay.velocity[:31],
                    replay.seen[:31])
    with pytest.raises(IdmTrafficError, match='31 steps'):
        IdmTraffic.prepare(now, short, now.tokens, np.zeros(7), city_of(straight()))
