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
ResNet of basic blocks, with the parameter names of torchvision and timm.

He et al., Deep Residual Learning for Image Recognition, 2016. The names (``conv1``, ``bn1``,
``layer1.0.conv1``, ``layer2.0.downsample.0`` ...) let public ImageNet weights load as they are;
the classifier ``fc`` is left out, since only the maps are used.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

RESNET34_BLOCKS = (3, 4, 6, 3)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the first convolution carries the stride."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, in_channels, H, W] to [B, channels, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        return functional.relu(x + shortcut, inplace=True)


class ResNet(nn.Module):
    """
    The convolutional part of a ResNet; the defaults make a ResNet-34 (21.28 M parameters).

    :param in_channels: channels of the input image
    :param base_width: channels of the first stage; every later stage doubles them
    :param stage_blocks: number of basic blocks in each of the four stages
    """

    def __init__(self, in_channels: int, base_width: int = 64,
                 stage_blocks: Sequence[int] = RESNET34_BLOCKS):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, base_width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.stage_widths = tuple(base_width * 2 ** stage for stage in range(4))
        self.layer1 = _stage(base_width, self.stage_widths[0], stage_blocks[0], stride=1)
        self.layer2 = _stage(self.stage_widths[0], self.stage_widths[1], stage_blocks[1], stride=2)
        self.layer3 = _stage(self.stage_widths[1], self.stage_widths[2], stage_blocks[2], stride=2)
        self.layer4 = _stage(self.stage_widths[2], self.stage_widths[3], stage_blocks[3], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """Return the four stages, for networks that work between them."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, in_channels, H, W] to [B, base_width, H / 4, W / 4], the first stage's input."""
        return self.maxpool(functional.relu(self.bn1(self.conv1(x)), inplace=True))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the four stage maps, at 1/4, 1/8, 1/16 and 1/32 of the input's size."""
        maps = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def _stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(in_channels, channels, stride),
                         *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))
