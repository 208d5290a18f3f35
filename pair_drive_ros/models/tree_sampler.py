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
The tree-structured sampler of PaIR-Drive (arXiv 2603.13842): alternatives to a reference plan.

Leaves share the nodes of the intentions with which they begin. A node looks at the scene from the
plan as its parent has left it, and has a score for each of its children.
"""

import itertools
import math
from typing import NamedTuple

from pair_drive_ros.models.leaf_sampler import Decided, LeafSampler, OFFSETS, Tree
from pair_drive_ros.models.plan_encoder import Surroundings
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.tree_config import GROUPS, TreeConfig
from pair_drive_ros.models.tree_geometry import Intention, LEVELS
import torch
from torch import nn

_HEADS = 1 + OFFSETS


class _Memory(NamedTuple):
    """What nodes know of their parents, each [B, n, width]."""

    hidden: torch.Tensor
    told: torch.Tensor


class TreeSampler(LeafSampler):
    """
    Grows the tree, see :class:`LeafSampler`.

    :param bev_width: channels of the view's BEV map
    :param view_width: of the view's queries
    """

    def __init__(self, config: TreeConfig, bev_width: int, view_width: int):
        codes = ([''.join(code) for code in itertools.product('0123', repeat=LEVELS)]
                 if config.most_likely else GROUPS[config.group])
        super().__init__(config, bev_width, view_width, codes, shared=True)
        width = config.width
        self.level_embedding = nn.Embedding(LEVELS, width)
        self.intention_embedding = nn.Embedding(len(Intention) + 1, width)
        self.recurrence = nn.GRUCell(width, width)
        self.node_mlp = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        self.heads = nn.Linear(width, len(Intention) * _HEADS)
        with torch.no_grad():
            self.heads.weight.mul_(0.1)
            bias = self.heads.bias.view(len(Intention), _HEADS)
            bias[:, 0] = 0.0
            bias[:, 1:] = self.first_offsets(list(Intention))
        self.register_buffer('_codes', torch.tensor([[int(d) for d in c] for c in codes]),
                             persistent=False)

    def forward(self, view: SceneView, root: torch.Tensor,
                noise: torch.Tensor | None = None,
                drawn: torch.Tensor | None = None) -> Tree:
        """Grow a tree from each root, see :meth:`LeafSampler.forward`."""
        tree = super().forward(view, root, noise, drawn)
        return self._likeliest(tree) if self.config.most_likely else tree

    def decide(self, index: int, surroundings: Surroundings, plans: torch.Tensor,
               root: torch.Tensor, memory: _Memory | None) -> Decided:
        """Look at the scene from each parent; its children are four, those of a level some."""
        level = self.levels[index]
        if memory is None:
            memory = _Memory(surroundings.context[:, None],
                             self.intention_embedding.weight[-1].expand(len(root), 1, -1))
        encoded = (self.encoder(surroundings, plans, root) + memory.told
                   + self.level_embedding.weight[index])
        hidden = self.recurrence(encoded.flatten(0, 1),
                                 memory.hidden.expand_as(encoded).reshape(-1, encoded.shape[-1])
                                 ).view_as(encoded)
        heads = self.heads(self.node_mlp(torch.cat([encoded, hidden], dim=-1))).float()
        heads = heads.unflatten(-1, (len(Intention), _HEADS))
        scores = heads[..., 0].log_softmax(dim=-1)
        parents, intentions = level
        told = self.intention_embedding.weight[intentions].expand(len(root), -1, -1)
        return Decided(scores[:, parents, intentions], heads[:, parents, intentions, 1:],
                       _Memory(hidden[:, parents], told))

    def _likeliest(self, tree: Tree) -> Tree:
        """Keep the likeliest leaves, of which one at least brakes and one goes straight on."""
        count = self.config.group
        order = tree.log_probs.detach().argsort(dim=1, descending=True)
        chosen = order[:, :count].clone()
        brakes = (self._codes == Intention.BRAKE).any(dim=1)
        straight = (self._codes == Intention.GO).all(dim=1)
        for place, wanted in ((count - 1, brakes), (count - 2, straight)):
            lacks = ~wanted[chosen].any(dim=1)
            best = tree.log_probs.detach().masked_fill(~wanted, -math.inf).argmax(dim=1)
            chosen[:, place] = torch.where(lacks, best, chosen[:, place])
        rows = torch.arange(len(chosen), device=chosen.device)[:, None]
        return tree._replace(leaves=tree.leaves[rows, chosen],
                             log_probs=tree.log_probs[rows, chosen], paths=tree.paths[chosen])
