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
TransFuser's backbone: an image and a LiDAR encoder that exchange what they see at four scales.

Chitta et al., TransFuser, PAMI 2023, in the form of NAVSIM's devkit. The masking of missing
sensors is ours.
"""

from collections.abc import Sequence

from pair_drive_ros.models.features import column_places
from pair_drive_ros.models.fusion import FusionTransformer
from pair_drive_ros.models.resnet import ResNet
from pair_drive_ros.models.transfuser_config import TransfuserConfig
import torch
from torch import nn
from torch.nn import functional


class TransfuserBackbone(nn.Module):
    """
    Two ResNets that are fused after each of their four stages.

    Both maps are average-pooled to token grids, pass the fusion transformer together, are
    upsampled bilinearly and added back; 1x1 convolutions take the LiDAR tokens to the image's
    space and back. Where there is no LiDAR a learned map, ``lidar_latent``, stands in for its
    histogram. With a ground view the LiDAR encoder reads the cameras' pictures of the ground
    beside the histogram: both are maps of the same cells.
    """

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        self.image_encoder = ResNet(3, config.base_width, config.stage_blocks)
        self.lidar_encoder = ResNet(4 if config.ground_view else 1, config.base_width,
                                    config.stage_blocks)
        widths = self.image_encoder.stage_widths
        self.avgpool_img = nn.AdaptiveAvgPool2d(config.image_grid)
        self.avgpool_lidar = nn.AdaptiveAvgPool2d(config.lidar_grid)
        self.transformers = nn.ModuleList(
            FusionTransformer(width, config.image_grid, config.lidar_grid, config.fusion_blocks,
                              config.dropout)
            for width in widths)
        self.lidar_channel_to_img = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        self.img_channel_to_lidar = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        self.c5_conv = nn.Conv2d(widths[-1], config.bev_width, 1)
        self.up_conv5 = nn.Conv2d(config.bev_width, config.bev_width, 3, padding=1)
        self.up_conv4 = nn.Conv2d(config.bev_width, config.bev_width, 3, padding=1)
        self.bev_size = (config.lidar_bins // 4, config.lidar_bins // 4)
        self._image_grid = config.image_grid
        self._lidar_cells = config.lidar_grid[0] * config.lidar_grid[1]
        if config.feature_pyramid:
            self.lateral4 = nn.Conv2d(widths[2], config.bev_width, 1)
            self.lateral2 = nn.Conv2d(widths[0], config.bev_width, 1)
        self._pyramid = config.feature_pyramid
        if config.sensor_validity or not config.lidar:
            self.lidar_latent = nn.Parameter(torch.randn(1, 1, config.lidar_bins,
                                                         config.lidar_bins))

    def forward(self, image: torch.Tensor, lidar: torch.Tensor | None,
                validity: torch.Tensor | None = None,
                ground: torch.Tensor | None = None) -> list[torch.Tensor]:
        """
        Encode both sensors and return the LiDAR maps of the four stages, fused.

        The last one is [B, 512, 8, 8] at full size, each before it has half the channels and
        twice the rows and columns.

        :param image: [B, 3, image_height, image_width], 0..1
        :param lidar: [B, 1, lidar_bins, lidar_bins], 0..1; rows x forward, columns y left; None
            for a network without
        :param validity: [B, S] of 1 and 0: left, front and right camera, and the LiDAR if it is
            read. What an invalid sensor's place holds has no influence
        :param ground: [B, 9, lidar_bins / 2, lidar_bins], 0..1: three colours of each camera; for
            a network with a ground view
        """
        visible = None
        if validity is not None:
            image = image * _columns(validity, image.shape[3])
            visible = self._visible_tokens(validity)
            if lidar is not None:
                lidar = torch.where(validity[:, 3, None, None, None] > 0.0, lidar,
                                    self.lidar_latent.to(lidar.dtype))
        if lidar is None:
            lidar = self.lidar_latent.expand(len(image), -1, -1, -1)
        if ground is not None:
            lidar = torch.cat([lidar, _whole_ground(ground, validity)], dim=1)
        image, lidar = self.image_encoder.stem(image), self.lidar_encoder.stem(lidar)
        stages = zip(self.image_encoder.stages, self.lidar_encoder.stages, self.transformers,
                     self.lidar_channel_to_img, self.img_channel_to_lidar, strict=True)
        maps = []
        for image_stage, lidar_stage, transformer, to_image, to_lidar in stages:
            image, lidar = image_stage(image), lidar_stage(lidar)
            image_update, lidar_update = transformer(self.avgpool_img(image),
                                                     to_image(self.avgpool_lidar(lidar)), visible)
            image = image + _resize(image_update, image.shape[2:])
            lidar = lidar + _resize(to_lidar(lidar_update), lidar.shape[2:])
            maps.append(lidar)
        return maps

    def cells(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """
        Refine the last of the maps of :meth:`forward` by one step, top-down.

        :return: [B, bev_width, lidar_bins / 16, lidar_bins / 16]
        """
        x = functional.interpolate(functional.relu(self.c5_conv(maps[3])), scale_factor=2.0,
                                   mode='bilinear', align_corners=False)
        if self._pyramid:
            x = x + self.lateral4(maps[2])
        return functional.relu(self.up_conv5(x))

    def bev_map(self, maps: Sequence[torch.Tensor], cells: torch.Tensor) -> torch.Tensor:
        """Refine the cells further, to [B, bev_width, lidar_bins / 4, lidar_bins / 4]."""
        x = _resize(cells, self.bev_size)
        if self._pyramid:
            x = x + self.lateral2(maps[0])
        return functional.relu(self.up_conv4(x))

    def _visible_tokens(self, validity: torch.Tensor) -> torch.Tensor:
        """Return which tokens may be looked at, bool [B, tokens]; the LiDAR map's always."""
        rows, columns = self._image_grid
        image = _columns(validity, columns).expand(-1, -1, rows, -1).flatten(1) > 0.0
        return torch.cat([image, image.new_ones(len(image), self._lidar_cells)], dim=1)


def _columns(validity: torch.Tensor, width: int) -> torch.Tensor:
    """Spread the cameras' validity over the columns of a stitched map, [B, 1, 1, width]."""
    counts = [place.stop - place.start for place in column_places(width)]
    return validity[:, :len(counts)].repeat_interleave(
        torch.tensor(counts, device=validity.device), dim=1, output_size=width)[:, None, None]


def _whole_ground(ground: torch.Tensor, validity: torch.Tensor | None) -> torch.Tensor:
    """Join the cameras' pictures to one of all cells, [B, 3, lidar_bins, lidar_bins]."""
    cameras = ground.unflatten(1, (-1, 3))
    if validity is not None:
        cameras = cameras * validity[:, :cameras.shape[1], None, None, None]
    # Behind the car, where the first half of the rows lies, these cameras see nothing.
    return functional.pad(cameras.amax(dim=1), (0, 0, ground.shape[2], 0))


def _resize(x: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    return functional.interpolate(x, size=size, mode='bilinear', align_corners=False)
