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

"""A real nuPlan log as tracks: sampled at 2 Hz, interpolated to 10 Hz, compared with the log."""

import json
import lzma

import numpy as np
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.data.frames import Annotations, Frame, SceneFrames
from pair_drive_training.data.metric_scene import history_of
from pair_drive_training.data.tracks import interpolate_tracks, KINDS, tracks_of_scene
import pytest

LOG = '04_nuplan_mini_logs/low_magnitude_speed_262a4b7a1f2c5ab6.json.xz'
NAMES = {int(kind): name for name, kind in KINDS.items()}
AXLE_TO_CENTRE = 1.461
FRAMES = 14


@pytest.fixture(scope='module')
def log(shared_data):
    with lzma.open(shared_data / LOG) as file:
        return json.load(file)['frames']


def rear_axle(frame: dict) -> np.ndarray:
    x, y, heading = frame['ego_center']
    return np.array([x - AXLE_TO_CENTRE * np.cos(heading), y - AXLE_TO_CENTRE * np.sin(heading),
                     heading])


def as_frame(frame: dict) -> Frame:
    """Make the frame that OpenScene would have: boxes and velocities in the ego frame."""
    pose, agents = rear_axle(frame), frame['agents']
    boxes = relative_to(pose, np.array([agent['pose'] for agent in agents]))
    size = np.array([agent['lwh'] for agent in agents])
    turn = np.array([0.0, 0.0, pose[2]])
    velocity = relative_to(turn, np.array([[*(agent['vel'] or (0.0, 0.0)), 0.0]
                                           for agent in agents]))
    none = np.zeros((len(agents), 1))
    annotations = Annotations(
        np.column_stack([boxes[:, :2], none, size, boxes[:, 2]]).astype(np.float32),
        tuple(NAMES[int(agent['type'].strip('(),'))] for agent in agents),
        np.column_stack([velocity[:, :2], none]).astype(np.float32),
        tuple(agent['track'] for agent in agents))
    lights = tuple((str(light['lane_connector']), light['status'] == '(2,)')
                   for light in frame['tl'])
    return Frame(str(frame['t_us']), frame['t_us'], (), lights, annotations, pose,
                 np.float32(frame['vel_rear']), np.float32(frame['acc_rear']),
                 np.array([0, 1, 0, 0]), {}, None, np.eye(4))


@pytest.mark.shared_data
def test_a_real_log_survives_two_hertz(log):
    # The drive begins to move after some seconds; take the busy end.
    first = len(log) - 5 * FRAMES
    scene = SceneFrames('nuplan', 'us-nv-las-vegas-strip', tuple(
        as_frame(log[first + 5 * index]) for index in range(FRAMES)))
    objects, tokens = interpolate_tracks(tracks_of_scene(scene, 11))
    assert len(tokens) > 150
    assert {ObjectType.VEHICLE, ObjectType.PEDESTRIAN} <= set(objects.kind.tolist())
    errors, speeds = [], []
    for step in range(51):
        for agent in log[first + 15 + step]['agents']:
            if agent['track'] not in tokens:
                continue
            row = tokens.index(agent['track'])
            if objects.seen[step, row]:
                errors.append(np.hypot(*(objects.boxes[step, row, :2] - agent['pose'][:2])))
                speeds.append(np.hypot(*(agent['vel'] or (0.0, 0.0))))
    errors, speeds = np.array(errors), np.array(speeds)
    assert len(errors) > 5000
    assert (speeds > 5.0).sum() > 100
    # What moves is hit within centimetres; tracks seen once may stand elsewhere (sic).
    assert np.median(errors) < 0.02
    assert np.quantile(errors[speeds > 1.0], 0.95) < 0.3
    assert np.quantile(errors, 0.99) < 1.0


@pytest.mark.shared_data
def test_frames_of_a_real_log_have_its_clock_and_motion(log):
    frames = [as_frame(log[index]) for index in range(0, 20, 5)]
    history = history_of(frames)
    assert np.all(np.abs(np.diff(history.times_us) - 500_000) < 5_000)
    np.testing.assert_allclose(history.motion[-1, 1:3], log[15]['vel_rear'], atol=1e-6)
