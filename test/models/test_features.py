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

"""The features against the devkit's recipe, written down literally here."""

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
from pair_drive_ros.core.frames import DrivingCommand, EgoState
from pair_drive_ros.models.features import (
    lidar_histogram,
    status,
    stitched_image,
    transfuser_features,
    transfuser_spec,
)
from pair_drive_ros.models.policy import FeatureError, TensorSpec
import pytest
from tiny_network import noise_frame
import torch

EDGES = np.linspace(-32.0, 32.0, 257)


def histogram_by_numpy(points, edges=EDGES):
    above = points[(points[:, 2] > 0.2) & (points[:, 2] < 100.0)]
    counts = np.histogramdd(above[:, :2], bins=(edges, edges))[0]
    return (np.minimum(counts, 5.0) / 5.0)[None].astype(np.float32)


def noise(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_stitching_1920x1080_equals_the_devkit_bit_for_bit():
    left, front, right = (noise(1080, 1920, seed) for seed in range(3))
    wide = np.concatenate([left[28:-28, 416:-416], front[28:-28], right[28:-28, 416:-416]], axis=1)
    assert wide.shape == (1024, 4096, 3)
    expected = torch.from_numpy(cv2.resize(wide, (1024, 256))).permute(2, 0, 1).float().div(255)
    stitched = stitched_image(left, front, right)
    assert stitched.dtype == np.float32
    np.testing.assert_array_equal(stitched, expected.numpy())


def test_views_lie_side_by_side_and_keep_their_colours():
    views = [np.full((900, 1600, 3), colour, np.uint8)
             for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    stitched = stitched_image(*views)
    assert stitched.shape == (3, 256, 1024)
    for channel, columns in enumerate((slice(0, 272), slice(272, 752), slice(752, 1024))):
        assert np.all(stitched[channel, :, columns] == 1.0)
        assert np.all(np.delete(stitched, channel, axis=0)[:, :, columns] == 0.0)


def test_other_sizes_lose_the_same_fractions():
    # At half the size the borders are 14 rows and 208 columns: white there must not be seen.
    left = np.full((540, 960, 3), 255, np.uint8)
    left[14:-14, 208:-208] = 0
    front = np.full((540, 960, 3), 255, np.uint8)
    front[14:-14] = 0
    assert stitched_image(left, front, left).max() == 0.0
    left[14, 208:-208] = 255
    assert stitched_image(left, front, left)[:, :, :272].max() > 0.0


def test_views_may_differ_in_size():
    views = noise(480, 640, 0), noise(1080, 1920, 1), noise(720, 1280, 2)
    stitched = stitched_image(*views, height=128, width=512)
    assert stitched.shape == (3, 128, 512)
    assert 0.0 <= stitched.min() < stitched.max() <= 1.0


def test_histogram_of_a_random_cloud_equals_histogramdd():
    random = np.random.default_rng(1)
    points = random.uniform(-40.0, 40.0, (50_000, 4)).astype(np.float32)
    points[:, 2] = random.uniform(-1.0, 3.0, len(points))
    points[:10_000, :2] *= 0.02
    expected = histogram_by_numpy(points)
    assert expected.max() == 1.0
    np.testing.assert_array_equal(lidar_histogram(points), expected)


coordinates = st.one_of(
    st.integers(-136, 136).map(lambda quarter: quarter / 4.0),
    st.sampled_from([-32.0, 32.0, np.nextafter(np.float32(32.0), np.float32(33.0)),
                     np.nextafter(np.float32(-32.0), np.float32(-33.0)),
                     np.nextafter(np.float32(32.0), np.float32(0.0)),
                     float(np.float32(-1e-20)), float(np.float32(1e-20)), -0.0]),
    st.floats(-40.0, 40.0, width=32))


@settings(max_examples=80, deadline=None)
@given(xy=arrays(np.float32, st.tuples(st.integers(0, 30), st.just(2)), elements=coordinates),
       bins=st.sampled_from([64, 128, 256]))
def test_points_on_cell_borders_fall_as_histogramdd_says(xy, bins):
    points = np.column_stack([xy, np.ones(len(xy), np.float32), np.zeros(len(xy), np.float32)])
    np.testing.assert_array_equal(lidar_histogram(points, bins),
                                  histogram_by_numpy(points, np.linspace(-32.0, 32.0, bins + 1)))


def test_histogram_cells_by_hand():
    points = np.array([
        [10.1, -5.1, 1.0],            # (10.1 + 32) * 4 = 168.4, (-5.1 + 32) * 4 = 107.6
        [32.0, 32.0, 1.0],            # upper edges belong to the last cell
        [-32.0, 0.0, 1.0],
        [20.0, 20.0, 0.2],            # on the ground
        [20.0, 20.0, 100.0],          # too high
        [np.nan, 0.0, 1.0], [0.0, np.inf, 1.0], [0.0, 0.0, np.nan],
        *[[5.05, 5.05, 0.5]] * 9], np.float32)
    histogram = lidar_histogram(points)[0]
    cells = {(int(row), int(column)): histogram[row, column]
             for row, column in np.argwhere(histogram)}
    assert cells == {(168, 107): np.float32(0.2), (255, 255): np.float32(0.2),
                     (0, 128): np.float32(0.2), (148, 148): 1.0}


def test_no_points_is_an_empty_histogram():
    assert lidar_histogram(np.empty((0, 4), np.float32)).sum() == 0.0


def test_status_is_command_velocity_acceleration():
    ego = EgoState(0, np.zeros(3), np.array([5.0, -0.5]), np.array([1.0, 2.0]))
    vector = status(ego, DrivingCommand.RIGHT)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, [0, 0, 1, 0, 5.0, -0.5, 1.0, 2.0])


def test_features_follow_the_specification():
    for spec in (transfuser_spec(), transfuser_spec(64, 128, 64)):
        features = transfuser_features(noise_frame(), spec)
        assert {name: TensorSpec(tuple(tensor.shape[1:]), tensor.dtype)
                for name, tensor in features.items()} == dict(spec)
        assert all(len(tensor) == 1 for tensor in features.values())
    assert transfuser_features(noise_frame()).keys() == transfuser_spec().keys()


def test_only_what_is_asked_for_is_needed():
    spec = {'status_feature': TensorSpec((8,))}
    assert list(transfuser_features(noise_frame(cameras=(), lidar=False), spec)) == [
        'status_feature']


def test_missing_sensors_are_named():
    with pytest.raises(FeatureError, match='left, right is not in the input, which has the'):
        transfuser_features(noise_frame(cameras=('front',)))
    with pytest.raises(FeatureError, match='lidar is not in the input'):
        transfuser_features(noise_frame(lidar=False))
    with pytest.raises(FeatureError, match='radar_feature: no such feature'):
        transfuser_features(noise_frame(), {'radar_feature': TensorSpec((1,))})
