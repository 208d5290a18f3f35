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
One look back: what a plan leads over moves its poses.

Ours, for the small networks: one query of a few numbers cannot hold where a lane lies to the
decimetre, while the BEV map at the plan's own poses can.
"""

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.bev_sampling import sample_bev
import torch
from torch import nn

# Left of each pose, at it, and right of it.
_SIDES_M = (1.5, 0.0, -1.5)
_POSE_FEATURES = 6
_LENGTH_M = 10.0


class PlanRefinement(nn.Module):
    """
    Samples the BEV map along a plan and moves the plan's poses; untrained it moves none.

    :param bev_width: channels of the BEV map
    :param width: of the ego's query
    :param ffn: hidden width of the MLP that says how far
    """

    def __init__(self, bev_width: int, width: int, ffn: int):
        super().__init__()
        self.map_proj = nn.Conv2d(bev_width, bev_width, 1)
        self.pose_encoder = nn.Sequential(
            nn.Linear(len(_SIDES_M) * bev_width + _POSE_FEATURES, bev_width), nn.ReLU())
        moves = nn.Linear(ffn, PLAN_POSES * 3)
        nn.init.zeros_(moves.weight)
        nn.init.zeros_(moves.bias)
        self.mlp = nn.Sequential(nn.Linear(PLAN_POSES * bev_width + width, ffn), nn.ReLU(), moves)

    def forward(self, plan: torch.Tensor, query: torch.Tensor,
                bev_map: torch.Tensor) -> torch.Tensor:
        """
        Return the refined plan [B, 8, 3]; gradients do not reach the given one.

        :param plan: [B, 8, 3], x m, y m, heading rad
        :param query: the ego's, [B, width]
        :param bev_map: [B, bev_width, rows, columns]: rows along x, columns along y, both from
            -32 m to 32 m; beyond that there is nothing but zero
        """
        plan = plan.detach().float()
        left = torch.stack([-plan[..., 2].sin(), plan[..., 2].cos()], dim=-1)
        points = plan[..., None, :2] + left[..., None, :] * plan.new_tensor(_SIDES_M)[:, None]
        values = self.map_proj(bev_map)
        seen = sample_bev(values, points).flatten(2)
        steps = torch.cat([plan[:, :1, :2], plan[..., :2].diff(dim=1)], dim=1)
        poses = torch.cat([plan[..., :2] / _LENGTH_M, steps / _LENGTH_M, plan[..., 2:].cos(),
                           plan[..., 2:].sin()], dim=-1)
        encoded = self.pose_encoder(torch.cat([seen, poses.to(seen.dtype)], dim=-1))
        moved = self.mlp(torch.cat([encoded.flatten(1), query], dim=-1))
        return plan + moved.float().unflatten(-1, (PLAN_POSES, 3))
