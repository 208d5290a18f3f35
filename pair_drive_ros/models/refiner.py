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

"""The generating half of the RL branch: its own perception, and the tree around a plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pair_drive_ros.models.features import STATUS_FEATURE
from pair_drive_ros.models.offset_sampler import OffsetSampler
from pair_drive_ros.models.perception import TransfuserPerception
from pair_drive_ros.models.policy import Network
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.models.tree_config import TreeConfig
from pair_drive_ros.models.tree_sampler import TreeSampler
import torch


@dataclass(frozen=True)
class RefinerConfig:
    """
    Sizes of the perception and the shape of the tree.

    :raises TransfuserError, TreeError: when an entry is out of range
    """

    perception: TransfuserConfig = field(default_factory=TransfuserConfig)
    tree: TreeConfig = field(default_factory=TreeConfig)

    @classmethod
    def mini(cls, perception: Mapping[str, Any] | None = None,
             tree: Mapping[str, Any] | None = None) -> 'RefinerConfig':
        """
        Return the branch that trains on a CPU.

        :param perception: entries that differ from :meth:`TransfuserConfig.mini`
        :param tree: entries that differ from :class:`TreeConfig`
        """
        return cls(TransfuserConfig.mini(**{'plan_refinement': False, **(perception or {})}),
                   TreeConfig(**(tree or {})))

    def __post_init__(self) -> None:
        # A checkpoint's card knows only what JSON knows.
        for name, kind in (('perception', TransfuserConfig), ('tree', TreeConfig)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, kind(**value))


class ScenePerception(TransfuserPerception):
    """TransFuser's perception, ending in what candidates look at."""

    def view(self, features: Mapping[str, torch.Tensor]) -> SceneView:
        """
        Encode a scene.

        :param features: as named and shaped by ``feature_spec``, with a batch axis in front
        :raises FeatureError: when the features do not match ``feature_spec``
        """
        percept = self.perceive(features)
        states, logits = self.agent_head(percept.queries[:, 1:])
        return SceneView(self.bev_map(percept), percept.queries[:, 0], features[STATUS_FEATURE],
                         percept.queries[:, 1:], states, logits)


class Refiner(Network):
    """
    The RL branch: grows alternatives to any plan; it knows nothing of where the plan comes from.

    Its encoders are its own: no weight is shared with an imitation policy.
    """

    architecture: ClassVar[str] = 'pair_drive_refiner'
    config_class: ClassVar[type] = RefinerConfig

    def __init__(self, config: RefinerConfig | None = None):
        super().__init__(config)
        perception = self.config.perception
        self.perception = ScenePerception(perception)
        self.feature_spec = self.perception.feature_spec
        sampler = OffsetSampler if self.config.tree.flat else TreeSampler
        self.tree = sampler(self.config.tree, perception.bev_width, perception.decoder_width)

    def view(self, features: Mapping[str, torch.Tensor]) -> SceneView:
        """Encode a scene, see :meth:`ScenePerception.view`."""
        return self.perception.view(features)
