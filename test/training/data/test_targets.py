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

"""Targets of hand-made scenes: the human's drive, the vehicles nearby, the map."""

import hashlib
from types import SimpleNamespace

import numpy as np
from pair_drive_ros.core.geometry import compose
from pair_drive_training.data.bev import semantic_map
from pair_drive_training.data.city_map import CityMap, Layer
from pair_drive_training.data.frames import Annotations, human_future, LogError, SceneFrames
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.targets import nearby_vehicles, scene_targets
import pytest
import shapely

# SHA-256, shortened, of what the devkit's target builder made of the fixture's scenes: the BEV map
# as bytes and the agents' states.
OFFICIAL = {
    '022a5eeea573cbcf': ('b0ba262b9bdffa02', '4892eedaaa5f65a8'),
    '0a2a3ed4cb241fd2': ('61114103ba99bb26', 'f1dc9b6c59ae53a2'),
    '0e14c4e8a49c9788': ('fab816b3e6091080', 'bd50e12c55dda3ee'),
    '0ec8d640775efbfc': ('49d95a2b28777fc2', '83d49b034b7ef577'),
    '294c8bb131ded711': ('d06e928deb1c6014', '6c8afb1889e3c6ae'),
    '2f77f33d7a395304': ('765a62933fd33dc6', '8708c68d6e2b4c39'),
    '3349d7934ea7be54': ('af3b4e00d1fcb0ea', '23953349bb134810'),
    '338b8ee573a9bb05': ('b4710d55ca2e2b08', 'a2020df2302699e2'),
}
HERE = np.array([664_051.5, 3_995_998.25, 2.5])
NOBODY = Annotations(np.zeros((0, 7), np.float32), (), np.zeros((0, 3), np.float32), ())


def annotations(names, boxes):
    """Make boxes of (x, y, heading, length, width)."""
    rows = np.array([(x, y, 0.9, length, width, 1.7, heading)
                     for x, y, heading, length, width in boxes], np.float32).reshape(-1, 7)
    return Annotations(rows, tuple(names), np.zeros((len(rows), 3)), tuple(map(str, names)))


def scene(relative, annotated=NOBODY):
    """Make a scene whose frames after the current one lie at ``relative`` [F, 3] to it."""
    past = [SimpleNamespace(token='past', pose=HERE - 1.0, annotations=NOBODY)] * 3
    now = SimpleNamespace(token='now', pose=HERE, annotations=annotated)
    future = [SimpleNamespace(token='then', pose=pose, annotations=NOBODY)
              for pose in compose(HERE, np.asarray(relative, float))]
    return SceneFrames('a log', 'somewhere', (*past, now, *future))


def drive(count):
    steps = np.arange(1.0, count + 1.0)
    return np.column_stack([4.0 * steps, 0.1 * steps**2, 0.05 * steps])


def city():
    intersection = shapely.box(*(HERE[:2] - 10.0), *(HERE[:2] + 10.0))
    return CityMap('somewhere', (), (), {Layer.INTERSECTION: (('7',), np.array([intersection])),
                                         Layer.WALKWAY: ((), np.array([], dtype=object))})


@pytest.mark.parametrize('frames', [8, 10])
def test_the_trajectory_is_the_next_eight_poses_seen_from_now(frames):
    trajectory = human_future(scene(drive(frames)))
    assert trajectory.dtype == np.float64
    np.testing.assert_allclose(trajectory, drive(8), atol=1e-8)


def test_headings_do_not_jump_at_half_a_turn():
    # The map's headings pass from 3.1 to -3.1; seen from now it is a small turn.
    turning = np.column_stack([np.arange(8.0), np.zeros(8), np.linspace(0.1, 0.8, 8)])
    poses = compose(HERE, turning)
    assert np.ptp(poses[:, 2]) > 6.0
    np.testing.assert_allclose(human_future(scene(turning))[:, 2], turning[:, 2], atol=1e-9)


def test_a_scene_without_a_human_future_is_told():
    with pytest.raises(LogError, match='a log, scene now: 7 future frames, .* needs 8'):
        human_future(scene(drive(7)))


def test_only_vehicles_inside_the_square_count():
    names = ['vehicle', 'bicycle', 'vehicle', 'pedestrian', 'vehicle', 'vehicle', 'vehicle']
    boxes = [(32.0, -32.0, 0.5, 4.0, 2.0), (1.0, 1.0, 0.0, 2.0, 1.0), (32.1, 0.0, 0.0, 4.0, 2.0),
             (2.0, 2.0, 0.0, 1.0, 1.0), (0.0, -32.1, 0.0, 4.0, 2.0), (-5.0, 1.0, -3.0, 9.0, 2.5),
             (-32.1, 0.0, 0.0, 4.0, 2.0)]
    states, labels = nearby_vehicles(annotations(names, boxes))
    assert states.dtype == np.float32 and states.shape == (30, 5)
    np.testing.assert_array_equal(states[:2], np.array([boxes[5], boxes[0]], np.float32))
    assert not states[2:].any()
    assert labels.tolist() == [True] * 2 + [False] * 28


def test_the_nearest_thirty_come_first_and_the_rest_is_left_out():
    random = np.random.default_rng(7)
    boxes = np.column_stack([random.uniform(-32.0, 32.0, (45, 2)), random.uniform(-3.0, 3.0, 45),
                             random.uniform(3.0, 12.0, (45, 2))])
    states, labels = nearby_vehicles(annotations(['vehicle'] * 45, boxes))
    assert labels.all()
    by_distance = sorted(boxes.tolist(), key=lambda box: box[0]**2 + box[1]**2)
    np.testing.assert_array_equal(states, np.array(by_distance[:30], np.float32))


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_no_annotations_are_no_vehicles(dtype):
    nobody = Annotations(np.zeros((0, 7), dtype), (), np.zeros((0, 3)), ())
    states, labels = nearby_vehicles(nobody)
    assert states.dtype == np.float32 and not states.any() and not labels.any()


def test_all_targets_of_a_scene():
    annotated = annotations(['vehicle', 'pedestrian'], [(12.0, 3.0, 0.1, 4.5, 1.9),
                                                        (8.0, -4.0, 0.0, 0.6, 0.6)])
    targets = scene_targets(scene(drive(10), annotated), city())
    assert {name: (array.dtype.name, array.shape) for name, array in targets.items()} == {
        'trajectory': ('float64', (8, 3)), 'agent_states': ('float32', (30, 5)),
        'agent_labels': ('bool', (30,)), 'bev_semantic_map': ('uint8', (128, 256))}
    np.testing.assert_array_equal(targets['bev_semantic_map'],
                                  semantic_map(annotated, city(), HERE))
    # The road ahead, the vehicle (row 48, column 140) and the pedestrian (row 32, column 112).
    assert targets['bev_semantic_map'][[20, 48, 32], [128, 140, 112]].tolist() == [1, 5, 6]
    assert targets['agent_labels'].sum() == 1


@pytest.mark.shared_data
def test_targets_of_the_fixture_are_those_of_the_devkit(shared_golden, tmp_path):
    fixture = shared_golden / 'fixture'
    store = MapStore(fixture / 'maps', tmp_path)
    found = {}
    for path in find_logs(fixture / 'navsim_logs'):
        log = read_log(path)
        frames = SceneFrames(log.log_name, log.map_name, log.frames)
        targets = scene_targets(frames, store.city(log.map_name))
        found[frames.token] = tuple(
            hashlib.sha256(targets[name].tobytes()).hexdigest()[:16]
            for name in ('bev_semantic_map', 'agent_states'))
    assert found == OFFICIAL
