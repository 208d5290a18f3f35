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
Write the plans of policies in the scenes of a cache.

The file holds plans [K, 8, 3] by token, x m, y m, heading rad every 0.5 s in the scene's ego
frame: one of each policy, refined where a refiner and a selector are named, or the best of the
candidates of one policy. "evaluate --plans" scores it; "reinforce" and "select" take it as
--root-plans. pdm_closed plans as by navsim_v1. The exit code is 1 when a scene has no plan.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
import sys

import numpy as np
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scene_file import write_arrays
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.training_batches import listed_tokens
from pair_drive_training.evaluation.batches import work_in_batches
from pair_drive_training.evaluation.plans_file import checked_plans
from pair_drive_training.evaluation.policies import BATCH, find_policy, NetworkPolicy, policy_names
from pair_drive_training.evaluation.refined_policy import (
    add_branch_arguments,
    refined,
    RefinedPolicy,
)
from pair_drive_training.evaluation.summary import FAILURES_SHOWN

_PROTOCOL = Protocol.NAVSIM_V1

# From N tokens to plans [N, K, 8, 3].
Planner = Callable[[Sequence[str]], np.ndarray]


class PlanError(ValueError):
    """Plans cannot be made as asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--cache', type=Path, required=True, metavar='CACHE',
                        help='folder that the command "cache" built')
    parser.add_argument('--policy', action='append', required=True, metavar='NAME',
                        help=f'{", ".join(policy_names())}; the path of a checkpoint '
                             '(.safetensors); or the import path package.module:Class of a '
                             'policy without weights. May be given several times')
    parser.add_argument('--architecture', metavar='IMPORT_PATH', default='',
                        help='your own class package.module:Class, where the checkpoints are of '
                             'it')
    add_branch_arguments(parser)
    parser.add_argument('--top', type=int, metavar='N', default=1,
                        help='how many candidates of a policy to write, from the best on')
    parser.add_argument('--tokens', type=Path, metavar='FILE',
                        help='scene filter of NAVSIM or list of tokens; without it all scenes '
                             'that have targets')
    parser.add_argument('--out', type=Path, required=True, metavar='PLANS.npz',
                        help='file for the plans')


def run(options: argparse.Namespace) -> int:
    """Plan and write; 1 when a scene has no plan."""
    cache = Cache.open(options.cache)
    tokens = list(listed_tokens(cache, options.tokens))
    if not tokens:
        raise PlanError(f'{options.cache}: holds none of the scenes to plan in; name others, or '
                        'build it with them')
    planner = _planner(options, cache)
    plans: dict[str, np.ndarray] = {}

    def work(batch: Sequence[str]) -> None:
        for token, made in zip(batch, planner(batch), strict=True):
            plans[token] = checked_plans(made.astype(np.float32), 'the policies')

    failures = work_in_batches(tokens, BATCH, work, 'plan')
    try:
        write_arrays(options.out, {token: plans[token] for token in tokens if token in plans})
    except OSError as error:
        raise PlanError(f'{options.out}: cannot be written ({error.strerror}); name a file in a '
                        'folder that is writable') from error
    for token, reason in list(failures.items())[:FAILURES_SHOWN]:
        print(f'  failed: {token}: {reason}', file=sys.stderr)
    print(f'{options.out}: plans of {len(plans)} scenes, {len(failures)} failed')
    return 1 if failures else 0


def _planner(options: argparse.Namespace, cache: Cache) -> Planner:
    policies = [refined(find_policy(name, options.architecture), options)
                for name in options.policy]
    for policy in policies:
        if isinstance(policy, NetworkPolicy | RefinedPolicy):
            for kind in policy.kinds:
                cache.tokens(kind)
    if options.top == 1:
        return lambda batch: np.stack([policy(cache, _PROTOCOL, batch) for policy in policies],
                                      axis=1)
    first = policies[0]
    if len(policies) > 1 or not isinstance(first, RefinedPolicy):
        raise PlanError('top: ranks the candidates of one policy; name one --policy, with '
                        '--refiner and --selector')
    if not 1 <= options.top <= first.candidates:
        raise PlanError(f'top: the branch ranks {first.candidates} candidates; expected 1 to '
                        f'{first.candidates}, got {options.top}')
    return lambda batch: first.ranked(cache, _PROTOCOL, batch, options.top)
