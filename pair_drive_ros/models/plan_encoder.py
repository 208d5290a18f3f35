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
Encodes candidate trajectories by what lies at their poses.

A vector that stands for the whole scene cannot tell one candidate from its neighbour half a metre
away; the BEV map at the corners of the car and the other vehicles seen from each pose can.
"""

from typing import NamedTuple

from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S
from pair_drive_ros.models.bev_sampling import sample_bev
from pair_drive_ros.models.features import STATUS_SIZE
from pair_drive_ros.models.scene_view import SceneView
import torch
from torch import nn

# Where the map is looked at, from the rear axle: the car's corners, its middle, and ahead of it.
_PLACES_M = ((4.0, 1.2), (4.0, -1.2), (1.5, 0.0), (-1.1, 1.2), (-1.1, -1.2), (9.0, 0.0))
# Of the other vehicles, so many of which perception is surest.
AGENTS_MET = 8
_LENGTH_M = 10.0
_SPEED_MPS = 10.0
_MOTION = 11
_RELATION = 9


class Surroundings(NamedTuple):
    """A view, projected once for every plan that is looked at."""

    values: torch.Tensor
    """[B, map_width, rows, columns]."""
    context: torch.Tensor
    """[B, width]."""
    agents: torch.Tensor
    """Of those that are looked at, [B, 8, agent_width]."""
    agent_states: torch.Tensor
    """[B, 8, 5]."""
    agent_weights: torch.Tensor
    """How surely there is a vehicle, 0 to 1, [B, 8]."""
    status: torch.Tensor
    """[B, 8]."""

    def repeated(self, times: int) -> 'Surroundings':
        """Return every scene so many times in a row, [B * times, ...]."""
        return Surroundings(*(tensor.repeat_interleave(times, dim=0) for tensor in self))


class PlanEncoder(nn.Module):
    """
    What a plan meets, as one vector.

    :param bev_width: channels of the view's BEV map
    :param view_width: of the view's queries
    :param width: of the encoding
    """

    def __init__(self, bev_width: int, view_width: int, width: int):
        super().__init__()
        map_width, agent_width, pose_width = width // 4, width // 4, width // 2
        self.map_proj = nn.Conv2d(bev_width, map_width, 1)
        self.context_proj = nn.Sequential(nn.Linear(view_width + STATUS_SIZE, width), nn.ReLU())
        self.agent_proj = nn.Linear(view_width, agent_width)
        self.relation = nn.Linear(_RELATION, agent_width)
        self.relation_mlp = nn.Sequential(nn.ReLU(), nn.Linear(agent_width, agent_width),
                                          nn.ReLU())
        self.pose_mlp = nn.Sequential(
            nn.Linear(len(_PLACES_M) * map_width + agent_width + _MOTION + PLAN_POSES,
                      pose_width), nn.ReLU(), nn.Linear(pose_width, pose_width), nn.ReLU())
        self.plan_mlp = nn.Sequential(nn.Linear(PLAN_POSES * pose_width + width, 2 * width),
                                      nn.ReLU(), nn.Linear(2 * width, width))

    def surroundings(self, view: SceneView) -> Surroundings:
        """Project a view for :meth:`forward`."""
        weights, sure = view.agent_logits.sigmoid().topk(min(AGENTS_MET, view.agents.shape[1]))
        rows = torch.arange(len(sure), device=sure.device)[:, None]
        return Surroundings(
            self.map_proj(view.bev_map),
            self.context_proj(torch.cat([view.ego, _scaled_status(view.status)], dim=-1)),
            self.agent_proj(view.agents[rows, sure]), view.agent_states[rows, sure], weights,
            view.status)

    def forward(self, surroundings: Surroundings, plans: torch.Tensor,
                root: torch.Tensor) -> torch.Tensor:
        """
        Encode N plans of each scene, [B, N, width].

        :param plans: [B, N, 8, 3], x m, y m, heading rad
        :param root: the plan that they are alternatives to, [B, 8, 3]
        """
        plans, root = plans.float(), root.float()
        cos, sin = plans[..., 2].cos(), plans[..., 2].sin()
        seen = self._seen(surroundings.values, plans, cos, sin)
        met = self._met(surroundings, plans, cos, sin)
        motion = _motion(plans, root, cos, sin, surroundings.status)
        time = torch.eye(PLAN_POSES, device=plans.device).expand(*plans.shape[:2], -1, -1)
        poses = self.pose_mlp(torch.cat([seen, met, motion, time], dim=-1))
        context = surroundings.context[:, None].expand(-1, plans.shape[1], -1)
        return self.plan_mlp(torch.cat([poses.flatten(2), context], dim=-1))

    def _seen(self, values: torch.Tensor, plans: torch.Tensor, cos: torch.Tensor,
              sin: torch.Tensor) -> torch.Tensor:
        """Sample the map around the car at each pose, [B, N, 8, places * map_width]."""
        ahead, left = plans.new_tensor(_PLACES_M).unbind(-1)
        cos, sin = cos[..., None], sin[..., None]
        points = torch.stack([plans[..., 0, None] + cos * ahead - sin * left,
                              plans[..., 1, None] + sin * ahead + cos * left], dim=-1)
        return sample_bev(values, points).flatten(3)

    def _met(self, surroundings: Surroundings, plans: torch.Tensor, cos: torch.Tensor,
             sin: torch.Tensor) -> torch.Tensor:
        """Look at the other vehicles from each pose, [B, N, 8, agent_width]."""
        states = surroundings.agent_states[:, None, None]
        away = states[..., :2] - plans[..., None, :2]
        cos, sin = cos[..., None], sin[..., None]
        turned = states[..., 2] - plans[..., None, 2]
        ahead = cos * away[..., 0] + sin * away[..., 1]
        left = cos * away[..., 1] - sin * away[..., 0]
        sizes = states[..., 3:].expand(*ahead.shape, 2) / _LENGTH_M
        relation = torch.cat([
            torch.stack([ahead / _LENGTH_M, left / _LENGTH_M, (ahead / 3.0).tanh(),
                         (left / 3.0).tanh(), turned.cos(), turned.sin(),
                         torch.hypot(ahead, left) / _LENGTH_M], dim=-1), sizes], dim=-1)
        met = self.relation_mlp(self.relation(relation)
                                + surroundings.agents[:, None, None])
        return (met * surroundings.agent_weights[:, None, None, :, None]).amax(dim=-2)


def _motion(plans: torch.Tensor, root: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor,
            status: torch.Tensor) -> torch.Tensor:
    """Return how a plan moves and how it differs from the root, [B, N, 8, 11]."""
    knots = torch.cat([torch.zeros_like(plans[..., :1, :]), plans], dim=-2)
    steps = knots.diff(dim=-2)
    now = status[:, 4].float()
    speed = steps[..., :2].norm(dim=-1) / PLAN_STEP_S
    speeds = torch.cat([now[:, None, None].expand(*plans.shape[:2], 1), speed], dim=-1)
    away = plans - root[:, None]
    return torch.stack([plans[..., 0] / _LENGTH_M, plans[..., 1] / _LENGTH_M, cos, sin,
                        speed / _SPEED_MPS, speeds.diff(dim=-1) / PLAN_STEP_S / 3.0,
                        steps[..., 2] * 3.0, away[..., 0] / 3.0, away[..., 1],
                        away[..., 2].sin() * 3.0,
                        (steps[..., 1].atan2(steps[..., 0] + 1e-3) - plans[..., 2]).sin()
                        * (speed / (speed + 1.0))], dim=-1)


def _scaled_status(status: torch.Tensor) -> torch.Tensor:
    return status.float() / status.new_tensor([1.0] * 4 + [_SPEED_MPS] * 2 + [3.0] * 2)
