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
The same rules as CUDA kernels: plans come as torch tensors on the GPU and scores stay there.

Simulation and judgement take one thread a plan, the ego areas one a plan and step, the objects
one a plan and object; an object's verdict does not depend on other objects, so atomic minima put
them together.
"""

# numba's own type hints know neither cuda.grid(1) nor cuda.atomic.min with three arguments.
# mypy: disable-error-code="call-arg,var-annotated"

from dataclasses import dataclass
from typing import Any

from numba import cuda
import numpy as np
from pair_drive_ros.scoring.arrays import (
    ComfortFilters,
    ExtendedComfortFilters,
    SceneArrays,
    Tables,
    Work,
)
from pair_drive_ros.scoring.boxes import BOX_SIZE, SWEEP_SIZE
from pair_drive_ros.scoring.collision import at_fault_score, at_fault_step, NEVER
from pair_drive_ros.scoring.ego_areas import ego_area
from pair_drive_ros.scoring.interpolation import interpolate_plan
from pair_drive_ros.scoring.kernels import (
    build_tables,
    compare,
    drive,
    EC,
    judge,
    NC,
    SCRATCH_ROWS,
    VALUE_SIZE,
)
from pair_drive_ros.scoring.protocol import PLAN_POSES, POSES, Protocol
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_ros.scoring.state import STATE_SIZE
from pair_drive_ros.scoring.time_to_collision import infraction_step

THREADS = 64


@dataclass(frozen=True, eq=False)
class GpuScenes:
    """Scenes and tables in GPU memory; ``most_objects`` in any one scene."""

    protocol: Protocol
    dtype: np.dtype
    arrays: SceneArrays
    tables: Tables
    longest_history: int
    most_objects: int

    @classmethod
    def upload(cls, scenes: ScoringScenes) -> 'GpuScenes':
        """Copy prepared scenes to the current GPU."""
        tables = build_tables(scenes.protocol, scenes.dtype)
        return cls(
            scenes.protocol, scenes.dtype,
            SceneArrays(*(cuda.to_device(array) for array in scenes.arrays)),
            Tables(cuda.to_device(tables.velocity),
                   ComfortFilters(*(cuda.to_device(table) for table in tables.comfort)),
                   ExtendedComfortFilters(*(cuda.to_device(table)
                                            for table in tables.extended))),
            scenes.longest_history,
            int(np.diff(scenes.arrays.object_offset).max(initial=0)))


@cuda.jit
def drive_kernel(scene: SceneArrays, tables: Tables, plans: np.ndarray, plans_per_scene: int,
                 work: Work) -> None:
    """One thread a plan: interpolate, simulate, place boxes, and forget earlier events."""
    i = cuda.grid(1)
    if i < len(plans):
        b = i // plans_per_scene
        interpolate_plan(plans, i, scene.start[b, 0], scene.plan_segment[b],
                         scene.plan_fraction[b], work.path)
        drive(scene, b, tables, work, i)
        work.events[i, 0] = NEVER
        work.events[i, 1] = NEVER
        work.values[i, NC] = 1.0


@cuda.jit
def area_kernel(scene: SceneArrays, plans_per_scene: int, work: Work) -> None:
    """One thread a plan and step: the ego areas."""
    thread = cuda.grid(1)
    i, t = thread // POSES, thread % POSES
    if i < len(work.values):
        work.areas[i, t] = ego_area(scene, i // plans_per_scene, work, i, t)


@cuda.jit
def object_kernel(scene: SceneArrays, plans_per_scene: int, most_objects: int, last_ttc_step: int,
                  work: Work) -> None:
    """One thread a plan and object: collision and time to collision."""
    thread = cuda.grid(1)
    i = thread // most_objects
    if i >= len(work.values):
        return
    b = i // plans_per_scene
    n = scene.object_offset[b] + thread % most_objects
    if n >= scene.object_offset[b + 1]:
        return
    step = at_fault_step(scene, n, work, i)
    if step != NEVER:
        cuda.atomic.min(work.events, (i, 0), step)
        cuda.atomic.min(work.values, (i, NC), at_fault_score(scene, n))
    step = infraction_step(scene, n, work, i, last_ttc_step)
    if step != NEVER:
        cuda.atomic.min(work.events, (i, 1), step)


@cuda.jit
def judge_kernel(scene: SceneArrays, tables: Tables, version: int, plans_per_scene: int,
                 work: Work) -> None:
    """One thread a plan: all other sub-scores."""
    i = cuda.grid(1)
    if i < len(work.values):
        judge(scene, i // plans_per_scene, tables, version, work, i)


@cuda.jit
def compare_kernel(scene: SceneArrays, tables: Tables, plans: np.ndarray, plans_per_scene: int,
                   work: Work, previous: Work) -> None:
    """One thread a plan: extended comfort against the plan of the frame before."""
    i = cuda.grid(1)
    if i < len(plans):
        b = i // plans_per_scene
        interpolate_plan(plans, i, scene.previous_start[b, 0], scene.previous_segment[b],
                         scene.previous_fraction[b], previous.path)
        work.values[i, EC] = compare(scene, b, tables, work, previous, i)


def work_shapes(pairs: int, history: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and kind (``float`` is the scenes' precision) of each field of a work memory."""
    return {'path': ((pairs, POSES, 3), 'float'), 'states': ((pairs, POSES, STATE_SIZE), 'float'),
            'boxes': ((pairs, POSES, BOX_SIZE), 'float'), 'sweep': ((pairs, SWEEP_SIZE), 'float'),
            'areas': ((pairs, POSES), 'uint8'), 'events': ((pairs, 2), 'int32'),
            'scratch': ((pairs, SCRATCH_ROWS, POSES + history), 'float'),
            'values': ((pairs, VALUE_SIZE), 'float64')}


def launch(scenes: GpuScenes, plans: Any, plans_per_scene: int, work: Work, stream: Any,
           previous_plans: Any = None, previous: Work | None = None) -> None:
    """
    Fill ``work.values`` [S, 10] for plans [S, 8, 3]; all arrays are CUDA arrays.

    :param stream: the CUDA stream that the kernels queue on; 0 is the default one
    """
    def grid(threads: int) -> tuple[int, int, Any]:
        return -(-threads // THREADS), THREADS, stream

    pairs, protocol, arrays = len(plans), scenes.protocol, scenes.arrays
    drive_kernel[grid(pairs)](arrays, scenes.tables, plans, plans_per_scene, work)
    area_kernel[grid(pairs * POSES)](arrays, plans_per_scene, work)
    if scenes.most_objects:
        object_kernel[grid(pairs * scenes.most_objects)](
            arrays, plans_per_scene, scenes.most_objects, protocol.ttc_last_step, work)
    judge_kernel[grid(pairs)](arrays, scenes.tables, protocol.version, plans_per_scene, work)
    if previous is not None:
        compare_kernel[grid(pairs)](arrays, scenes.tables, previous_plans, plans_per_scene, work,
                                    previous)


def score_on_gpu(plans: Any, previous_plans: Any, scenes: ScoringScenes) -> Any:
    """
    Values [B, K, 10] (columns of :mod:`kernels`) as a torch tensor on the plans' GPU.

    :param plans: finite CUDA tensor [B, K, 8, 3]
    :param previous_plans: the same of the frame before, or None
    """
    import torch
    uploaded = scenes.on_gpu
    count, plans_per_scene = plans.shape[:2]
    pairs = count * plans_per_scene
    values = torch.full((pairs, VALUE_SIZE), torch.nan, dtype=torch.float64, device=plans.device)
    if pairs:
        handle = torch.cuda.current_stream(plans.device).cuda_stream
        stream = cuda.external_stream(handle) if handle else 0
        work = _torch_work(values, uploaded.longest_history, uploaded.dtype)
        previous, flat_previous = None, None
        if previous_plans is not None and scenes.protocol is Protocol.NAVSIM_V2:
            previous = _torch_work(torch.empty_like(values), 0, uploaded.dtype)
            flat_previous = _flat(previous_plans)
        launch(uploaded, _flat(plans), plans_per_scene, work, stream, flat_previous, previous)
    return values.reshape(count, plans_per_scene, VALUE_SIZE)


def _flat(plans: Any) -> Any:
    return cuda.as_cuda_array(plans.double().reshape(-1, PLAN_POSES, 3).contiguous())


def _torch_work(values: Any, history: int, dtype: np.dtype) -> Work:
    import torch
    fields = {}
    for name, (shape, kind) in work_shapes(len(values), history).items():
        kind = str(dtype) if kind == 'float' else kind
        tensor = values if name == 'values' else torch.empty(shape, dtype=getattr(torch, kind),
                                                             device=values.device)
        fields[name] = cuda.as_cuda_array(tensor)
    return Work(**fields)
