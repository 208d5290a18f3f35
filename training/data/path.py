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

"""A polyline with headings that a vehicle follows, measured by arc length."""

from functools import cached_property

import numpy as np
from pair_drive_training.data.idm_rollout import FIRST_PROGRESS_M
import shapely
from shapely.ops import substring


class Path:
    """
    Poses [M, 3] (x, y, heading) joined by straight lines.

    Points may repeat where two baselines join.
    """

    def __init__(self, poses: np.ndarray):
        self.poses = np.column_stack([poses[:, :2], np.unwrap(poses[:, 2])])
        steps = np.diff(poses[:, :2], axis=0)
        self.progress = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return float(self.progress[-1])

    @cached_property
    def line(self) -> shapely.LineString:
        """Return the path as a geometry."""
        return shapely.linestrings(self.poses[:, :2])

    def project(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Progress of the first nearest point of the path."""
        return shapely.line_locate_point(self.line, shapely.points(x, y))

    def interpolate(self, progress: np.ndarray) -> np.ndarray:
        """Poses [..., 3] at a progress (m), held at the ends; the heading lies in [-pi, pi]."""
        progress = np.minimum(np.maximum(progress, FIRST_PROGRESS_M), self.progress[-1])
        after = np.minimum(np.maximum(np.searchsorted(self.progress, progress), 1),
                           len(self.progress) - 1)
        poses = (self._slopes[after - 1] * (progress - self.progress[after - 1])[..., None]
                 + self.poses[after - 1])
        poses[..., 2] = np.arctan2(np.sin(poses[..., 2]), np.cos(poses[..., 2]))
        return poses

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Change of the pose per metre on every segment."""
        lengths = np.diff(self.progress)[:, None]
        # Nothing lies on a segment without length but at a path's very beginning, where the
        # devkit's division by zero ends up as a pose of zeros.
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.diff(self.poses, axis=0) / lengths

    def between(self, start: float, end: float) -> shapely.LineString:
        """
        Return the part from one progress to another.

        It begins and ends at points of the path, not in between (sic), unless fewer than two lie
        there.
        """
        start, end = np.clip([start, end], 0.0, self.length)
        inside = (start <= self.progress) & (self.progress <= end)
        if inside.sum() > 1:
            return shapely.linestrings(self.poses[inside, :2])
        return substring(self.line, start, end)

    def offset(self, metres: float) -> 'Path':
        """Shift every point sideways, to the left for positive ``metres``."""
        across = self.poses[:, 2] + np.pi / 2.0
        return Path(self.poses + metres * np.column_stack(
            [np.cos(across), np.sin(across), np.zeros(len(across))]))
