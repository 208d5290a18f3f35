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
Offsets without a tree, the ablation of PaIR-Drive (arXiv 2603.13842), table 5 (a).

The leaves have the intentions of the tree's. All their offsets are decided at once, from the plan
as it comes: no leaf sees where its first steps lead, and none shares them with another.
"""

from pair_drive_ros.models.leaf_sampler import Decided, LeafSampler, OFFSETS
from pair_drive_ros.models.plan_encoder import Surroundings
from pair_drive_ros.models.tree_config import GROUPS, TreeConfig
from pair_drive_ros.models.tree_geometry import LEVELS
import torch
from torch import nn


class OffsetSampler(LeafSampler):
    """
    Moves plans by offsets, see :class:`LeafSampler`.

    :param bev_width: channels of the view's BEV map
    :param view_width: of the view's queries
    """

    def __init__(self, config: TreeConfig, bev_width: int, view_width: int):
        super().__init__(config, bev_width, view_width, GROUPS[config.group], shared=False)
        width = config.width
        self.plan_mlp = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.score_head = nn.Linear(width, config.group)
        self.offset_head = nn.Linear(width, LEVELS * config.group * OFFSETS)
        with torch.no_grad():
            for head in (self.score_head, self.offset_head):
                head.weight.mul_(0.1)
                head.bias.zero_()
            bias = self.offset_head.bias.view(LEVELS, config.group, OFFSETS)
            for index, level in enumerate(self.levels):
                bias[index] = self.first_offsets(level.intentions)

    def decide(self, index: int, surroundings: Surroundings, plans: torch.Tensor,
               root: torch.Tensor, memory: torch.Tensor | None) -> Decided:
        """Look at the scene once; leaves are chosen at the first level."""
        if memory is None:
            encoded = self.plan_mlp(self.encoder(surroundings, plans, root)[:, 0])
            offsets = self.offset_head(encoded).float()
            memory = offsets.unflatten(-1, (LEVELS, self.config.group, OFFSETS))
            log_probs = self.score_head(encoded).float().log_softmax(dim=-1)
        else:
            log_probs = root.new_zeros(len(root), self.config.group)
        return Decided(log_probs, memory[:, index], memory)
