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

"""The CPU kernels: every rule on a range of (scene, plan) pairs, without a Python loop."""

from collections.abc import Callable
from functools import cache
import math

import numpy as np
from pair_drive_ros.scoring.arrays import (
    ComfortFilters,
    ExtendedComfortFilters,
    SceneArrays,
    Tables,
    Work,
)
from pair_drive_ros.scoring.bicycle import simulate
from pair_drive_ros.scoring.boxes import BOX_SIZE, place_boxes, SWEEP_SIZE
from pair_drive_ros.scoring.collision import at_fault_score, at_fault_step, NEVER
from pair_drive_ros.scoring.comfort import (
    comfort_filters_v1,
    comfort_v1,
    COMFORTABLE,
)
from pair_drive_ros.scoring.compile import cpu_kernel, device, source_fingerprint
from pair_drive_ros.scoring.drivable_area import drivable_area
from pair_drive_ros.scoring.driving_direction import driving_direction
from pair_drive_ros.scoring.ego_areas import ego_area
from pair_drive_ros.scoring.extended_comfort import (
    extended_comfort,
    extended_comfort_filters,
)
from pair_drive_ros.scoring.history_comfort import comfort_filters_v2, history_comfort
from pair_drive_ros.scoring.interpolation import interpolate_plan
from pair_drive_ros.scoring.lane_keeping import lane_keeping
from pair_drive_ros.scoring.progress import progress_v1, progress_v2, raw_progress
from pair_drive_ros.scoring.protocol import POSES, Protocol
from pair_drive_ros.scoring.state import STATE_SIZE
from pair_drive_ros.scoring.time_to_collision import infraction_step
from pair_drive_ros.scoring.tracker import velocity_profile_matrix
from pair_drive_ros.scoring.traffic_light import traffic_light

# Columns of the values that the kernels write for every plan.
NC, DAC, DDC, TLC, EP, TTC, COMFORT, LK, EC, PROGRESS = range(10)
VALUE_SIZE = 10
SCRATCH_ROWS = 8


@cache
def build_tables(protocol: Protocol, dtype: np.dtype) -> Tables:
    """Build the constant matrices of a protocol in the precision of the kernels."""
    comfort = (comfort_filters_v1 if protocol is Protocol.NAVSIM_V1 else comfort_filters_v2)()
    return Tables(
        np.ascontiguousarray(velocity_profile_matrix().T, dtype),
        ComfortFilters(*(table.astype(dtype) for table in comfort)),
        ExtendedComfortFilters(*(table.astype(dtype) for table in extended_comfort_filters())))


def allocate_work(values: np.ndarray, history: int, dtype: np.dtype) -> Work:
    """Memory to fill ``values`` [S, 10] in scenes with at most ``history`` past samples."""
    pairs = len(values)
    return Work(np.empty((pairs, POSES, 3), dtype), np.empty((pairs, POSES, STATE_SIZE), dtype),
                np.empty((pairs, POSES, BOX_SIZE), dtype), np.empty((pairs, SWEEP_SIZE), dtype),
                np.empty((pairs, POSES), np.uint8), np.empty((pairs, 2), np.int32),
                np.empty((pairs, SCRATCH_ROWS, POSES + history), dtype), values)


@device
def drive(scene: SceneArrays, b: int, tables: Tables, work: Work, i: int) -> None:
    """Simulate the path of plan ``i`` and place its boxes."""
    simulate(work.path, scene.start[b], tables.velocity, work.scratch, work.states, i)
    place_boxes(work, i)


@device
def meet_objects(scene: SceneArrays, b: int, last_ttc_step: int, work: Work, i: int) -> None:
    """NC of plan ``i``, and the steps of the first at-fault collision and TTC infraction."""
    collision, infraction, score = NEVER, NEVER, 1.0
    for n in range(scene.object_offset[b], scene.object_offset[b + 1]):
        step = at_fault_step(scene, n, work, i)
        if step != NEVER:
            collision = min(collision, step)
            score = min(score, at_fault_score(scene, n))
        infraction = min(infraction, infraction_step(scene, n, work, i, last_ttc_step))
    work.events[i, 0] = collision
    work.events[i, 1] = infraction
    work.values[i, NC] = score


@device
def judge(scene: SceneArrays, b: int, tables: Tables, version: int, work: Work, i: int) -> None:
    """Fill all sub-scores but NC, once the ego areas and the objects are settled."""
    values = work.values
    values[i, TTC] = 1.0 if work.events[i, 1] == NEVER else 0.0
    values[i, DAC] = drivable_area(work.areas, i)
    values[i, PROGRESS] = raw_progress(scene, b, work, i)
    reference = scene.reference_progress[b]
    if version == 1:
        values[i, DDC] = driving_direction(work, i, False)
        parts = comfort_v1(tables.comfort, work, i)
        values[i, COMFORT] = 1.0 if parts == COMFORTABLE else 0.0
        multiplier = values[i, NC] * values[i, DAC]
        values[i, EP] = progress_v1(values[i, PROGRESS], multiplier, reference)
    else:
        values[i, DDC] = driving_direction(work, i, True)
        values[i, TLC] = traffic_light(scene, b, work, i)
        values[i, COMFORT] = history_comfort(scene, b, tables.comfort, work, i)
        values[i, LK] = lane_keeping(scene, b, work, i)
        multiplier = values[i, NC] * values[i, DAC] * values[i, DDC] * values[i, TLC]
        values[i, EP] = progress_v2(values[i, PROGRESS], multiplier, reference)


@device
def compare(scene: SceneArrays, b: int, tables: Tables, work: Work, previous: Work,
            i: int) -> float:
    """EC of plan ``i`` and the plan before it, whose path is in ``previous``; NaN without one."""
    if scene.overlap_start[b] == 0:
        return math.nan
    simulate(previous.path, scene.previous_start[b], tables.velocity, previous.scratch,
             previous.states, i)
    return extended_comfort(tables.extended, work, previous, i, scene.overlap_start[b])


def _build_kernels(fingerprint: str) -> tuple[Callable, Callable, Callable]:
    """
    Compile the three kernels, each over all plans of a work memory.

    Plan ``first + i`` of the batch is plan ``i`` of the memory; its scene is found by division.
    The hash of the sources is closed over, which makes it part of the cache's key.
    """

    def interpolate_plans(plans: np.ndarray, start: np.ndarray, segment: np.ndarray,
                          fraction: np.ndarray, plans_per_scene: int, first: int,
                          work: Work) -> None:
        _ = fingerprint
        for i in range(len(plans)):
            b = (first + i) // plans_per_scene
            interpolate_plan(plans, i, start[b, 0], segment[b], fraction[b], work.path)

    def score_paths(scene: SceneArrays, tables: Tables, version: int, last_ttc_step: int,
                    plans_per_scene: int, first: int, work: Work) -> None:
        _ = fingerprint
        for i in range(len(work.values)):
            b = (first + i) // plans_per_scene
            drive(scene, b, tables, work, i)
            for t in range(POSES):
                work.areas[i, t] = ego_area(scene, b, work, i, t)
            meet_objects(scene, b, last_ttc_step, work, i)
            judge(scene, b, tables, version, work, i)

    def compare_plans(scene: SceneArrays, tables: Tables, plans_per_scene: int, first: int,
                      work: Work, previous: Work) -> None:
        _ = fingerprint
        for i in range(len(work.values)):
            b = (first + i) // plans_per_scene
            work.values[i, EC] = compare(scene, b, tables, work, previous, i)

    return cpu_kernel(interpolate_plans), cpu_kernel(score_paths), cpu_kernel(compare_plans)


interpolate_plans, score_paths, compare_plans = _build_kernels(source_fingerprint())
