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

"""People on foot and on bicycles, and what is put up at road works."""

from functools import lru_cache

import numpy as np
from pair_drive_ros.scoring.scene import ObjectType
from pair_drive_training.world.sensors.mesh import (
    block,
    Colour,
    disc,
    ellipsoid,
    faces,
    join,
    Mesh,
    moved,
    panel,
    polygons,
    STRIPES,
    with_corners,
)
from pair_drive_training.world.sensors.vehicles import vehicle
from pair_drive_training.world.traffic.drive import Actor

_SHIRTS: tuple[Colour, ...] = (
    (0.75, 0.15, 0.15), (0.15, 0.25, 0.55), (0.85, 0.84, 0.80), (0.12, 0.12, 0.13),
    (0.20, 0.45, 0.25), (0.85, 0.65, 0.15), (0.50, 0.50, 0.55), (0.55, 0.25, 0.50))
_TROUSERS: tuple[Colour, ...] = ((0.12, 0.14, 0.22), (0.25, 0.22, 0.18), (0.10, 0.10, 0.11),
                                 (0.45, 0.42, 0.36), (0.20, 0.30, 0.45))
_SKINS: tuple[Colour, ...] = ((0.85, 0.66, 0.54), (0.55, 0.38, 0.28), (0.35, 0.24, 0.18))
_HAIR: Colour = (0.16, 0.12, 0.09)
_ORANGE: Colour = (0.95, 0.36, 0.06)
_WHITE: Colour = (0.92, 0.92, 0.90)
_TYRE: Colour = (0.06, 0.06, 0.06)
_CLOTH, _RETRO = 30.0, 240.0


def actor_mesh(actor: Actor) -> Mesh:
    """Return what stands in an actor's box, around its centre on the ground, front along x."""
    return _mesh(actor.kind, tuple(float(value) for value in actor.size), actor.model,
                 actor.colour)


@lru_cache(maxsize=4096)
def _mesh(kind: int, size: tuple[float, float, float], model: int, colour: int) -> Mesh:
    if kind == ObjectType.VEHICLE:
        return vehicle(np.array(size), model, colour)
    if kind == ObjectType.PEDESTRIAN:
        return _person(size[2], model, colour)
    if kind == ObjectType.BICYCLE:
        return _cyclist(size, model, colour)
    if kind == ObjectType.TRAFFIC_CONE:
        return _cone(size)
    if kind == ObjectType.BARRIER:
        return _barrier(size)
    if kind == ObjectType.CZONE_SIGN:
        return _road_works_sign(size)
    return polygons(faces(block((0.0, 0.0, 0.0), size, top=(0.9, 0.9))), (0.24, 0.34, 0.28))


def _person(height: float, model: int, colour: int) -> Mesh:
    """Build someone who walks; ``model`` sets the stride."""
    scale, swing = height / 1.75, (0.20, 0.10, -0.15, 0.26)[model % 4]
    shirt, skin = _SHIRTS[colour % len(_SHIRTS)], _SKINS[colour // 3 % len(_SKINS)]
    trousers = _TROUSERS[colour // 2 % len(_TROUSERS)]
    parts = []
    for side in (1.0, -1.0):
        stride = side * swing
        leg = block((-stride, 0.10 * side, 0.0), (0.16, 0.15, 0.86), shift=stride)
        shoe = block((0.05 - stride, 0.10 * side, 0.0), (0.28, 0.11, 0.09))
        arm = block((stride, 0.27 * side, 0.80), (0.10, 0.10, 0.60), shift=-stride)
        hand = block((stride, 0.27 * side, 0.72), (0.09, 0.08, 0.10))
        parts += [polygons(faces(leg), trousers, reflects=_CLOTH),
                  polygons(faces(shoe), (0.10, 0.08, 0.07), reflects=_CLOTH),
                  polygons(faces(arm), shirt, reflects=_CLOTH),
                  polygons(faces(hand), skin, reflects=_CLOTH)]
    torso = block((0.0, 0.0, 0.83), (0.24, 0.38, 0.63), top=(0.95, 1.15))
    neck = block((0.0, 0.0, 1.44), (0.11, 0.11, 0.10))
    parts += [polygons(faces(torso), shirt, reflects=_CLOTH),
              polygons(faces(neck), skin, reflects=_CLOTH),
              polygons(ellipsoid((0.02, 0.0, 1.61), (0.11, 0.09, 0.14), 6, 1), skin,
                       reflects=_CLOTH),
              polygons(ellipsoid((-0.02, 0.0, 1.66), (0.11, 0.10, 0.11), 6, 1), _HAIR,
                       reflects=_CLOTH)]
    mesh = join(parts)
    return with_corners(mesh, mesh.corners * scale)


def _cyclist(size: tuple[float, float, float], model: int, colour: int) -> Mesh:
    length, _, height = size
    radius = 0.34
    rim = 0.5 * length - radius
    frame_colour = _SHIRTS[(colour + 3) % len(_SHIRTS)]
    parts = []
    for x in (rim, -rim):
        for side in (1.0, -1.0):
            parts += [polygons(disc((x, 0.025 * side, radius), radius, side), _TYRE),
                      polygons(disc((x, 0.035 * side, radius), 0.82 * radius, side),
                               (0.45, 0.46, 0.47), casts=False)]
        tread = block((x, 0.0, 0.0), (1.6 * radius, 0.05, 1.6 * radius))
        parts.append(polygons(faces(tread, ('front', 'rear')), _TYRE))
    for centre, dims, shift in (((0.0, 0.0, 0.55), (1.5 * rim, 0.05, 0.06), 0.0),
                                ((0.75 * rim, 0.0, 0.45), (0.06, 0.05, 0.60), -0.12),
                                ((0.62 * rim, 0.0, 1.02), (0.06, 0.50, 0.05), 0.0),
                                ((-0.45 * rim, 0.0, 0.55), (0.06, 0.05, 0.40), -0.08)):
        parts.append(polygons(faces(block(centre, dims, shift=shift)), frame_colour))
    rider = _person(1.75, 3, colour)
    # Bent forward and lifted on to the saddle, up to the height of the box.
    lean = rider.corners[..., 2:] * [0.18, 0.0, 0.0]
    seated = with_corners(rider, rider.corners * [1.0, 1.0, 0.80] + lean)
    lift = max(0.25, height - 0.80 * 1.77)
    return join([*parts, moved(seated, -0.35, 0.0, z=lift)])


def _cone(size: tuple[float, float, float]) -> Mesh:
    length, width, height = size
    foot = block((0.0, 0.0, 0.0), (length, width, 0.06 * height))
    parts = [polygons(faces(foot), (0.10, 0.09, 0.08))]
    edges = (0.06, 0.36, 0.56, 0.70, 0.82, 1.0)
    for low, high, white in zip(edges, edges[1:], (False, True, False, True, False), strict=False):
        below, above = (0.80 * (1.0 - 0.88 * at) for at in (low, high))
        part = block((0.0, 0.0, low * height),
                     (below * length, below * width, (high - low) * height),
                     top=(above / below, above / below))
        parts.append(polygons(faces(part), _WHITE if white else _ORANGE,
                              reflects=_RETRO if white else 80.0))
    return join(parts)


def _barrier(size: tuple[float, float, float]) -> Mesh:
    """Boards across the box's longer side, on feet."""
    length, width, height = size
    along = (length, 0.12) if length >= width else (0.12, width)
    boards = [block((0.0, 0.0, low * height), (*along, 0.26 * height)) for low in (0.38, 0.74)]
    ends = [((0.42 * length, 0.0) if length >= width else (0.0, 0.42 * width)),
            ((-0.42 * length, 0.0) if length >= width else (0.0, -0.42 * width))]
    feet = [block((x, y, 0.0), (min(length, 0.4), min(width, 0.4), 0.10)) for x, y in ends]
    posts = [block((x, y, 0.0), (0.07, 0.07, height)) for x, y in ends]
    return join([polygons(np.concatenate([faces(board) for board in boards]), _WHITE, STRIPES,
                          reflects=_RETRO),
                 polygons(np.concatenate([faces(part) for part in feet + posts]),
                          (0.25, 0.25, 0.25))])


def _road_works_sign(size: tuple[float, float, float]) -> Mesh:
    """Orange board that faces along x, on a post."""
    _, width, height = size
    board = block((0.0, 0.0, 0.45 * height), (0.05, width, 0.55 * height))
    post = block((0.0, 0.0, 0.0), (0.06, 0.06, 0.5 * height))
    foot = block((0.0, 0.0, 0.0), (0.4, 0.5 * width, 0.06))
    bars = [polygons(panel(board, face, (0.25, 0.75), (0.42, 0.58)), (0.08, 0.08, 0.08),
                     casts=False) for face in ('front', 'rear')]
    return join([polygons(faces(board), _ORANGE, reflects=_RETRO),
                 polygons(faces(post), (0.3, 0.3, 0.3)), polygons(faces(foot), (0.2, 0.2, 0.2)),
                 *bars])
