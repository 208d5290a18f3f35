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
PaIR-Drive's two branches side by side.

While the imitation policy plans in the calling thread, the RL branch encodes the same input in a
thread of its own. There the tree then grows from the imitation policy's plan, and the selector
ranks its leaves beside that plan. What is not there by the deadline is not waited for: the plan of
the imitation policy goes out alone.
"""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, wait
from functools import partial
import threading
import time
from typing import NamedTuple

import numpy as np
from pair_drive_ros.core.frames import PlannerInput
from pair_drive_ros.core.timing import LatencyWindow, StageTimer, summary_text
from pair_drive_ros.core.trajectory import PLAN_POSES, Trajectory
from pair_drive_ros.models.features import (
    missing_sensors,
    sensors_of,
    transfuser_features,
    VALIDITY_FEATURE,
)
from pair_drive_ros.models.refinement_branch import RefinementBranch
from pair_drive_ros.planning.engine import Candidate, Engine, REFINEMENT_VALUES
from pair_drive_ros.planning.refinement_worker import RefinementWorker
from pair_drive_ros.planning.torch_engine import TorchEngine, zero_features
import torch

DEGRADED_AFTER = 5
"""Inputs in a row without refinement, late or failed, after which plans are degraded."""
_RATIO_WINDOW = 100


class PairEngineError(ValueError):
    """The RL branch cannot run, or what it says is no ranking of plans."""


class _Ranked(NamedTuple):
    """Candidates [K, 8, 3], the first of which is the root, their scores [K] and order [K]."""

    candidates: np.ndarray
    scores: np.ndarray
    order: np.ndarray
    milliseconds: Mapping[str, float]


class PairEngine(Engine):
    """
    An imitation policy and the RL branch that refines its plans.

    The candidates are the tree's leaves, ``refined_1`` and so on, and the policy's own plan under
    the policy's name, in the selector's order; the policy's plan alone where the branch is
    switched off, lacks a sensor, is late or fails. Being late or failing is counted, and plans are
    degraded once it has happened ``DEGRADED_AFTER`` times in a row. Being switched off is nobody's
    fault and degrades nothing.

    :param deadline_ms: from the beginning of :meth:`plan` until the ranking must be there. It does
        not hurry the policy: a ranking that comes before the policy's own plan is always used
    :param enabled: whether the branch is switched on
    """

    def __init__(self, imitation: TorchEngine, branch: RefinementBranch, refiner_hash: str,
                 selector_hash: str, deadline_ms: float, enabled: bool = True):
        self.name, self.device = imitation.name, imitation.device
        self.model_hash, self.trained_on = imitation.model_hash, imitation.trained_on
        self._imitation = imitation
        self._branch = branch.to(imitation.device)
        self._spec = branch.feature_spec
        self._hashes = refiner_hash, selector_hash
        self._shares_features = self._spec == imitation.feature_spec
        extra = tuple(name for name in sensors_of(self._spec) if name not in imitation.sensors)
        self.sensors = imitation.sensors + extra
        # A sensor that only the branch needs must not keep the policy from planning.
        self.needs_every_sensor = imitation.needs_every_sensor and not extra
        self._deadline_ms = deadline_ms
        # On a GPU, work of one stream waits for that of another only where it is told to.
        self._stream = (torch.cuda.Stream(imitation.device)
                        if imitation.device.startswith('cuda') else None)
        self._worker = RefinementWorker()
        self._rl_ms = LatencyWindow()
        self._lock = threading.Lock()
        self._enabled = enabled
        self._used: deque[bool] = deque(maxlen=_RATIO_WINDOW)
        self._misses_in_a_row = self._late = self._failures = 0
        self._problem = ''

    def warm_up(self) -> None:
        """
        Plan and refine once from zeros of the right shapes, each in its own thread.

        :raises TorchEngineError: when the policy cannot plan on what its specification says
        :raises PairEngineError: when the branch cannot refine on what its specification says
        """
        self._imitation.warm_up()
        root: Future[np.ndarray] = Future()
        root.set_result(np.zeros((PLAN_POSES, 3)))
        try:
            self._worker.submit(partial(self._refine, zero_features(self._spec), root)).result()
        except Exception as error:
            raise PairEngineError(
                'refinement: the branch cannot run on features as its feature_spec describes them '
                f'({type(error).__name__}: {error})') from error
        # The first call takes what no other will.
        self._rl_ms = LatencyWindow()

    def plan(self, frame: PlannerInput, timer: StageTimer) -> dict[str, Candidate]:
        """
        Plan and refine; stages ``il``, ``rl_encode`` and ``rl_refine`` and the policy's own.

        :raises FeatureError, TorchEngineError, TrajectoryError: as ``TorchEngine.plan`` does; what
            goes wrong in the branch is never raised
        """
        deadline_s = time.monotonic() + self._deadline_ms * 1e-3
        with self._lock:
            wanted = self._enabled
        if not wanted:
            return self._imitation.plan(frame, timer)
        blind = self._sensors_needed(frame)
        if blind:
            self._note(blind)
            return self._imitation.plan(frame, timer)

        root: Future[np.ndarray] = Future()
        features = self._imitation.features(frame, timer) if self._shares_features else None
        ranking = self._worker.submit(partial(
            self._refine, frame if features is None else features, root))
        try:
            if features is None:
                features = self._imitation.features(frame, timer)
            trajectory = self._imitation.imitate(frame, features, timer)
            root.set_result(trajectory.poses)
        finally:
            # Where the policy failed, the branch must not wait for its plan.
            root.cancel()
        if ranking is not None:
            wait([ranking], max(0.0, deadline_s - time.monotonic()))
        return self._candidates(trajectory, ranking, timer)

    def degraded_reason(self, frame: PlannerInput) -> str | None:
        """Name what the policy looks at and lacks, and why there is less refinement or none."""
        with self._lock:
            problem = self._problem if self._misses_in_a_row >= DEGRADED_AFTER else ''
            enabled = self._enabled
        reasons = [self._imitation.degraded_reason(frame)]
        if enabled:
            reasons.append(self._sensors_needed(frame) or problem or self._sensors_missed(frame))
        return '; '.join(reason for reason in reasons if reason) or None

    def health(self) -> dict[str, object]:
        """Tell how the branch does; ``rl_ms`` is its own work on an input, late or not."""
        with self._lock:
            state = (self._problem or 'on') if self._enabled else 'switched off'
            ratio = f'{np.mean(self._used):.2f}' if self._used else 'n/a'
            counts = self._late, self._failures
        values = (state, *self._hashes, summary_text(self._rl_ms.summary()), ratio, *counts)
        return dict(zip(REFINEMENT_VALUES, values, strict=True))

    def switch_refinement(self, enabled: bool) -> bool:
        """Switch the branch on or off from the next input on."""
        with self._lock:
            self._enabled = enabled
            self._misses_in_a_row, self._problem = 0, ''
        return True

    def close(self) -> None:
        """Release the policy, and end the branch's thread unless it hangs."""
        self._worker.close()
        self._imitation.close()

    @torch.inference_mode()
    def _refine(self, source: PlannerInput | Mapping[str, torch.Tensor],
                root: 'Future[np.ndarray]') -> _Ranked:
        """
        Encode a frame, or its features; wait for the policy's plan [8, 3]; grow and rank.

        :raises PairEngineError: when the branch's answer is not what it should be
        """
        timer = StageTimer()
        with torch.cuda.stream(self._stream):
            with timer.stage('rl_encode'):
                features = (transfuser_features(source, self._spec)
                            if isinstance(source, PlannerInput) else source)
                view = self._branch.encode({name: tensor.to(self.device)
                                            for name, tensor in features.items()})
                if self._stream is not None:
                    self._stream.synchronize()
            plan = root.result()
            with timer.stage('rl_refine'):
                plan = torch.from_numpy(plan).float().to(self.device)
                refinement = self._branch.refine(view, plan[None])
                ranked = _Ranked(*(tensor[0].cpu().numpy() for tensor in (
                    refinement.candidates, refinement.scores, refinement.order)),
                    timer.milliseconds)
        _check(ranked)
        self._rl_ms.add(sum(timer.milliseconds.values()))
        return ranked

    def _candidates(self, trajectory: Trajectory, ranking: 'Future[_Ranked] | None',
                    timer: StageTimer) -> dict[str, Candidate]:
        """Name the candidates in the order of the ranking, or the policy's alone without one."""
        alone = {self.name: Candidate(trajectory)}
        if ranking is None or not ranking.done():
            self._note(f'refinement is late (deadline {self._deadline_ms:g} ms)', late=1)
            return alone
        error = ranking.exception()
        if error is not None:
            self._note(f'refinement failed: {str(error) or type(error).__name__}', failures=1)
            return alone
        ranked = ranking.result()
        timer.milliseconds.update(ranked.milliseconds)
        self._note('', used=True)
        names = [self.name, *(f'refined_{leaf}' for leaf in range(1, len(ranked.scores)))]
        return {names[index]: Candidate(
            trajectory if index == 0 else Trajectory(trajectory.stamp_ns,
                                                     ranked.candidates[index]),
            float(ranked.scores[index])) for index in ranked.order.tolist()}

    def _note(self, problem: str, used: bool = False, late: int = 0, failures: int = 0) -> None:
        """Take note of how an input went that the branch was wanted for."""
        with self._lock:
            self._problem = problem
            self._used.append(used)
            self._late += late
            self._failures += failures
            self._misses_in_a_row = self._misses_in_a_row + 1 if late or failures else 0

    def _sensors_needed(self, frame: PlannerInput) -> str:
        """Say which sensors the branch cannot do without and the frame lacks; else ''."""
        missing = missing_sensors(frame, self._spec)
        if not missing or (VALIDITY_FEATURE in self._spec and missing != sensors_of(self._spec)):
            return ''
        return f'plans without refinement, which needs {", ".join(missing)}'

    def _sensors_missed(self, frame: PlannerInput) -> str:
        """Say which sensors the branch does without and the policy does not look at; else ''."""
        missing = [name for name in missing_sensors(frame, self._spec)
                   if name not in self._imitation.sensors]
        return f'refines without {", ".join(missing)}' if missing else ''


def _check(ranked: _Ranked) -> None:
    """
    Compare the branch's answer with what it must be.

    :raises PairEngineError: on a wrong shape, a number that is not finite, or an order that does
        not name each candidate once
    """
    count = len(ranked.scores)
    if ranked.candidates.shape != (count, PLAN_POSES, 3):
        raise PairEngineError(f'expected candidates [{count}, {PLAN_POSES}, 3], as many as '
                              f'scores, got {list(ranked.candidates.shape)}')
    for name in ('candidates', 'scores'):
        if not np.isfinite(getattr(ranked, name)).all():
            raise PairEngineError(f'{name}: not all are finite')
    if sorted(ranked.order.tolist()) != list(range(count)):
        raise PairEngineError(f'order: expected each of the {count} candidates once, got '
                              f'{ranked.order.tolist()}')
