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
Which polygon a camera or a LiDAR sees along each of its rays.

Seen from a point, a convex polygon is the cone between planes through the eye and its edges. A ray
meets it exactly when it lies inside all of them, so neither sensor clips anything. A camera's rays
are linear in the image: a row of the polygon is one span, and inverse depth is linear along it.
"""

import math
from typing import NamedTuple

import numpy as np
from pair_drive_ros.scoring.compile import cpu_kernel, device
from pair_drive_training.world.sensors.mesh import LEAVES, Mesh

SAMPLES = 2
"""Samples a pixel along rows and along columns."""

BACKDROP, SHADOW, CONTACT, FIRST_POLYGON = 0, 1, 2, 3
"""What a sample shows: sky or ground; ground in the shadow or below something; polygons."""

FAR_M = 170.0
SHADOW_RANGE_M = 90.0
LEAF_M, LEAF_GAPS, LEAF_RANGE_M = 0.24, 0.36, 60.0
_NEAR_M = 0.05
_SMALLEST = 0.7
"""Samples: something whose radius is smaller is not worth drawing."""


class Scene(NamedTuple):
    """
    O things of a moment, in the town's own frame.

    ``first`` int64 [O + 1] polygons of each in ``mesh``; ``spheres`` float32 [O, 4] around them:
    centre, radius; ``states`` uint8 [O] lamps that are lit; ``contacts`` float32 [N, 4, 3]
    outlines on the ground of what stands close above it.
    """

    mesh: Mesh
    first: np.ndarray
    spheres: np.ndarray
    states: np.ndarray
    contacts: np.ndarray


class View(NamedTuple):
    """
    Where a camera looks from, in the town's own frame.

    ``eye`` [3]; ``axes`` [3, 3] direction of sample (column, row, 1), as long along the optical
    axis as that axis is deep; ``forward`` [3]; ``inverse`` [3, 3] of ``axes``; ``sides`` [4, 3]
    unit normals, inwards, of the planes through the image's edges; ``focal`` in samples.
    """

    eye: np.ndarray
    axes: np.ndarray
    forward: np.ndarray
    inverse: np.ndarray
    sides: np.ndarray
    focal: float


class Buffers(NamedTuple):
    """
    What is drawn into: ``shows`` int32 and ``closeness`` float32 [rows, columns] of samples.

    ``closeness`` is the inverse depth in 1/m; ``planes`` float64 [P, 3] that of a polygon at
    sample (column, row, 1), valid where the polygon is shown; ``scratch`` float64 [8, 3].
    """

    shows: np.ndarray
    closeness: np.ndarray
    planes: np.ndarray
    scratch: np.ndarray


@device
def _leaf_gap(x, y, z):
    """Whether a crown is open at a place."""
    cell = (int(math.floor(x / LEAF_M)) * 73856093 ^ int(math.floor(y / LEAF_M)) * 19349663
            ^ int(math.floor(z / LEAF_M)) * 83492791)
    cell = (cell ^ (cell >> 13)) * 1274126177
    return ((cell ^ (cell >> 16)) & 1023) < LEAF_GAPS * 1024


@device
def _edges(scratch, axes):
    """Half-planes [4, 3] of samples inside the polygon whose corners from the eye are given."""
    for k in range(4):
        n = (k + 1) & 3
        x = scratch[n, 1] * scratch[k, 2] - scratch[n, 2] * scratch[k, 1]
        y = scratch[n, 2] * scratch[k, 0] - scratch[n, 0] * scratch[k, 2]
        z = scratch[n, 0] * scratch[k, 1] - scratch[n, 1] * scratch[k, 0]
        for c in range(3):
            scratch[4 + k, c] = x * axes[0, c] + y * axes[1, c] + z * axes[2, c]


@device
def _rows(scratch, view, rows, columns):
    """First and end row that corners seen from the eye may reach; none where outside."""
    low, high, left, right, behind = 1e30, -1e30, 1e30, -1e30, 0
    for k in range(4):
        x, y, z = scratch[k, 0], scratch[k, 1], scratch[k, 2]
        depth = view.forward[0] * x + view.forward[1] * y + view.forward[2] * z
        if depth < _NEAR_M:
            behind += 1
            continue
        column = (view.inverse[0, 0] * x + view.inverse[0, 1] * y + view.inverse[0, 2] * z) / depth
        row = (view.inverse[1, 0] * x + view.inverse[1, 1] * y + view.inverse[1, 2] * z) / depth
        low, high = min(low, row), max(high, row)
        left, right = min(left, column), max(right, column)
    if behind == 4:
        return 0, 0
    if behind > 0:
        return 0, rows
    if right < 0.0 or left > columns - 1.0 or high < 0.0 or low > rows - 1.0:
        return 0, 0
    return max(0, int(math.ceil(low))), min(rows, int(math.floor(high)) + 1)


@device
def _span(scratch, row, columns):
    """First and end column of a row inside all edges."""
    first, end = 0.0, float(columns)
    for k in range(4, 8):
        slope, offset = scratch[k, 0], scratch[k, 1] * row + scratch[k, 2]
        if slope > 0.0:
            first = max(first, math.ceil(-offset / slope))
        elif slope < 0.0:
            end = min(end, math.ceil(-offset / slope))
        elif offset < 0.0:
            end = 0.0
    return int(first), int(end)


@device
def _darken(scratch, view, buffers, what):
    """Mark the ground inside a polygon on it."""
    rows, columns = buffers.shows.shape
    begin, stop = _rows(scratch, view, rows, columns)
    if begin < stop:
        _edges(scratch, view.axes)
    for row in range(begin, stop):
        first, end = _span(scratch, row, columns)
        for column in range(first, end):
            if buffers.shows[row, column] < what:
                buffers.shows[row, column] = what


@device
def _in_view(sphere, view, margin):
    x, y, z = sphere[0] - view.eye[0], sphere[1] - view.eye[1], sphere[2] - view.eye[2]
    radius = sphere[3] + margin
    depth = view.forward[0] * x + view.forward[1] * y + view.forward[2] * z
    if depth < -radius or depth - radius > FAR_M:
        return False
    if depth > radius and radius * view.focal < _SMALLEST * depth:
        return False
    for k in range(4):
        if view.sides[k, 0] * x + view.sides[k, 1] * y + view.sides[k, 2] * z < -radius:
            return False
    return True


def _draw_shadows(scene, view, sun, buffers):
    """Mark the ground that things keep from the sun."""
    scratch = buffers.scratch
    lean_x, lean_y = sun[0] / sun[2], sun[1] / sun[2]
    for thing in range(len(scene.spheres)):
        sphere = scene.spheres[thing]
        reach = sphere[3] + (sphere[2] + sphere[3]) * math.hypot(lean_x, lean_y)
        away = math.hypot(sphere[0] - view.eye[0], sphere[1] - view.eye[1])
        if away - reach > SHADOW_RANGE_M or not _in_view(sphere, view, reach):
            continue
        for p in range(scene.first[thing], scene.first[thing + 1]):
            normal = scene.mesh.normals[p]
            if not scene.mesh.casts[p] or (normal[0] * sun[0] + normal[1] * sun[1]
                                           + normal[2] * sun[2]) <= 0.02:
                continue
            for k in range(4):
                corner = scene.mesh.corners[p, k]
                scratch[k, 0] = corner[0] - corner[2] * lean_x - view.eye[0]
                scratch[k, 1] = corner[1] - corner[2] * lean_y - view.eye[1]
                scratch[k, 2] = -view.eye[2]
            _darken(scratch, view, buffers, SHADOW)


def _draw_contacts(scene, view, buffers):
    scratch = buffers.scratch
    for i in range(len(scene.contacts)):
        for k in range(4):
            for c in range(3):
                scratch[k, c] = scene.contacts[i, k, c] - view.eye[c]
        _darken(scratch, view, buffers, CONTACT)


def _draw_things(scene, view, buffers):
    """Draw every polygon that faces the eye; the nearest wins."""
    scratch, mesh, axes, eye = buffers.scratch, scene.mesh, view.axes, view.eye
    shows, closeness = buffers.shows, buffers.closeness
    rows, columns = shows.shape
    for thing in range(len(scene.spheres)):
        if not _in_view(scene.spheres[thing], view, 0.0):
            continue
        for p in range(scene.first[thing], scene.first[thing + 1]):
            for k in range(4):
                for c in range(3):
                    scratch[k, c] = mesh.corners[p, k, c] - eye[c]
            nx, ny, nz = mesh.normals[p, 0], mesh.normals[p, 1], mesh.normals[p, 2]
            height = nx * scratch[0, 0] + ny * scratch[0, 1] + nz * scratch[0, 2]
            if height >= 0.0:
                continue
            begin, stop = _rows(scratch, view, rows, columns)
            if begin >= stop:
                continue
            _edges(scratch, axes)
            slope = (nx * axes[0, 0] + ny * axes[1, 0] + nz * axes[2, 0]) / height
            fall = (nx * axes[0, 1] + ny * axes[1, 1] + nz * axes[2, 1]) / height
            start = (nx * axes[0, 2] + ny * axes[1, 2] + nz * axes[2, 2]) / height
            plane = buffers.planes[p]
            plane[0], plane[1], plane[2] = slope, fall, start
            leaves = mesh.materials[p] == LEAVES
            for row in range(begin, stop):
                first, end = _span(scratch, row, columns)
                for column in range(first, end):
                    near = np.float32(slope * column + (fall * row + start))
                    if near <= closeness[row, column]:
                        continue
                    if leaves and near > 1.0 / LEAF_RANGE_M:
                        depth = 1.0 / near
                        x = axes[0, 0] * column + axes[0, 1] * row + axes[0, 2]
                        y = axes[1, 0] * column + axes[1, 1] * row + axes[1, 2]
                        z = axes[2, 0] * column + axes[2, 1] * row + axes[2, 2]
                        if _leaf_gap(eye[0] + depth * x, eye[1] + depth * y, eye[2] + depth * z):
                            continue
                    closeness[row, column] = near
                    shows[row, column] = p + FIRST_POLYGON


def _trace(scene, eye, heading, rays, azimuths, elevations, reach, shows, ranges, scratch):
    """
    Find what the rays of a level LiDAR meet first.

    :param eye: [3], town's own frame
    :param heading: [2] cosine and sine of the sensor's heading
    :param rays: float64 [B, C, 3] unit, in the sensor's frame
    :param azimuths: float64 [C] of the rays, evenly spaced over a turn from -pi on
    :param elevations: float64 [B], rising
    :param reach: m, beyond which nothing is met
    :param shows: int32 [B, C], written: polygon, or -1
    :param ranges: float64 [B, C], lowered where something is nearer than they say
    """
    mesh = scene.mesh
    beams, columns = shows.shape
    step = 2.0 * math.pi / columns
    cos, sin = heading[0], heading[1]
    for thing in range(len(scene.spheres)):
        sphere = scene.spheres[thing]
        x, y, z = sphere[0] - eye[0], sphere[1] - eye[1], sphere[2] - eye[2]
        if math.sqrt(x * x + y * y + z * z) - sphere[3] > reach:
            continue
        for p in range(scene.first[thing], scene.first[thing + 1]):
            nx = cos * mesh.normals[p, 0] + sin * mesh.normals[p, 1]
            ny = cos * mesh.normals[p, 1] - sin * mesh.normals[p, 0]
            nz = np.float64(mesh.normals[p, 2])
            low, high, left, right = 1e30, -1e30, 1e30, -1e30
            for k in range(4):
                x, y = mesh.corners[p, k, 0] - eye[0], mesh.corners[p, k, 1] - eye[1]
                scratch[k, 0], scratch[k, 1] = cos * x + sin * y, cos * y - sin * x
                scratch[k, 2] = mesh.corners[p, k, 2] - eye[2]
                low, high = min(low, scratch[k, 2]), max(high, scratch[k, 2])
            height = nx * scratch[0, 0] + ny * scratch[0, 1] + nz * scratch[0, 2]
            if height >= 0.0:
                continue
            near, far = _girth(scratch)
            if near > reach:
                continue
            begin, stop = 0, beams
            if near > 0.0:
                lowest = math.atan2(low, near if low < 0.0 else far)
                highest = math.atan2(high, near if high > 0.0 else far)
                while begin < beams and elevations[begin] < lowest:
                    begin += 1
                while stop > begin and elevations[stop - 1] > highest:
                    stop -= 1
                middle = math.atan2(scratch[0, 1], scratch[0, 0])
                for k in range(4):
                    turn = math.atan2(scratch[k, 1], scratch[k, 0]) - middle
                    turn -= 2.0 * math.pi * math.floor(turn / (2.0 * math.pi) + 0.5)
                    left, right = min(left, middle + turn), max(right, middle + turn)
            else:
                left, right = -math.pi, math.pi - 1e-9
            if begin >= stop:
                continue
            for k in range(4):
                n = (k + 1) & 3
                scratch[4 + k, 0] = (scratch[n, 1] * scratch[k, 2] - scratch[n, 2] * scratch[k, 1])
                scratch[4 + k, 1] = (scratch[n, 2] * scratch[k, 0] - scratch[n, 0] * scratch[k, 2])
                scratch[4 + k, 2] = (scratch[n, 0] * scratch[k, 1] - scratch[n, 1] * scratch[k, 0])
            leaves = mesh.materials[p] == LEAVES
            for unwrapped in range(int(math.ceil((left - azimuths[0]) / step)),
                                   int(math.floor((right - azimuths[0]) / step)) + 1):
                column = unwrapped % columns
                for beam in range(begin, stop):
                    ray = rays[beam, column]
                    inside = True
                    for k in range(4, 8):
                        inside &= (scratch[k, 0] * ray[0] + scratch[k, 1] * ray[1]
                                   + scratch[k, 2] * ray[2]) >= 0.0
                    if not inside:
                        continue
                    distance = height / (nx * ray[0] + ny * ray[1] + nz * ray[2])
                    if not 0.0 < distance < ranges[beam, column]:
                        continue
                    if leaves and distance < LEAF_RANGE_M and _leaf_gap(
                            eye[0] + distance * (cos * ray[0] - sin * ray[1]),
                            eye[1] + distance * (sin * ray[0] + cos * ray[1]),
                            eye[2] + distance * ray[2]):
                        continue
                    ranges[beam, column] = distance
                    shows[beam, column] = p


@device
def _girth(scratch):
    """Least and greatest distance of a polygon [4, 3] from the vertical axis; 0 around it."""
    near, far, turned = 1e30, 0.0, 0.0
    for k in range(4):
        n = (k + 1) & 3
        x, y = scratch[k, 0], scratch[k, 1]
        dx, dy = scratch[n, 0] - x, scratch[n, 1] - y
        square = dx * dx + dy * dy
        along = 0.0 if square < 1e-12 else max(0.0, min(1.0, -(x * dx + y * dy) / square))
        near = min(near, math.hypot(x + along * dx, y + along * dy))
        far = max(far, math.hypot(x, y))
        turned += math.atan2(x * scratch[n, 1] - y * scratch[n, 0],
                             x * scratch[n, 0] + y * scratch[n, 1])
    if abs(turned) > 3.0 or near < 1e-6:
        return 0.0, far
    return near, far


draw_shadows = cpu_kernel(_draw_shadows)
draw_contacts = cpu_kernel(_draw_contacts)
draw_things = cpu_kernel(_draw_things)
trace = cpu_kernel(_trace)
