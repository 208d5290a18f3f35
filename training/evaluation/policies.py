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

"""Policies by name: those that need no network, checkpoints, and classes of a user's own."""

from collections.abc import Callable, Mapping, Sequence
import typing
from typing import Any

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S
from pair_drive_ros.models import architectures
from pair_drive_ros.models.checkpoint import WEIGHTS_SUFFIX
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import reference_plan
from pair_drive_training.evaluation.batches import work_in_batches
from pair_drive_training.evaluation.feature_source import FeatureSource, PolicyError
from pair_drive_training.evaluation.plans_file import checked_plans
import torch

# Scenes that a network plans for at a time.
BATCH = 32


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


class NetworkPolicy:
    """
    A network that plans from the features of a cache.

    ``kinds`` are the kinds of record it reads, ``sensors`` what it looks with, ``without`` which
    of them are taken away from it.

    :param without, blind: see :class:`FeatureSource`
    :raises PolicyError, CacheError: when the network cannot be fed so
    """

    def __init__(self, network: ImitationPolicy, without: Sequence[str] = (),
                 blind: bool = False):
        self._network = network
        self._source = FeatureSource(network.feature_spec, without, blind)
        self.kinds = (self._source.kind,)
        self.sensors, self.without = self._source.sensors, self._source.without

    @torch.no_grad()
    def __call__(self, cache: Cache, _protocol: Protocol, tokens: Sequence[str]) -> np.ndarray:
        """Plan [N, 8, 3] in the scenes of N tokens."""
        return self._network.plan(self._source.read(cache, tokens)).numpy()


def policy_names() -> tuple[str, ...]:
    """Names of all policies that are there: the built-in ones and the checkpoints that ship."""
    return *POLICIES, *architectures.shipped_checkpoints()


def find_policy(name: str, architecture: str = '', without: Sequence[str] = (),
                blind: bool = False) -> Policy:
    """
    Return a policy by its name, a checkpoint's weights file, or the import path of its class.

    :param architecture: import path of the class of a user's checkpoint
    :param without: sensors to take away from the policy, of ``left``, ``front``, ``right`` and
        ``lidar``
    :param blind: whether a network sees nothing but the status, see :class:`FeatureSource`
    :raises PolicyError: when there is no such policy, or not without these sensors
    :raises ArchitectureError: when a class cannot be imported or is no policy
    :raises CheckpointError: when the checkpoint cannot be loaded
    :raises CacheError: when no cache holds features of the network's sizes
    """
    is_checkpoint = (name.endswith(WEIGHTS_SUFFIX)
                     or name in architectures.shipped_checkpoints())
    if architecture and not is_checkpoint:
        raise PolicyError(f'{name}: an architecture is named ({architecture}), but this is no '
                          'checkpoint; leave --architecture out')
    if name in POLICIES:
        if without:
            raise PolicyError(f'{name}: reads no sensor, so none can be taken away; leave '
                              '--without out')
        return POLICIES[name]
    if is_checkpoint:
        return NetworkPolicy(_trained_policy(name, architecture), without, blind)
    if ':' in name:
        return NetworkPolicy(_untrained_policy(name), without, blind)
    raise PolicyError(f'there is no policy {name!r}; name one of {", ".join(policy_names())}, a '
                      f'checkpoint ending in {WEIGHTS_SUFFIX}, or your own class by its import '
                      'path package.module:Class')


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


def _trained_policy(name: str, architecture: str) -> ImitationPolicy:
    network, _ = architectures.load_policy(architectures.checkpoint_file(name), architecture)
    return network


def _untrained_policy(path: str) -> ImitationPolicy:
    network = architectures.policy_class(path)()
    weights = len(network.state_dict())
    if weights:
        raise PolicyError(f'{path}: has {weights} arrays of weights, which are untrained; name a '
                          f'checkpoint of it as the policy and {path} as the --architecture')
    return network.eval()
