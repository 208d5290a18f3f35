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

"""The scorer: plans and scenes in, sub-scores out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
import os
import sys

import numpy as np
from pair_drive_ros.scoring.aggregation import epdms, human_penalty_filter, pdms
from pair_drive_ros.scoring.arrays import Work
from pair_drive_ros.scoring.collision import NEVER
from pair_drive_ros.scoring.kernels import (
    allocate_work,
    build_tables,
    COMFORT,
    compare_plans,
    DAC,
    DDC,
    EC,
    EP,
    interpolate_plans,
    LK,
    NC,
    PROGRESS,
    score_paths,
    TLC,
    TTC,
    VALUE_SIZE,
)
from pair_drive_ros.scoring.protocol import PLAN_POSES, Protocol
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_ros.scoring.sub_scores import Array, SubScores

# Plans that a thread works on at a time: few enough for their memory to stay in the cache, and
# several chunks a thread, because some plans meet more objects than others.
CHUNK = 128
CHUNKS_A_THREAD = 2


class PlanError(ValueError):
    """Plans cannot be scored: wrong shape, not finite, or prepared scenes that do not fit."""


@dataclass(frozen=True)
class Trace:
    """
    What happened on the way to the scores of K plans in each of B scenes.

    ``states`` [B, K, 41, 11] (columns of :mod:`state`, ego-centred); ``areas`` [B, K, 41] flags of
    :mod:`ego_areas`; steps [B, K] of the first at-fault collision and of the first TTC infraction,
    infinite when there is none; ``progress_m`` [B, K] along the centreline.
    """

    states: np.ndarray
    areas: np.ndarray
    collision_step: np.ndarray
    ttc_step: np.ndarray
    progress_m: np.ndarray


def pdm_score(plans: Array, scenes: ScoringScenes, protocol: Protocol, *,
              previous_plans: Array | None = None, human_filter: bool = True,
              lenient: bool = False, threads: int | None = None) -> SubScores:
    """
    Score K plans in each of B scenes exactly as the NAVSIM devkit scores each of them alone.

    :param plans: [B, K, 8, 3] x m, y m, heading rad at 0.5 s steps, in each scene's ego frame; a
        numpy array or a torch tensor. Scores come back as the same kind on the same device
    :param scenes: B scenes prepared for this protocol
    :param previous_plans: [B, K, 8, 3] plans of the frame before in its ego frame, for EC
    :param human_filter: version 2: forgive what the logged human did too (the official setting)
    :param lenient: give plans that are not finite ``valid=False`` and NaN instead of an error
    :param threads: CPU threads, all that the process may use when None
    :raises PlanError: when shapes do not fit, or a plan is not finite
    """
    if protocol is Protocol.NAVSIM_V1:
        previous_plans = None
    human = scenes.arrays.human
    if _is_tensor(plans) and plans.is_cuda:
        from pair_drive_ros.scoring.gpu import score_on_gpu
        valid = _check(plans, previous_plans, scenes, protocol, lenient)
        previous_plans = None if previous_plans is None else _stand_still(previous_plans, valid)
        values = score_on_gpu(_stand_still(plans, valid), previous_plans, scenes)
        values[~valid] = np.nan
        human = sys.modules['torch'].from_numpy(human).to(plans.device)
    else:
        values, _, valid = _score(plans, scenes, protocol, previous_plans, lenient, threads,
                                  CHUNK)
        if _is_tensor(plans):
            torch = sys.modules['torch']
            values, valid, human = (torch.from_numpy(x) for x in (values, valid, human))
    return _sub_scores(values, valid, human, protocol, human_filter)


def pdm_trace(plans: Array, scenes: ScoringScenes, protocol: Protocol) -> Trace:
    """
    Return what :func:`pdm_score` finds on its way; to look at, to plot, and to test.

    :raises PlanError: when shapes do not fit, or a plan is not finite
    """
    values, work, _ = _score(plans, scenes, protocol, None, False, 1, None)
    leading = values.shape[:2]
    events = np.where(work.events == NEVER, np.inf, work.events).reshape(*leading, 2)
    return Trace(work.states.reshape(*leading, *work.states.shape[1:]),
                 work.areas.reshape(*leading, -1), events[..., 0], events[..., 1],
                 values[..., PROGRESS])


def _score(plans: Array, scenes: ScoringScenes, protocol: Protocol,
           previous_plans: Array | None, lenient: bool, threads: int | None,
           chunk: int | None) -> tuple[np.ndarray, Work, np.ndarray]:
    """Values [B, K, 10], the last chunk's work, and which plans are valid [B, K]."""
    plans = _as_numpy(plans)
    previous_plans = None if previous_plans is None else _as_numpy(previous_plans)
    valid = _check(plans, previous_plans, scenes, protocol, lenient)
    flat = _flatten(plans, valid)
    flat_previous = None if previous_plans is None else _flatten(previous_plans, valid)
    values = np.full((len(flat), VALUE_SIZE), np.nan)
    run = _chunk_runner(flat, flat_previous, scenes, plans.shape[1], values)
    if chunk is None:
        work = run(0, len(flat))
    else:
        work = _run_chunks(run, len(flat), chunk, threads or len(os.sched_getaffinity(0)))
    values = values.reshape(*plans.shape[:2], VALUE_SIZE)
    values[~valid] = np.nan
    return values, work, valid


def _chunk_runner(plans: np.ndarray, previous_plans: np.ndarray | None, scenes: ScoringScenes,
                  plans_per_scene: int, values: np.ndarray) -> Callable[[int, int], Work]:
    protocol, arrays, dtype = scenes.protocol, scenes.arrays, scenes.dtype
    tables = build_tables(protocol, dtype)

    def run(first: int, last: int) -> Work:
        work = allocate_work(values[first:last], scenes.longest_history, dtype)
        interpolate_plans(plans[first:last], arrays.start, arrays.plan_segment,
                          arrays.plan_fraction, plans_per_scene, first, work)
        score_paths(arrays, tables, protocol.version, protocol.ttc_last_step, plans_per_scene,
                    first, work)
        if previous_plans is not None:
            previous = allocate_work(np.empty((last - first, VALUE_SIZE)), 0, dtype)
            interpolate_plans(previous_plans[first:last], arrays.previous_start,
                              arrays.previous_segment, arrays.previous_fraction,
                              plans_per_scene, first, previous)
            compare_plans(arrays, tables, plans_per_scene, first, work, previous)
        return work

    return run


def _run_chunks(run: Callable[[int, int], Work], pairs: int, chunk: int, threads: int) -> Work:
    """Split the pairs among threads; the kernels hold no lock and share nothing."""
    if threads > 1:
        chunk = max(1, min(chunk, -(-pairs // (CHUNKS_A_THREAD * threads))))
    firsts = range(0, max(pairs, 1), chunk)
    if threads == 1 or len(firsts) == 1:
        works = [run(first, min(first + chunk, pairs)) for first in firsts]
    else:
        works = list(_pool(threads).map(lambda first: run(first, min(first + chunk, pairs)),
                                        firsts))
    return works[-1]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """
    Threads that are kept between calls.

    Starting them anew costs a third of the time in which two cores score 64 plans.
    """
    return ThreadPoolExecutor(threads, thread_name_prefix='pdm_score')


# A forked child has none of its parent's threads and must not wait for them.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _check(plans: Array, previous_plans: Array | None, scenes: ScoringScenes,
           protocol: Protocol, lenient: bool) -> Array:
    """Which plans [B, K] are finite, their predecessors included."""
    if scenes.protocol is not protocol:
        raise PlanError(f'the scenes were prepared for {scenes.protocol.value}; prepare them for '
                        f'{protocol.value} to score by it')
    if plans.ndim != 4 or tuple(plans.shape[2:]) != (PLAN_POSES, 3) \
            or plans.shape[0] != len(scenes):
        raise PlanError(f'plans: expected [{len(scenes)}, K, {PLAN_POSES}, 3] for {len(scenes)} '
                        f'scenes, got {list(plans.shape)}')
    valid = _is_finite(plans)
    if previous_plans is not None:
        if previous_plans.shape != plans.shape:
            raise PlanError(f'previous_plans: expected shape {list(plans.shape)}, got '
                            f'{list(previous_plans.shape)}')
        valid &= _is_finite(previous_plans)
    if not lenient and not bool(valid.all()):
        b, k = np.argwhere(~np.asarray(valid.tolist(), bool))[0]
        raise PlanError(f'scene {scenes.names[b]}: plan {k} is not finite; correct it, or ask '
                        'to be lenient and look at `valid`')
    return valid


def _is_finite(plans: Array) -> Array:
    finite = np.isfinite(plans) if isinstance(plans, np.ndarray) else plans.isfinite()
    return finite.all(-1).all(-1)


def _stand_still(plans: Array, valid: Array) -> Array:
    """Replace the plans of a tensor that are not valid by standing still."""
    return plans.masked_fill(~valid[..., None, None], 0.0)


def _flatten(plans: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Plans [B * K, 8, 3] in float64; those that are not valid stand still instead."""
    flat = np.require(plans, np.float64, ['C', 'W']).reshape(-1, PLAN_POSES, 3)
    return flat if valid.all() else np.where(valid.reshape(-1, 1, 1), flat, 0.0)


def _sub_scores(values: Array, valid: Array, human: Array, protocol: Protocol,
                human_filter: bool) -> SubScores:
    v2 = protocol is Protocol.NAVSIM_V2
    scores = SubScores(
        protocol=protocol, nc=values[..., NC], dac=values[..., DAC], ddc=values[..., DDC],
        ep=values[..., EP], ttc=values[..., TTC], comfort=values[..., COMFORT],
        tlc=values[..., TLC] if v2 else None, lk=values[..., LK] if v2 else None,
        ec=values[..., EC] if v2 else None, total=None, valid=valid)
    if v2 and human_filter:
        return human_penalty_filter(scores, human)
    return replace(scores, total=(epdms if v2 else pdms)(scores))


def _as_numpy(plans: Array) -> np.ndarray:
    """Share the memory of a float64 tensor; convert other tensors, numpy knows no bfloat16."""
    return plans.detach().double().numpy() if _is_tensor(plans) else np.asarray(plans)


def _is_tensor(array: Array) -> bool:
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(array, torch.Tensor)
