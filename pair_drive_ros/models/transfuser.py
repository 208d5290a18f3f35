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

Attribute names are those of the devkit without its leading underscores, so that a public
checkpoint's ``_backbone.transformers.0.blocks.1.attn.key.weight`` is this module's
``backbone.transformers.0.blocks.1.attn.key.weight``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import ClassVar

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.features import (
    CAMERA_FEATURE,
    LIDAR_FEATURE,
    LIDAR_RANGE_M,
    STATUS_FEATURE,
    STATUS_SIZE,
    transfuser_spec,
)
from pair_drive_ros.models.fusion import FUSION_HEADS, FusionTransformer
from pair_drive_ros.models.policy import check_features, ImitationPolicy
from pair_drive_ros.models.resnet import ResNet, RESNET34_BLOCKS
import torch
from torch import nn
from torch.nn import functional

AGENTS = 30
AGENT_STATE = 5
BEV_CLASSES = 7
DECODER_HEADS = 8
STRIDE = 32


class TransfuserError(ValueError):
    """A configuration describes a network that cannot be built."""


@dataclass(frozen=True)
class TransfuserConfig:
    """
    What differs between the full network (the defaults) and a small one.

    :raises TransfuserError: when a size does not fit the network's strides or heads
    """

    image_height: int = 256
    """Rows of the stitched camera image; a multiple of 32."""
    image_width: int = 1024
    """Columns of the stitched camera image; a multiple of 64."""
    lidar_bins: int = 256
    """Cells along each side of the LiDAR histogram: a power of two, 64 or more."""
    base_width: int = 64
    """Channels of both ResNets' first stage, a multiple of 4; later stages: 2, 4, 8 times."""
    stage_blocks: tuple[int, ...] = RESNET34_BLOCKS
    """Basic blocks in each of the four stages of both ResNets."""
    fusion_blocks: int = 2
    """Blocks of each of the four fusion transformers."""
    bev_width: int = 64
    """Channels of the BEV map from which the semantics are read."""
    decoder_width: int = 256
    """Width of the queries and of the tokens they look at; a multiple of 8."""
    decoder_layers: int = 3
    """Layers of the query decoder."""
    decoder_ffn: int = 1024
    """Hidden width of the decoder's and the heads' MLPs."""

    def __post_init__(self) -> None:
        # A card is JSON, which knows no tuple.
        object.__setattr__(self, 'stage_blocks', tuple(self.stage_blocks))
        if len(self.stage_blocks) != 4:
            raise TransfuserError(f'stage_blocks: expected four counts, got {self.stage_blocks}')
        for name, divisor in (('image_height', STRIDE), ('image_width', 2 * STRIDE),
                              ('base_width', FUSION_HEADS), ('decoder_width', DECODER_HEADS)):
            value = getattr(self, name)
            if value <= 0 or value % divisor:
                raise TransfuserError(f'{name}: expected a multiple of {divisor}, got {value}')
        if self.lidar_bins < 2 * STRIDE or self.lidar_bins & (self.lidar_bins - 1):
            raise TransfuserError(f'lidar_bins: expected a power of two from {2 * STRIDE} on, '
                                  f'got {self.lidar_bins}')

    @property
    def image_grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens: the cells of the last stage's map."""
        return self.image_height // STRIDE, self.image_width // STRIDE

    @property
    def lidar_grid(self) -> tuple[int, int]:
        """Rows (forward) and columns (left) of LiDAR tokens: the last stage's map."""
        return self.lidar_bins // STRIDE, self.lidar_bins // STRIDE


class TransfuserBackbone(nn.Module):
    """
    Two ResNets that are fused after each of their four stages.

    Both maps are average-pooled to token grids, pass the fusion transformer together, are
    upsampled bilinearly and added back; 1x1 convolutions take the LiDAR tokens to the image's
    space and back.
    """

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        self.image_encoder = ResNet(3, config.base_width, config.stage_blocks)
        self.lidar_encoder = ResNet(1, config.base_width, config.stage_blocks)
        widths = self.image_encoder.stage_widths
        self.avgpool_img = nn.AdaptiveAvgPool2d(config.image_grid)
        self.avgpool_lidar = nn.AdaptiveAvgPool2d(config.lidar_grid)
        self.transformers = nn.ModuleList(
            FusionTransformer(width, config.image_grid, config.lidar_grid, config.fusion_blocks)
            for width in widths)
        self.lidar_channel_to_img = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        self.img_channel_to_lidar = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        self.c5_conv = nn.Conv2d(widths[-1], config.bev_width, 1)
        self.up_conv5 = nn.Conv2d(config.bev_width, config.bev_width, 3, padding=1)
        self.up_conv4 = nn.Conv2d(config.bev_width, config.bev_width, 3, padding=1)
        self.bev_size = (config.lidar_bins // 4, config.lidar_bins // 4)

    def forward(self, image: torch.Tensor, lidar: torch.Tensor) -> torch.Tensor:
        """
        Encode both sensors and return the fused LiDAR map, [B, 512, 8, 8] at full size.

        :param image: [B, 3, image_height, image_width], 0..1
        :param lidar: [B, 1, lidar_bins, lidar_bins], 0..1; rows x forward, columns y left
        """
        image, lidar = self.image_encoder.stem(image), self.lidar_encoder.stem(lidar)
        stages = zip(self.image_encoder.stages, self.lidar_encoder.stages, self.transformers,
                     self.lidar_channel_to_img, self.img_channel_to_lidar, strict=True)
        for image_stage, lidar_stage, transformer, to_image, to_lidar in stages:
            image, lidar = image_stage(image), lidar_stage(lidar)
            image_update, lidar_update = transformer(self.avgpool_img(image),
                                                     to_image(self.avgpool_lidar(lidar)))
            image = image + _resize(image_update, image.shape[2:])
            lidar = lidar + _resize(to_lidar(lidar_update), lidar.shape[2:])
        return lidar

    def bev_map(self, fused: torch.Tensor) -> torch.Tensor:
        """Refine the fused map top-down to [B, bev_width, lidar_bins / 4, lidar_bins / 4]."""
        x = functional.relu(self.c5_conv(fused))
        x = functional.relu(self.up_conv5(functional.interpolate(
            x, scale_factor=2.0, mode='bilinear', align_corners=False)))
        return functional.relu(self.up_conv4(_resize(x, self.bev_size)))


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


class Transfuser(ImitationPolicy):
    """
    The imitation policy TransFuser.

    Key/values of the decoder are the cells of the fused LiDAR map and one token of the ego
    status; its queries are the ego's and those of 30 agents.
    """

    architecture: ClassVar[str] = 'transfuser'
    config_class: ClassVar[type] = TransfuserConfig

    def __init__(self, config: TransfuserConfig):
        super().__init__(config)
        self.feature_spec = transfuser_spec(config.image_height, config.image_width,
                                            config.lidar_bins)
        width, ffn = config.decoder_width, config.decoder_ffn
        self.backbone = TransfuserBackbone(config)
        cells = config.lidar_grid[0] * config.lidar_grid[1]
        self.keyval_embedding = nn.Embedding(cells + 1, width)
        self.query_embedding = nn.Embedding(1 + AGENTS, width)
        self.bev_downscale = nn.Conv2d(8 * config.base_width, width, 1)
        self.status_encoding = nn.Linear(STATUS_SIZE, width)
        self.bev_semantic_head = nn.Sequential(
            nn.Conv2d(config.bev_width, config.bev_width, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(config.bev_width, BEV_CLASSES, 1),
            nn.Upsample((config.lidar_bins // 2, config.lidar_bins), mode='bilinear'))
        self.tf_decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(width, DECODER_HEADS, ffn, dropout=0.0, batch_first=True),
            config.decoder_layers)
        self.agent_head = AgentHead(width, ffn)
        self.trajectory_head = TrajectoryHead(width, ffn)

    def forward(self, features: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Predict everything the training losses compare (sizes in brackets at full size).

        :param features: as named and shaped by ``feature_spec``, with a batch axis in front
        :return: ``trajectory`` [B, 8, 3], see :meth:`plan`; ``agent_states`` [B, 30, 5] and
            ``agent_labels`` [B, 30] logits, see :class:`AgentHead`; ``bev_semantic_map`` logits
            [B, 7, 128, 256]: rows from the ego to 32 m ahead, columns from 32 m right to 32 m
            left, 0.25 m per cell; classes: background, road, walkway, centre line, static
            object, vehicle, pedestrian
        :raises FeatureError: when the features do not match ``feature_spec``
        """
        fused = self._fuse(features)
        queries = self._decode(fused, features[STATUS_FEATURE])
        agent_states, agent_labels = self.agent_head(queries[:, 1:])
        return {'trajectory': self.trajectory_head(queries[:, 0]),
                'agent_states': agent_states,
                'agent_labels': agent_labels,
                'bev_semantic_map': self.bev_semantic_head(self.backbone.bev_map(fused))}

    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """
        Poses [B, 8, 3] (x m, y m, heading rad in (-pi, pi)) at 0.5 s steps in ``base_link``.

        Equals ``forward(features)['trajectory']`` without the work of the auxiliary heads.

        :raises FeatureError: when the features do not match ``feature_spec``
        """
        return self.trajectory_head(self._decode(self._fuse(features),
                                                 features[STATUS_FEATURE])[:, 0])

    def _fuse(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        check_features(features, self.feature_spec)
        return self.backbone(features[CAMERA_FEATURE], features[LIDAR_FEATURE])

    def _decode(self, fused: torch.Tensor, status: torch.Tensor) -> torch.Tensor:
        """Return the decoded queries [B, 1 + 30, width]: ego first, then the agents."""
        cells = self.bev_downscale(fused).flatten(2).transpose(1, 2)
        keyval = torch.cat([cells, self.status_encoding(status)[:, None]], dim=1)
        keyval = keyval + self.keyval_embedding.weight
        queries = self.query_embedding.weight.expand(len(status), -1, -1)
        return self.tf_decoder(queries, keyval)


def _resize(x: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    return functional.interpolate(x, size=size, mode='bilinear', align_corners=False)
