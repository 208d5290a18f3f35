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

"""Whole drives through the simple town: what a log may rely on, and how the ego drives."""

import numpy as np
from pair_drive_ros.core.geometry import relative_to, wrap_angle
from pair_drive_ros.scoring import ObjectType
from pair_drive_ros.scoring.vehicle import WHEELBASE
from pair_drive_training.data.forecast import ego_footprint
from pair_drive_training.world.towns.town import Town
from pair_drive_training.world.towns.world_towns import simple_town
from pair_drive_training.world.traffic.drive import Drive, STEP_S
from pair_drive_training.world.traffic.simulation import simulate
import pytest
import shapely

SEEDS = range(6)


@pytest.fixture(scope='module')
def town() -> Town:
    """One junction with signals."""
    return simple_town()


@pytest.fixture(scope='module')
def drives(town) -> list[Drive]:
    """Drives of several drivers."""
    return [simulate(town, np.random.SeedSequence(seed), 25.0) for seed in SEEDS]


def boxes(drive: Drive, step: int) -> np.ndarray:
    """Polygons of the actors."""
    size = np.array([actor.size[:2] for actor in drive.actors])
    corners = 0.5 * size[:, None] * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    cos, sin = np.cos(drive.poses[step, :, 2]), np.sin(drive.poses[step, :, 2])
    turned = np.stack([corners[..., 0] * cos[:, None] - corners[..., 1] * sin[:, None],
                       corners[..., 0] * sin[:, None] + corners[..., 1] * cos[:, None]], axis=-1)
    return shapely.polygons(drive.poses[step, :, None, :2] + turned)


def test_the_same_seed_makes_the_same_drive_and_another_another(town, drives):
    again = simulate(town, np.random.SeedSequence(SEEDS[0]), 25.0)
    for field in ('ego', 'poses', 'velocity', 'present', 'braking', 'blinking'):
        assert getattr(again, field).tobytes() == getattr(drives[0], field).tobytes()
    assert again.route == drives[0].route
    assert [a.token for a in again.actors] == [a.token for a in drives[0].actors]
    assert (drives[1].ego != drives[0].ego).any()


def test_arrays_fit_each_other(town, drives):
    for drive in drives:
        count = len(drive.actors)
        assert drive.ego.shape == (251, 7)
        assert drive.poses.shape == (251, count, 3)
        assert drive.velocity.shape == (251, count, 2)
        for flags in (drive.present, drive.braking, drive.blinking):
            assert flags.shape == (251, count)
        assert len({actor.token for actor in drive.actors}) == count
        assert all(len(actor.token) == 16 and int(actor.token, 16) >= 0
                   for actor in drive.actors)
        assert set(drive.red) == {lane.fid for lane in town.lanes.values()
                                  if lane.phase is not None}
        assert all(red.shape == (251,) and red.dtype == bool for red in drive.red.values())
        assert np.isfinite(drive.ego).all() and np.isfinite(drive.poses).all()


def test_the_ego_moves_as_its_speed_and_acceleration_say(drives):
    for drive in drives:
        ego = drive.ego
        moved = np.hypot(*np.diff(ego[:, :2], axis=0).T)
        np.testing.assert_allclose(moved, STEP_S * 0.5 * (ego[1:, 3] + ego[:-1, 3]), atol=0.03)
        # The rear axle does not slide.
        along = relative_to(ego[:-1, :3], ego[1:, :3])
        assert np.abs(along[:, 1]).max() < 0.04
        turned = wrap_angle(np.diff(ego[:, 2]))
        np.testing.assert_allclose(ego[1:, 6], ego[1:, 3] * turned / STEP_S, atol=0.6)
        assert np.abs(turned).max() <= STEP_S * ego[:, 3].max() * np.tan(1.0) / WHEELBASE
        assert not ego[:, 4].any()


def test_the_ego_drives_gently(drives):
    jerks = []
    for drive in drives:
        speed, accel = drive.ego[:, 3], drive.ego[:, 5]
        assert speed.min() >= 0.0
        assert accel.max() < 2.4
        assert np.abs(drive.ego[:, 6]).max() < 3.5
        jerks.append((accel[5:] - accel[:-5]) / 0.5)
    # Over half a second; only emergencies are rough.
    assert np.mean(np.abs(jerks) > 4.1) < 0.03


def test_the_ego_stays_on_the_road(town, drives):
    road = shapely.union_all([*town.groups.values(), *(
        junction.polygon for junction in town.junctions.values()), *town.car_parks.values()])
    shapely.prepare(road)
    outside = [not road.contains(ego_footprint(pose))
               for drive in drives for pose in drive.ego[::5, :3]]
    assert np.mean(outside) < 0.01


def test_the_ego_hits_nobody_and_others_hardly_each_other(drives):
    for drive in drives:
        hits, moving = 0, 0
        walks = np.array([actor.kind == ObjectType.PEDESTRIAN for actor in drive.actors])
        for step in range(0, len(drive.ego), 5):
            present = drive.present[step]
            polygons = boxes(drive, step)[present]
            assert not shapely.intersects(polygons, ego_footprint(drive.ego[step, :3])).any()
            drives_on = (np.hypot(*drive.velocity[step].T) > 0.5)[present] & ~walks[present]
            first, second = shapely.STRtree(polygons).query(polygons, predicate='intersects')
            hits += int(np.sum((first < second) & (drives_on[first] | drives_on[second])))
            moving += int(drives_on.sum())
        assert hits <= 0.01 * moving


def test_the_route_is_connected_and_covers_the_drive(town, drives):
    follows = {group: set() for group in (*town.groups, *town.group_connectors)}
    for connector, (_, source, target, *_) in town.group_connectors.items():
        follows[source].add(connector)
        follows[connector].add(target)
    polygons = {**town.groups, **{group: parts[0]
                                  for group, parts in town.group_connectors.items()}}
    for drive in drives:
        assert all(after in follows[before]
                   for before, after in zip(drive.route[:-1], drive.route[1:], strict=True))
        covered = shapely.union_all([polygons[group] for group in drive.route]).buffer(1.0)
        assert all(covered.contains(shapely.Point(pose)) for pose in drive.ego[::5, :2])
        assert polygons[drive.route[0]].buffer(1.0).contains(shapely.Point(drive.ego[0, :2]))


def test_streets_are_full_of_different_things(drives):
    kinds = {actor.kind for drive in drives for actor in drive.actors}
    assert {ObjectType.VEHICLE, ObjectType.PEDESTRIAN, ObjectType.BICYCLE} <= kinds
    for drive in drives:
        speed = np.hypot(*drive.velocity.transpose(2, 0, 1))
        assert 10 <= np.sum(speed.max(axis=0) > 1.0)
        assert np.sum(speed.max(axis=0) == 0.0) > 10
        assert drive.braking.any() and (drive.blinking != 0).any()
    assert any((drive.ego[:, 3] == 0.0).any() for drive in drives)
    assert np.ptp([drive.ego[:, 3].mean() for drive in drives]) > 1.0


def test_reds_are_respected(town, drives):
    entered = 0
    for drive in drives:
        for lane, red in drive.red.items():
            begin, end = town.lanes[lane].baseline[:2]
            heading = np.arctan2(*(end - begin)[::-1])
            seen = relative_to(np.array([*begin, heading]), drive.ego[:, :3])
            # The front crosses the line where the connector begins.
            front = seen[:, 0] + 4.049
            across = np.flatnonzero((front[:-1] < 0.0) & (front[1:] >= 0.0)
                                    & (np.abs(seen[1:, 1]) < 1.2) & (np.abs(seen[1:, 2]) < 0.5))
            for step in across:
                entered += 1
                assert not red[max(0, step - 8):step + 1].all()
    assert entered
