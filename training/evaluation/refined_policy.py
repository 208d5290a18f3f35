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

"""Any policy with the RL branch behind it: its plan is refined, as in the car."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from pair_drive_ros.models.architectures import branch_file
from pair_drive_ros.models.flat_sampler import SHIFTS_M, SPEEDS
from pair_drive_ros.models.refinement_branch import load_branch, RefinementBranch
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.evaluation.feature_source import FeatureSource, PolicyError
from pair_drive_training.evaluation.policies import NetworkPolicy, Policy
import torch


class RefinedPolicy:
    """
    Plans what the selector ranks first of a policy's plan and the candidates around it.

    ``kinds`` are the kinds of features that are read, ``candidates`` how many are ranked.

    :param without, blind: of the branch, see :class:`FeatureSource`
    :raises PolicyError, CacheError: when the branch cannot be fed so
    """

    def __init__(self, inner: Policy, branch: RefinementBranch, without: Sequence[str] = (),
                 blind: bool = False):
        self._inner = inner
        self._branch = branch
        self._source = FeatureSource(branch.feature_spec, without, blind)
        self.kinds = (*(inner.kinds if isinstance(inner, NetworkPolicy) else ()),
                      self._source.kind)
        self.candidates = 1 + (len(SPEEDS) * len(SHIFTS_M)
                               if branch.selector.config.generator == 'flat'
                               else branch.tree.config.group)

    def __call__(self, cache: Cache, protocol: Protocol, tokens: Sequence[str]) -> np.ndarray:
        """Plan [N, 8, 3] in the scenes of N tokens."""
        return self.ranked(cache, protocol, tokens, 1)[:, 0]

    @torch.no_grad()
    def ranked(self, cache: Cache, protocol: Protocol, tokens: Sequence[str],
               count: int) -> np.ndarray:
        """Return the best candidates, from the best on: [N, count, 8, 3]."""
        root = torch.from_numpy(np.asarray(self._inner(cache, protocol, tokens))).float()
        refinement = self._branch.refine(
            self._branch.encode(self._source.read(cache, tokens)), root)
        rows = torch.arange(len(root))[:, None]
        return refinement.candidates[rows, refinement.order[:, :count]].numpy()


def add_branch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that name the RL branch."""
    for name, what in (('refiner', 'grows candidates around each plan'),
                       ('selector', 'picks among them')):
        parser.add_argument(f'--{name}', metavar='NAME|FILE', default='',
                            help=f'the half of the RL branch that {what}: {name}, which ships, '
                                 'or a file (.safetensors); both halves or neither')


def refined(inner: Policy, options: argparse.Namespace, **limits: Any) -> Policy:
    """
    Return a policy as :func:`add_branch_arguments` asks for it: refined, or as it is.

    :param limits: of :class:`RefinedPolicy`
    :raises PolicyError: when one half is named alone, or besides as :class:`RefinedPolicy` does
    :raises ArchitectureError, CheckpointError, BranchError: when the branch cannot be loaded
    """
    if bool(options.refiner) != bool(options.selector):
        raise PolicyError('--refiner and --selector go together: name both, or neither')
    if not options.refiner:
        return inner
    branch, _, _ = load_branch(branch_file(options.refiner), branch_file(options.selector))
    return RefinedPolicy(inner, branch, **limits)
