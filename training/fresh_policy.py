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

"""The policy that a run begins with: its configuration, and the weights that it does not draw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pair_drive_ros.models.anchors import read_anchors
from pair_drive_ros.models.architectures import load_policy, policy_class
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.models.pretrained import load_image_weights
import torch


class FreshPolicyError(ValueError):
    """A policy cannot be built as configured."""


def fresh_policy(name: str, preset: str, changes: Mapping[str, Any], *,
                 anchors: Path | None = None, init: Path | None = None,
                 image_weights: Path | None = None) -> ImitationPolicy:
    """
    Build a policy to train, on the CPU; weights come from torch's generator.

    :param name: of a policy that ships, or the import path of a class
    :param preset: ``full``, or ``mini`` where its configuration has one
    :param changes: entries of the configuration that differ from the preset's
    :param anchors: file of DiffusionDrive's anchors
    :param init: checkpoint to begin with, as far as names and shapes of its weights agree
    :param image_weights: ImageNet weights of a ResNet-34 for the image encoder
    :raises FreshPolicyError: when the policy has no such entry, no anchors, or no weight of the
        checkpoint
    :raises ArchitectureError, AnchorsError, CheckpointError, ForeignWeightsError: when there is no
        such policy or a file is not usable
    """
    found = policy_class(name)
    configure = found.config_class
    if preset == 'mini' and hasattr(configure, 'mini'):
        configure = configure.mini
    try:
        policy = found(configure(**changes))
    except TypeError as error:
        raise FreshPolicyError(f'model: does not fit {name} ({error})') from error
    if image_weights is not None:
        load_image_weights(policy, image_weights)
    if init is not None:
        _begin_with(policy, init)
    if anchors is not None:
        if not hasattr(policy, 'set_anchors'):
            raise FreshPolicyError(f'anchors: {name} has none; leave the option out')
        policy.set_anchors(torch.from_numpy(read_anchors(anchors)))
    return policy


def _begin_with(policy: ImitationPolicy, path: Path) -> None:
    """Copy the weights of a checkpoint that have a place in the policy."""
    given, _ = load_policy(path)
    own = policy.state_dict()
    shared = {name: tensor for name, tensor in given.state_dict().items()
              if name in own and own[name].shape == tensor.shape}
    if not shared:
        raise FreshPolicyError(f'init: {path} has no weight that {policy.architecture} has; name '
                               'the checkpoint of a related policy')
    policy.load_state_dict({**own, **shared})
