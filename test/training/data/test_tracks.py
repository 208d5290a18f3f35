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

"""Tracks of the map frame at 10 Hz from boxes of the ego frame at 2 Hz."""

import numpy as np
from pair_drive_ros.scoring import ObjectType, SceneError
from pair_drive_training.data.frames import Annotations, Frame, SceneFrames, Tracks
from pair_drive_training.data.tracks import (
    interpolate_tracks,
    tracks_of_frame,
    tracks_of_scene,
)
import pytest
from scipy.interpolate import interp1d


def frame(pose: list, *objects: tuple, token: str = 'frame') -> Frame:
    """Make a frame with objects (name, x, y, yaw, vx, vy, token)."""
    boxes = np.array([[x, y, 0.0, 4.0, 2.0, 1.5, yaw] for _, x, y, yaw, *_ in objects])
    velocity = np.array([[vx, vy, 0.0] for *_, vx, vy, _ in objects])
    annotations = Annotations(boxes.reshape(-1, 7).astype(np.float32),
                              tuple(item[0] for item in objects),
                              velocity.reshape(-1, 3).astype(np.float32),
                              tuple(item[-1] for item in objects))
    return Frame(token, 0, (), (), annotations, np.array(pose, float), np.zeros(2, np.float32),
                 np.zeros(2, np.float32), np.array([0, 1, 0, 0]), {}, None, np.eye(4))


def seen(token_boxes: dict) -> Tracks:
    """Make tracks of vehicles {token: (x, y, heading)}."""
    boxes = np.array(list(token_boxes.values()), float).reshape(-1, 3)
    return Tracks(np.zeros(len(boxes), int), np.tile([4.0, 2.0], (len(boxes), 1)), boxes,
                  boxes[:, :2] + 1.0, tuple(token_boxes))


def test_boxes_and_velocities_turn_with_the_ego():
    tracks = tracks_of_frame(frame([10.0, 20.0, np.pi / 2],
                                   ('vehicle', 5.0, 1.0, np.pi / 2, 3.0, 0.0, 'a')))
    np.testing.assert_allclose(tracks.boxes[:, :2], [[9.0, 25.0]], atol=1e-6)
    assert abs(tracks.boxes[0, 2]) == pytest.approx(np.pi)
    np.testing.assert_allclose(tracks.velocity, [[0.0, 3.0]], atol=1e-6)
    np.testing.assert_allclose(tracks.size, [[4.0, 2.0]])


def test_static_objects_have_no_velocity():
    tracks = tracks_of_frame(frame([0.0, 0.0, 0.0], ('barrier', 5.0, 0.0, 0.0, 3.0, 1.0, 'a'),
                                   ('pedestrian', 5.0, 0.0, 0.0, 3.0, 1.0, 'b')))
    np.testing.assert_array_equal(tracks.velocity, [[0.0, 0.0], [3.0, 1.0]])
    assert tracks.kind.tolist() == [ObjectType.BARRIER, ObjectType.PEDESTRIAN]


def test_an_unknown_type_is_named():
    with pytest.raises(SceneError, match='frame f1: unknown object types tram'):
        tracks_of_frame(frame([0, 0, 0], ('tram', 0, 0, 0, 0, 0, 'a'), token='f1'))


def test_an_unknown_velocity_costs_the_scenes_that_need_it():
    nan = float('nan')
    with pytest.raises(SceneError, match='the velocity of vehicle a is not known'):
        tracks_of_frame(frame([0, 0, 0], ('vehicle', 0, 0, 0, nan, 0, 'a')))
    cone = tracks_of_frame(frame([0, 0, 0], ('traffic_cone', 0, 0, 0, nan, nan, 'a')))
    np.testing.assert_array_equal(cone.velocity, [[0.0, 0.0]])


def test_a_gap_is_bridged_and_nothing_is_known_before_and_after():
    objects, tokens = interpolate_tracks(
        [seen({}), seen({'a': (0, 0, 0)}), seen({}), seen({'a': (10, 0, 0)}), seen({})])
    assert tokens == ('a',)
    np.testing.assert_array_equal(np.flatnonzero(objects.seen[:, 0]), np.arange(5, 16))
    np.testing.assert_allclose(objects.boxes[5:16, 0, 0], np.arange(11.0))
    np.testing.assert_allclose(objects.velocity[10, 0], [6.0, 1.0])


def test_the_heading_takes_the_short_way_round():
    objects, _ = interpolate_tracks([seen({'a': (0, 0, 3.0)}), seen({'a': (0, 0, -3.0)})])
    middle = objects.boxes[2:4, 0, 2]
    assert np.all(np.abs(middle) > 3.0)
    assert np.sign(middle).tolist() == [1.0, -1.0]


def test_what_is_seen_once_stands_there_all_the_time():
    objects, _ = interpolate_tracks([seen({}), seen({}), seen({'a': (7, 8, 4.0)})])
    assert objects.seen.all()
    np.testing.assert_array_equal(objects.boxes[:, 0], np.tile([7.0, 8.0, 4.0], (11, 1)))


def test_kind_and_size_are_those_of_the_first_sighting():
    later = Tracks(np.array([2, 1]), np.array([[9.0, 9.0], [1.0, 1.0]]), np.zeros((2, 3)),
                   np.zeros((2, 2)), ('a', 'b'))
    objects, tokens = interpolate_tracks([seen({'a': (0, 0, 0)}), later])
    assert tokens == ('a', 'b')
    assert objects.kind.tolist() == [0, 1]
    np.testing.assert_array_equal(objects.size, [[4.0, 2.0], [1.0, 1.0]])


@pytest.mark.parametrize('seed', range(5))
def test_agrees_with_an_independent_interpolation(seed):
    rng = np.random.default_rng(seed)
    frames = [seen({f'{n}': rng.uniform(-3, 3, 3) for n in range(6) if rng.random() < 0.6})
              for _ in range(9)]
    objects, tokens = interpolate_tracks(frames)
    times = 0.1 * np.arange(41)
    for row, token in enumerate(tokens):
        knots = [0.5 * k for k, tracks in enumerate(frames) if token in tracks.tokens]
        boxes = np.array([tracks.boxes[tracks.tokens.index(token)] for tracks in frames
                          if token in tracks.tokens])
        if len(knots) == 1:
            continue
        boxes[:, 2] = np.unwrap(boxes[:, 2])
        inside = (times >= knots[0]) & (times <= knots[-1])
        np.testing.assert_array_equal(objects.seen[:, row], inside)
        expected = interp1d(knots, boxes, axis=0)(times[inside])
        ours = objects.boxes[inside, row]
        np.testing.assert_allclose(ours[:, :2], expected[:, :2], atol=1e-12)
        np.testing.assert_allclose(np.exp(1j * ours[:, 2]), np.exp(1j * expected[:, 2]))


def test_a_scene_that_ends_early_is_refused_and_extended_tracks_help():
    frames = (frame([0, 0, 0]),) * 6
    short = SceneFrames('log', 'map', frames)
    assert len(tracks_of_scene(short, 3)) == 3
    with pytest.raises(SceneError, match='4 s of objects .* the log has 1 s.*num_future_frames'):
        tracks_of_scene(short, 9)
    longer = SceneFrames('log', 'map', frames, extended_tracks=(seen({'a': (1, 2, 0)}),) * 6)
    assert tracks_of_scene(longer, 9)[-1].tokens == ('a',)
