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

"""The ego state at an instant between, or shortly after, odometry samples."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import compose, constant_turn_rate_motion, wrap_angle

_Blended = TypeVar('_Blended', float, np.ndarray)


def interpolate(before: EgoState, after: EgoState, stamp_ns: int) -> EgoState:
    """
    Blend two samples linearly; the heading takes the shorter way round.

    :raises ValueError: when ``stamp_ns`` lies outside the two samples
    """
    if not before.stamp_ns <= stamp_ns <= after.stamp_ns:
        raise ValueError(f'{stamp_ns} lies outside [{before.stamp_ns}, {after.stamp_ns}]')
    span_ns = after.stamp_ns - before.stamp_ns
    ratio = (stamp_ns - before.stamp_ns) / span_ns if span_ns else 0.0

    def blend(start: _Blended, end: _Blended) -> _Blended:
        return start + ratio * (end - start)

    turn = float(wrap_angle(after.pose[2] - before.pose[2]))
    pose = blend(before.pose, after.pose)
    pose[2] = wrap_angle(before.pose[2] + ratio * turn)
    return replace(before, stamp_ns=stamp_ns, pose=pose,
                   velocity=blend(before.velocity, after.velocity),
                   acceleration=blend(before.acceleration, after.acceleration),
                   yaw_rate=blend(before.yaw_rate, after.yaw_rate))


def extrapolate(latest: EgoState, stamp_ns: int) -> EgoState:
    """Carry the latest sample forward with its own speed and yaw rate."""
    elapsed_s = (stamp_ns - latest.stamp_ns) * 1e-9
    step = constant_turn_rate_motion(float(latest.velocity[0]), latest.yaw_rate,
                                     np.array([elapsed_s]))[0]
    return replace(latest, stamp_ns=stamp_ns, pose=compose(latest.pose, step))


def acceleration_from_velocity(samples: Sequence[EgoState]) -> np.ndarray:
    """
    Body-frame acceleration [2] of the rear axle from a short run of velocities.

    The slope of a straight line through the samples plus the turning of the frame itself:
    a = dv/dt + yaw_rate x v. Fewer than two instants say nothing about acceleration: zeros, as
    for a vehicle whose speed has not been seen to change.
    """
    times = np.array([sample.stamp_ns - samples[-1].stamp_ns for sample in samples]) * 1e-9
    if len(samples) < 2 or times[0] == times[-1]:
        return np.zeros(2)
    velocity = np.stack([sample.velocity for sample in samples])
    centred = times - times.mean()
    slope = centred @ velocity / (centred @ centred)
    latest = samples[-1]
    return slope + latest.yaw_rate * np.array([-latest.velocity[1], latest.velocity[0]])
