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

"""NAVSIM's blind control: a plan from the ego status alone, without a look at the road."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.features import STATUS_FEATURE, STATUS_SIZE
from pair_drive_ros.models.policy import check_features, ImitationPolicy, TensorSpec
import torch
from torch import nn


@dataclass(frozen=True)
class EgoStatusConfig:
    """Size of the network; the default is the devkit's."""

    width: int = 512
    """Hidden width of the three hidden layers."""


class EgoStatus(ImitationPolicy):
    """The devkit's EgoStatusMLP: what imitation reaches by momentum and command alone."""

    architecture: ClassVar[str] = 'ego_status'
    config_class: ClassVar[type] = EgoStatusConfig

    def __init__(self, config: EgoStatusConfig | None = None):
        super().__init__(config)
        self.feature_spec = {STATUS_FEATURE: TensorSpec((STATUS_SIZE,))}
        width = self.config.width
        self.mlp = nn.Sequential(
            nn.Linear(STATUS_SIZE, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, PLAN_POSES * 3))

    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """
        Poses [B, 8, 3] (x m, y m, heading rad) at 0.5 s steps in ``base_link``.

        :raises FeatureError: when the features do not match ``feature_spec``
        """
        check_features(features, self.feature_spec)
        return self.mlp(features[STATUS_FEATURE]).unflatten(-1, (PLAN_POSES, 3))
