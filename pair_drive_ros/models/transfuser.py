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
TransFuser as NAVSIM uses it: cameras and LiDAR in, trajectory, agents and a BEV map out.

Chitta et al., TransFuser, PAMI 2023; sizes and heads of NAVSIM's devkit agent. The defaults of
:class:`TransfuserConfig` are that network (55.97 M parameters, 52.06 M of them in the backbone).
"""

from collections.abc import Mapping
import math
from typing import ClassVar

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.losses import auxiliary_terms, AuxiliaryWeights
from pair_drive_ros.models.perception import TransfuserPerception
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.models.transfuser_config import TransfuserConfig
import torch
from torch import nn
from torch.nn import functional

TRAJECTORY_WEIGHT = 10.0
AUXILIARY_WEIGHTS = AuxiliaryWeights(agent_labels=10.0, agent_states=1.0, bev_semantic_map=10.0)


class TrajectoryHead(nn.Module):
    """Eight poses from one query; the heading is pi * tanh."""

    def __init__(self, width: int, ffn: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, ffn), nn.ReLU(),
                                 nn.Linear(ffn, PLAN_POSES * 3))

    def forward(self, query: torch.Tensor) -> torch.Tensor:
        """Decode the ego query [B, width] to poses [B, 8, 3] (x m, y m, heading rad)."""
        raw = self.mlp(query).unflatten(-1, (PLAN_POSES, 3))
        return torch.cat([raw[..., :2], math.pi * raw[..., 2:].tanh()], dim=-1)


class Transfuser(TransfuserPerception, ImitationPolicy):
    """The imitation policy TransFuser, and LTF where its configuration has no LiDAR."""

    architecture: ClassVar[str] = 'transfuser'

    def __init__(self, config: TransfuserConfig | None = None):
        super().__init__(config)
        self.trajectory_head = TrajectoryHead(self.config.decoder_width, self.config.decoder_ffn)

    def forward(self, features: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Predict everything the training losses compare.

        :param features: as named and shaped by ``feature_spec``, with a batch axis in front
        :return: ``trajectory`` [B, 8, 3], see :meth:`plan`, ``unrefined``, what it was before its
            refinement where there is one, and what :meth:`auxiliary` returns
        :raises FeatureError: when the features do not match ``feature_spec``
        """
        percept = self.perceive(features)
        bev_map = self.bev_map(percept)
        outputs = self.auxiliary(bev_map, percept.queries[:, 1:])
        ego = percept.queries[:, 0]
        outputs['trajectory'] = self.trajectory_head(ego)
        if self.config.plan_refinement:
            outputs['unrefined'] = outputs['trajectory']
            outputs['trajectory'] = self.plan_refinement(outputs['unrefined'], ego, bev_map)
        return outputs

    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """
        Poses [B, 8, 3] (x m, y m, heading rad in (-pi, pi)) at 0.5 s steps in ``base_link``.

        Equals ``forward(features)['trajectory']`` without the work of the auxiliary heads.

        :raises FeatureError: when the features do not match ``feature_spec``
        """
        percept = self.perceive(features)
        ego = percept.queries[:, 0]
        plan = self.trajectory_head(ego)
        if self.config.plan_refinement:
            plan = self.plan_refinement(plan, ego, self.bev_map(percept))
        return plan

    def loss(self, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Terms of the devkit's loss, weighted: 10 trajectory, 10 and 1 agents, 10 BEV map.

        A plan that is refined learns as much before its refinement, ``unrefined``, as after it.
        """
        outputs = self(features)
        plans = {name: TRAJECTORY_WEIGHT * functional.l1_loss(outputs[name].float(),
                                                              targets['trajectory'])
                 for name in ('trajectory', 'unrefined') if name in outputs}
        return {**plans,
                **auxiliary_terms(outputs, targets, AUXILIARY_WEIGHTS, self.config.lidar)}
