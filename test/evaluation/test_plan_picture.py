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

"""Pictures of plans: the ribbon lies where the vehicle will drive, files appear whole."""

import cv2
import numpy as np
from pair_drive_ros.core.frames import CameraCalibration, CameraImage, EgoState, LidarSweep
from pair_drive_ros.core.geometry import constant_turn_rate_motion, rigid_transform
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.evaluation.plan_picture import (
    draw_on_image,
    PlanPictureError,
    plans_figure,
    VEHICLE_WIDTH,
)
import pytest

WIDTH, HEIGHT, FOCAL, CAMERA_HEIGHT = 320, 180, 250.0, 1.5
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
BASE_FROM_CAMERA = rigid_transform(np.array([1.5, 0.0, CAMERA_HEIGHT]), OPTICAL)
GREY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def calibration(width=WIDTH):
    """Return a pinhole whose principal point is the middle of the image."""
    matrix = np.array([[FOCAL, 0.0, width / 2], [0.0, FOCAL, HEIGHT / 2], [0.0, 0.0, 1.0]])
    return CameraCalibration(width, HEIGHT, matrix, np.zeros(5), 'plumb_bob')


def plan(speed=8.0, yaw_rate=0.0):
    """Return a plan of constant speed and yaw rate."""
    return Trajectory(0, constant_turn_rate_motion(speed, yaw_rate, 0.5 * np.arange(1, 9)))


def painted(trajectory):
    """Return which pixels the ribbon changes."""
    picture = draw_on_image(GREY, calibration(), BASE_FROM_CAMERA, trajectory)
    assert picture.shape == GREY.shape and picture.dtype == np.uint8
    return (picture != GREY).any(axis=2)


def test_straight_ribbon_has_the_vehicle_width_at_its_depth():
    mask = painted(plan())
    for row in (110, 130, 160):
        depth = FOCAL * CAMERA_HEIGHT / (row + 0.5 - HEIGHT / 2)
        half = FOCAL * VEHICLE_WIDTH / 2 / depth
        columns = np.flatnonzero(mask[row])
        assert columns.min() == pytest.approx(WIDTH / 2 - half, abs=4.0)
        assert columns.max() == pytest.approx(WIDTH / 2 + half, abs=4.0)


def test_ribbon_ends_where_the_plan_ends():
    rows = np.flatnonzero(painted(plan(speed=4.0)).any(axis=1))
    end = HEIGHT / 2 + FOCAL * CAMERA_HEIGHT / (16.0 - 1.5)
    assert rows.min() == pytest.approx(end, abs=3.0)


def test_left_turn_bends_left():
    row = 105
    left, right = (np.flatnonzero(painted(plan(yaw_rate=rate))[row]).mean()
                   for rate in (0.15, -0.15))
    assert left < WIDTH / 2 - 5 and right > WIDTH / 2 + 5


def test_plan_out_of_view_leaves_the_image_as_it_is():
    backwards = plan(speed=-8.0)
    assert not painted(backwards).any()


def test_image_of_another_size_is_refused():
    with pytest.raises(PlanPictureError, match=r'image has 320x180 pixels .* for 640x180'):
        draw_on_image(GREY, calibration(640), BASE_FROM_CAMERA, plan())


def figure_inputs(calibrated=True):
    """Return arguments for plans_figure, without the path."""
    image = CameraImage('front', 0, GREY, calibration() if calibrated else None)
    egos = [EgoState(0, np.array([2.0 * i, 0.0, 0.0]), np.array([8.0, 0.0])) for i in range(3)]
    points = np.random.default_rng(0).uniform(-20, 20, (500, 4)).astype(np.float32)
    return (image, BASE_FROM_CAMERA, LidarSweep(0, points), [(ego, plan()) for ego in egos], 1,
            np.array([ego.pose for ego in egos]))


def test_figure_is_a_png_and_leaves_nothing_else(tmp_path):
    out = tmp_path / 'new' / 'plans.png'
    plans_figure(out, *figure_inputs())
    assert [entry.name for entry in out.parent.iterdir()] == ['plans.png']
    picture = cv2.imread(str(out))
    assert picture.shape[0] > 500 and picture.shape[1] > 1000 and picture.std() > 5.0


def test_figure_without_calibration_is_refused(tmp_path):
    with pytest.raises(PlanPictureError, match='front: the image has no calibration'):
        plans_figure(tmp_path / 'plans.png', *figure_inputs(calibrated=False))


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(PlanPictureError, match='cannot be written'):
        plans_figure(tmp_path / 'file' / 'plans.png', *figure_inputs())
