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

"""The rail that a reactive vehicle is pulled along: one lane's baseline, by arc length."""

from bisect import bisect_left, bisect_right

import numpy as np

# Two points closer than this are one (the absolute tolerance of numpy.isclose).
SAME_POINT_M = 1e-8


class Rail:
    """
    Points of a baseline with their progress.

    ``knots`` [M, 4]: progress m, ascending strictly, x, y m and the unwrapped heading rad.
    Source: ``InterpolatedPath``, ``trim_path`` and ``trim_path_up_to_progress`` of nuplan-devkit.
    """

    def __init__(self, knots: np.ndarray):
        self.knots = knots
        self._progress: list[float] = knots[:, 0].tolist()

    @property
    def start(self) -> float:
        """Progress of the first point, m."""
        return self._progress[0]

    @property
    def end(self) -> float:
        """Progress of the last point, m."""
        return self._progress[-1]

    @property
    def last_step(self) -> float:
        """Progress where the last straight piece begins, m."""
        return self._progress[-2]

    def clamp(self, progress: float) -> float:
        """Return the nearest progress that lies on the rail, m."""
        return max(self.start, min(progress, self.end))

    def pose(self, progress: float) -> tuple[float, float, float]:
        """Return x, y and the heading in [-pi, pi) at a progress on the rail."""
        _, x, y, heading = self._at(progress).tolist()
        return x, y, (heading + np.pi) % (2.0 * np.pi) - np.pi

    def ahead(self, progress: float) -> np.ndarray:
        """Return the points [K, 2] from a progress on; at the end the last piece (sic)."""
        after = bisect_right(self._progress, progress)
        if after == len(self._progress):
            return self.knots[-2:, 1:3]
        return np.concatenate([self._at(progress)[None], self.knots[after:]])[:, 1:3]

    def between(self, start: float, end: float) -> np.ndarray:
        """Return the points [K, 2] from ``start`` to ``end``, both on the rail."""
        after, before = bisect_right(self._progress, start), bisect_left(self._progress, end)
        if after == len(self._progress):
            return self.knots[-2:, 1:3]
        if before == 0:
            return self.knots[:2, 1:3]
        return np.concatenate([self._at(start)[None], self.knots[after:before],
                               self._at(end)[None]])[:, 1:3]

    def _at(self, progress: float) -> np.ndarray:
        after = min(max(bisect_left(self._progress, progress), 1), len(self._progress) - 1)
        low, high = self.knots[after - 1], self.knots[after]
        return (high - low) / (high[0] - low[0]) * (progress - low[0]) + low


def knots_of_baseline(baseline: np.ndarray) -> np.ndarray:
    """
    Turn a baseline [M, 3] (x, y, heading) into the knots of a :class:`Rail`.

    Every point that stands where its successor does is left out, and so is the last point, which
    has no successor (sic): a vehicle stops one point before its lane ends.
    """
    steps = np.linalg.norm(np.diff(baseline[:, :2], axis=0), axis=1)
    progress = np.concatenate([[0.0], np.cumsum(steps)])[:-1]
    kept = steps > SAME_POINT_M
    return np.column_stack([progress[kept], baseline[:-1][kept, :2],
                            np.unwrap(baseline[:-1][kept, 2])])
