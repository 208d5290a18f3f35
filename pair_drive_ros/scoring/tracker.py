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
The LQR tracker of both devkits: one acceleration and one steering rate per step.

Both profiles that the tracker needs first are regularised least-squares problems. Because the
squares of cosine and sine add up to one, the velocity problem has a constant matrix; the
curvature problem is tridiagonal.
"""

import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.interpolation import wrap
from pair_drive_ros.scoring.protocol import STEP_S, STEPS
from pair_drive_ros.scoring.state import HEADING, STEERING, VX, X, Y
from pair_drive_ros.scoring.vehicle import WHEELBASE

HORIZON = 10
STOPPING_SPEED = 0.2
STOPPING_GAIN = 0.5
SPEED_GAIN = 10.0 / 11.0
HEADING_COST = 10.0
JERK_PENALTY = 1e-4
INITIAL_CURVATURE_PENALTY = 1e-10


def velocity_profile_matrix() -> np.ndarray:
    """
    Matrix [40, 40] from projected displacements (m) to the fitted speeds (m/s) of every step.

    The penalty is meant for differences of accelerations, but only its last row does that; the
    other rows are a ridge on the accelerations themselves, without the last two (sic).
    """
    integrate = np.tril(np.full((STEPS, STEPS), STEP_S))
    integrate[:, 0] = 1.0
    difference = np.eye(STEPS - 2, STEPS - 1)
    difference[-1, -2:] = -1.0, 1.0
    penalty = np.zeros((STEPS, STEPS))
    penalty[1:, 1:] = JERK_PENALTY * difference.T @ difference
    normal = STEP_S ** 2 * integrate.T @ integrate + penalty
    return integrate @ np.linalg.solve(normal, STEP_S * integrate.T)


@device
def fit_profiles(path: np.ndarray, i: int, velocity_matrix: np.ndarray,
                 scratch: np.ndarray) -> None:
    """
    Fill speeds ``scratch[i, 0, :40]`` and curvatures ``scratch[i, 1, :40]`` of ``path[i]``.

    The curvature system has -1 beside the diagonal; it is solved by elimination.
    """
    for t in range(STEPS):
        scratch[i, 0, t] = 0.0
    for t in range(STEPS):
        heading = path[i, t, 2]
        travelled = ((path[i, t + 1, 0] - path[i, t, 0]) * math.cos(heading)
                     + (path[i, t + 1, 1] - path[i, t, 1]) * math.sin(heading))
        for row in range(STEPS):
            scratch[i, 0, row] += velocity_matrix[t, row] * travelled
    pivot = 1.0
    carried = 0.0
    for t in range(STEPS):
        length = STEP_S * scratch[i, 0, t]
        turn = wrap(path[i, t + 1, 2] - path[i, t, 2])
        diagonal = length * length + 2.0
        right = length * turn
        if t == 0:
            pivot = diagonal - 1.0 + INITIAL_CURVATURE_PENALTY
            carried = right
        else:
            diagonal -= 1.0 if t == STEPS - 1 else 0.0
            carried = right + carried / pivot
            pivot = diagonal - 1.0 / pivot
        scratch[i, 1, t] = carried
        scratch[i, 2, t] = pivot
    scratch[i, 1, STEPS - 1] /= scratch[i, 2, STEPS - 1]
    for step in range(1, STEPS):
        t = STEPS - 1 - step
        scratch[i, 1, t] = (scratch[i, 1, t] + scratch[i, 1, t + 1]) / scratch[i, 2, t]


@device
def track(path: np.ndarray, states: np.ndarray, i: int, t: int,
          scratch: np.ndarray) -> tuple[float, float]:
    """
    Return acceleration (m/s^2) and steering rate (rad/s) commanded at step ``t``.

    Commands are not limited; comfort is what punishes them.
    """
    last = min(t + HORIZON, STEPS - 1)
    target_speed = scratch[i, 0, last]
    speed = states[i, t, VX]
    # The speeds are compared with their sign: reversing counts as stopping (sic).
    if target_speed <= STOPPING_SPEED and speed <= STOPPING_SPEED:
        return -STOPPING_GAIN * (speed - target_speed), 0.0
    acceleration = SPEED_GAIN * (target_speed - speed)

    heading = path[i, t, 2]
    dx, dy = states[i, t, X] - path[i, t, 0], states[i, t, Y] - path[i, t, 1]
    lateral = -dx * math.sin(heading) + dy * math.cos(heading)
    turn = wrap(states[i, t, HEADING] - heading)
    steering = states[i, t, STEERING]
    # Response to one unit of steering rate held over the horizon.
    lateral_gain, turn_gain, steering_gain = 0.0, 0.0, 0.0
    for step in range(HORIZON):
        ahead = STEP_S * (speed + acceleration * STEP_S * step)
        curvature = scratch[i, 1, min(t + step, last)]
        lateral += ahead * turn
        turn += ahead / WHEELBASE * steering - ahead * curvature
        lateral_gain += ahead * turn_gain
        turn_gain += ahead / WHEELBASE * steering_gain
        steering_gain += STEP_S
    turn = wrap(turn)
    steering_rate = -((lateral_gain * lateral + HEADING_COST * turn_gain * turn)
                      / (lateral_gain * lateral_gain
                         + HEADING_COST * turn_gain * turn_gain + 1.0))
    return acceleration, steering_rate
