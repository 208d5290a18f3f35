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
The contract of networks and of imitation policies, and the description of what they read.

Any subclass of :class:`Network` can be saved and loaded, any :class:`ImitationPolicy` can be
trained and driven as well; nothing else in the package knows which network it is.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional


class FeatureError(ValueError):
    """Features are missing, have the wrong shape or dtype, or cannot be built from a frame."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape of one feature without the batch axis, and its dtype."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


FeatureSpec = Mapping[str, TensorSpec]


@dataclass(frozen=True)
class NoConfig:
    """The configuration of a policy that has nothing to configure."""


class Network(nn.Module):
    """
    A network that a checkpoint can hold.

    A subclass states ``feature_spec``, which names the features it reads, so that no other is ever
    built. The constructor takes one instance of the dataclass ``config_class``. ``architecture``
    names the class in checkpoint cards; by itself it is the import path ``package.module:Class``.
    """

    architecture: ClassVar[str]
    config_class: ClassVar[type] = NoConfig
    feature_spec: FeatureSpec

    def __init_subclass__(cls, **keywords: Any):
        super().__init_subclass__(**keywords)
        if 'architecture' not in vars(cls):
            cls.architecture = f'{cls.__module__}:{cls.__qualname__}'

    def __init__(self, config: Any = None):
        super().__init__()
        self.config = self.config_class() if config is None else config


class ImitationPolicy(Network, abc.ABC):
    """A network that turns features into a plan, :meth:`plan`, and learns from a human."""

    @abc.abstractmethod
    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Poses [B, 8, 3] (x m, y m, heading rad) at 0.5 s steps in ``base_link``."""

    def loss(self, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """
        Terms whose sum is minimised, each a scalar with its weight; by default L1 of the plan.

        :param targets: ``trajectory`` [B, 8, 3], the human's poses; ``agent_states`` [B, 30, 5],
            ``agent_labels`` bool [B, 30] and ``bev_semantic_map`` uint8 [B, 128, 256], which
            auxiliary heads learn from
        """
        return {'trajectory': functional.l1_loss(self.plan(features), targets['trajectory'])}


def check_features(features: Mapping[str, torch.Tensor], spec: FeatureSpec) -> None:
    """
    Compare features [B, ...] with what the network was built for.

    :raises FeatureError: on a missing feature, a wrong shape or dtype, or unequal batch sizes
    """
    missing = [name for name in spec if name not in features]
    if missing:
        raise FeatureError(f'the features {", ".join(missing)} are missing; '
                           f'given: {", ".join(features) or "none"}')
    for name, expected in spec.items():
        tensor = features[name]
        if tuple(tensor.shape[1:]) != expected.shape or tensor.dtype != expected.dtype:
            raise FeatureError(
                f'{name}: expected [B, {", ".join(map(str, expected.shape))}] {expected.dtype}, '
                f'got {list(tensor.shape)} {tensor.dtype}')
    batches = {name: len(features[name]) for name in spec}
    if len(set(batches.values())) > 1:
        raise FeatureError(f'the features disagree about the batch size: {batches}')
