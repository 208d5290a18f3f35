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

"""The kinematic bicycle of both devkits: Euler steps of 0.1 s behind first-order actuators."""

import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.interpolation import wrap
from pair_drive_ros.scoring.protocol import STEP_S, STEPS
from pair_drive_ros.scoring.state import (
    AX,
    AY,
    HEADING,
    STATE_SIZE,
    STEERING,
    STEERING_RATE,
    VX,
    VY,
    X,
    Y,
    YAW_ACCELERATION,
    YAW_RATE,
)
from pair_drive_ros.scoring.tracker import fit_profiles, track
from pair_drive_ros.scoring.vehicle import WHEELBASE

ACCELERATION_LAG = STEP_S / (STEP_S + 0.2)
STEERING_LAG = STEP_S / (STEP_S + 0.05)
MAX_STEERING = math.pi / 3.0


@device
def simulate(path: np.ndarray, start: np.ndarray, velocity_matrix: np.ndarray, scratch: np.ndarray,
             states: np.ndarray, i: int) -> None:
    """
    Drive along ``path[i]`` [41, 3] and fill ``states[i]`` [41, 11].

    ``start`` [5] is heading, vx, vy, ax, ay now. The logs hold no steering, so it starts at zero;
    vy and ay live for the first state only.
    """
    fit_profiles(path, i, velocity_matrix, scratch)
    for column in range(STATE_SIZE):
        states[i, 0, column] = 0.0
    states[i, 0, HEADING] = start[0]
    states[i, 0, VX] = start[1]
    states[i, 0, VY] = start[2]
    states[i, 0, AX] = start[3]
    states[i, 0, AY] = start[4]
    tan_steering = 0.0
    for t in range(STEPS):
        acceleration, steering_rate = track(path, states, i, t, scratch)
        acceleration = states[i, t, AX] + ACCELERATION_LAG * (acceleration - states[i, t, AX])
        steering_rate *= STEERING_LAG
        heading, speed = states[i, t, HEADING], states[i, t, VX]
        states[i, t + 1, X] = states[i, t, X] + speed * math.cos(heading) * STEP_S
        states[i, t + 1, Y] = states[i, t, Y] + speed * math.sin(heading) * STEP_S
        states[i, t + 1, HEADING] = wrap(heading + speed * tan_steering / WHEELBASE * STEP_S)
        speed += acceleration * STEP_S
        steering = states[i, t, STEERING] + steering_rate * STEP_S
        steering = min(max(steering, -MAX_STEERING), MAX_STEERING)
        tan_steering = math.tan(steering)
        yaw_rate = speed * tan_steering / WHEELBASE
        states[i, t + 1, VX] = speed
        states[i, t + 1, VY] = 0.0
        states[i, t + 1, AX] = acceleration
        states[i, t + 1, AY] = 0.0
        states[i, t + 1, STEERING] = steering
        states[i, t + 1, STEERING_RATE] = steering_rate
        states[i, t + 1, YAW_RATE] = yaw_rate
        states[i, t + 1, YAW_ACCELERATION] = (yaw_rate - states[i, t, YAW_RATE]) / STEP_S
