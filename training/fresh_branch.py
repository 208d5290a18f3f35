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

"""The RL branch that a run begins with: its configuration, and the weights it does not draw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pair_drive_ros.models.architectures import load_policy
from pair_drive_ros.models.checkpoint import load_card, load_checkpoint
from pair_drive_ros.models.perception import TransfuserPerception
from pair_drive_ros.models.pretrained import load_image_weights
from pair_drive_ros.models.refiner import Refiner, RefinerConfig
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.models.tree_config import TreeConfig
import torch


class FreshBranchError(ValueError):
    """A branch cannot be built as configured."""


def fresh_refiner(preset: str, perception: Mapping[str, Any], tree: Mapping[str, Any],
                  init: Path | None, image_weights: Path | None = None) -> Refiner:
    """
    Build a refiner to train, on the CPU; weights come from torch's generator.

    :param preset: ``full`` or ``mini``
    :param perception: entries that differ from the preset's, ``tree`` from the tree's
    :param init: checkpoint to begin with: of a refiner, or of a policy with a perception whose
        weights have the same names and shapes. They are copied: none is shared
    :param image_weights: ImageNet weights of a ResNet-34 for the image encoder
    :raises FreshBranchError: when an entry is unknown or the checkpoint has no weight that fits
    :raises CheckpointError, ForeignWeightsError: when a file is not usable
    """
    try:
        config = (RefinerConfig.mini(perception, tree) if preset == 'mini'
                  else RefinerConfig(TransfuserConfig(**perception), TreeConfig(**tree)))
    except TypeError as error:
        raise FreshBranchError(f'perception, tree: do not fit ({error})') from error
    refiner = Refiner(config)
    if image_weights is not None:
        load_image_weights(refiner.perception, image_weights)
    if init is not None:
        _begin_with(refiner, init)
    return refiner


def begin_with_perception(perception: TransfuserPerception, path: Path) -> None:
    """
    Copy the weights of a policy's perception into another of the same sizes.

    :raises FreshBranchError: when a weight is missing or of another shape
    """
    policy, _ = load_policy(path)
    _copy(perception, policy.state_dict(), path)


def _begin_with(refiner: Refiner, path: Path) -> None:
    if load_card(path).architecture != Refiner.architecture:
        begin_with_perception(refiner.perception, path)
        return
    given, _ = load_checkpoint(path, Refiner)
    _copy(refiner, given.state_dict(), path)


def _copy(network: torch.nn.Module, given: Mapping[str, torch.Tensor], path: Path) -> None:
    own = network.state_dict()
    wrong = [name for name, tensor in own.items()
             if name not in given or given[name].shape != tensor.shape]
    if wrong:
        raise FreshBranchError(f'init: {path} does not fit: {len(wrong)} of {len(own)} weights '
                               f'are missing or of another shape, first {wrong[0]}; name a '
                               'checkpoint of the same sizes')
    network.load_state_dict({name: given[name] for name in own})
