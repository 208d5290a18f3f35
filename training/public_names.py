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
Names of tensors in public checkpoints of NAVSIM's devkit and of DiffusionDrive.

There a policy is the attribute ``_transfuser_model`` of an agent, which Lightning holds as
``agent``. Attributes begin with an underscore where their author wrote one, at any depth:
``agent._transfuser_model._agent_head._mlp_states.0.weight`` is here
``agent_head.mlp_states.0.weight``, and ``agent._transfuser_model.bev_proj.0.weight`` is
``bev_proj.0.weight``. The image encoders are timm's with ``features_only``, which have no
classifier and no prefix of their own. So every tensor of the public TransFuser (668), LTF (669)
and DiffusionDrive (763) has one place here, and no place is left over.
"""

from collections.abc import Iterable, Mapping
import re

from pair_drive_ros.models.foreign_weights import ForeignWeightsError
import torch

_OUTER = re.compile(r'^(agent\.)?(_transfuser_model\.)?')
_UNDERSCORE = re.compile(r'(^|\.)_')
# What a file seems to be, by tensors that only it has; the first that fits.
_MARKS = (('DiffusionDrive', r'trajectory_head\.plan_anchor$'),
          ('LTF, the latent TransFuser', r'backbone\.lidar_latent$'),
          ('TransFuser', r'trajectory_head\.mlp\.'),
          ("the devkit's EgoStatusMLP, which is not imported", r'mlp\.0\.weight$'),
          ('an image encoder, which training may start from', r'layer1\.0\.conv1\.weight$'))


def own_name(public: str) -> str:
    """Return the name that a tensor of a public checkpoint has in this package."""
    return _UNDERSCORE.sub(r'\1', _OUTER.sub('', public))


def with_own_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """
    Rename the tensors of a public checkpoint.

    :raises ForeignWeightsError: when two of them get the same name
    """
    renamed: dict[str, torch.Tensor] = {}
    for public, tensor in tensors.items():
        name = own_name(public)
        if name in renamed:
            raise ForeignWeightsError(f'two tensors would both be {name}, one of them {public}; '
                                      'the file holds more than one network')
        renamed[name] = tensor
    return renamed


def seems_to_be(names: Iterable[str]) -> str:
    """Say what the network whose tensors have these names, own ones, seems to be."""
    names = list(names)
    for what, mark in _MARKS:
        if any(re.match(mark, name) for name in names):
            return what
    return 'no network that this package knows'
