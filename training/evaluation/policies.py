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

"""Policies by name, and trained ones by the path of their checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
import typing
from typing import Any

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S
from pair_drive_ros.models.checkpoint import load_checkpoint, WEIGHTS_SUFFIX
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.data.records import reference_plan
from pair_drive_training.data.transfuser_scene import as_features
from pair_drive_training.evaluation.batches import work_in_batches
from pair_drive_training.evaluation.plans_file import checked_plans
import torch

# Scenes that a network plans for at a time.
BATCH = 32


class PolicyError(ValueError):
    """There is no such policy, or it cannot plan in a scene."""


class Records(typing.Protocol):
    """What policies need of a cache."""

    def read(self, kind: str, token: str) -> Mapping[str, np.ndarray]:
        """Arrays of a scene."""
        ...


# From a cache, the protocol of the evaluation and N tokens to plans [N, 8, 3].
Policy = Callable[[Any, Protocol, Sequence[str]], np.ndarray]


def human(cache: Records, _protocol: Protocol, tokens: Sequence[str]) -> np.ndarray:
    """
    Plan what the human then drove.

    :raises PolicyError: in a scene without a logged future
    """
    plans = []
    for token in tokens:
        scene = cache.read('scenes', token)
        if not scene['has_human']:
            raise PolicyError('the log holds no human future of this scene')
        plans.append(scene['human'])
    return np.stack(plans)


def pdm_closed(cache: Any, protocol: Protocol, tokens: Sequence[str]) -> np.ndarray:
    """Plan PDM-Closed's trajectory, which differs between the protocols."""
    return np.stack([reference_plan(cache, token, protocol) for token in tokens])


def constant_velocity(cache: Records, _protocol: Protocol, tokens: Sequence[str]) -> np.ndarray:
    """
    Plan straight ahead at the present speed, as the devkit's ``ConstantVelocityAgent``.

    The devkit's roundings are kept: single precision for the squares and for the result.
    """
    plans = np.zeros((len(tokens), PLAN_POSES, 3), np.float32)
    for plan, token in zip(plans, tokens, strict=True):
        velocity = cache.read('scenes', token)['ego'][3:5].astype(np.float32)
        speed = float((velocity ** 2).sum()) ** 0.5
        plan[:, 0] = PLAN_STEP_S * np.arange(1, PLAN_POSES + 1) * speed
    return plans


POLICIES: dict[str, Policy] = {'human': human, 'pdm_closed': pdm_closed,
                               'constant_velocity': constant_velocity}


def find_policy(name: str) -> Policy:
    """
    Return the policy of a name, or that of a checkpoint's weights file.

    :raises PolicyError: when there is no policy of that name
    :raises CheckpointError: when the checkpoint cannot be loaded
    """
    if name in POLICIES:
        return POLICIES[name]
    if name.endswith(WEIGHTS_SUFFIX):
        return _checkpoint_policy(Path(name))
    raise PolicyError(f'there is no policy {name!r}; name one of {", ".join(POLICIES)}, or a '
                      f'checkpoint ending in {WEIGHTS_SUFFIX}')


def plan_scenes(policy: Policy, cache: Records, protocol: Protocol, tokens: Sequence[str]
                ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """
    Let a policy plan in many scenes.

    :return: plans [1, 8, 3] by token, and the reasons of the tokens where the policy failed
    """
    plans: dict[str, np.ndarray] = {}

    def work(batch: Sequence[str]) -> None:
        for token, plan in zip(batch, policy(cache, protocol, batch), strict=True):
            plans[token] = checked_plans(plan[None], 'the policy')

    failures = work_in_batches(tokens, BATCH, work, 'plan')
    return plans, failures


def _checkpoint_policy(path: Path) -> Policy:
    network, _ = load_checkpoint(path, Transfuser)

    @torch.no_grad()
    def plan(cache: Records, _protocol: Protocol, tokens: Sequence[str]) -> np.ndarray:
        stored = [cache.read('features', token) for token in tokens]
        features = as_features({name: np.stack([scene[name] for scene in stored])
                                for name in stored[0]})
        return network.plan(features).numpy()

    return plan
