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
What goes out when a plan is late or bad: hold the last one, then stop along it.

INIT -> NORMAL or DEGRADED while plans come; HOLD repeats the last good plan; STOP brakes at a
constant rate along its path. This is no replacement for the vehicle's own minimal-risk manoeuvre.
"""

from dataclasses import dataclass
import enum

import numpy as np
from pair_drive_ros.core.trajectory import Trajectory

_STOP_STEP_S = 0.1


class PlannerState(enum.Enum):
    """States of the planner as diagnostics name them."""

    INIT = 'INIT'
    NORMAL = 'NORMAL'
    DEGRADED = 'DEGRADED'
    HOLD = 'HOLD'
    STOP = 'STOP'


@dataclass(frozen=True)
class FallbackLimits:
    """
    When to hold, when to stop, and how hard.

    :param output_timeout_s: without a good plan for this long, the last one is held
    :param hold_s: after holding this long, the car is stopped
    :param deceleration: m/s^2 of the stop
    :param recover_plans: good plans in a row that end a stop
    """

    output_timeout_s: float = 0.25
    hold_s: float = 0.5
    deceleration: float = 2.5
    recover_plans: int = 3


@dataclass(frozen=True)
class StateChange:
    """One transition, for logs and reports."""

    previous: PlannerState
    current: PlannerState
    reason: str


class FallbackMachine:
    """
    The state machine; times are seconds of one steady clock.

    It is not thread-safe: its owner serialises the calls.
    """

    def __init__(self, limits: FallbackLimits):
        self._limits = limits
        self.state = PlannerState.INIT
        self.reason = 'no input yet'
        self.since_s = 0.0
        self._last_good: Trajectory | None = None
        self._anchored_s = 0.0
        self._good_s = 0.0
        self._stop: Trajectory | None = None
        self._good_in_a_row = 0

    def reset(self, reason: str, now_s: float) -> None:
        """Forget the last plan and start again from INIT."""
        self._last_good = self._stop = None
        self._good_in_a_row = 0
        self._enter(PlannerState.INIT, reason, now_s)

    def on_plan(self, plan: Trajectory, anchored_s: float, degraded_reason: str | None,
                now_s: float) -> bool:
        """
        Take a good plan; return whether it may go out (a stop goes on until plans are steady).

        :param anchored_s: the instant of the plan's stamp on the steady clock
        """
        self._good_in_a_row += 1
        if (self.state is PlannerState.STOP
                and self._good_in_a_row < self._limits.recover_plans):
            return False
        self._last_good, self._anchored_s, self._good_s = plan, anchored_s, now_s
        self._stop = None
        if degraded_reason is None:
            self._enter(PlannerState.NORMAL, '', now_s)
        else:
            self._enter(PlannerState.DEGRADED, degraded_reason, now_s)
        return True

    def on_failure(self) -> None:
        """Take note that a cycle gave no good plan; only time changes the state."""
        self._good_in_a_row = 0

    def tick(self, reason: str, now_s: float) -> Trajectory | None:
        """
        Return the trajectory that must go out now in place of a plan, or None.

        :param reason: what keeps plans from coming, for the diagnostics
        """
        if self._last_good is None:
            self.reason = reason
            return None
        if now_s - self._good_s <= self._limits.output_timeout_s:
            return None
        if self.state in (PlannerState.NORMAL, PlannerState.DEGRADED):
            self._good_in_a_row = 0
            self._enter(PlannerState.HOLD, reason, now_s)
        elif self.state is PlannerState.HOLD and now_s - self.since_s >= self._limits.hold_s:
            self._stop = self.stop_trajectory(now_s)
            self._enter(PlannerState.STOP, reason, now_s)
        self.reason = reason
        return self._stop if self.state is PlannerState.STOP else self._last_good

    def stop_trajectory(self, now_s: float) -> Trajectory | None:
        """Brake from now on along the last good plan; None when there never was one."""
        if self._last_good is None:
            return None
        return brake_along(self._last_good, now_s - self._anchored_s, self._limits.deceleration)

    def _enter(self, state: PlannerState, reason: str, now_s: float) -> None:
        if state is not self.state:
            self.since_s = now_s
        self.state, self.reason = state, reason


def brake_along(plan: Trajectory, start_s: float, deceleration: float) -> Trajectory:
    """
    Keep a plan until ``start_s`` after its stamp, then brake to a halt on its path.

    The stamp and frame stay the plan's own. Where the path is shorter than the way to a halt it
    goes on straight; a plan that has ended is taken to stand at its end.

    :param deceleration: m/s^2, positive
    """
    knots = np.concatenate([np.zeros((1, 3)), plan.poses])
    times = np.concatenate([[0.0], plan.times_s])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(knots[:, :2], axis=0).T))])
    start_s = max(0.0, start_s)
    covered = float(np.interp(start_s, times, arc))
    speed = 0.0
    if start_s < plan.horizon_s:
        segment = min(int(np.searchsorted(times, start_s, side='right')), len(times) - 1)
        speed = float((arc[segment] - arc[segment - 1]) / plan.step_s)

    halt_s = speed / deceleration
    count = max(len(plan.poses), int(np.ceil((start_s + halt_s) / _STOP_STEP_S)) + 1)
    at = _STOP_STEP_S * np.arange(1, count + 1)
    braking = np.clip(at - start_s, 0.0, halt_s)
    distance = np.where(at <= start_s, np.interp(at, times, arc),
                        covered + speed * braking - 0.5 * deceleration * braking**2)

    beyond = np.maximum(0.0, distance - arc[-1])
    # Standing steps repeat an arc length; interpolation needs each once.
    arc_once, first = np.unique(arc, return_index=True)
    heading = np.unwrap(knots[:, 2])
    x, y, turned = (np.interp(distance, arc_once, values[first])
                    for values in (knots[:, 0], knots[:, 1], heading))
    poses = np.stack([x + beyond * np.cos(heading[-1]), y + beyond * np.sin(heading[-1]), turned],
                     axis=-1)
    return Trajectory(plan.stamp_ns, poses, _STOP_STEP_S)
