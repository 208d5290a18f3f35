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

"""PDM-Closed against the official planner: route, centreline, proposals, scores and choice."""

from golden_city import golden_scenes
import numpy as np
from pair_drive_ros.scoring import MapLayer, ObjectType, Protocol
from pair_drive_ros.scoring.vehicle import HALF_LENGTH
from pair_drive_training.data.forecast import forecast
from pair_drive_training.data.frames import Tracks
from pair_drive_training.data.path import Path
from pair_drive_training.data.pdm_closed import proposals_of, roll_out, trajectory_of
from pair_drive_training.data.route import correct_route, route_blocks
from pair_drive_training.data.tracks import interpolate_tracks
import pytest
import shapely

VERSIONS = {Protocol.NAVSIM_V1: 'v1', Protocol.NAVSIM_V2: 'v2'}
TOLERANCE = 1e-6
LONG_ROAD = Path(np.column_stack([np.arange(0.0, 501.0, 5.0), np.zeros((101, 2))]))


@pytest.mark.shared_data
def test_equals_the_official_planner_in_every_scene(shared_golden):
    scenes = 0
    for golden in golden_scenes(shared_golden):
        metric = golden.metric_scene()
        pose = golden.scene('ego')[:3]
        route = route_blocks(metric.city, golden.closed('route_in'))
        assert correct_route(metric.city, pose, route) == list(golden.closed('route_corrected'))
        assert list(metric.route_lanes) == list(golden.scene('route_lane_ids'))
        np.testing.assert_allclose(metric.centreline.poses[:, :2],
                                   golden.scene('centerline')[:, :2], atol=TOLERANCE)
        np.testing.assert_allclose(proposals_of(metric.rollouts),
                                   golden.closed('v1/proposals')[:, :41], atol=TOLERANCE)
        for protocol, version in VERSIONS.items():
            scores = metric.proposal_scores(protocol)
            states = scores.states + [*pose[:2], *np.zeros(9)]
            np.testing.assert_allclose(states, golden.closed(f'{version}/simulated'),
                                       atol=TOLERANCE)
            np.testing.assert_allclose(scores.total, golden.closed(f'{version}/scores'),
                                       atol=TOLERANCE)
            assert np.argmax(scores.total) == golden.closed(f'{version}/chosen')
            reference = metric.reference(protocol)
            np.testing.assert_array_equal(reference.times_us,
                                          golden.scene(f'{version}/ref_time_us'))
            np.testing.assert_allclose(
                reference.poses, golden.scene(f'{version}/ref_states')[:, :3], atol=TOLERANCE)
        scenes += 1
    assert scenes == 102


@pytest.mark.shared_data
def test_scenes_built_from_frames_equal_the_official_ones(shared_golden):
    for golden in golden_scenes(shared_golden):
        metric = golden.metric_scene()
        for protocol, version in VERSIONS.items():
            objects, tokens = interpolate_tracks(metric.tracks(protocol))
            order = [tokens.index(token) for token in golden.scene(f'{version}/tracks/token')]
            seen = golden.scene(f'{version}/tracks/valid')
            np.testing.assert_array_equal(objects.seen[:, order], seen)
            np.testing.assert_array_equal(objects.kind[order],
                                          golden.scene(f'{version}/tracks/type'))
            for ours, official in ((objects.boxes, 'box'), (objects.velocity, 'vel')):
                official = golden.scene(f'{version}/tracks/{official}')
                np.testing.assert_allclose(ours[:, order][seen], official[seen], atol=TOLERANCE)
        scene = metric.scene(Protocol.NAVSIM_V2)
        np.testing.assert_allclose(scene.human, golden.scene('human_traj'), atol=TOLERANCE)
        official = {str(token) for token, layer in zip(
            golden.scene('map/token'), golden.scene('map/type'), strict=True)
            if layer in (MapLayer.LANE, MapLayer.LANE_CONNECTOR)}
        on_route = official & set(golden.scene('route_lane_ids').tolist())
        assert scene.on_route.sum() == len(on_route)


def traffic(*objects: tuple) -> Tracks:
    """Tracks of (kind, x, y, heading, vx, vy)."""
    table = np.array(objects, float).reshape(-1, 6)
    return Tracks(table[:, 0].astype(int), np.tile([4.0, 2.0], (len(table), 1)), table[:, 1:4],
                  table[:, 4:], tuple(f'{n}' for n in range(len(table))))


def rollouts(speed: float, limit: float | None, *objects: tuple, red=()):
    ego = np.array([100.0, 0.0, 0.0, speed, 0.0, 0.0, 0.0])
    return roll_out(LONG_ROAD, ego, limit, forecast(traffic(*objects), ego[:3]), red)


def speeds(poses: np.ndarray) -> np.ndarray:
    return np.diff(poses[..., 0], axis=-1) / 0.1


def test_paths_lie_on_the_centreline_and_a_metre_beside_it():
    proposals = proposals_of(rollouts(10.0, 15.0))
    assert proposals.shape == (15, 41, 3)
    np.testing.assert_allclose(proposals[:, 0, 1], np.repeat([0.0, -1.0, 1.0], 5), atol=1e-9)
    np.testing.assert_allclose(proposals[:, 0, 0], 100.0)


def test_on_a_free_road_the_policies_approach_their_share_of_the_limit():
    final = speeds(proposals_of(rollouts(9.0, 10.0)))[:5, -1]
    assert np.all(np.diff(final) > 0.0)
    assert final[-1] == pytest.approx(10.0, abs=0.1)
    assert final[0] < 3.0


def test_without_a_limit_fifteen_metres_a_second_are_the_target():
    with_limit, without = (proposals_of(rollouts(10.0, limit)) for limit in (15.0, None))
    np.testing.assert_array_equal(with_limit, without)


def test_the_first_step_brakes_as_if_something_stood_there():
    # The second interval shows the speed after the first step: 10 - 3 * 0.1 m/s.
    np.testing.assert_allclose(speeds(proposals_of(rollouts(10.0, 15.0)))[:, 1], 9.7)


def test_a_standing_car_is_stopped_for():
    poses = proposals_of(rollouts(6.0, 10.0, (ObjectType.VEHICLE, 125.0, 0, 0, 0, 0)))[4]
    front = poses[:, 0] + 4.049
    assert front.max() < 123.0
    assert speeds(poses)[-1] < 2.0


def test_a_car_that_drives_ahead_is_followed():
    ahead = (ObjectType.VEHICLE, 120.0, 0.0, 0.0, 8.0, 0.0)
    free, following = (proposals_of(rollouts(9.0, 15.0, *cars)) for cars in ((), (ahead,)))
    assert following[4, -1, 0] < free[4, -1, 0] - 3.0


def test_an_object_beside_the_corridor_does_not_matter():
    beside = (ObjectType.VEHICLE, 125.0, 4.5, 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(proposals_of(rollouts(8.0, 10.0, beside)),
                                  proposals_of(rollouts(8.0, 10.0)))


def test_what_the_ego_touches_already_is_ignored():
    touching = (ObjectType.VEHICLE, 104.5, 0.0, 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(proposals_of(rollouts(8.0, 10.0, touching)),
                                  proposals_of(rollouts(8.0, 10.0)))


def test_a_red_connector_is_an_obstacle_unless_the_ego_stands_on_it():
    free = proposals_of(rollouts(8.0, 10.0))
    ahead = proposals_of(rollouts(8.0, 10.0, red=[shapely.box(125.0, -2.0, 150.0, 2.0)]))
    around = proposals_of(rollouts(8.0, 10.0, red=[shapely.box(90.0, -2.0, 150.0, 2.0)]))
    assert speeds(ahead[4])[-1] < 2.0 < speeds(free[4])[-1]
    np.testing.assert_array_equal(around, free)


def test_the_chosen_proposal_goes_on_to_five_seconds():
    found = rollouts(8.0, 10.0)
    trajectory = trajectory_of(found, 13)
    np.testing.assert_array_equal(trajectory[:41], proposals_of(found)[13])
    assert np.all(np.diff(trajectory[:, 0]) > 0.0)
    # Asking for one does not change the others.
    np.testing.assert_array_equal(trajectory_of(found, 13), trajectory)


def test_free_driving_leaves_half_a_car_before_the_end_of_the_path():
    short = Path(np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]]))
    ego = np.array([0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0])
    poses = proposals_of(roll_out(short, ego, 10.0, forecast(traffic(), ego[:3]), []))[4]
    assert poses[-1, 0] < 20.0 - HALF_LENGTH
