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

import numpy as np
from pair_drive_ros.core.frames import PlannerInput
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S, Trajectory


class Engine(abc.ABC):
    """
    A source of plans.

    ``degraded_reason`` says why its plans are less than the rig deserves; None when they are what
    the package is for. ``model_hash`` identifies the weights ('none' without any).
    """

    name: str
    degraded_reason: str | None
    model_hash: str
    device: str

    @abc.abstractmethod
    def warm_up(self) -> None:
        """Pay every first-call cost before the first real input."""

    @abc.abstractmethod
    def plan(self, frame: PlannerInput, timer: StageTimer) -> Trajectory:
        """
        Plan 8 poses at 0.5 s in ``base_link`` at ``frame.stamp_ns``.

        :param timer: takes the engine's own stages, such as 'features' and 'network'
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Release what the engine holds; it is not used afterwards."""


class KinematicEngine(Engine):
    """
    Constant speed and yaw rate from the ego state alone.

    It looks at no sensor and avoids nothing, so every plan is degraded. It stands in until a
    trained checkpoint is configured. A car that rolls backwards is planned to stand still.
    """

    name = 'kinematic'
    degraded_reason = 'no trained checkpoint'
    model_hash = 'none'
    device = 'cpu'

    def warm_up(self) -> None:
        """Do nothing: there is nothing to warm."""

    def plan(self, frame: PlannerInput, timer: StageTimer) -> Trajectory:
        """Continue the present motion for 4 s."""
        speed = max(0.0, float(frame.ego.velocity[0]))
        poses = constant_turn_rate_motion(speed, frame.ego.yaw_rate if speed > 0.0 else 0.0,
                                          PLAN_STEP_S * np.arange(1, PLAN_POSES + 1))
        return Trajectory(frame.stamp_ns, poses)

    def close(self) -> None:
        """Do nothing: nothing is held."""
