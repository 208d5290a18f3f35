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
Losses of the auxiliary heads, as in NAVSIM's devkit: agents after matching, and the BEV map.

Carion et al., End-to-End Object Detection with Transformers, 2020, for the matching.
"""

from collections.abc import Mapping
import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

# Without a LiDAR the sides are not seen: the devkit leaves out agents further off the axis.
CAMERA_ANGLE_RAD = 4.0 / 9.0 * math.pi


class LossError(ValueError):
    """Targets do not fit the network that is to learn from them."""


class AuxiliaryWeights(NamedTuple):
    """Weights of the terms; the first two are those of the matching's costs as well."""

    agent_labels: float
    agent_states: float
    bev_semantic_map: float


def auxiliary_terms(outputs: Mapping[str, torch.Tensor], targets: Mapping[str, torch.Tensor],
                    weights: AuxiliaryWeights, lidar: bool) -> dict[str, torch.Tensor]:
    """
    Weighted terms of what ``TransfuserPerception.auxiliary`` predicts.

    :param targets: ``agent_states`` [B, 30, 5], ``agent_labels`` bool [B, 30],
        ``bev_semantic_map`` integers [B, 128, 256]; of the map a smaller network takes every
        second or fourth cell
    :param lidar: whether the network sees agents beside it; otherwise those more than 80 degrees
        off the axis are no targets
    :raises LossError: when the map is no multiple of the prediction
    """
    truth = targets['agent_labels']
    if not lidar:
        bearing = torch.atan2(targets['agent_states'][..., 1], targets['agent_states'][..., 0])
        truth = truth & (bearing.abs() <= CAMERA_ANGLE_RAD)
    labels, states = _agent_losses(outputs['agent_states'].float(),
                                   outputs['agent_labels'].float(), targets['agent_states'],
                                   truth.float(), weights)
    bev = functional.cross_entropy(outputs['bev_semantic_map'].float(),
                                   _cells(targets['bev_semantic_map'],
                                          outputs['bev_semantic_map']))
    return {'agent_labels': weights.agent_labels * labels,
            'agent_states': weights.agent_states * states,
            'bev_semantic_map': weights.bev_semantic_map * bev}


def _agent_losses(states: torch.Tensor, logits: torch.Tensor, true_states: torch.Tensor,
                  truth: torch.Tensor, weights: AuxiliaryWeights
                  ) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of all matched labels, and L1 (summed over the state) a true agent."""
    with torch.no_grad():
        rows, columns = _matched(states, logits, true_states, truth, weights)
    truth = truth.gather(1, columns)
    true_states = true_states.gather(1, columns[..., None].expand_as(true_states))
    states = states.gather(1, rows[..., None].expand_as(states))
    distance = (states - true_states).abs().sum(dim=-1) * truth
    return (functional.binary_cross_entropy_with_logits(logits.gather(1, rows), truth),
            distance.sum() / truth.sum().clamp(min=1.0))


def _matched(states: torch.Tensor, logits: torch.Tensor, true_states: torch.Tensor,
             truth: torch.Tensor, weights: AuxiliaryWeights) -> tuple[torch.Tensor, torch.Tensor]:
    """Pair predictions with targets at the least cost: indices [B, 30] of both."""
    # Training alone needs scipy, the car does not.
    from scipy.optimize import linear_sum_assignment
    queries, agents = logits.shape[1], truth.shape[1]
    label_cost = functional.binary_cross_entropy_with_logits(
        logits[:, :, None].expand(-1, -1, agents), truth[:, None].expand(-1, queries, -1),
        reduction='none')
    place_cost = torch.cdist(states[..., :2], true_states[..., :2], p=1.0) * truth[:, None]
    cost = weights.agent_labels * label_cost + weights.agent_states * place_cost
    # Where a network says NaN any pairs will do: the loss is NaN, which is the caller's to see.
    pairs = np.array([linear_sum_assignment(scene)
                      for scene in np.nan_to_num(cost.cpu().numpy())])
    rows, columns = torch.from_numpy(pairs).to(states.device).unbind(1)
    return rows, columns


def _cells(target: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Take of the target map the cells that the predicted logits are for."""
    step = target.shape[1] // predicted.shape[2]
    cells = target[:, ::step, ::step] if step else target
    if cells.shape[1:] != predicted.shape[2:]:
        raise LossError(f'bev_semantic_map: a target of {list(target.shape[1:])} cells does not '
                        f'fit a network that predicts {list(predicted.shape[2:])}; set '
                        'lidar_bins to 256, 128 or 64')
    return cells.long()
