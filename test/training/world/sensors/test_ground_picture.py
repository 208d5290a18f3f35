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

"""The painted lines of a town, seen by the rig, lie in their place on the ground picture."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.core.frames import CameraCalibration, CameraImage
from pair_drive_ros.core.geometry import relative_to, rigid_transform
from pair_drive_ros.models.features import stacked_ground
from pair_drive_training.world.drive_bag import CAMERAS
from pair_drive_training.world.sensors.camera_rig import MINI
from pair_drive_training.world.sensors.look import draw_look
from pair_drive_training.world.sensors.renderer import Renderer
from pair_drive_training.world.towns.world_towns import simple_town
import pytest
import shapely

CELLS, CELL_M = 128, 0.5
RIG = MINI.with_cameras(CAMERAS.values())
NOBODY = [], np.zeros((0, 3)), np.zeros(0, bool), np.zeros(0, int), {}


@pytest.fixture(scope='module')
def towns():
    """Return the ground of a town with its painted lines, and without."""
    town = replace(simple_town(), buildings=(), plants=(), poles=np.zeros((0, 3)),
                   signal_heads=(), crossings={})
    return town, replace(town, markings=())


def ground_of(renderer, pose):
    """Return the picture [64, 128, 3] that the three cameras have together."""
    images = renderer.cameras(pose, *NOBODY, replace(draw_look(1, 'overcast'), grain=0.0))
    cameras = {}
    for name, camera in zip(CAMERAS, RIG.cameras, strict=True):
        calibration = CameraCalibration(*camera.size, camera.intrinsics, np.zeros(5), 'plumb_bob',
                                        rigid_transform(camera.translation, camera.rotation))
        cameras[name] = CameraImage(name, 0, images[camera.name], calibration)
    layers = stacked_ground(cameras, CELLS).reshape(3, 3, CELLS // 2, CELLS)
    return layers.max(axis=0).transpose(1, 2, 0).astype(int)


@pytest.mark.parametrize('pose', [(60.0, -1.75, 0.0), (112.0, -2.0, 0.5), (40.0, 1.0, -2.8)])
def test_painted_lines_lie_where_the_map_has_them(towns, pose):
    pose = np.array(pose)
    with_lines, without = (ground_of(Renderer(town, RIG), pose) for town in towns)
    changed = np.abs(with_lines - without).max(axis=-1) > 10
    x, y = np.meshgrid(CELL_M * (np.arange(CELLS // 2) + 0.5),
                       CELL_M * (np.arange(CELLS) + 0.5) - 32.0, indexing='ij')
    lines = shapely.MultiLineString([
        relative_to(pose, np.column_stack([marking.line, np.zeros(len(marking.line))]))[:, :2]
        for marking in towns[0].markings if not marking.dashed])
    away = shapely.distance(lines, shapely.points(x, y))
    # At 14 m a pixel of these images is about as long as a cell.
    near = (np.hypot(x, y) < 14.0) & (without.max(axis=-1) > 0)
    on_line, off_line = near & (away < 0.1), near & (away > 0.6)
    assert on_line.sum() >= 10 and off_line.sum() > 300
    assert changed[on_line].mean() > 0.95
    assert changed[off_line].mean() < 0.01
