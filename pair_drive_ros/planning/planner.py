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

"""Runs the engine, checks what it says, and keeps the state of the planner."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import threading
import time

from pair_drive_ros.core.frames import EgoState, PlannerInput
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.planning.checks import find_violations, TrajectoryLimits
from pair_drive_ros.planning.engine import Candidate, Engine
from pair_drive_ros.planning.fallback import (
    FallbackLimits,
    FallbackMachine,
    PlannerState,
    StateChange,
)


@dataclass(frozen=True)
class Plan:
    """
    One decision of the planner.

    ``trajectory`` is what the car should follow, or None when nothing may go out; ``ego`` is the
    ego state at its stamp. ``candidates`` are all it was chosen from, from the best to the last
    resort; ``winner`` names the one that was chosen, or 'hold' and 'stop'. ``milliseconds`` are
    the stages of this cycle.
    """

    trajectory: Trajectory | None
    ego: EgoState | None
    candidates: Mapping[str, Candidate]
    winner: str
    milliseconds: Mapping[str, float]
    state: PlannerState
    reason: str


class Planner:
    """
    The planner without ROS: :meth:`plan` on each input, :meth:`watch` at a steady rate.

    Both may be called from different threads. ``plan`` belongs to one thread; a call of ``watch``
    never waits for the engine.

    ``invalid_plans`` counts the inputs for which no candidate was drivable, ``passed_over`` the
    candidates that were not drivable while a later one was.

    :param on_change: called with each :class:`StateChange`, from whichever thread caused it
    """

    def __init__(self, engine: Engine, limits: TrajectoryLimits, fallback: FallbackLimits,
                 on_change: Callable[[StateChange], None],
                 clock_s: Callable[[], float] = time.monotonic):
        self.engine = engine
        self.invalid_plans = self.passed_over = 0
        self._limits = limits
        self._machine = FallbackMachine(fallback)
        self._on_change = on_change
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._epoch = 0
        self._last_ego: EgoState | None = None

    @property
    def state(self) -> PlannerState:
        """Return the state as of the last plan or watch."""
        return self._machine.state

    @property
    def reason(self) -> str:
        """Why the state is what it is; empty when NORMAL."""
        return self._machine.reason

    @property
    def state_age_s(self) -> float:
        """Seconds since the state was entered."""
        return self._clock_s() - self._machine.since_s

    def plan(self, frame: PlannerInput, age_s: float = 0.0) -> Plan:
        """
        Plan on one input.

        The engine's best candidate that the car could drive is chosen. Where there is none, or the
        engine raises, that is reported, never propagated: the fallback takes over.

        :param age_s: age of the input's stamp when the call is made, seconds
        """
        anchored_s = self._clock_s() - age_s
        epoch = self._epoch
        timer = StageTimer()
        try:
            with timer.stage('plan'):
                candidates = self.engine.plan(frame, timer)
        except Exception as error:  # noqa: B902 - whatever breaks in a branch, the car goes on
            self.note_failure()
            return self._nothing(f'{self.engine.name} failed: {error}', timer, {})
        with timer.stage('checks'):
            winner, refused = self._first_drivable(candidates, frame.ego)
        if winner is None:
            self.invalid_plans += 1
            self.note_failure()
            return self._nothing(refused[0], timer, candidates)
        self.passed_over += len(refused)
        trajectory = candidates[winner].trajectory
        degraded_reason = self.engine.degraded_reason(frame)
        with self._transition():
            if epoch != self._epoch:
                return self._nothing('the planner was reset during this plan', timer, candidates)
            may_go_out = self._machine.on_plan(trajectory, anchored_s, degraded_reason,
                                               self._clock_s())
            if may_go_out:
                self._last_ego = frame.ego
        if not may_go_out:
            return self._nothing('stopping until plans are steady again', timer, candidates)
        return Plan(trajectory, frame.ego, candidates, winner, timer.milliseconds, self.state,
                    self.reason)

    def watch(self, reason: str) -> Plan:
        """
        Return the fallback that must go out now; its trajectory is None when none is due.

        :param reason: what keeps inputs from coming, as far as the caller knows
        """
        with self._transition():
            trajectory = self._machine.tick(reason, self._clock_s())
            ego = self._last_ego
        if trajectory is None:
            return self._nothing(self.reason, StageTimer(), {})
        return Plan(trajectory, ego, {}, self.state.value.lower(), {}, self.state, self.reason)

    def note_failure(self) -> None:
        """Take note of an input that could not be planned on."""
        with self._lock:
            self._machine.on_failure()

    def stop(self, reason: str) -> Plan:
        """Brake along the last good plan from now on; nothing where there is none to follow."""
        with self._lock:
            trajectory = self._machine.stop_trajectory(self._clock_s())
            ego = self._last_ego
        return Plan(trajectory, ego, {}, 'stop', {}, PlannerState.STOP, reason)

    def reset(self, reason: str) -> None:
        """Go back to INIT; a plan that is under way is dropped when it comes."""
        with self._transition():
            self._epoch += 1
            self._machine.reset(reason, self._clock_s())

    def _first_drivable(self, candidates: Mapping[str, Candidate],
                        ego: EgoState) -> tuple[str | None, list[str]]:
        """Return the name of the first that passes the checks, and why those before it did not."""
        refused = []
        for name, candidate in candidates.items():
            violations = find_violations(candidate.trajectory, ego, self._limits)
            if not violations:
                return name, refused
            refused.append(f'{name}: {violations[0]}')
        return None, refused

    def _nothing(self, reason: str, timer: StageTimer,
                 candidates: Mapping[str, Candidate]) -> Plan:
        return Plan(None, None, candidates, '', timer.milliseconds, self.state, reason)

    @contextmanager
    def _transition(self) -> Iterator[None]:
        """Hold the lock; afterwards, and outside it, report a change of state."""
        with self._lock:
            before = self._machine.state
            yield
            after, reason = self._machine.state, self._machine.reason
        if before is not after:
            self._on_change(StateChange(before, after, reason))
