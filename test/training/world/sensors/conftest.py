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

"""A town without anything but ground, a level camera, and actors in front of them."""

from dataclasses import replace

import numpy as np
from pair_drive_training.world.sensors.camera_rig import (
    CameraModel,
    optical_rotation,
    Rig,
    Scanner,
)
from pair_drive_training.world.sensors.look import draw_look
from pair_drive_training.world.sensors.renderer import Renderer
from pair_drive_training.world.towns.world_towns import simple_town
from pair_drive_training.world.traffic.drive import Actor
import pytest

SIZE = (320, 180)
FOCAL = 300.0
EYE_HEIGHT = 1.5


class Stage:
    """Draws actors, given in the frame of an ego at the origin, without noise or shadows."""

    def __init__(self, town, rig, ego_pose=(0.0, 0.0, 0.0)):
        self.renderer = Renderer(town, rig)
        self.ego_pose = np.array(ego_pose)
        self.look = replace(draw_look(1, 'overcast'), grain=0.0)
        self._actors, self._poses = [], []
        self._braking, self._blinking = [], []
        self.red = {}

    def add(self, kind, size, pose, model=0, colour=5, braking=False, blinking=0):
        x, y, turn = self.ego_pose
        cos, sin = np.cos(turn), np.sin(turn)
        self._actors.append(Actor('0123456789abcdef', int(kind), np.array(size), model, colour))
        self._poses.append([x + cos * pose[0] - sin * pose[1], y + sin * pose[0] + cos * pose[1],
                            turn + pose[2]])
        self._braking.append(braking)
        self._blinking.append(blinking)
        return self

    def moment(self):
        return (self.ego_pose, self._actors, np.array(self._poses).reshape(-1, 3),
                np.array(self._braking), np.array(self._blinking), self.red)

    def images(self):
        return self.renderer.cameras(*self.moment(), self.look)

    def image(self):
        (image,) = self.images().values()
        return image

    def points(self):
        return self.renderer.lidar(*self.moment(), self.look)

    def emptied(self):
        self._actors, self._poses, self._braking, self._blinking = [], [], [], []
        return self


@pytest.fixture(scope='session')
def bare_town():
    """Return the paved ground of a town around the origin, and nothing on it."""
    return replace(simple_town(), buildings=(), plants=(), poles=np.zeros((0, 3)),
                   signal_heads=(), markings=(), crossings={}, lanes={})


@pytest.fixture(scope='session')
def level_rig():
    """Return a level camera 1.5 m above the rear axle, and a LiDAR in the same place."""
    intrinsics = np.array([[FOCAL, 0.0, (SIZE[0] - 1) / 2.0], [0.0, FOCAL, (SIZE[1] - 1) / 2.0],
                           [0.0, 0.0, 1.0]])
    place = np.array([0.0, 0.0, EYE_HEIGHT])
    return Rig((CameraModel('CAM_F0', optical_rotation(0.0, 0.0, 0.0), place, intrinsics, SIZE),),
               (Scanner(3, tuple(place), tuple(np.linspace(-20.0, 10.0, 31)), 720),))


@pytest.fixture(scope='session')
def shared_stage(bare_town, level_rig):
    return Stage(bare_town, level_rig)


@pytest.fixture
def stage(shared_stage):
    """Return the level camera in the bare town, with nobody there."""
    shared_stage.look = replace(draw_look(1, 'overcast'), grain=0.0)
    return shared_stage.emptied()


@pytest.fixture
def seen(stage):
    """Return a function that marks the pixels [H, W] which the actors of the stage change."""
    def changed():
        image = stage.image().astype(int)
        actors = stage.moment()[1:]
        stage.emptied()
        empty = stage.image().astype(int)
        for actor, pose in zip(*actors[:2], strict=True):
            stage.add(actor.kind, actor.size, pose, actor.model, actor.colour)
        return (image != empty).any(axis=-1)
    return changed
