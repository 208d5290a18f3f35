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

"""The RL branch at run time: a tree around a plan, and the selector that picks from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pair_drive_ros.models.candidates import generate, tree_of
from pair_drive_ros.models.checkpoint import Card, load_checkpoint
from pair_drive_ros.models.policy import FeatureSpec
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.selector import Selector
import torch
from torch import nn


class BranchError(ValueError):
    """A refiner and a selector do not belong together."""


class BranchView(NamedTuple):
    """What the branch sees of B scenes: the tree's view, and the selector's."""

    tree: SceneView
    selector: SceneView


class Refinement(NamedTuple):
    """K candidates in each of B scenes, the given plan first, and what the selector says."""

    candidates: torch.Tensor
    """[B, K, 8, 3], x m, y m, heading rad."""
    scores: torch.Tensor
    """What they are ranked by, [B, K]."""
    order: torch.Tensor
    """From the best to the worst, int64 [B, K]."""
    sub_scores: Mapping[str, torch.Tensor]
    """Predicted, each [B, K]."""

    @property
    def plan(self) -> torch.Tensor:
        """Return the best candidate, [B, 8, 3]."""
        rows = torch.arange(len(self.order), device=self.order.device)
        return self.candidates[rows, self.order[:, 0]]


class RefinementBranch(nn.Module):
    """
    Refines plans of any imitation policy.

    :raises BranchError: when the selector was built for another view, or reads other features
    """

    feature_spec: FeatureSpec

    def __init__(self, refiner: Refiner, selector: Selector):
        super().__init__()
        perception = refiner.config.perception
        view = perception.bev_width, perception.decoder_width
        if selector.perception is None and view != (selector.config.bev_width,
                                                    selector.config.view_width):
            raise BranchError(
                f'selector: looks with the encoders of a refiner of bev_width '
                f'{selector.config.bev_width} and decoder_width {selector.config.view_width}, but '
                f'the refiner has {view[0]} and {view[1]}; name the refiner that the selector was '
                'trained with')
        if selector.perception is not None and selector.feature_spec != refiner.feature_spec:
            raise BranchError('selector: its encoders read other features than the refiner; train '
                              'both with the same preset')
        self.refiner = refiner
        self.selector = selector
        self.tree = tree_of(selector.config.generator, refiner.tree)
        self.feature_spec = refiner.feature_spec

    def encode(self, features: Mapping[str, torch.Tensor]) -> BranchView:
        """
        Encode the scenes; needs no plan, and is the slow part.

        :raises FeatureError: when the features do not match ``feature_spec``
        """
        view = self.refiner.view(features)
        if self.selector.perception is None:
            return BranchView(view, view)
        return BranchView(view, self.selector.perception.view(features))

    def refine(self, view: BranchView, root: torch.Tensor) -> Refinement:
        """
        Grow candidates from plans and rank them.

        :param root: [B, 8, 3]
        """
        candidates = generate(self.selector.config.generator, self.tree, view.tree, root)
        ranking = self.selector.rank(view.selector, candidates)
        return Refinement(candidates.plans, *ranking)


def load_branch(refiner: Path, selector: Path) -> tuple[RefinementBranch, Card, Card]:
    """
    Load the branch, on the CPU and in evaluation mode, with its cards.

    :raises CheckpointError: when a checkpoint cannot be loaded
    :raises BranchError: when the two do not belong together
    """
    tree_network, refiner_card = load_checkpoint(refiner, Refiner)
    ranking_network, selector_card = load_checkpoint(selector, Selector)
    branch = RefinementBranch(tree_network, ranking_network).eval()
    return branch, refiner_card, selector_card
