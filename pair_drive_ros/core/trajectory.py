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

"""A planned trajectory: poses at equal time steps after the stamp it is anchored to."""

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle

PLAN_POSES = 8
PLAN_STEP_S = 0.5


class TrajectoryError(ValueError):
    """A trajectory has the wrong shape, a bad time step or values that are not finite."""


@dataclass(frozen=True)
class TrajectorySample:
    """
    Where a trajectory is at one instant.

    ``pose`` [3]; ``past_end`` when the instant lies beyond the last pose, which is then held.
    """

    pose: np.ndarray
    past_end: bool


@dataclass(frozen=True)
class Trajectory:
    """
    Poses [T, 3] (x m, y m, heading rad) at ``step_s``, 2 ``step_s``, ... after ``stamp_ns``.

    The frame is ``base_link`` at ``stamp_ns``, so the pose at the stamp itself is the origin and
    is not stored. NAVSIM's plans have 8 poses at 0.5 s.

    :raises TrajectoryError: on a wrong shape, a step that is not positive, or NaN
    """

    stamp_ns: int
    poses: np.ndarray
    step_s: float = PLAN_STEP_S

    def __post_init__(self) -> None:
        poses = np.asarray(self.poses, dtype=np.float64)
        if poses.ndim != 2 or poses.shape[1] != 3 or len(poses) == 0:
            raise TrajectoryError(f'poses: expected [T, 3] with T > 0, got {list(poses.shape)}')
        if not np.all(np.isfinite(poses)):
            first = int(np.flatnonzero(~np.isfinite(poses).all(axis=1))[0])
            raise TrajectoryError(f'poses: pose {first} is not finite')
        if not self.step_s > 0.0:
            raise TrajectoryError(f'step_s: expected a positive time, got {self.step_s}')
        object.__setattr__(self, 'poses', poses)

    @property
    def times_s(self) -> np.ndarray:
        """Return the times [T] of the poses after the stamp, seconds."""
        return self.step_s * np.arange(1, len(self.poses) + 1)

    @property
    def horizon_s(self) -> float:
        """Time of the last pose after the stamp, seconds."""
        return self.step_s * len(self.poses)

    def resample(self, step_s: float) -> 'Trajectory':
        """Return the trajectory at another step over the same horizon, interpolated linearly."""
        count = max(1, int(round(self.horizon_s / step_s)))
        return Trajectory(self.stamp_ns, self.poses_at(step_s * np.arange(1, count + 1)), step_s)

    def sample_at(self, stamp_ns: int) -> TrajectorySample:
        """
        Return the pose at an absolute instant; instants after the end hold the last pose.

        :raises TrajectoryError: when the instant lies before the trajectory's stamp
        """
        elapsed_s = (stamp_ns - self.stamp_ns) * 1e-9
        if elapsed_s < 0.0:
            raise TrajectoryError(f'the instant lies {-elapsed_s:.3f} s before the trajectory')
        return TrajectorySample(self.poses_at(np.array([elapsed_s]))[0],
                                elapsed_s > self.horizon_s)

    def poses_at(self, times_s: np.ndarray) -> np.ndarray:
        """Poses [M, 3] at times [M] after the stamp; times beyond the ends hold the end poses."""
        knots = np.concatenate([[0.0], self.times_s])
        poses = np.concatenate([np.zeros((1, 3)), self.poses])
        heading = np.unwrap(poses[:, 2])
        return np.stack([np.interp(times_s, knots, poses[:, 0]),
                         np.interp(times_s, knots, poses[:, 1]),
                         wrap_angle(np.interp(times_s, knots, heading))], axis=-1)
