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

"""Several plans of one scene, each with a logit, and the one plan that they come to."""

import math
from typing import NamedTuple

import torch


class Modes(NamedTuple):
    """M plans in each of B scenes."""

    poses: torch.Tensor
    """[B, M, 8, 3]: x m, y m, heading rad."""
    logits: torch.Tensor
    """[B, M]: how likely a mode is the one that the human drives."""

    def best(self) -> torch.Tensor:
        """Poses [B, 8, 3] of the mode with the highest logit."""
        return pick(self.poses, self.logits.argmax(dim=1))

    def agreed(self, distance_m: float) -> torch.Tensor:
        """
        Poses [B, 8, 3]: the mean of the best mode and of those that agree with it.

        Those are the modes whose points lie no further from its points, on average; each counts as
        its probability. With a distance of 0 that is the best mode.
        """
        best = self.best()[:, None]
        away = self.poses - best
        away = torch.cat([away[..., :2], torch.atan2(away[..., 2:].sin(), away[..., 2:].cos())],
                         dim=-1)
        agrees = away[..., :2].norm(dim=-1).mean(dim=-1) <= distance_m
        weight = self.logits.masked_fill(~agrees, -math.inf).softmax(dim=1)
        return best[:, 0] + (weight[..., None, None] * away).sum(dim=1)


def pick(poses: torch.Tensor, modes: torch.Tensor) -> torch.Tensor:
    """Take one mode of each scene: poses [B, M, 8, 3], modes int64 [B] -> [B, 8, 3]."""
    return poses[torch.arange(len(poses), device=poses.device), modes]
