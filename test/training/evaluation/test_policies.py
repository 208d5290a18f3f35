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

"""Policies: what they plan, and how they fail."""

import numpy as np
from pair_drive_ros.models.checkpoint import CheckpointError, save_checkpoint, TrainingRecord
from pair_drive_ros.scoring import Protocol
from pair_drive_training.evaluation.policies import find_policy, plan_scenes, PolicyError
import pytest
from tiny_network import tiny_transfuser
import torch

V1 = Protocol.NAVSIM_V1


class Records:
    """Records by kind and token; a missing one is an error."""

    def __init__(self, **records):
        self.records = records

    def read(self, kind, token):
        return self.records[kind][token]


def ego(vx, vy=0.0):
    return {'ego': np.array([5.0, 6.0, 1.0, vx, vy, 0.3, 0.1])}


def test_constant_velocity_goes_straight_at_the_present_speed():
    cache = Records(scenes={'a': ego(3.0, 4.0), 'b': ego(0.0)})
    plans, failures = plan_scenes(find_policy('constant_velocity'), cache, V1, ['a', 'b'])
    assert failures == {}
    np.testing.assert_array_equal(plans['a'][0, :, 0], 2.5 * np.arange(1, 9))
    assert not plans['a'][0, :, 1:].any()
    assert not plans['b'].any()


def test_human_plans_what_was_driven():
    driven = np.arange(24.0).reshape(8, 3)
    cache = Records(scenes={'a': {'human': driven, 'has_human': np.array(True)},
                            'b': {'human': driven * np.nan, 'has_human': np.array(False)}})
    plans, failures = plan_scenes(find_policy('human'), cache, V1, ['a', 'b'])
    np.testing.assert_array_equal(plans['a'], driven[None])
    assert failures == {'b': 'the log holds no human future of this scene'}


@pytest.mark.parametrize('name', ['nobody', 'policy.pt', ''])
def test_unknown_policy_names_the_known_ones(name):
    with pytest.raises(PolicyError, match='human, pdm_closed, constant_velocity'):
        find_policy(name)


def test_failures_of_single_scenes(monkeypatch):
    """One scene raises, one plan is not finite, one has a wrong shape; the others are planned."""
    monkeypatch.setattr('pair_drive_training.evaluation.policies.BATCH', 4)
    spoilt = {'t3': np.full((8, 3), np.nan), 't5': np.zeros((7, 3))}

    def policy(_cache, _protocol, tokens):
        if 't1' in tokens:
            raise RuntimeError('out of road')
        return [spoilt.get(token, np.zeros((8, 3))) for token in tokens]

    tokens = [f't{n}' for n in range(9)]
    plans, failures = plan_scenes(policy, None, V1, tokens)
    assert sorted(plans) == [token for token in tokens if token not in ('t1', 't3', 't5')]
    assert failures == {'t1': 'RuntimeError: out of road',
                        't3': 'the policy: plan 0 is not finite',
                        't5': 'the policy: expected plans [K, 8, 3], got [1, 7, 3]'}


@pytest.fixture
def checkpoint(tmp_path):
    """Save the tiny network; return the path and the network."""
    network = tiny_transfuser(3)
    save_checkpoint(tmp_path / 'tiny.safetensors', network, TrainingRecord('none', 3, 'none'))
    return tmp_path / 'tiny.safetensors', network


def stored_features(seed, network):
    random = np.random.default_rng(seed)
    shapes = {name: spec.shape for name, spec in network.feature_spec.items()}
    return {'camera_feature': random.integers(0, 256, shapes['camera_feature'], np.uint8),
            'lidar_feature': random.integers(0, 6, shapes['lidar_feature']).astype(np.uint8),
            'status_feature': random.normal(size=shapes['status_feature']).astype(np.float32)}


def test_checkpoint_plans_from_stored_features(checkpoint):
    path, network = checkpoint
    cache = Records(features={token: stored_features(seed, network)
                              for seed, token in enumerate('abc')})
    plans, failures = plan_scenes(find_policy(str(path)), cache, V1, ['a', 'b', 'c', 'd'])
    assert list(failures) == ['d']
    for token in 'abc':
        stored = cache.read('features', token)
        with torch.no_grad():
            expected = network.plan({
                'camera_feature': torch.tensor(stored['camera_feature'] / np.float32(255))[None],
                'lidar_feature': torch.tensor(stored['lidar_feature'] / np.float32(5))[None],
                'status_feature': torch.tensor(stored['status_feature'])[None]})
        np.testing.assert_allclose(plans[token], expected.numpy(), atol=1e-5)
    assert not np.allclose(plans['a'], plans['b'])


def test_checkpoint_without_card_is_refused(checkpoint):
    path, _ = checkpoint
    path.with_suffix('.json').unlink()
    with pytest.raises(CheckpointError, match='card'):
        find_policy(str(path))
