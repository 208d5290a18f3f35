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

"""Speed, yaw rate and their changes along a planned trajectory."""

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.core.trajectory import Trajectory


@dataclass(frozen=True)
class MotionProfile:
    """
    A trajectory with its derivatives at times 0, step, 2 step, ... after its stamp.

    ``times_s`` [M]; ``poses`` [M, 3] in ``base_link`` at the stamp, the first being the origin;
    ``speed`` [M] m/s along the heading, negative in reverse; ``acceleration`` [M] m/s^2, its rate
    of change; ``yaw_rate`` [M] rad/s and ``yaw_acceleration`` [M] rad/s^2.
    """

    times_s: np.ndarray
    poses: np.ndarray
    speed: np.ndarray
    acceleration: np.ndarray
    yaw_rate: np.ndarray
    yaw_acceleration: np.ndarray


def motion_profile(trajectory: Trajectory, ego: EgoState, step_s: float) -> MotionProfile:
    """
    Differentiate a trajectory that starts with the speed and yaw rate of ``ego``.

    The mean speed of each step of the plan holds at the middle of the step; between these
    instants it is interpolated, and it stays constant in the last half step. Differences of the
    upsampled poses would instead jump at every pose of the plan and turn a gentle braking into
    spikes. Steps are taken as arcs, which makes constant turns exact. Accelerations are forward
    differences, so that ``speed[i + 1] == speed[i] + step * acceleration[i]``.

    :raises ConversionError: when ``ego`` is not the ego state at the trajectory's stamp, or the
        step is not positive
    """
    if ego.stamp_ns != trajectory.stamp_ns:
        raise ConversionError(f'trajectory: its stamp is {trajectory.stamp_ns} ns, that of the '
                              f'ego state {ego.stamp_ns} ns; interpolate the odometry to the '
                              'anchor of the trajectory')
    if not step_s > 0.0:
        raise ConversionError(f'trajectory: the output step is {step_s} s; it must be positive')
    resampled = trajectory.resample(step_s)
    times_s = np.concatenate([[0.0], resampled.times_s])
    poses = np.concatenate([np.zeros((1, 3)), resampled.poses])

    knots = np.concatenate([np.zeros((1, 3)), trajectory.poses])
    steps = relative_to(knots[:-1], knots[1:])
    turn = steps[:, 2]
    along = steps[:, 0] * np.cos(turn / 2.0) + steps[:, 1] * np.sin(turn / 2.0)
    arc = np.copysign(np.hypot(steps[:, 0], steps[:, 1]) / np.sinc(turn / (2.0 * np.pi)), along)
    middles_s = np.concatenate([[0.0], trajectory.times_s - trajectory.step_s / 2.0])

    def at_output(initial: float, increments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means = np.concatenate([[initial], increments / trajectory.step_s])
        values = np.interp(times_s, middles_s, means)
        return values, np.diff(values, append=values[-1]) / step_s

    speed, acceleration = at_output(float(ego.velocity[0]), arc)
    yaw_rate, yaw_acceleration = at_output(ego.yaw_rate, turn)
    return MotionProfile(times_s, poses, speed, acceleration, yaw_rate, yaw_acceleration)
