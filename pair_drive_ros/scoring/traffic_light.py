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
TLC, traffic light compliance (version 2): 0 when the ego box ever touches a red connector.

There is no stop line and no direction: an ego that already stands on a red connector fails too
(sic). The human penalty filter usually rescues that case.
"""

from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.boxes import CENTRE_X, CENTRE_Y, COS, rectangles_touch, SIN
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.polygons import contains, slab_of
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.vehicle import HALF_LENGTH, HALF_WIDTH


@device
def box_touches_polygon(scene: SceneArrays, polygon: int, x: float, y: float, cos: float,
                        sin: float) -> bool:
    """Whether box and polygon share a point: an edge meets the box, or the box is inside."""
    bounds = scene.polygon_bounds
    reach_x = abs(HALF_LENGTH * cos) + abs(HALF_WIDTH * sin)
    reach_y = abs(HALF_LENGTH * sin) + abs(HALF_WIDTH * cos)
    if (x + reach_x < bounds[polygon, 0] or x - reach_x > bounds[polygon, 2]
            or y + reach_y < bounds[polygon, 1] or y - reach_y > bounds[polygon, 3]):
        return False
    first_slab = scene.polygon_slab_offset[polygon]
    slabs = scene.polygon_slab_offset[polygon + 1] - first_slab
    bottom, scale = bounds[polygon, 1], scene.polygon_slab_scale[polygon]
    low = first_slab + slab_of(max(y - reach_y, bottom), bottom, scale, slabs)
    high = first_slab + slab_of(min(y + reach_y, bounds[polygon, 3]), bottom, scale, slabs)
    first_vertex = scene.polygon_vertex_offset[polygon]
    for entry in range(scene.slab_edge_offset[low], scene.slab_edge_offset[high + 1]):
        vertex = first_vertex + scene.slab_edge[entry]
        ax, ay = scene.vertex[vertex, 0], scene.vertex[vertex, 1]
        half_x = 0.5 * (scene.vertex[vertex + 1, 0] - ax)
        half_y = 0.5 * (scene.vertex[vertex + 1, 1] - ay)
        half = (half_x * half_x + half_y * half_y) ** 0.5
        along_x, along_y = (half_x / half, half_y / half) if half > 0.0 else (1.0, 0.0)
        if rectangles_touch(ax + half_x - x, ay + half_y - y, cos, sin, HALF_LENGTH, HALF_WIDTH,
                            along_x, along_y, half, 0.0):
            return True
    return contains(scene, polygon, x, y)


@device
def traffic_light(scene: SceneArrays, b: int, work: Work, i: int) -> float:
    """TLC of plan ``i`` against the red connectors of scene ``b`` at each step."""
    for red in range(scene.red_offset[b], scene.red_offset[b + 1]):
        # The red polygons of a scene follow its map polygons.
        polygon = scene.polygon_offset[b + 1] + red - scene.red_offset[b + 1]
        for t in range(POSES):
            if scene.red_on[red, t] and box_touches_polygon(
                    scene, polygon, work.boxes[i, t, CENTRE_X], work.boxes[i, t, CENTRE_Y],
                    work.boxes[i, t, COS], work.boxes[i, t, SIN]):
                return 0.0
    return 1.0
