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

"""The packed arrays that the rules work on: scenes, tables, and the memory of the plans."""

from typing import NamedTuple

import numpy as np


class SceneArrays(NamedTuple):
    """B packed scenes with P polygons, N objects and M centreline points in all."""

    start: np.ndarray                 # [B, 5] heading, vx, vy, ax, ay now
    plan_segment: np.ndarray          # [B, 41] way-point before each sample of a plan
    plan_fraction: np.ndarray         # [B, 41] and how far between it and the next
    previous_start: np.ndarray        # the same of the frame before
    previous_segment: np.ndarray
    previous_fraction: np.ndarray
    overlap_start: np.ndarray         # [B] steps between the two frames, 0 without one
    polygon_offset: np.ndarray        # [B + 1] map polygons, then red ones
    polygon_use: np.ndarray           # [P] bits; 0 for red ones
    polygon_bounds: np.ndarray        # [P, 4] x and y minima, x and y maxima
    polygon_vertex_offset: np.ndarray
    polygon_slab_offset: np.ndarray
    polygon_slab_scale: np.ndarray    # [P] slabs per metre of height
    slab_edge_offset: np.ndarray
    slab_edge: np.ndarray             # first vertex of each edge, counted from its polygon
    slab_reach: np.ndarray            # [S, 2] least and greatest x of a slab's edges
    vertex: np.ndarray                # [V, 2]
    red_offset: np.ndarray            # [B + 1]
    red_on: np.ndarray                # [R, 41]
    object_offset: np.ndarray         # [B + 1]
    object_half_size: np.ndarray      # [N, 2]
    object_radius: np.ndarray         # [N] half diagonal, not rounded down
    object_static: np.ndarray         # [N]
    object_stopped: np.ndarray        # [N] static, or at most 0.05 m/s when first seen
    object_box: np.ndarray            # [N, T, 4] x, y, cosine and sine of the heading
    object_seen: np.ndarray           # [N, T]
    object_bearing_undefined: np.ndarray  # [N, 4] at the first step, see bearing.py
    object_bounds: np.ndarray         # [N, 4] of all that the object ever covers
    line_offset: np.ndarray           # [B + 1]
    line: np.ndarray                  # [M, 2]
    line_arc: np.ndarray              # [M] arc length
    line_block_offset: np.ndarray     # [B + 1]
    line_bounds: np.ndarray           # [*, 4] of 16 segments each, grown by lane keeping's limit
    history_offset: np.ndarray        # [B + 1]
    history: np.ndarray               # [H, 3] heading, ax, ay every 0.1 s
    reference_progress: np.ndarray    # [B] PDM-Closed's progress times its multipliers
    human: np.ndarray                 # [B, 8] NC DAC DDC TLC EP TTC LK HC of the logged future


# Offset arrays: of which axis they have an entry more, and into which axis they lead.
OFFSETS = {'polygon_offset': ('scene', 'polygon'), 'polygon_vertex_offset': ('polygon', 'vertex'),
           'polygon_slab_offset': ('polygon', 'slab'), 'slab_edge_offset': ('slab', 'edge'),
           'red_offset': ('scene', 'red'), 'object_offset': ('scene', 'object'),
           'line_offset': ('scene', 'line'), 'line_block_offset': ('scene', 'line_block'),
           'history_offset': ('scene', 'history')}

# The first axis of every other array.
AXES = {'start': 'scene', 'plan_segment': 'scene', 'plan_fraction': 'scene',
        'previous_start': 'scene', 'previous_segment': 'scene', 'previous_fraction': 'scene',
        'overlap_start': 'scene', 'polygon_use': 'polygon', 'polygon_bounds': 'polygon',
        'polygon_slab_scale': 'polygon', 'slab_edge': 'edge', 'slab_reach': 'slab',
        'vertex': 'vertex', 'red_on': 'red', 'object_half_size': 'object',
        'object_radius': 'object', 'object_static': 'object', 'object_stopped': 'object',
        'object_box': 'object', 'object_seen': 'object', 'object_bearing_undefined': 'object',
        'object_bounds': 'object', 'line': 'line', 'line_arc': 'line',
        'line_bounds': 'line_block', 'history': 'history', 'reference_progress': 'scene',
        'human': 'scene'}


class ComfortFilters(NamedTuple):
    """Filter tables of one comfort rule."""

    acceleration: np.ndarray
    inner_acceleration: np.ndarray
    jerk: np.ndarray
    yaw_acceleration: np.ndarray
    yaw_rate: np.ndarray


class ExtendedComfortFilters(NamedTuple):
    """Filter tables of EC; its yaw acceleration is of order 2, that of HC of order 3 (sic)."""

    acceleration: np.ndarray
    jerk: np.ndarray
    yaw_rate: np.ndarray
    yaw_acceleration: np.ndarray


class Tables(NamedTuple):
    """Constant matrices of one protocol."""

    velocity: np.ndarray
    comfort: ComfortFilters
    extended: ExtendedComfortFilters


class Work(NamedTuple):
    """What is known of each of S plans on the way to its scores; also what a trace shows."""

    path: np.ndarray      # [S, 41, 3] the interpolated plan, ego-centred
    states: np.ndarray    # [S, 41, 11] simulated states
    boxes: np.ndarray     # [S, 41, 5] ego boxes
    sweep: np.ndarray     # [S, 5] bounds of the ego boxes
    areas: np.ndarray     # [S, 41] uint8 ego area flags
    events: np.ndarray    # [S, 2] int32 steps of the first at-fault collision and TTC infraction
    scratch: np.ndarray   # [S, 8, L] memory of the filters
    values: np.ndarray    # [S, 10] sub-scores and metres of progress
