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

"""What turns a synchronised input into a trajectory, behind one interface."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.frames import PlannerInput
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S, Trajectory

REFINEMENT_VALUES = ('refinement', 'refiner_hash', 'selector_hash', 'rl_ms p50/p95/max',
                     'rl_used_ratio', 'deadline_misses', 'refinement_failures')
"""What :meth:`Engine.health` tells of the RL branch."""


@dataclass(frozen=True)
class Candidate:
    """One trajectory on offer; ``score`` is what it was ranked by, None where nothing ranks."""

    trajectory: Trajectory
    score: float | None = None


class Engine(abc.ABC):
    """
    A source of plans.

    ``model_hash`` identifies the weights and ``trained_on`` the data they come from, 'none'
    without any. ``sensors`` names what it looks at: cameras as in ``PlannerInput.cameras``, and
    ``lidar``; None stands for the whole rig. With ``needs_every_sensor`` it cannot plan when one
    of these is missing.
    """

    name: str
    model_hash: str
    trained_on: str
    device: str
    sensors: tuple[str, ...] | None
    needs_every_sensor: bool

    @abc.abstractmethod
    def warm_up(self) -> None:
        """Pay every first-call cost before the first real input."""

    @abc.abstractmethod
    def plan(self, frame: PlannerInput, timer: StageTimer) -> dict[str, Candidate]:
        """
        Plan 8 poses at 0.5 s in ``base_link`` at ``frame.stamp_ns``.

        :param timer: takes the engine's own stages: 'il', and such as 'features' and 'network'
        :return: one or more candidates by name, from the best to the last resort
        """

    @abc.abstractmethod
    def degraded_reason(self, frame: PlannerInput) -> str | None:
        """Say why the plan just made on this input is less than the engine can do, or None."""

    def health(self) -> Mapping[str, object]:
        """Values of ``REFINEMENT_VALUES`` for the diagnostics; 'n/a' without an RL branch."""
        return dict.fromkeys(REFINEMENT_VALUES, 'n/a')

    def switch_refinement(self, enabled: bool) -> bool:
        """Switch the RL branch on or off from the next input on; False where there is none."""
        return False

    @abc.abstractmethod
    def close(self) -> None:
        """Release what the engine holds; it is not used afterwards."""


class KinematicEngine(Engine):
    """
    Constant speed and yaw rate from the ego state alone.

    It avoids nothing, so every plan is degraded. It stands in where no checkpoint is configured,
    and asks for the whole rig as that would. A car that rolls backwards is planned to stand still.
    """

    name = 'kinematic'
    model_hash = 'none'
    trained_on = 'none'
    device = 'cpu'
    sensors = None
    needs_every_sensor = True

    def warm_up(self) -> None:
        """Do nothing: there is nothing to warm."""

    def plan(self, frame: PlannerInput, timer: StageTimer) -> dict[str, Candidate]:
        """Continue the present motion for 4 s; stage ``il``."""
        with timer.stage('il'):
            speed = max(0.0, float(frame.ego.velocity[0]))
            poses = constant_turn_rate_motion(speed, frame.ego.yaw_rate if speed > 0.0 else 0.0,
                                              PLAN_STEP_S * np.arange(1, PLAN_POSES + 1))
            return {self.name: Candidate(Trajectory(frame.stamp_ns, poses))}

    def degraded_reason(self, frame: PlannerInput) -> str:
        """Give the reason, which is always the same."""
        return 'no trained checkpoint'

    def close(self) -> None:
        """Do nothing: nothing is held."""
