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

"""Cameras laid on the ground: what is painted there appears in its place, undistorted."""

from dataclasses import replace

import cv2
import numpy as np
from pair_drive_ros.conversions.rotation import rotation_from_rpy
from pair_drive_ros.core.frames import CameraCalibration, CameraImage
from pair_drive_ros.core.geometry import rigid_transform, transform_points
from pair_drive_ros.models.features import lidar_counts, stacked_ground
from pair_drive_ros.models.ground_view import ground_pixels, GroundViewError
from pair_drive_ros.models.policy import FeatureError
import pytest
from tiny_network import AHEAD, noise_frame, OPTICAL

CELLS = 128
CELL_M = 0.5
WIDTH, HEIGHT = 640, 360
MATRIX = np.array([[330.0, 0.0, 315.0], [0.0, 320.0, 170.0], [0.0, 0.0, 1.0]])
LENSES = [
    ('plumb_bob', (-0.28, 0.09, 0.004, -0.003, -0.01)), ('plumb_bob', (-0.2, 0.05, 0.002, 0.001)),
    ('rational_polynomial', (0.6, 0.1, 0.001, -0.002, 0.01, 0.95, 0.25, 0.03)),
    ('equidistant', (0.03, -0.01, 0.004, -0.001))]


def camera(turn=0.0, down=0.2, model='plumb_bob', distortion=(0.0,) * 5, place=(1.2, 0.3, 1.6)):
    """Return a calibration that looks ``turn`` to the left and ``down``, rad."""
    pose = rigid_transform(np.array(place), rotation_from_rpy(0.02, down, turn) @ OPTICAL)
    return CameraCalibration(WIDTH, HEIGHT, MATRIX, np.array(distortion), model, pose)


def photograph(calibration, paint):
    """Take an image of the ground, where ``paint(x, y)`` gives colours, without distortion."""
    rows, columns = np.mgrid[:calibration.height, :calibration.width]
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    pose = calibration.base_from_camera
    rays = pixels @ np.linalg.inv(calibration.intrinsics).T @ pose[:3, :3].T
    falling = rays[..., 2] < -1e-6
    distance = np.where(falling, -pose[2, 3] / np.where(falling, rays[..., 2], -1.0), 0.0)
    colours = paint(*(pose[axis, 3] + distance * rays[..., axis] for axis in (0, 1)))
    return np.where(falling[..., None], colours, 0).astype(np.uint8)


def square(x, y):
    """White from 10 to 11 m ahead and from 3 to 4 m to the left, else dark grey."""
    inside = (x > 10.0) & (x < 11.0) & (y > 3.0) & (y < 4.0)
    return np.where(inside, 255, 40)[..., None].repeat(3, axis=-1)


def soft_pattern(x, y):
    """Waves that the eye of every camera here resolves."""
    return 128 + 90 * np.stack([np.sin(0.7 * x), np.cos(0.6 * y), np.sin(0.4 * (x + y))], axis=-1)


def own_place():
    """Return an image that says in red and green where a pixel lies, in blue that it is one."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([255 * columns / (WIDTH - 1), 255 * rows / (HEIGHT - 1),
                     np.full((HEIGHT, WIDTH), 255)], axis=-1).round().astype(np.uint8)


def cell_middles():
    """Return the points [64, 128, 3] of the ground in the middle of the cells."""
    x, y = np.meshgrid(CELL_M * (np.arange(CELLS // 2) + 0.5),
                       CELL_M * (np.arange(CELLS) + 0.5) - 32.0, indexing='ij')
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def lens(calibration, points):
    """Project points [N, 3] of base_link as the formulas of the three models are written."""
    x, y, z = transform_points(np.linalg.inv(calibration.base_from_camera), points).T
    a, b, ahead = x / z, y / z, z > 0.3
    r2 = a * a + b * b
    d = calibration.distortion
    if calibration.distortion_model == 'equidistant':
        theta = np.arctan(np.sqrt(r2))
        bent = theta * (1 + d[0] * theta**2 + d[1] * theta**4 + d[2] * theta**6 + d[3] * theta**8)
        u, v = a * bent / np.sqrt(r2), b * bent / np.sqrt(r2)
    else:
        k = np.zeros(8)
        k[:len(d)] = d
        radial = ((1 + k[0] * r2 + k[1] * r2**2 + k[4] * r2**3)
                  / (1 + k[5] * r2 + k[6] * r2**2 + k[7] * r2**3))
        u = a * radial + 2 * k[2] * a * b + k[3] * (r2 + 2 * a * a)
        v = b * radial + k[2] * (r2 + 2 * b * b) + 2 * k[3] * a * b
    fx, fy, cx, cy = MATRIX[0, 0], MATRIX[1, 1], MATRIX[0, 2], MATRIX[1, 2]
    return fx * u + cx, fy * v + cy, ahead, r2


@pytest.mark.parametrize('turn, place', [(0.2, (1.2, 0.3, 1.6)), (0.6, (0.0, -0.5, 2.5))])
def test_a_painted_square_lies_in_the_cells_of_points_there(turn, place):
    calibration = camera(turn, place=place)
    picture = ground_pixels(photograph(calibration, square), calibration, CELLS)
    assert picture.shape == (3, CELLS // 2, CELLS) and picture.dtype == np.uint8
    x, y = np.meshgrid(10.0 + CELL_M * np.array([0.3, 1.6]), 3.0 + CELL_M * np.array([0.4, 1.7]))
    points = np.stack([x.ravel(), y.ravel(), np.ones(4), np.ones(4)], axis=-1)
    counts = lidar_counts(points.astype(np.float32), CELLS)[0]
    assert not counts[:CELLS // 2].any()
    expected = counts[CELLS // 2:] > 0
    assert expected.sum() == 4
    np.testing.assert_array_equal(picture.min(axis=0) > 160, expected)
    np.testing.assert_array_equal(picture.max(axis=0)[~cv2.dilate(
        expected.astype(np.uint8), np.ones((3, 3))).astype(bool)] <= 41, True)


def test_colours_keep_their_order():
    calibration = camera()
    picture = ground_pixels(photograph(calibration, lambda x, y: np.broadcast_to(
        [200, 100, 50], (*x.shape, 3))), calibration, CELLS)
    np.testing.assert_array_equal(picture[:, 20, 64], [200, 100, 50])


@pytest.mark.parametrize('scale', [0.5, 2.0])
def test_an_image_of_another_size_gives_the_same_picture(scale):
    calibration = camera(0.3)
    whole = photograph(calibration, soft_pattern)
    resized = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=(
        cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR))
    one, other = (ground_pixels(image, calibration, CELLS).astype(int)
                  for image in (whole, resized))
    # Within 15 m a wave is many pixels long; at the border of the image a cell may differ.
    inner = cv2.erode((one.max(axis=0) > 0).astype(np.uint8), np.ones((3, 3))).astype(bool)
    inner &= np.hypot(*cell_middles()[..., :2].transpose(2, 0, 1)) < 15.0
    assert inner.sum() > 400
    assert np.abs(one - other)[:, inner].max() <= 5
    assert np.abs(one - other)[:, inner].mean() < 0.7


@pytest.mark.parametrize('model, distortion', LENSES)
def test_every_lens_is_undone(model, distortion):
    calibration = camera(0.4, 0.5, model, distortion)
    red, green, blue = ground_pixels(own_place(), calibration, CELLS).astype(int)
    columns, rows, ahead, r2 = lens(calibration, cell_middles().reshape(-1, 3))
    columns, rows, ahead, r2 = (array.reshape(CELLS // 2, CELLS)
                                for array in (columns, rows, ahead, r2))
    # The first lens folds from r^2 = 4.4 on, which is outside of the image.
    whole = ahead & (r2 < 4.0)
    whole &= (columns > 5) & (columns < WIDTH - 6) & (rows > 5) & (rows < HEIGHT - 6)
    # Nearer than 4 m the mean of a cell is not the value at its middle.
    whole &= np.linalg.norm(cell_middles() - calibration.base_from_camera[:3, 3], axis=-1) > 4.0
    # At the border of the image and of the field of view a cell may be seen in part.
    whole = cv2.erode(whole.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert whole.sum() > 800
    assert (blue[whole] == 255).all()
    assert np.abs(red - 255 * columns / (WIDTH - 1))[whole].max() < 1.5
    assert np.abs(green - 255 * rows / (HEIGHT - 1))[whole].max() < 2.5
    far_out = ~ahead | (columns < -60) | (columns > WIDTH + 60) | (rows < -60) | (
        rows > HEIGHT + 60)
    assert far_out.sum() > 800 and not blue[far_out].any()


def test_lenses_differ_from_none():
    plain = ground_pixels(own_place(), camera(0.4, 0.5), CELLS).astype(int)
    for model, distortion in LENSES:
        bent = ground_pixels(own_place(), camera(0.4, 0.5, model, distortion), CELLS)
        assert np.abs(bent - plain).max() > 20


@pytest.mark.parametrize('model', ['plumb_bob', 'equidistant', 'rational_polynomial', '', 'other'])
@pytest.mark.parametrize('distortion', [(), (0.0,) * 4, (0.0,) * 8])
def test_without_coefficients_every_model_is_a_pinhole(model, distortion):
    np.testing.assert_array_equal(
        ground_pixels(own_place(), camera(0.3, model=model, distortion=distortion), CELLS),
        ground_pixels(own_place(), camera(0.3), CELLS))


@pytest.mark.parametrize('distortion', [(-0.4, 0.0, 0.0, 0.0), (-0.3, 0.0, 0.0, 0.0, 0.0)])
def test_what_a_distortion_folds_back_into_the_image_stays_black(distortion):
    calibration = camera(0.0, 0.1, distortion=distortion)
    blue = ground_pixels(own_place(), calibration, CELLS)[2]
    columns, rows, ahead, r2 = (array.reshape(CELLS // 2, CELLS) for array in lens(
        calibration, cell_middles().reshape(-1, 3)))
    # r (1 + k1 r^2) falls from r^2 = -1 / (3 k1) on.
    beyond = r2 > -1.0 / (3.0 * distortion[0])
    folded = ahead & beyond & (columns > 0) & (columns < WIDTH) & (rows > 0) & (rows < HEIGHT)
    folded = cv2.erode(folded.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert folded.sum() > 20
    assert not blue[folded].any()
    assert blue[40, 64] == 255


def test_behind_the_camera_and_above_the_horizon_nothing_is_seen():
    back = camera(np.pi)
    assert not ground_pixels(own_place(), back, CELLS)[2, 10:].any()
    side = ground_pixels(own_place(), camera(np.pi / 2), CELLS)[2]
    assert not side[:, :CELLS // 2].any() and side[:, CELLS // 2:].any()
    assert not ground_pixels(own_place(), camera(down=-1.2), CELLS).any()


def test_cells_may_have_other_sizes():
    calibration = camera()
    image = photograph(calibration, soft_pattern)
    fine, coarse = (ground_pixels(image, calibration, cells).astype(int) for cells in (256, 128))
    assert fine.shape == (3, 128, 256)
    means = fine.reshape(3, 64, 2, 128, 2).mean(axis=(2, 4))
    assert np.abs(means - coarse)[:, 20:30, 56:72].max() < 3.0


@pytest.mark.parametrize('calibration, sentence', [
    (replace(camera(), base_from_camera=None),
     'pose of the camera in base_link is not known; set the parameter camera_extrinsics'),
    (camera(model='thin_prism', distortion=(0.1,) * 4),
     "'thin_prism' is none of plumb_bob, rational_polynomial, equidistant"),
    (camera(model='plumb_bob', distortion=(0.1, 0.2)), 'has 5 coefficients, but the'),
    (camera(model='equidistant', distortion=(0.1,) * 5), 'has 4 coefficients.* gives 5')])
def test_calibrations_that_do_not_do_are_a_sentence(calibration, sentence):
    with pytest.raises(GroundViewError, match=sentence):
        ground_pixels(own_place(), calibration, CELLS)
    image = CameraImage('right', 0, own_place(), calibration)
    with pytest.raises(FeatureError, match=f'^right: .*{sentence}'):
        stacked_ground({'right': image}, CELLS)


def test_an_image_without_calibration_asks_for_its_camera_info():
    frame = noise_frame()
    cameras = {**frame.cameras, 'left': replace(frame.cameras['left'], calibration=None)}
    with pytest.raises(FeatureError, match=r'^left: no calibration.* publish its camera_info'):
        stacked_ground(cameras, CELLS)


def test_three_cameras_are_stacked_and_the_place_of_a_missing_one_is_black():
    cameras = noise_frame(cameras=('right', 'left', 'rear')).cameras
    layers = stacked_ground(cameras, CELLS).reshape(3, 3, CELLS // 2, CELLS)
    for layer, name in ((0, 'left'), (2, 'right')):
        np.testing.assert_array_equal(layers[layer],
                                      ground_pixels(cameras[name].rgb, AHEAD, CELLS))
    assert layers[0].any() and not np.array_equal(layers[0], layers[2])
    assert not layers[1].any()
