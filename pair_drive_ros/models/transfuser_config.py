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

"""Sizes of TransFuser-like networks: the full one and a small one of the same build."""

from dataclasses import dataclass
from typing import Any

from pair_drive_ros.models.features import transfuser_spec
from pair_drive_ros.models.fusion import FUSION_HEADS
from pair_drive_ros.models.policy import FeatureSpec
from pair_drive_ros.models.resnet import RESNET34_BLOCKS

DECODER_HEADS = 8
STRIDE = 32
_MINI = {'image_height': 96, 'image_width': 384, 'lidar_bins': 128, 'base_width': 16,
         'stage_blocks': (1, 1, 2, 2), 'fusion_blocks': 1, 'bev_width': 64, 'decoder_width': 128,
         'decoder_layers': 2, 'decoder_ffn': 256, 'dropout': 0.0, 'ground_view': True,
         'feature_pyramid': True, 'bev_ahead': True, 'status_query': True, 'plan_refinement': True,
         'sensor_validity': True, 'sensor_dropout': 0.2}


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
    dropout: float = 0.1
    """Share of activations that the fusion transformers drop in training, 0 to 1."""
    lidar: bool = True
    """Whether the LiDAR is read; without it the network is NAVSIM's LTF, latent TransFuser."""
    ground_view: bool = False
    """Whether the LiDAR encoder also reads the cameras laid on the ground, see ``ground_view``."""
    feature_pyramid: bool = False
    """Whether the BEV map takes up what the finer stages see, and the decoder its finer cells."""
    bev_ahead: bool = False
    """Whether the semantics, which lie ahead, are read from the map's half ahead; else all of it
    is stretched over them, as in the devkit."""
    status_query: bool = False
    """Whether the ego's query begins with the status, instead of having to look for it."""
    plan_refinement: bool = False
    """Whether the BEV map along the plan moves the plan's poses, see ``plan_refinement``."""
    sensor_validity: bool = False
    """Whether the network is told which sensors are there, so that it can do without some."""
    sensor_dropout: float = 0.0
    """Share of training scenes that lose some of their sensors, 0 to 1; needs the validity."""

    @classmethod
    def mini(cls, **changes: Any) -> 'TransfuserConfig':
        """
        Return the network of 2.5 million parameters that trains on a CPU.

        :param changes: entries that differ from it
        """
        return cls(**{**_MINI, **changes})

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
        for name in ('dropout', 'sensor_dropout'):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise TransfuserError(f'{name}: expected a share from 0 to 1, got '
                                      f'{getattr(self, name)}')
        if self.sensor_dropout and not self.sensor_validity:
            raise TransfuserError('sensor_dropout: needs sensor_validity, without which the '
                                  'network cannot know that a sensor is missing')

    @property
    def feature_spec(self) -> FeatureSpec:
        """Names, shapes and dtypes of the features that the network reads."""
        return transfuser_spec(self.image_height, self.image_width, self.lidar_bins, self.lidar,
                               self.sensor_validity, self.ground_view)

    @property
    def image_grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens: the cells of the last stage's map."""
        return self.image_height // STRIDE, self.image_width // STRIDE

    @property
    def lidar_grid(self) -> tuple[int, int]:
        """Rows (forward) and columns (left) of LiDAR tokens: the last stage's map."""
        return self.lidar_bins // STRIDE, self.lidar_bins // STRIDE

    @property
    def cell_grid(self) -> tuple[int, int]:
        """Rows and columns of the cells that the decoder looks at."""
        rows, columns = self.lidar_grid
        return (2 * rows, 2 * columns) if self.feature_pyramid else (rows, columns)
