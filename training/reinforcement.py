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
The RL branch: grow trees of trajectories, score every leaf by simulation, learn from it.

PaIR-Drive (arXiv 2603.13842), GRPO. A step: the branch's own perception encodes the scenes; from a
root in each, several noisy trees grow; the exact PDM score is computed of every leaf; scores and
offsets of the nodes learn from it, perception from what it should see. One inner epoch: every
tree is used once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pair_drive_ros.models.leaf_sampler import Tree
from pair_drive_ros.models.losses import auxiliary_terms
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.transfuser import AUXILIARY_WEIGHTS
from pair_drive_ros.scoring import SubScores
from pair_drive_training import objectives
from pair_drive_training.branch_validation import BranchValidation
from pair_drive_training.data.training_batches import Batch
from pair_drive_training.fresh_branch import fresh_refiner
from pair_drive_training.options import option
from pair_drive_training.roots import ROOTS, Roots
from pair_drive_training.run_config import TrainingRunError
from pair_drive_training.scored_run import BranchConfig, ScoredRun
from pair_drive_training.training_run import Figures, Terms
import torch
from torch import nn

SCORE_LOSSES = ('exact', 'clipped')
OFFSET_CREDITS = ('policy', 'best', 'group', 'path', 'regression', 'none')
# What these compare stands in another tree of the same scene.
_BETWEEN_TREES = ('policy', 'best', 'path', 'regression')
_CLIP = 0.2
_REGRESSION_TEMPERATURE = 0.1
_FIRST_BETA = 0.04


@dataclass(frozen=True, kw_only=True)
class ReinforcementConfig(BranchConfig):
    """What a run of the RL branch is made of; also its command line and its YAML."""

    preset: str = option('configuration of perception and tree to begin with: mini or full',
                         'mini')
    perception: dict[str, Any] = option("entries of the perception's configuration that differ",
                                        {})
    tree: dict[str, Any] = option("entries of the tree's configuration that differ", {})
    init: Path | None = option('checkpoint to begin with: of a refiner, or of a policy whose '
                               'perception fits', None)
    image_weights: Path | None = option('ImageNet weights of a ResNet-34 to begin with (.pth, '
                                        '.safetensors)', None)
    learn_perception: bool = option('train the perception as well, by its auxiliary losses and '
                                    'through the tree; else it stays as --init gave it', True)
    roots: str = option(f'what trees grow from: {", ".join(ROOTS)}', 'policy')
    root_plans: Path | None = option('plans by token of the training split, as the command "plan" '
                                     'writes them, or a folder of such files, for roots policy '
                                     'and mixed', None)
    trees: int = option('noisy trees of each scene in a step', 4)
    scores: str = option(f'how scores learn: {", ".join(SCORE_LOSSES)}', 'exact')
    offsets: str = option(f'what offsets are credited with: {", ".join(OFFSET_CREDITS)}',
                          'policy')
    offset_weight: float = option('weight of what they are credited with', 0.3)
    offsets_after: float = option('share of the steps in which the scores learn alone', 0.5)
    offset_kl: float = option('weight of the KL of the offsets from those of the tree as it '
                              'began, so that its leaves stay different', 0.01)
    entropy: float = option("weight of the entropy of the leaves' chances; it falls to zero with "
                            'the steps', 0.2)
    divergence: float = option('target of the KL of the chances of the leaves from those of the '
                               'tree as it began, nats; 0 leaves them free', 0.0)
    learning_rate: float = option('at its highest', 5e-4)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_among('preset', 'mini', 'full')
        self.check_among('roots', *ROOTS)
        self.check_among('scores', *SCORE_LOSSES)
        self.check_among('offsets', *OFFSET_CREDITS)
        self.check_least(2 if self.offsets in _BETWEEN_TREES else 1, 'trees')
        if self.tree.get('most_likely'):
            raise TrainingRunError('tree: most_likely leaves differ from tree to tree and cannot '
                                   'be compared; train with path codes, and take the likeliest '
                                   'with "select --generator likeliest"')
        self.check_least(0, 'offset_weight', 'offset_kl', 'entropy', 'divergence')
        if not 0.0 <= self.offsets_after < 1.0:
            raise TrainingRunError('offsets_after: expected a share from 0 on below 1, got '
                                   f'{self.offsets_after}')


class Reinforcement(ScoredRun):
    """
    A run of the RL branch, see :class:`ScoredRun`.

    :raises FreshBranchError: besides, when the branch cannot begin as configured
    """

    config: ReinforcementConfig
    refiner: Refiner

    def build(self) -> nn.Module:
        """Build the refiner, and a frozen copy of its tree as it begins: what KLs are from."""
        config = self.config
        self.refiner = fresh_refiner(config.preset, config.perception, config.tree, config.init,
                                     config.image_weights)
        if config.offsets != 'none' and not self.refiner.config.tree.spread:
            raise TrainingRunError('tree: without a spread nothing is drawn, and offsets have '
                                   'nothing to learn from; give a spread, or offsets none')
        self.refiner.perception.requires_grad_(config.learn_perception)
        began = self.refiner.tree.fresh(config.seed).requires_grad_(False)
        began.load_state_dict(self.refiner.tree.state_dict())
        return nn.ModuleDict({'refiner': self.refiner, 'began': began})

    @property
    def checkpoint(self) -> Refiner:
        """Return the refiner."""
        return self.refiner

    def prepare(self) -> dict[str, Any]:
        """Read the roots and make the validation; begin the weight of the KL."""
        config = self.config
        self._roots = Roots(config.roots, config.root_plans, self.tokens)
        self._validation = (BranchValidation.of_run(config, self.feature_spec)
                            if self.rank == 0 else None)
        return {'beta': _FIRST_BETA}

    def begin_epoch(self) -> None:
        """Train; what is frozen keeps its statistics too."""
        self.network.train()
        if not self.config.learn_perception:
            self.refiner.perception.eval()

    def loss(self, batch: Batch, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> tuple[Terms, Figures]:
        """Grow, score, and compare the leaves."""
        config = self.config
        with torch.set_grad_enabled(config.learn_perception):
            view = self.refiner.view(features)
        terms = self._auxiliary(view, targets) if config.learn_perception else {}
        with torch.autocast(self.device.type, enabled=False):
            view = view.single()
            root = self._roots.of(batch.tokens, targets['trajectory'])
            tree_sampler = self.refiner.tree
            noise = torch.randn(len(root), config.trees, tree_sampler.nodes, 2,
                                device=root.device)
            tree = tree_sampler(view, root, noise)
            leaves = tree.leaves.detach().unflatten(0, (len(root), config.trees))
            scores = self.score(leaves.flatten(1, 2), batch.scenes)
            rewards = torch.as_tensor(scores.total, dtype=torch.float32,
                                      device=root.device).view(leaves.shape[:3])
            learned, figures = self._compared(tree, rewards)
            held, divergence = self._divergence(tree, view, root)
        return ({**terms, **learned, **held},
                {**figures, 'kl': divergence, **_described(rewards, scores)})

    def after_step(self, measured: Mapping[str, float]) -> Mapping[str, float]:
        """Adapt the weight of the KL, besides."""
        row = super().after_step(measured)
        if not self.config.divergence:
            return row
        self.memory['beta'] = objectives.adapted(self.memory['beta'], measured['kl'],
                                                 self.config.divergence)
        return {**row, 'beta': self.memory['beta']}

    def validate(self) -> Mapping[str, float]:
        """Measure trees around the plans of an imitation policy."""
        return self._validation.of_tree(self.refiner, self.device) if self._validation else {}

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Prefer the tree whose likeliest leaf drives best."""
        return row.get('val/likeliest')

    def _auxiliary(self, view: SceneView, targets: Mapping[str, torch.Tensor]) -> Terms:
        """Teach the perception what is there, as TransFuser's."""
        perception = self.refiner.perception
        return auxiliary_terms(perception.auxiliary(view.bev_map, view.agents), targets,
                               AUXILIARY_WEIGHTS, perception.config.lidar)

    def _compared(self, tree: Tree, rewards: torch.Tensor) -> tuple[Terms, Figures]:
        """
        Return the terms of scores and offsets.

        :param rewards: [B, T, G]
        """
        config = self.config
        log_probs = tree.log_probs.view_as(rewards)
        density = leaf_density(tree, self.refiner.config.tree.spread).view_as(rewards)
        if config.scores == 'exact':
            # In units of the batch's spread, so that no reward scale has to be tuned.
            scores = objectives.expected_loss(log_probs, rewards, _spread(rewards))
        else:
            scores = objectives.clipped_surrogate(
                log_probs, log_probs, objectives.group_advantage(rewards), _CLIP)
        entropy = objectives.entropy(log_probs)
        left = 1.0 - self.step / (config.epochs * self.steps_per_epoch)
        terms = {'scores': scores, 'entropy': -left * config.entropy * entropy}
        if self._offsets_learn:
            terms['offsets'] = config.offset_weight * _offset_loss(config.offsets, rewards,
                                                                   log_probs, density)
        return terms, {'leaf_entropy': entropy.detach()}

    @property
    def _offsets_learn(self) -> bool:
        steps = self.config.epochs * self.steps_per_epoch
        return self.config.offsets != 'none' and self.step >= self.config.offsets_after * steps

    def _divergence(self, tree: Tree, view: SceneView, root: torch.Tensor
                    ) -> tuple[Terms, torch.Tensor]:
        """Return what holds the tree to what it was when it began, and its leaves' KL from it."""
        config = self.config
        drawn = tree.offsets.unflatten(0, (len(root), config.trees))
        with torch.no_grad():
            began = self.network['began'](view, root, drawn=drawn)
        terms = {}
        if config.offset_kl and self._offsets_learn:
            terms['offset_kl'] = config.offset_kl * objectives.gaussian_kl(
                tree.means, began.means, self.refiner.config.tree.spread)
        own = tree.log_probs.detach()
        # Beyond that far apart a single leaf would be the whole estimate.
        theirs = own + (began.log_probs - own).clamp(-5.0, 5.0)
        divergence = objectives.k3(tree.log_probs, theirs)
        if config.divergence:
            terms['divergence'] = self.memory['beta'] * divergence
        return terms, divergence.detach()


def _offset_loss(credit: str, rewards: torch.Tensor, log_probs: torch.Tensor,
                 density: torch.Tensor) -> torch.Tensor:
    """Return what the offsets minimise: all tensors [B, T, G]."""
    if credit == 'regression':
        weights = objectives.reward_weights(rewards, _REGRESSION_TEMPERATURE)
        return -(weights * density).sum(dim=1).mean()
    if credit == 'policy':
        advantage = objectives.policy_advantage(rewards, log_probs)
    elif credit == 'best':
        advantage = objectives.best_advantage(rewards)
    else:
        # One leaf in G, on average, as where only the best one counts.
        advantage = {'group': objectives.group_advantage,
                     'path': objectives.path_advantage}[credit](rewards) / rewards.shape[-1]
    return -(advantage * density).sum(dim=-1).mean()


def leaf_density(tree: Tree, spread: float) -> torch.Tensor:
    """Return the log-density of the offsets along each leaf's path, up to a constant, [B, G]."""
    if not spread:
        return torch.zeros_like(tree.log_probs)
    nodes = -0.5 * ((tree.offsets - tree.means) / spread).square().sum(dim=-1)
    return tree.of_leaves(nodes).sum(dim=-1)


def _spread(rewards: torch.Tensor) -> torch.Tensor:
    return rewards.std().clamp_min(0.05)


def _described(rewards: torch.Tensor, scores: SubScores) -> Figures:
    """Return what is logged of the rewards [B, T, G] and of their sub-scores."""
    names = [name for name in ('nc', 'dac', 'ddc', 'tlc', 'ep', 'ttc', 'lk', 'comfort')
             if getattr(scores, name) is not None]
    return {'reward': rewards.mean(), 'best_leaf': rewards.amax(dim=-1).mean(),
            'groups_with_spread': (rewards.std(dim=-1) >= objectives.LEAST_SPREAD).float().mean(),
            **{f'reward_{name}': torch.as_tensor(getattr(scores, name)).float().mean()
               for name in names}}
