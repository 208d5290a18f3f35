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

"""The candidates among which the selector picks: a plan and what a generator makes of it."""

from typing import NamedTuple

from pair_drive_ros.models.flat_sampler import flat_leaves
from pair_drive_ros.models.leaf_sampler import LeafSampler, Tree
from pair_drive_ros.models.scene_view import SceneView
import torch

# The trained tree; its likeliest leaves of all 256 instead of its path codes; the same tree as it
# was drawn, its control; and no tree at all.
GENERATORS = ('tree', 'likeliest', 'untrained', 'flat')
_UNTRAINED_SEED = 0


class Candidates(NamedTuple):
    """K plans in each of B scenes, first the one that the others are made from."""

    plans: torch.Tensor
    """[B, K, 8, 3], x m, y m, heading rad."""
    log_probs: torch.Tensor
    """Of the leaves among the leaves, as the tree sees them; 0 for the first, [B, K]."""


def generate(generator: str, tree: LeafSampler, view: SceneView,
             root: torch.Tensor) -> Candidates:
    """
    Make the candidates of each root.

    :param generator: one of :data:`GENERATORS`
    :param tree: that grows them; for ``flat`` it is not asked
    :param root: [B, 8, 3]
    """
    if generator == 'flat':
        leaves = flat_leaves(root.float())
        return _joined(root, leaves, leaves.new_zeros(leaves.shape[:2]))
    return of_tree(root, tree(view, root))


def of_tree(root: torch.Tensor, tree: Tree) -> Candidates:
    """Put a root [B, 8, 3] before the leaves of its tree."""
    return _joined(root, tree.leaves, tree.log_probs)


def tree_of(generator: str, tree: LeafSampler) -> LeafSampler:
    """Return the tree that a generator grows, given the trained one."""
    if generator == 'untrained':
        return tree.fresh(_UNTRAINED_SEED).to(next(tree.parameters()).device).eval()
    if generator == 'likeliest':
        return tree.likeliest().eval()
    return tree


def _joined(root: torch.Tensor, leaves: torch.Tensor, log_probs: torch.Tensor) -> Candidates:
    relative = log_probs.log_softmax(dim=1)
    return Candidates(torch.cat([root[:, None].float(), leaves], dim=1),
                      torch.cat([torch.zeros_like(relative[:, :1]), relative], dim=1))
