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

"""What the LiDAR measures: the scene that the cameras show, with a real one's flaws."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.core.geometry import project_to_image
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.sensors.camera_rig import FULL, MINI
from pair_drive_training.world.sensors.lidar_scan import MAX_RANGE_M
from pair_drive_training.world.sensors.look import draw_look
from pair_drive_training.world.sensors.renderer import Renderer
from pair_drive_training.world.towns.town import Plant
from pair_drive_training.world.towns.world_towns import simple_town
import pytest

CAR, TRUCK, PERSON = (4.6, 1.85, 1.45), (8.0, 2.5, 3.2), (0.6, 0.6, 1.75)


def inside(points, size, pose, margin=0.12):
    """Tell which points [N, 6] lie in a box whose middle stands at ``pose`` on the ground."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    x, y = points[:, 0] - pose[0], points[:, 1] - pose[1]
    return ((np.abs(cos * x + sin * y) < size[0] / 2 + margin)
            & (np.abs(cos * y - sin * x) < size[1] / 2 + margin)
            & (points[:, 2] > 0.15) & (points[:, 2] < size[2] + margin))


def test_the_empty_ground_is_flat(stage):
    points = stage.points()
    assert len(points) > 5000
    assert np.abs(points[:, 2]).max() < 0.08
    ranges = np.linalg.norm(points[:, :3] - [0.0, 0.0, 1.5], axis=1)
    assert ranges.max() < MAX_RANGE_M + 0.1
    assert set(points[:, 5]) == {3.0}
    # A beam meets the ground at one distance all around, but for the noise.
    beam = ranges[points[:, 4] == 8]
    assert beam.mean() == pytest.approx(1.5 / np.sin(np.radians(12.0)), abs=0.005)
    assert beam.std() == pytest.approx(0.02, rel=0.15)
    assert points[:, 3].min() >= 0.0 and points[:, 3].max() <= 255.0


@pytest.mark.parametrize(('size', 'pose'), [(CAR, (12.0, 2.0, 0.7)), (TRUCK, (20.0, -6.0, 2.0)),
                                            (CAR, (8.0, 0.0, 0.0))])
def test_points_of_a_car_lie_on_the_car_in_the_image(stage, seen, level_rig, size, pose):
    stage.add(ObjectType.VEHICLE, size, pose)
    points = stage.points()
    hits = points[inside(points, size, pose)]
    assert len(hits) > 60
    camera = level_rig.cameras[0]
    optical = (hits[:, :3] - camera.translation) @ camera.rotation
    pixels, _ = project_to_image(optical, camera.intrinsics)
    columns, rows = np.round(pixels).astype(int).T
    shown = (columns >= 0) & (columns < 320) & (rows >= 0) & (rows < 180)
    drawn = seen()
    assert shown.sum() > 50
    assert drawn[rows[shown], columns[shown]].mean() > 0.97


def test_the_nearer_hides_the_farther(stage):
    far = (ObjectType.PEDESTRIAN, PERSON, (24.0, 0.0, 0.0))
    stage.add(*far)
    assert inside(stage.points(), PERSON, far[2]).sum() >= 3
    stage.add(ObjectType.VEHICLE, TRUCK, (14.0, 0.0, 0.0))
    points = stage.points()
    assert inside(points, PERSON, far[2]).sum() == 0
    assert inside(points, TRUCK, (14.0, 0.0, 0.0)).sum() > 100


def test_things_all_around_are_met_on_the_side_they_show(stage):
    poses = [(10.0 * np.cos(angle), 10.0 * np.sin(angle), angle)
             for angle in np.arange(8) * np.pi / 4]
    for pose in poses:
        stage.add(ObjectType.VEHICLE, CAR, pose)
    points = stage.points()
    for pose in poses:
        hits = points[inside(points, CAR, pose)]
        assert len(hits) > 60
        # Nothing of the far end, for the cars point away from the LiDAR.
        assert np.hypot(hits[:, 0], hits[:, 1]).max() < 11.9


def test_a_box_around_the_lidar_does_not_blind_it(stage):
    stage.add(ObjectType.GENERIC_OBJECT, (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    assert np.abs(stage.points()[:, 2]).max() < 0.08


def test_a_crown_lets_some_rays_through(bare_town, level_rig, stage):
    tree = Plant(np.array([10.0, 0.0]), 2.0, 2.0, 0)
    points = Renderer(replace(bare_town, plants=(tree,)), level_rig).lidar(
        *stage.moment(), stage.look)
    crown = points[(points[:, 2] > 2.0) & (points[:, 0] > 5.0)]
    depth = crown[:, 0].max() - crown[:, 0].min()
    assert len(crown) > 50 and depth > 1.0


def test_rain_takes_points_away(stage):
    dry = len(stage.points())
    stage.look = replace(stage.look, rain=0.15)
    assert 0.7 * dry < len(stage.points()) < 0.9 * dry


@pytest.mark.parametrize(('rig', 'low', 'high'), [(MINI, 3500, 5500), (FULL, 60000, 100000)])
def test_presets_have_as_many_points_as_they_should(rig, low, high):
    town = simple_town()
    points = Renderer(town, rig.with_cameras([])).lidar(
        np.array([15.0, -1.7, 0.0]), [], np.zeros((0, 3)), np.zeros(0), np.zeros(0), {},
        draw_look(1, 'clear'))
    assert low < len(points) < high
    assert points.dtype == np.float32 and points.shape[1] == 6
    assert set(points[:, 5]) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert (points[:, 4] == np.round(points[:, 4])).all()
