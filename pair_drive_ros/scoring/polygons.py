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
Strict point-in-polygon tests over packed polygons with a slab index.

A polygon is the even-odd interior of all its rings, so holes and several parts need no care of
their own; a point on an edge is outside. Each polygon's height is cut into equal slabs, and each
slab lists the edges that reach into it: an edge that cannot meet the horizontal line through the
point is skipped, nothing else changes.
"""

from functools import partial

import numpy as np
from pair_drive_ros.scoring.arrays import SceneArrays
from pair_drive_ros.scoring.compile import cpu_kernel, device

EDGES_PER_SLAB = 2
MAX_SLABS = 256


@device
def slab_of(y: float, bottom: float, slabs_per_metre: float, slabs: int) -> int:
    """Slab of a height inside the polygon's bounds; the mapping never decreases with ``y``."""
    return min(int((y - bottom) * slabs_per_metre), slabs - 1)


@device
def contains(scene: SceneArrays, polygon: int, x: float, y: float) -> bool:
    """Whether the point lies strictly inside the polygon."""
    bounds = scene.polygon_bounds
    if not (bounds[polygon, 0] < x < bounds[polygon, 2]
            and bounds[polygon, 1] < y < bounds[polygon, 3]):
        return False
    first_slab = scene.polygon_slab_offset[polygon]
    slab = first_slab + slab_of(y, bounds[polygon, 1], scene.polygon_slab_scale[polygon],
                                scene.polygon_slab_offset[polygon + 1] - first_slab)
    if x < scene.slab_reach[slab, 0] or x > scene.slab_reach[slab, 1]:
        return False
    first_vertex = scene.polygon_vertex_offset[polygon]
    inside = False
    for entry in range(scene.slab_edge_offset[slab], scene.slab_edge_offset[slab + 1]):
        vertex = first_vertex + scene.slab_edge[entry]
        ax, ay = scene.vertex[vertex, 0], scene.vertex[vertex, 1]
        bx, by = scene.vertex[vertex + 1, 0], scene.vertex[vertex + 1, 1]
        if (ay > y) != (by > y):
            side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            if side == 0.0:
                return False
            if (side > 0.0) == (by > ay):
                inside = not inside
        elif (ay == y or by == y) and on_flat_end(ax, ay, bx, by, x, y):
            return False
    return inside


@device
def on_flat_end(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> bool:
    """Whether the point is on an edge that only touches its horizontal line."""
    if ay == y and by == y:
        return min(ax, bx) <= x <= max(ax, bx)
    return (ay == y and ax == x) or (by == y and bx == x)


@partial(cpu_kernel, allocates=True)
def slab_index(vertex: np.ndarray, vertex_offset: np.ndarray, edge_start: np.ndarray,
               bounds: np.ndarray, slab_offset: np.ndarray,
               slab_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    List the edges of every slab.

    Returns ``slab_edge_offset``, ``slab_edge`` (counted from the polygon) and the least and
    greatest x [S, 2] of each slab's edges.
    ``edge_start`` [V] marks the vertices from which a ring goes on to the next vertex.
    """
    counts = np.zeros(slab_offset[-1] + 1, np.int64)
    slab_edge = np.empty(0, np.int32)
    reach = np.empty((slab_offset[-1], 2))
    reach[:, 0] = np.inf
    reach[:, 1] = -np.inf
    for filling in range(2):
        for polygon in range(len(slab_scale)):
            first, slabs = slab_offset[polygon], slab_offset[polygon + 1] - slab_offset[polygon]
            for v in range(vertex_offset[polygon], vertex_offset[polygon + 1]):
                if not edge_start[v]:
                    continue
                low = min(vertex[v, 1], vertex[v + 1, 1])
                high = max(vertex[v, 1], vertex[v + 1, 1])
                bottom, scale = bounds[polygon, 1], slab_scale[polygon]
                for slab in range(first + slab_of(low, bottom, scale, slabs),
                                  first + slab_of(high, bottom, scale, slabs) + 1):
                    if filling:
                        slab_edge[counts[slab]] = v - vertex_offset[polygon]
                        counts[slab] += 1
                        reach[slab, 0] = min(reach[slab, 0], vertex[v, 0], vertex[v + 1, 0])
                        reach[slab, 1] = max(reach[slab, 1], vertex[v, 0], vertex[v + 1, 0])
                    else:
                        counts[slab + 1] += 1
        if not filling:
            counts = np.cumsum(counts)
            slab_edge = np.empty(counts[-1], np.int32)
    # Filling moved every offset on to the next one.
    offsets = np.zeros_like(counts)
    offsets[1:] = counts[:-1]
    return offsets, slab_edge, reach
