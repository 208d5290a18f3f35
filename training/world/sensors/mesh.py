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

"""
Solids as lists of plane, convex polygons, which camera and LiDAR see alike.

Every polygon has four corners, counter-clockwise as seen from outside; a triangle repeats its last
one. Frames have z up, with z = 0 on the ground; lengths in metres.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

Colour = tuple[float, float, float]
Point = tuple[float, float, float]

# Materials.
MATT, WALL, LEAVES, FOLIAGE, GLASS, STRIPES, PAINT = range(7)
"""Plain; windows in rows; leaves with gaps; leaves without; panes; red and white; varnish."""

# Lamps: bits that a polygon lights up for, and the state of what it belongs to.
BRAKE, LEFT, RIGHT, HEAD, RED, GREEN = (1 << bit for bit in range(6))
GLOW = 128
"""Bit of a lamp's polygon that has a halo around it."""


class Mesh(NamedTuple):
    """
    P polygons.

    ``corners`` float32 [P, 4, 3]; ``normals`` float32 [P, 3], unit and outward; ``colours``
    float32 [P, 3] red, green, blue, 0..1; ``materials`` uint8 [P]; ``lamps`` uint8 [P] bits;
    ``casts`` uint8 [P] whether it is drawn as a shadow; ``reflects`` float32 [P], the LiDAR's
    intensity of a return at right angles, 0..255.
    """

    corners: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    materials: np.ndarray
    lamps: np.ndarray
    casts: np.ndarray
    reflects: np.ndarray


_FACES = {'front': (3, 0, 4, 7), 'left': (0, 1, 5, 4), 'rear': (1, 2, 6, 5),
          'right': (2, 3, 7, 6), 'top': (4, 5, 6, 7)}


def polygons(corners: np.ndarray, colour: Colour, material: int = MATT, lamps: int = 0,
             casts: bool = True, reflects: float = 60.0) -> Mesh:
    """Return polygons [P, 4, 3] that look alike."""
    corners = np.asarray(corners, np.float64)
    count = len(corners)
    return Mesh(corners.astype(np.float32), _normals(corners),
                np.tile(np.float32(colour), (count, 1)), np.full(count, material, np.uint8),
                np.full(count, lamps, np.uint8), np.full(count, casts, np.uint8),
                np.full(count, reflects, np.float32))


def with_corners(mesh: Mesh, corners: np.ndarray) -> Mesh:
    """Return a mesh of another shape that looks alike."""
    return mesh._replace(corners=corners.astype(np.float32), normals=_normals(corners))


def join(meshes: Iterable[Mesh]) -> Mesh:
    """Lay meshes end to end."""
    return Mesh(*(np.concatenate(parts) for parts in zip(*meshes, strict=True)))


def moved(mesh: Mesh, x: float, y: float, heading: float = 0.0, z: float = 0.0) -> Mesh:
    """Return a mesh at an SE(2) pose of its parent frame, ``z`` m up."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return mesh._replace(corners=(mesh.corners @ turn + [x, y, z]).astype(np.float32),
                         normals=(mesh.normals @ turn).astype(np.float32))


def block(centre: Point, size: Point, *, top: tuple[float, float] = (1.0, 1.0),
          shift: float = 0.0) -> np.ndarray:
    """
    Corners [8, 3] of a box that may taper upwards: four below, four above.

    :param centre: middle of the bottom face
    :param size: length (x), width (y) at the bottom, and height
    :param top: length and width of the top over those of the bottom
    :param shift: how far the top is moved along x
    """
    signs = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) / 2.0
    bottom = np.c_[signs * size[:2], np.zeros(4)]
    upper = np.c_[signs * size[:2] * top + [shift, 0.0], np.full(4, size[2])]
    return np.concatenate([bottom, upper]) + centre


def faces(corners: np.ndarray, names: Iterable[str] = tuple(_FACES)) -> np.ndarray:
    """Polygons [P, 4, 3] of a block; walls begin with their lower edge."""
    return corners[[_FACES[name] for name in names]]


def panel(corners: np.ndarray, face: str, across: tuple[float, float], up: tuple[float, float],
          proud: float = 0.015) -> np.ndarray:
    """
    Polygon [1, 4, 3] on a face of a block.

    :param across: its extent from left to right, as shares of the face seen from outside
    :param up: its extent from below
    :param proud: how far it stands out
    """
    low_left, low_right, up_right, up_left = faces(corners, [face])[0]

    def at(u: float, v: float) -> np.ndarray:
        lower, upper = low_left + u * (low_right - low_left), up_left + u * (up_right - up_left)
        return lower + v * (upper - lower)

    flat = np.array([[at(across[0], up[0]), at(across[1], up[0]),
                      at(across[1], up[1]), at(across[0], up[1])]])
    normal = np.cross(low_right - low_left, up_left - low_left)
    return flat + proud * normal / np.linalg.norm(normal)


def ellipsoid(centre: Point, radii: Point, segments: int = 8, rings: int = 3) -> np.ndarray:
    """Facets [P, 4, 3] of an ellipsoid; its ``rings`` of quads lie between two caps."""
    heights = np.linspace(-1.0, 1.0, rings + 3)[1:-1] * np.pi / 2.0
    around = np.arange(segments + 1) % segments * 2.0 * np.pi / segments
    grid = np.stack([np.cos(heights)[:, None] * np.cos(around),
                     np.cos(heights)[:, None] * np.sin(around),
                     np.repeat(np.sin(heights)[:, None], segments + 1, axis=1)], axis=-1)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
    pole = np.broadcast_to([0.0, 0.0, 1.0], (segments, 3))
    upper = np.stack([grid[-1, :-1], grid[-1, 1:], pole, pole], axis=1)
    lower = np.stack([grid[0, 1:], grid[0, :-1], -pole, -pole], axis=1)
    unit = np.concatenate([quads.reshape(-1, 4, 3), upper, lower])
    return unit * radii + np.asarray(centre)


def disc(centre: Point, radius: float, side: float) -> np.ndarray:
    """Upright octagon in the plane y = const that faces ``side`` (1 left, -1 right), [3, 4, 3]."""
    angle = (np.arange(8) + 0.5) * np.pi / 4.0
    ring = np.stack([-side * radius * np.cos(angle), np.zeros(8), radius * np.sin(angle)], axis=-1)
    return (ring + np.asarray(centre))[[(0, 1, 2, 3), (0, 3, 4, 7), (4, 5, 6, 7)]]


def _normals(corners: np.ndarray) -> np.ndarray:
    # Of the diagonals, as one edge of a triangle has no length.
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    return (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
