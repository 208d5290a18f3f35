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
DiffusionDrive as on NAVSIM: TransFuser's perception and twenty plans by truncated diffusion.

Liao et al., DiffusionDrive: Truncated Diffusion Model for End-to-End Autonomous Driving, CVPR
2025. The defaults of :class:`DiffusionDriveConfig` are that network (60.72 M parameters, 4.95 M
of them in the trajectory head).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pair_drive_ros.models.diffusion_head import DiffusionHead
from pair_drive_ros.models.losses import auxiliary_terms, AuxiliaryWeights
from pair_drive_ros.models.modes import Modes
from pair_drive_ros.models.perception import TransfuserPerception
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.models.transfuser_config import TransfuserConfig, TransfuserError
import torch
from torch import nn
from torch.nn import functional

TRAJECTORY_WEIGHT = 96.0
AUXILIARY_WEIGHTS = AuxiliaryWeights(agent_labels=10.0, agent_states=1.0, bev_semantic_map=14.0)


@dataclass(frozen=True)
class DiffusionDriveConfig(TransfuserConfig):
    """
    TransFuser's sizes and those of the trajectory head.

    :raises TransfuserError: as TransFuser's, or when the BEV feature or the mode's weight is 0,
        or the modes' agreement below 0
    :raises DiffusionHeadError: by the network, when ``decoder_width`` is no multiple of 16
    """

    seed: int = 0
    """Of the noise from which every plan starts: plans are deterministic."""
    bev_feature_width: int = 256
    """Channels of the BEV feature that the plans look at."""
    mode_weight: float = 120.0
    """Of the focal loss of the modes' logits, above 0."""
    offsets_from_anchors: bool = False
    """Whether the head moves the anchors; else the noisy points, whose noise it must take out."""
    mode_agreement: float = 0.0
    """The plan is the mean of the modes this close to the best one, m; 0: the best one alone."""

    @classmethod
    def mini(cls, **changes: Any) -> 'DiffusionDriveConfig':
        """Return the network that trains on a CPU; see :meth:`TransfuserConfig.mini`."""
        return super().mini(**{'bev_feature_width': 64, 'mode_weight': 960.0,
                               'offsets_from_anchors': True, 'mode_agreement': 1.0,
                               **changes})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bev_feature_width < 1:
            raise TransfuserError('bev_feature_width: expected 1 or more, got '
                                  f'{self.bev_feature_width}')
        if not self.mode_weight > 0.0:
            raise TransfuserError(f'mode_weight: expected more than 0, got {self.mode_weight}')
        if not self.mode_agreement >= 0.0:
            raise TransfuserError('mode_agreement: expected 0 or more, got '
                                  f'{self.mode_agreement}')


class DiffusionDrive(TransfuserPerception, ImitationPolicy):
    """
    The imitation policy DiffusionDrive.

    Before it can learn or plan its anchors must be set; a checkpoint brings them along.
    """

    architecture: ClassVar[str] = 'diffusion_drive'
    config_class: ClassVar[type] = DiffusionDriveConfig

    def __init__(self, config: DiffusionDriveConfig | None = None):
        super().__init__(config)
        width = self.config.decoder_width
        feature_width = self.config.bev_feature_width
        self.bev_proj = nn.Sequential(nn.Linear(width + self.config.bev_width, feature_width),
                                      nn.ReLU(inplace=True), nn.LayerNorm(feature_width))
        self.trajectory_head = DiffusionHead(width, self.config.decoder_ffn, feature_width,
                                             self.config.seed, self.config.offsets_from_anchors)

    def set_anchors(self, anchors: torch.Tensor) -> None:
        """
        Set the drives that the plans start from, see :meth:`DiffusionHead.set_anchors`.

        :param anchors: [20, 8, 2], x, y in m of eight poses at 0.5 s steps in ``base_link``
        :raises DiffusionHeadError: when the shape differs or a point is out of range
        """
        self.trajectory_head.set_anchors(anchors)

    def forward(self, features: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Plan, and predict what the auxiliary losses compare.

        :param features: as named and shaped by ``feature_spec``, with a batch axis in front
        :return: ``trajectory`` [B, 8, 3], see :meth:`plan`; ``modes`` [B, 20, 8, 3], all plans
            before any refinement, and their ``mode_logits`` [B, 20]; and what :meth:`auxiliary`
            returns
        :raises FeatureError: when the features do not match ``feature_spec``
        :raises DiffusionHeadError: when the anchors were never set
        """
        bev_map, bev_feature, queries = self.conditions(features)
        modes = self.trajectory_head.sample(queries[:, :1], queries[:, 1:], bev_feature)
        plan = self._plan(modes, queries, bev_map)
        return {'trajectory': plan, 'modes': modes.poses, 'mode_logits': modes.logits,
                **self.auxiliary(bev_map, queries[:, 1:])}

    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """
        Poses [B, 8, 3] (x m, y m, heading rad in (-pi, pi)) at 0.5 s steps in ``base_link``.

        Equals ``forward(features)['trajectory']`` without the work of the auxiliary heads.

        :raises FeatureError: when the features do not match ``feature_spec``
        :raises DiffusionHeadError: when the anchors were never set
        """
        bev_map, bev_feature, queries = self.conditions(features)
        modes = self.trajectory_head.sample(queries[:, :1], queries[:, 1:], bev_feature)
        return self._plan(modes, queries, bev_map)

    def loss(self, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Terms of the public loss, weighted: 12 trajectory, 10 and 1 agents, 14 BEV map.

        The trajectory's is in two terms: ``modes``, 10 times the focal loss of the logits (or
        what ``mode_weight`` makes of it), and ``trajectory``, 8 times L1, both summed over the
        head's layers. Where plans are refined, ``refined`` is as much of the plan after that of
        the mode that ``trajectory`` trains.

        :raises DiffusionHeadError: when the anchors were never set
        """
        bev_map, bev_feature, queries = self.conditions(features)
        losses = self.trajectory_head.losses(
            queries[:, :1], queries[:, 1:], bev_feature, targets['trajectory'])
        terms = {'modes': self.config.mode_weight * losses.modes,
                 'trajectory': TRAJECTORY_WEIGHT * losses.trajectory}
        if self.config.plan_refinement:
            refined = self.refined(losses.nearest, queries, bev_map)
            terms['refined'] = TRAJECTORY_WEIGHT * functional.l1_loss(refined,
                                                                      targets['trajectory'])
        return {**terms, **auxiliary_terms(self.auxiliary(bev_map, queries[:, 1:]), targets,
                                           AUXILIARY_WEIGHTS, self.config.lidar)}

    def conditions(self, features: Mapping[str, torch.Tensor]
                   ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Return what the heads look at.

        That is the BEV map [B, bev_width, rows, columns], the BEV feature [B,
        bev_feature_width, rows, columns] (the map joined with the decoder's cells), the queries.
        """
        percept = self.perceive(features)
        bev_map = self.bev_map(percept)
        context = functional.interpolate(
            percept.cells.transpose(1, 2).unflatten(2, self.config.cell_grid), bev_map.shape[2:],
            mode='bilinear', align_corners=False)
        joined = torch.cat([context, bev_map], dim=1)
        return bev_map, self.bev_proj(joined.movedim(1, -1)).movedim(-1, 1), percept.queries

    def refined(self, plan: torch.Tensor, queries: torch.Tensor,
                bev_map: torch.Tensor) -> torch.Tensor:
        """Refine a plan [B, 8, 3] where the configuration asks for it, see ``plan_refinement``."""
        if not self.config.plan_refinement:
            return plan
        return self.plan_refinement(plan, queries[:, 0], bev_map)

    def _plan(self, modes: Modes, queries: torch.Tensor, bev_map: torch.Tensor) -> torch.Tensor:
        return self.refined(modes.agreed(self.config.mode_agreement), queries, bev_map)
