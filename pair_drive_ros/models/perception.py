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
What TransFuser and DiffusionDrive share: perception, the decoder of queries, auxiliary heads.

Attribute names are those of the devkit without its leading underscores, so that a public
checkpoint's ``_backbone.transformers.0.blocks.1.attn.key.weight`` is this module's
``backbone.transformers.0.blocks.1.attn.key.weight``.
"""

from collections.abc import Mapping
import math
from typing import ClassVar, NamedTuple

from pair_drive_ros.models.features import (
    CAMERA_FEATURE,
    GROUND_FEATURE,
    LIDAR_FEATURE,
    LIDAR_RANGE_M,
    STATUS_FEATURE,
    STATUS_SIZE,
    VALIDITY_FEATURE,
)
from pair_drive_ros.models.plan_refinement import PlanRefinement
from pair_drive_ros.models.policy import check_features, Network
from pair_drive_ros.models.sensor_dropout import SensorDropout
from pair_drive_ros.models.transfuser_backbone import TransfuserBackbone
from pair_drive_ros.models.transfuser_config import DECODER_HEADS, TransfuserConfig
import torch
from torch import nn

AGENTS = 30
AGENT_STATE = 5
BEV_CLASSES = 7


class AgentHead(nn.Module):
    """Boxes of other vehicles, one for each query."""

    def __init__(self, width: int, ffn: int):
        super().__init__()
        self.mlp_states = nn.Sequential(nn.Linear(width, ffn), nn.ReLU(),
                                        nn.Linear(ffn, AGENT_STATE))
        self.mlp_label = nn.Sequential(nn.Linear(width, 1))

    def forward(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Decode the agent queries [B, 30, width].

        :return: states [B, 30, 5] = x, y (m, within +-32), heading (rad), length, width (m), and
            the logits [B, 30] that a query holds a vehicle
        """
        raw = self.mlp_states(queries)
        states = torch.cat([LIDAR_RANGE_M * raw[..., :2].tanh(), math.pi * raw[..., 2:3].tanh(),
                            raw[..., 3:]], dim=-1)
        return states, self.mlp_label(queries).squeeze(-1)


class Percept(NamedTuple):
    """What perception hands to a trajectory head."""

    maps: list[torch.Tensor]
    """The fused LiDAR maps of the backbone's four stages."""
    refined: torch.Tensor | None
    """The last of them refined by one step, where the decoder looks at that."""
    cells: torch.Tensor
    """Key/values of the decoder without the status, [B, cells, width]."""
    queries: torch.Tensor
    """The decoded queries [B, 1 + 30, width], the ego's first."""


class TransfuserPerception(Network):
    """
    Everything but the trajectory head, which subclasses add.

    Key/values of the decoder are the cells of the fused LiDAR map and one token of the ego
    status; its queries are the ego's and those of 30 agents.
    """

    config_class: ClassVar[type] = TransfuserConfig

    def __init__(self, config: TransfuserConfig | None = None):
        super().__init__(config)
        config = self.config
        self.feature_spec = config.feature_spec
        width, ffn = config.decoder_width, config.decoder_ffn
        self.backbone = TransfuserBackbone(config)
        self.keyval_embedding = nn.Embedding(math.prod(config.cell_grid) + 1, width)
        self.query_embedding = nn.Embedding(1 + AGENTS, width)
        self.bev_downscale = nn.Conv2d(
            config.bev_width if config.feature_pyramid else 8 * config.base_width, width, 1)
        self.status_encoding = nn.Linear(STATUS_SIZE, width)
        self.bev_semantic_head = nn.Sequential(
            nn.Conv2d(config.bev_width, config.bev_width, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(config.bev_width, BEV_CLASSES, 1),
            nn.Upsample((config.lidar_bins // 2, config.lidar_bins), mode='bilinear'))
        self.tf_decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(width, DECODER_HEADS, ffn, dropout=0.0, batch_first=True),
            config.decoder_layers)
        self.agent_head = AgentHead(width, ffn)
        if config.plan_refinement:
            self.plan_refinement = PlanRefinement(config.bev_width, width, ffn)
        if config.sensor_validity:
            sensors = self.feature_spec[VALIDITY_FEATURE].shape[0]
            self.validity_encoding = nn.Linear(sensors, width)
            self.sensor_dropout = SensorDropout(config.sensor_dropout)

    def perceive(self, features: Mapping[str, torch.Tensor]) -> Percept:
        """
        Encode the sensors and decode the queries.

        :param features: as named and shaped by ``feature_spec``, with a batch axis in front
        :raises FeatureError: when the features do not match ``feature_spec``
        """
        check_features(features, self.feature_spec)
        config = self.config
        validity = None
        if config.sensor_validity:
            validity = self.sensor_dropout(features[VALIDITY_FEATURE])
        maps = self.backbone(features[CAMERA_FEATURE],
                             features[LIDAR_FEATURE] if config.lidar else None, validity,
                             features[GROUND_FEATURE] if config.ground_view else None)
        status = self.status_encoding(features[STATUS_FEATURE])
        if validity is not None:
            status = status + self.validity_encoding(validity)
        refined = self.backbone.cells(maps) if config.feature_pyramid else None
        keyval = self.bev_downscale(maps[3] if refined is None else refined)
        keyval = keyval.flatten(2).transpose(1, 2)
        keyval = torch.cat([keyval, status[:, None]], dim=1) + self.keyval_embedding.weight
        queries = self.query_embedding.weight.expand(len(status), -1, -1)
        if config.status_query:
            queries = torch.cat([queries[:, :1] + status[:, None], queries[:, 1:]], dim=1)
        return Percept(maps, refined, keyval[:, :-1], self.tf_decoder(queries, keyval))

    def bev_map(self, percept: Percept) -> torch.Tensor:
        """Return the BEV map, [B, bev_width, lidar_bins / 4, lidar_bins / 4]."""
        refined = percept.refined
        if refined is None:
            refined = self.backbone.cells(percept.maps)
        return self.backbone.bev_map(percept.maps, refined)

    def auxiliary(self, bev_map: torch.Tensor, agent_queries: torch.Tensor
                  ) -> dict[str, torch.Tensor]:
        """
        Predict what is learned beside the trajectory (sizes in brackets at full size).

        :param bev_map: see :meth:`bev_map`
        :param agent_queries: [B, 30, width]
        :return: ``agent_states`` [B, 30, 5] and ``agent_labels`` [B, 30] logits, see
            :class:`AgentHead`; ``bev_semantic_map`` logits [B, 7, 128, 256]: rows from the ego to
            32 m ahead, columns from 32 m right to 32 m left, 0.25 m per cell; classes:
            background, road, walkway, centre line, static object, vehicle, pedestrian
        """
        agent_states, agent_labels = self.agent_head(agent_queries)
        if self.config.bev_ahead:
            bev_map = bev_map[:, :, bev_map.shape[2] // 2:]
        return {'agent_states': agent_states, 'agent_labels': agent_labels,
                'bev_semantic_map': self.bev_semantic_head(bev_map)}
