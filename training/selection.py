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
The selector: learn to predict the sub-scores of candidate plans.

PaIR-Drive's reward model (arXiv 2603.13842). A step: a generator makes candidates around roots;
each is scored exactly; the selector learns every sub-score, and to choose what scores well on
average. Trees and perception, where it has none of its own, stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pair_drive_ros.models.candidates import Candidates, generate, GENERATORS, of_tree
from pair_drive_ros.models.checkpoint import load_checkpoint
from pair_drive_ros.models.losses import auxiliary_terms
from pair_drive_ros.models.refinement_branch import RefinementBranch
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.selector import HEADS, Selector, SelectorConfig, total
from pair_drive_ros.models.transfuser import AUXILIARY_WEIGHTS
from pair_drive_ros.scoring import SubScores
from pair_drive_training import objectives
from pair_drive_training.branch_validation import BranchValidation
from pair_drive_training.data.training_batches import Batch
from pair_drive_training.fresh_branch import begin_with_perception, FreshBranchError
from pair_drive_training.options import option
from pair_drive_training.roots import ROOTS, Roots
from pair_drive_training.run_config import TrainingRunError
from pair_drive_training.scored_run import BranchConfig, ScoredRun
from pair_drive_training.training_run import Figures, Terms
import torch
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class SelectionConfig(BranchConfig):
    """What a run of the selector is made of; also its command line and its YAML."""

    refiner: Path = option('checkpoint of the RL branch whose candidates, and whose eyes, it is '
                           'trained with')
    generator: str = option(f'of the candidates: {", ".join(GENERATORS)}', 'tree')
    model: dict[str, Any] = option("entries of the selector's configuration that differ", {})
    own_perception: bool = option('train encoders of its own, as in the paper, which begin as the '
                                  "refiner's; else it looks with the refiner's", False)
    init: Path | None = option('policy whose perception its own encoders begin with; without it '
                               "the refiner's", None)
    roots: str = option(f'what candidates are made around: {", ".join(ROOTS)}', 'policy')
    root_plans: Path | None = option('plans by token of the training split, as the command "plan" '
                                     'writes them, or a folder of such files, for roots policy '
                                     'and mixed', None)
    noisy: float = option('share of the steps whose trees are noisy, for variety', 0.1)
    listwise: float = option('weight of the expected score of a choice by softmax', 1.0)
    temperature: float = option('of that softmax, in the unit of the score', 0.05)
    learning_rate: float = option('at its highest', 5e-4)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_among('generator', *GENERATORS)
        self.check_among('roots', *ROOTS)
        self.check_least(0, 'noisy', 'listwise')
        self.check_positive('temperature')
        if self.init is not None and not self.own_perception:
            raise TrainingRunError('init: there are no encoders to begin with it; give '
                                   'own_perception as well, or leave it out')


class Selection(ScoredRun):
    """
    A run of the selector, see :class:`ScoredRun`.

    :raises CheckpointError, BranchError, FreshBranchError: besides, when refiner and selector
        cannot begin as configured
    """

    config: SelectionConfig
    branch: RefinementBranch

    def build(self) -> Selector:
        """Load the refiner, which stays as it is, and build the selector."""
        config = self.config
        refiner, _ = load_checkpoint(config.refiner, Refiner)
        perception = refiner.config.perception
        entries = {'bev_width': perception.bev_width, 'view_width': perception.decoder_width,
                   'protocol': config.protocol, 'generator': config.generator,
                   'perception': perception if config.own_perception else None, **config.model}
        try:
            selector = Selector(SelectorConfig(**entries))
        except TypeError as error:
            raise FreshBranchError(f'model: does not fit ({error})') from error
        if selector.perception is not None:
            selector.perception.load_state_dict(refiner.perception.state_dict())
            if config.init is not None:
                begin_with_perception(selector.perception, config.init)
        self.branch = RefinementBranch(refiner.requires_grad_(False), selector)
        return selector

    @property
    def checkpoint(self) -> Selector:
        """Return the selector."""
        return self.branch.selector

    @property
    def feature_spec(self) -> Mapping[str, Any]:
        """Return what the refiner reads."""
        return self.branch.feature_spec

    def prepare(self) -> dict[str, Any]:
        """Read the roots, take what is not trained to the device and make the validation."""
        for frozen in (self.branch.refiner, self.branch.tree):
            frozen.to(self.device, memory_format=torch.channels_last)
        config = self.config
        self._roots = Roots(config.roots, config.root_plans, self.tokens)
        self._validation = (BranchValidation.of_run(config, self.feature_spec)
                            if self.rank == 0 else None)
        return {'margin': self.branch.selector.config.margin}

    def begin_epoch(self) -> None:
        """Train the selector; what is frozen keeps its statistics too."""
        self._pick_with(self.memory['margin'])
        self.branch.eval()
        self.branch.selector.train()

    def loss(self, batch: Batch, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> tuple[Terms, Figures]:
        """Make candidates, score them, predict their sub-scores."""
        selector, terms = self.branch.selector, {}
        with torch.no_grad():
            tree_view = self.branch.refiner.view(features)
        view = tree_view
        if selector.perception is not None:
            view = selector.perception.view(features)
            terms = auxiliary_terms(selector.perception.auxiliary(view.bev_map, view.agents),
                                    targets, AUXILIARY_WEIGHTS, selector.perception.config.lidar)
        with torch.autocast(self.device.type, enabled=False):
            root = self._roots.of(batch.tokens, targets['trajectory'])
            candidates = self._candidates(tree_view.single(), root)
            scores = self.score(candidates.plans, batch.scenes)
            logits = selector(view.single(), candidates)
            terms.update(self._compared(logits, scores, root.device))
        best = torch.as_tensor(scores.total)
        return terms, {'best_candidate': best.amax(dim=1).mean(), 'candidate': best.mean()}

    def validate(self) -> Mapping[str, float]:
        """Measure what is picked around the plans of a policy; keep the margin that picks best."""
        if self._validation is None:
            return {}
        row, margin = self._validation.of_branch(self.branch, self.device)
        self.memory['margin'] = margin
        self._pick_with(margin)
        return {**row, 'margin': margin}

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Prefer what picks best."""
        return row.get('val/selected')

    def _pick_with(self, margin: float) -> None:
        selector = self.branch.selector
        selector.config = replace(selector.config, margin=margin)

    @torch.no_grad()
    def _candidates(self, view: SceneView, root: torch.Tensor) -> Candidates:
        tree = self.branch.tree
        if self.config.generator == 'flat' or torch.rand(()) >= self.config.noisy:
            return generate(self.config.generator, tree, view, root)
        noise = torch.randn(len(root), 1, tree.nodes, 2, device=root.device)
        return of_tree(root, tree(view, root, noise))

    def _compared(self, logits: Mapping[str, torch.Tensor], scores: SubScores,
                  device: torch.device) -> Terms:
        """Return the cross entropy of each sub-score, and the expected score of the choice."""
        protocol = self.scene_protocol
        terms = {name: functional.binary_cross_entropy_with_logits(
            logits[name], _on(getattr(scores, name), device)) for name in HEADS[protocol]}
        predicted = total({name: logit.sigmoid() for name, logit in logits.items()}, protocol)
        rewards = _on(scores.total, device)
        # A cross entropy with the best candidate takes risks: it prefers what is likelier to be
        # best to what is better on average.
        terms['listwise'] = self.config.listwise * objectives.expected_loss(
            predicted / self.config.temperature, rewards, rewards.std().clamp_min(0.05))
        return terms


def _on(values: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32, device=device)
