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

"""Benchmark ``scorer``: scene preparation, one core, all cores, GPU, and the float32 mode."""

from collections.abc import Callable
from functools import partial
import os
from pathlib import Path
import statistics
import time
from typing import Any

import numpy as np
from pair_drive_ros.scoring.example import example_plans, example_scene, parked_row
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scene import Scene
from pair_drive_ros.scoring.scene_file import SceneFile, SceneFileError
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_ros.scoring.score import pdm_score
from pair_drive_ros.scoring.sub_scores import SubScores

GPU_SCENES = 64
# The official scorers on one core of an AMD EPYC, ms, and the scene they were timed on.
OFFICIAL_MS = {Protocol.NAVSIM_V1: 559.0, Protocol.NAVSIM_V2: 1582.0}
OFFICIAL_SCENE = {'polygons': 208, 'objects': 85, 'plans': 64}
DISCRETE = ('nc', 'dac', 'ddc', 'tlc', 'ttc', 'comfort', 'lk')


def run(scenes: Path | None = None, repeats: int = 30) -> dict[str, Any]:
    """
    Measure the scorer on the first scene of a file, or on a built-in one.

    :param scenes: npz file of scenes and plans
    :return: by protocol the medians, in milliseconds, for all plans of one scene; ``gpu`` is None
        without one
    :raises SceneFileError, SceneError, PlanError: when the file does not fit
    """
    figures: dict[str, Any] = {'threads': len(os.sched_getaffinity(0)), 'gpu': None}
    on_gpu = {}
    for protocol in Protocol:
        scene, plans = _load(scenes, protocol)
        plans = plans[None]
        start = time.perf_counter()
        prepared = ScoringScenes.prepare([scene], protocol)
        scores = pdm_score(plans, prepared, protocol, threads=1)
        first_call_s = time.perf_counter() - start
        figures[protocol.value] = {
            'plans': plans.shape[1],
            'polygons': scene.polygons.count,
            'objects': int(scene.objects.seen[0].sum()),
            'first_call_s': first_call_s,
            'prepare_ms': _median_ms(
                partial(ScoringScenes.prepare, [scene], protocol), repeats),
            'one_core_ms': _median_ms(
                partial(pdm_score, plans, prepared, protocol, threads=1), repeats),
            'all_cores_ms': _median_ms(partial(pdm_score, plans, prepared, protocol), repeats),
            'float32': _float32(scene, plans, protocol, scores),
        }
        on_gpu[protocol.value] = _gpu(prepared, plans, protocol, repeats)
    if any(on_gpu.values()):
        figures['gpu'] = on_gpu
    return figures


def _load(path: Path | None, protocol: Protocol) -> tuple[Scene, np.ndarray]:
    if path is None:
        return example_scene(protocol, parked_row(40)), example_plans(64)
    with SceneFile(path) as file:
        if not file.keys:
            raise SceneFileError(f'{path}: holds no scene')
        return file.scene(file.keys[0], protocol), file.plans(file.keys[0])


def _median_ms(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def _float32(scene: Scene, plans: np.ndarray, protocol: Protocol,
             exact: SubScores) -> dict[str, float]:
    """Share of discrete sub-scores that single precision changes, and the largest EP error."""
    prepared = ScoringScenes.prepare([scene], protocol, np.float32)
    rough = pdm_score(plans, prepared, protocol)
    differing, count = 0, 0
    for name in DISCRETE:
        if getattr(exact, name) is not None:
            differing += int((getattr(exact, name) != getattr(rough, name)).sum())
            count += exact.nc.size
    return {'disagreement_rate': differing / max(count, 1),
            'largest_ep_error': float(np.abs(exact.ep - rough.ep).max(initial=0.0))}


def _gpu(prepared: ScoringScenes, plans: np.ndarray, protocol: Protocol,
         repeats: int) -> dict[str, float] | None:
    """Median for 64 such scenes and the largest difference to the CPU; None without a GPU."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    if not torch.cuda.is_available():
        return None
    batch = ScoringScenes.concatenate([prepared] * GPU_SCENES, protocol)
    tensor = torch.from_numpy(plans).cuda().expand(GPU_SCENES, -1, -1, -1).contiguous()

    def score() -> SubScores:
        scores = pdm_score(tensor, batch, protocol)
        torch.cuda.synchronize()
        return scores

    total = score().total.cpu().numpy()
    exact = pdm_score(plans, prepared, protocol).total
    return {'scenes': GPU_SCENES, 'plans': plans.shape[1],
            'batch_ms': _median_ms(score, repeats),
            'largest_difference_to_cpu': float(np.nanmax(np.abs(total - exact)))}


def report(figures: dict[str, Any]) -> str:
    """Return the lines that a person reads."""
    lines = [f'{"protocol":<10} {"plans":>5} {"prepare":>9} {"one core":>9} '
             f'{figures["threads"]} cores  first call  float32 disagreement']
    for protocol in Protocol:
        row = figures[protocol.value]
        lines.append(
            f'{protocol.value:<10} {row["plans"]:>5} {row["prepare_ms"]:6.2f} ms '
            f'{row["one_core_ms"]:6.2f} ms {row["all_cores_ms"]:4.2f} ms '
            f'{row["first_call_s"]:8.2f} s  {row["float32"]["disagreement_rate"]:.2%}, '
            f'EP within {row["float32"]["largest_ep_error"]:.1e}')
        if all(row[name] == count for name, count in OFFICIAL_SCENE.items()):
            official_ms = OFFICIAL_MS[protocol]
            lines.append(f'{"":<10} one core is {official_ms / row["one_core_ms"]:.0f} times as '
                         f'fast as the official scorer ({official_ms:.0f} ms for this scene)')
    gpu = figures['gpu']
    if gpu is None:
        lines.append('GPU: not measured (none found)')
    else:
        lines += [f'GPU {name}: {row["scenes"]} scenes x {row["plans"]} plans in '
                  f'{row["batch_ms"]:.2f} ms, within {row["largest_difference_to_cpu"]:.1e} '
                  'of the CPU' for name, row in gpu.items()]
    return '\n'.join(lines)
