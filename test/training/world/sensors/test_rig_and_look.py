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

"""Calibrations, light and the bytes of sensor files."""

import cv2
import numpy as np
from pair_drive_training.data.point_cloud_file import decode_pcd
from pair_drive_training.world.sensors.camera_rig import (
    CAMERAS,
    FULL,
    MINI,
    optical_rotation,
    RigError,
)
from pair_drive_training.world.sensors.encoding import encode_jpeg, encode_pcd, EncodingError
from pair_drive_training.world.sensors.look import draw_look, WEATHERS
import pytest
from shared_formats import read_tensor


def test_the_eight_cameras_of_navsim_look_all_around():
    assert set(CAMERAS) == {'CAM_F0', 'CAM_L0', 'CAM_R0', 'CAM_L1', 'CAM_R1', 'CAM_L2', 'CAM_R2',
                            'CAM_B0'}
    for camera in FULL.cameras:
        assert np.allclose(camera.rotation @ camera.rotation.T, np.eye(3))
        assert np.linalg.det(camera.rotation) == pytest.approx(1.0)
    yaw = {camera.name: np.degrees(np.arctan2(*camera.rotation[[1, 0], 2]))
           for camera in FULL.cameras}
    assert 0 < yaw['CAM_L0'] < yaw['CAM_L1'] < yaw['CAM_L2'] < 180
    assert 0 > yaw['CAM_R0'] > yaw['CAM_R1'] > yaw['CAM_R2'] > -180


@pytest.mark.shared_data
def test_the_calibration_is_that_of_a_real_vehicle(shared_data):
    folder = shared_data / '01_navsim_frame_8bc34517e08758ff'
    poses = read_tensor(folder / 'camera2lidar.tensor').reshape(-1, 4, 4)
    intrinsics = read_tensor(folder / 'camera_intrinsics.tensor').reshape(-1, 4, 4)
    cameras = {camera.name: camera for camera in FULL.cameras}
    names = ('CAM_L0', 'CAM_F0', 'CAM_R0', 'CAM_L1', 'CAM_R1', 'CAM_B0')
    for name, pose, matrix in zip(names, poses, intrinsics, strict=True):
        assert np.allclose(cameras[name].intrinsics, matrix[:3, :3])
        assert np.allclose(cameras[name].translation, pose[:3, 3], atol=0.01)
        # Rounded to a tenth of a degree.
        assert np.allclose(cameras[name].rotation, pose[:3, :3], atol=0.003)


def test_optical_axes_are_right_down_forward():
    assert np.allclose(optical_rotation(0.0, 0.0, 0.0),
                       [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    # Rolled clockwise, the image's right points down.
    assert optical_rotation(0.0, 0.0, 10.0)[2, 0] < 0.0
    assert optical_rotation(0.0, 10.0, 0.0)[2, 2] > 0.0


def test_mini_is_full_made_smaller():
    for small, large in zip(MINI.cameras, FULL.cameras, strict=True):
        assert np.allclose(small.intrinsics[:2] * 4.0, large.intrinsics[:2])
        assert [4 * length for length in small.size] == list(large.size) == [1920, 1080]


def test_an_unknown_camera_is_named():
    with pytest.raises(RigError, match='CAM_X9: no such camera; choose among CAM_F0'):
        MINI.with_cameras(['CAM_F0', 'CAM_X9'])


def test_the_weather_of_a_seed_is_always_the_same_and_varies():
    assert draw_look(3) == draw_look(3)
    looks = [draw_look(seed) for seed in range(60)]
    assert len({look.skylight for look in looks}) == len(WEATHERS)
    assert all(np.linalg.norm(look.sun) == pytest.approx(1.0) and look.sun[2] > 0.05
               for look in looks)


def test_a_sweep_survives_its_file(tmp_path):
    points = np.random.default_rng(0).normal(0.0, 20.0, (100, 6)).astype(np.float32)
    assert np.array_equal(decode_pcd(encode_pcd(points), tmp_path / 'a.pcd').T, points)
    assert decode_pcd(encode_pcd(points[:0]), tmp_path / 'a.pcd').shape == (6, 0)


def test_a_sweep_of_another_shape_is_refused():
    with pytest.raises(EncodingError, match=r'must be \[N, 6\], not \[5, 4\]'):
        encode_pcd(np.zeros((5, 4)))


def test_an_image_survives_its_file_with_its_colours():
    image = np.full((16, 16, 3), (200, 60, 30), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(image, 95), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded[..., ::-1].astype(int) - image).max() < 6
