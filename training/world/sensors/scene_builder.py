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

"""The solids of a moment: what stands in a town and who moves through it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
import math
from typing import NamedTuple

import numpy as np
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.scoring.compile import cpu_kernel
from pair_drive_ros.scoring.scene import ObjectType
from pair_drive_training.world.sensors.mesh import (
    BRAKE,
    GREEN,
    HEAD,
    join,
    LEFT,
    Mesh,
    polygons,
    RED,
    RIGHT,
)
from pair_drive_training.world.sensors.people import actor_mesh
from pair_drive_training.world.sensors.scenery import (
    building_mesh,
    lamp_mesh,
    plant_mesh,
    signal_mesh,
)
from pair_drive_training.world.sensors.visibility import FAR_M, Scene
from pair_drive_training.world.towns.town import Town
from pair_drive_training.world.traffic.drive import Actor, Drive

_OVERHANG_M = 0.3
"""By how much a body may stick out of its box."""
_NOTHING = polygons(np.empty((0, 4, 3)), (0.0, 0.0, 0.0))
_FOOTPRINT = np.array([(0.5, 0.5, 0.0), (-0.5, 0.5, 0.0), (-0.5, -0.5, 0.0), (0.5, -0.5, 0.0)])


class Moment(NamedTuple):
    """
    One step of a drive, as the sensors need it.

    ``ego_pose`` [3] x, y, heading of the rear axle in the map frame; of the N ``actors`` that are
    there ``poses`` [N, 3], ``braking`` [N], ``blinking`` [N] (-1 right, 0, 1 left); ``red``
    connector id -> whether its signal is red.
    """

    ego_pose: np.ndarray
    actors: Sequence[Actor]
    poses: np.ndarray
    braking: np.ndarray
    blinking: np.ndarray
    red: Mapping[int, bool]


def moment_of(drive: Drive, step: int) -> Moment:
    """Return a step of a drive."""
    there = np.flatnonzero(drive.present[step])
    return Moment(drive.ego[step, :3], [drive.actors[i] for i in there], drive.poses[step, there],
                  drive.braking[step, there], drive.blinking[step, there],
                  {connector: bool(states[step]) for connector, states in drive.red.items()})


class SceneBuilder:
    """
    Adds the actors of a moment to the solids of a town, which are built once.

    A scene is valid until the next one is built: they share the town's arrays.

    :param origin: [2] of the town's own frame in the map frame
    """

    def __init__(self, town: Town, origin: np.ndarray):
        self._origin = origin
        self._heads = [head.connectors for head in town.signal_heads]
        meshes = [
            *(signal_mesh(replace(head, position=head.position - [*origin, 0.0]))
              for head in town.signal_heads),
            *(building_mesh(replace(building, footprint=building.footprint - origin))
              for building in town.buildings),
            *(plant_mesh(replace(plant, position=plant.position - origin), number)
              for number, plant in enumerate(town.plants)),
            *(lamp_mesh(pole - [*origin, 0.0]) for pole in town.poles)]
        self._things, self._first = len(meshes), _firsts(meshes)
        self._spheres = _spheres(meshes)
        self._buffer = join([_NOTHING, *meshes])
        self._polygons = len(self._buffer.corners)

    def own(self, poses: np.ndarray) -> np.ndarray:
        """Poses [..., 3] of the map frame in the town's own."""
        return np.asarray(poses, np.float64)[..., :3] - [*self._origin, 0.0]

    def scene(self, moment: Moment, lamps_on: bool) -> Scene:
        """
        Return everything there is at a moment.

        :param lamps_on: whether vehicles have their headlights on
        """
        states = np.zeros(self._things, np.uint8)
        for head, connectors in enumerate(self._heads):
            reds = [moment.red[connector] for connector in connectors if connector in moment.red]
            if reds:
                states[head] = RED if all(reds) else GREEN
        poses = self.own(np.reshape(moment.poses, (-1, 3)))
        ego = self.own(moment.ego_pose)
        near = np.flatnonzero(np.hypot(*(poses - ego)[:, :2].T) < FAR_M)
        actors, poses = [moment.actors[i] for i in near], poses[near]
        if not actors:
            return Scene(self._buffer_with(()), self._first, self._spheres, states,
                         np.empty((0, 4, 3), np.float32))
        meshes = [actor_mesh(actor) for actor in actors]
        mesh = self._buffer_with(meshes)
        counts = np.array([len(moving.corners) for moving in meshes])
        place(mesh.corners, mesh.normals, self._polygons, counts, poses)
        sizes = np.array([actor.size for actor in actors])
        spheres = np.c_[poses[:, :2], sizes[:, 2] / 2.0,
                        np.linalg.norm(sizes, axis=1) / 2.0 + _OVERHANG_M]
        return Scene(mesh, np.concatenate([self._first, self._polygons + np.cumsum(counts)]),
                     np.concatenate([self._spheres, spheres.astype(np.float32)]),
                     np.concatenate([states, _lamps(moment, near, lamps_on)]),
                     _contacts(actors, poses))

    def _buffer_with(self, moving: Sequence[Mesh]) -> Mesh:
        """Return the town's polygons followed by others, in arrays that only ever grow."""
        town = self._polygons
        count = town + sum(len(mesh.corners) for mesh in moving)
        if count > len(self._buffer.corners):
            self._buffer = Mesh(*(np.concatenate([part[:town], np.empty(
                (2 * (count - town), *part.shape[1:]), part.dtype)]) for part in self._buffer))
        if moving:
            for part, values in zip(self._buffer, zip(*moving, strict=True), strict=True):
                np.concatenate(values, out=part[town:count])
        return Mesh(*(part[:count] for part in self._buffer))


def _firsts(meshes: Sequence[Mesh]) -> np.ndarray:
    return np.cumsum([0, *(len(mesh.corners) for mesh in meshes)])


def _spheres(meshes: Sequence[Mesh]) -> np.ndarray:
    """Float32 [O, 4]: centre and radius of a sphere around each mesh."""
    spheres = np.empty((len(meshes), 4), np.float32)
    for sphere, mesh in zip(spheres, meshes, strict=True):
        points = mesh.corners.reshape(-1, 3)
        low, high = points.min(axis=0), points.max(axis=0)
        sphere[:3] = (low + high) / 2.0
        sphere[3] = np.linalg.norm(high - low) / 2.0
    return spheres


def _place(corners: np.ndarray, normals: np.ndarray, first: int, counts: np.ndarray,
           poses: np.ndarray) -> None:
    """Move polygons, so many of each thing from the first on, to the things' poses."""
    p = first
    for thing in range(len(counts)):
        cos, sin = math.cos(poses[thing, 2]), math.sin(poses[thing, 2])
        for _ in range(counts[thing]):
            for k in range(4):
                x, y = corners[p, k, 0], corners[p, k, 1]
                corners[p, k, 0] = poses[thing, 0] + cos * x - sin * y
                corners[p, k, 1] = poses[thing, 1] + sin * x + cos * y
            x, y = normals[p, 0], normals[p, 1]
            normals[p, 0], normals[p, 1] = cos * x - sin * y, sin * x + cos * y
            p += 1


def _lamps(moment: Moment, near: np.ndarray, lamps_on: bool) -> np.ndarray:
    """Lamps [M] that are lit on those actors that are near."""
    vehicles = np.array([moment.actors[i].kind == ObjectType.VEHICLE for i in near])
    braking, blinking = np.asarray(moment.braking)[near], np.asarray(moment.blinking)[near]
    states = (BRAKE * (braking > 0) + LEFT * (blinking > 0) + RIGHT * (blinking < 0)
              + HEAD * lamps_on)
    return (states * vehicles).astype(np.uint8)


def _contacts(actors: Sequence[Actor], poses: np.ndarray) -> np.ndarray:
    """Outlines [N, 4, 3] of the dark below vehicles."""
    chosen = [i for i, actor in enumerate(actors) if actor.kind == ObjectType.VEHICLE]
    sizes = np.array([actors[i].size for i in chosen]).reshape(-1, 1, 3)
    outlines = compose(poses[chosen][:, None], sizes * _FOOTPRINT)
    outlines[..., 2] = 0.0
    return outlines.astype(np.float32)


place = cpu_kernel(_place)
