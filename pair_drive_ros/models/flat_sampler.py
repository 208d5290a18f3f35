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
Fifteen plans around a plan without a tree: five speeds times three lateral shifts.

The control of the tree: what a selector can do with alternatives that nobody has trained.
"""

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.tree_geometry import along, arc_lengths
import torch

SPEEDS = (0.5, 0.75, 1.0, 1.15, 1.3)
SHIFTS_M = (0.75, 0.0, -0.75)


def flat_leaves(root: torch.Tensor) -> torch.Tensor:
    """
    Drive a plan's path at other speeds and beside itself.

    :param root: [B, 8, 3], x m, y m, heading rad
    :return: [B, 15, 8, 3]; the eighth is the root
    """
    arc = arc_lengths(root)
    # A shift is complete after two of the four seconds.
    grown = torch.arange(1, PLAN_POSES + 1, device=root.device) / (PLAN_POSES // 2)
    grown = grown.clamp_max(1.0)
    leaves = []
    for speed in SPEEDS:
        retimed = along(root, arc, speed * arc)
        left = torch.stack([-retimed[..., 2].sin(), retimed[..., 2].cos()], dim=-1)
        for shift in SHIFTS_M:
            points = retimed[..., :2] + shift * grown[:, None] * left
            leaves.append(torch.cat([points, retimed[..., 2:]], dim=-1))
    return torch.stack(leaves, dim=1)
