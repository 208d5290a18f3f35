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

"""Validation of the RL branch: trees around the plans of a policy, and what is picked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pair_drive_ros.models.candidates import generate, tree_of
from pair_drive_ros.models.policy import FeatureSpec
from pair_drive_ros.models.refinement_branch import RefinementBranch
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.selector import HEADS
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.training_batches import listed_tokens, TrainingBatches
from pair_drive_training.evaluation.policies import find_policy, plan_scenes
from pair_drive_training.scored_run import BranchConfig
import torch

# By how much a candidate must be better than the plan: what the validation chooses from.
MARGINS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)


class BranchValidation:
    """
    Measures the RL branch in some scenes of a cache; all values are scores of 0 to 100.

    :param tokens: scene filter or list of tokens, None for the whole cache
    :param policy: whose plans are refined, see ``policies.find_policy``
    :param spec: of the branch's features
    :param batch: scenes at a time
    :param readers: threads that read ahead
    :raises CacheError, FilterError, PolicyError: when scenes, records or the policy are missing
    """

    def __init__(self, cache: Path, tokens: Path | None, policy: str, spec: FeatureSpec,
                 protocol: Protocol, batch: int, readers: int):
        opened = Cache.open(cache)
        listed = listed_tokens(opened, tokens)
        self._spec = spec
        self._protocol = protocol
        self._batches = TrainingBatches(opened, listed, spec, readers, protocol=protocol)
        plans, failures = plan_scenes(find_policy(policy), opened, protocol, listed)
        if failures:
            token, reason = next(iter(failures.items()))
            raise CacheError(f'{cache}: {policy} has no plan in {len(failures)} scenes, for '
                             f'example {token}: {reason}')
        self._plans = torch.from_numpy(np.concatenate([plans[token] for token in listed])).float()
        self._chunks = np.array_split(np.arange(len(listed)), -(-len(listed) // batch))

    @classmethod
    def of_run(cls, config: BranchConfig, spec: FeatureSpec) -> 'BranchValidation | None':
        """Make what a run's configuration asks for; None where it names no cache for it."""
        if config.val_cache is None:
            return None
        return cls(config.val_cache, config.val_tokens, config.val_policy, spec,
                   Protocol(config.protocol), config.batch, config.readers)

    @torch.no_grad()
    def of_tree(self, refiner: Refiner, device: torch.device,
                generator: str = 'tree') -> dict[str, float]:
        """
        Measure the trees of a refiner, or what another generator makes by its perception.

        :param generator: one of ``candidates.GENERATORS``
        :return: ``val/root`` of the policy's plans, ``val/coverage`` of the best candidate,
            ``val/leaf`` of the mean leaf, ``val/likeliest`` of the likeliest, and
            ``val/leaf_comfort``
        """
        refiner.eval()
        tree = tree_of(generator, refiner.tree)
        totals, likeliest, comfort = [], [], []
        for features, root, scenes in self._stream(device):
            candidates = generate(generator, tree, refiner.view(features), root)
            scores = pdm_score(candidates.plans.double(), scenes, self._protocol)
            total = torch.as_tensor(scores.total).cpu()
            best = 1 + candidates.log_probs[:, 1:].argmax(dim=1, keepdim=True).cpu()
            totals.append(total)
            likeliest.append(total.gather(1, best))
            comfort.append(torch.as_tensor(scores.comfort)[:, 1:].cpu())
        total = torch.cat(totals)
        return _percent(root=total[:, 0], coverage=total.amax(dim=1), leaf=total[:, 1:],
                        likeliest=torch.cat(likeliest), leaf_comfort=torch.cat(comfort))

    @torch.no_grad()
    def of_branch(self, branch: RefinementBranch, device: torch.device
                  ) -> tuple[dict[str, float], float]:
        """
        Measure what a branch picks, and find the margin with which it picks best.

        :return: ``val/root``, ``val/coverage``, ``val/selected`` and its sub-scores, each with the
            best of :data:`MARGINS`; and that margin
        """
        branch.eval()
        names = HEADS[self._protocol]
        found, ranked = [], []
        for features, root, scenes in self._stream(device):
            refinement = branch.refine(branch.encode(features), root)
            scores = pdm_score(refinement.candidates.double(), scenes, self._protocol)
            found.append(torch.stack([torch.as_tensor(getattr(scores, name)).cpu()
                                      for name in ('total', *names)]))
            own = refinement.scores.cpu()
            own[:, 0] -= branch.selector.config.margin
            ranked.append(own)
        values, own = torch.cat(found, dim=1), torch.cat(ranked)
        picks = {margin: _picked(values, own, margin) for margin in MARGINS}
        margin = max(picks, key=lambda each: float(picks[each][0].mean()))
        picked = dict(zip(('selected', *names), picks[margin], strict=True))
        return _percent(root=values[0, :, 0], coverage=values[0].amax(dim=1), **picked), margin

    def _stream(self, device: torch.device) -> Iterator[tuple]:
        for batch, chunk in zip(self._batches.stream(self._chunks), self._chunks, strict=True):
            features, _ = batch.on(device, self._spec)
            yield features, self._plans[chunk].to(device), batch.scenes


def _picked(values: torch.Tensor, own: torch.Tensor, margin: float) -> torch.Tensor:
    """Take what is ranked first, [M, B, K] -> [M, B]."""
    raised = own.clone()
    raised[:, 0] += margin
    return values.gather(2, raised.argmax(dim=1)[None, :, None].expand(len(values), -1, 1))[..., 0]


def _percent(**values: torch.Tensor) -> dict[str, float]:
    return {f'val/{name}': 100.0 * float(value.mean()) for name, value in values.items()}
