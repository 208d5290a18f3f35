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

from dataclasses import replace
import importlib
import sys

import numpy as np
from pair_drive_ros.models import architectures
from pair_drive_ros.models.architectures import ArchitectureError
from pair_drive_ros.models.checkpoint import CheckpointError, save_checkpoint, TrainingRecord
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import CacheError
from pair_drive_training.data.transfuser_scene import as_features
from pair_drive_training.evaluation.policies import (
    find_policy,
    plan_scenes,
    policy_names,
    PolicyError,
)
import pytest
from tiny_cache import noise_features
from tiny_network import tiny_transfuser
import torch

V1 = Protocol.NAVSIM_V1
RECORD = TrainingRecord('none', 3, 'none')


class Records:
    """Records by kind and token; a missing one is an error."""

    def __init__(self, **records):
        self.records = records

    def read(self, kind, token):
        return self.records[kind][token]

    def shard_of(self, kind, token):
        return {name: np.asarray(array)[None]
                for name, array in self.records[kind][token].items()}, 0


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


@pytest.fixture(scope='module')
def cache():
    """Return records of three scenes of noise."""
    arrays = noise_features(np.random.default_rng(0), 3)
    return Records(features_mini={token: {name: array[index] for name, array in arrays.items()}
                                  for index, token in enumerate('abc')})


@torch.no_grad()
def planned(network, cache, token, missing=()):
    stored = {name: array[None] for name, array in cache.read('features_mini', token).items()}
    return network.plan(as_features(stored, network.feature_spec, missing)).numpy()


def test_checkpoint_plans_from_stored_features(checkpoint, cache):
    path, network = checkpoint
    plans, failures = plan_scenes(find_policy(str(path)), cache, V1, ['a', 'b', 'c', 'd'])
    assert list(failures) == ['d']
    for token in 'abc':
        np.testing.assert_allclose(plans[token], planned(network, cache, token), atol=1e-5)
    assert not np.allclose(plans['a'], plans['b'])


def test_sensors_are_taken_away(checkpoint, cache):
    path, network = checkpoint
    policy = find_policy(str(path), without=['lidar', 'left'])
    assert policy.without == ('left', 'lidar')
    plans, _ = plan_scenes(policy, cache, V1, ['a'])
    expected = planned(network, cache, 'a', ('left', 'lidar'))
    np.testing.assert_allclose(plans['a'], expected, atol=1e-5)
    assert not np.allclose(expected, planned(network, cache, 'a'), atol=1e-3)


@pytest.mark.parametrize(('changes', 'without', 'says'), [
    ({'sensor_validity': False}, ['left'], 'needs every one of its sensors'),
    ({'lidar': False}, ['lidar'], 'never reads it, but left, front, right'),
    ({}, ['left', 'front', 'right', 'lidar'], 'no sensor would be left')])
def test_sensors_that_cannot_be_taken_away(checkpoint, tmp_path, changes, without, says):
    config = replace(checkpoint[1].config, **changes)
    save_checkpoint(tmp_path / 'some.safetensors', Transfuser(config), RECORD)
    with pytest.raises(PolicyError, match=says):
        find_policy(str(tmp_path / 'some.safetensors'), without=without)


@pytest.mark.parametrize('name', ['human', 'constant_velocity'])
def test_policies_without_network_have_no_sensors_to_lose(name):
    with pytest.raises(PolicyError, match=f'{name}: reads no sensor'):
        find_policy(name, without=['left'])


def test_checkpoint_of_another_image_size_is_refused(tmp_path):
    save_checkpoint(tmp_path / 'tiny.safetensors', tiny_transfuser(), RECORD)
    with pytest.raises(CacheError, match=r'reads camera_feature \[3, 32, 64\]'):
        find_policy(str(tmp_path / 'tiny.safetensors'))


def test_checkpoint_without_card_is_refused(checkpoint, tmp_path):
    path, _ = checkpoint
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(CheckpointError, match='card'):
        find_policy(str(tmp_path / path.name))


def test_checkpoints_that_ship_are_policies_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(architectures, 'CHECKPOINTS', tmp_path)
    torch.manual_seed(0)
    network = EgoStatus(EgoStatusConfig(8)).eval()
    save_checkpoint(tmp_path / 'ego_status.safetensors', network, RECORD)
    assert policy_names() == ('human', 'pdm_closed', 'constant_velocity', 'ego_status')
    with pytest.raises(PolicyError, match='constant_velocity, ego_status, a checkpoint'):
        find_policy('transfuser')
    # The status comes from the records that need no sensors.
    velocity, acceleration, command = np.arange(8.0).reshape(4, 2), np.ones((4, 2)), np.eye(4)
    cache = Records(scenes={'a': {'velocity': velocity, 'acceleration': acceleration,
                                  'command': command, 'log_name': 'log', 'token': 'a'}})
    plans, failures = plan_scenes(find_policy('ego_status'), cache, V1, ['a'])
    assert failures == {}
    with torch.no_grad():
        expected = network.plan({'status_feature': torch.tensor([[0.0, 0, 0, 1, 6, 7, 1, 1]])})
    np.testing.assert_array_equal(plans['a'], expected.numpy())
    with pytest.raises(PolicyError, match='never reads it, but no sensor'):
        find_policy('ego_status', without=['left'])


USERS_POLICIES = """
from pair_drive_ros.models.features import STATUS_FEATURE
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
import torch


class Coast(ImitationPolicy):
    feature_spec = {STATUS_FEATURE: TensorSpec((8,))}

    def plan(self, features):
        ahead = features[STATUS_FEATURE][:, 4:5] * torch.arange(1, 9) / 2.0
        return torch.stack([ahead, 0.0 * ahead, 0.0 * ahead], dim=-1)


class Learned(Coast):
    def __init__(self, config=None):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def plan(self, features):
        return self.scale * super().plan(features)
"""


@pytest.fixture
def users(monkeypatch, tmp_path):
    """Write a user's module; return its classes."""
    (tmp_path / 'users_policies.py').write_text(USERS_POLICIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'users_policies', raising=False)
    return importlib.import_module('users_policies')


STANDING = Records(scenes={'a': {
    'velocity': np.full((4, 2), 3.0), 'acceleration': np.zeros((4, 2)), 'command': np.eye(4),
    'log_name': 'log', 'token': 'a'}})


def test_a_users_policy_by_its_import_path(users):
    plans, failures = plan_scenes(find_policy('users_policies:Coast'), STANDING, V1, ['a'])
    assert failures == {}
    np.testing.assert_array_equal(plans['a'][0, :, 0], 1.5 * np.arange(1, 9))


def test_a_users_checkpoint(users, tmp_path):
    network = users.Learned()
    network.scale.data.fill_(2.0)
    path = tmp_path / 'learned.safetensors'
    save_checkpoint(path, network, RECORD)
    with pytest.raises(PolicyError, match='untrained; name a checkpoint of it as the policy and '
                                          'users_policies:Learned as the --architecture'):
        find_policy('users_policies:Learned')
    with pytest.raises(ArchitectureError, match="'users_policies:Learned', which does not ship"):
        find_policy(str(path))
    plans, _ = plan_scenes(find_policy(str(path), 'users_policies:Learned'), STANDING, V1, ['a'])
    np.testing.assert_array_equal(plans['a'][0, :, 0], 3.0 * np.arange(1, 9))


@pytest.mark.parametrize('name', ['human', 'users_policies:Coast'])
def test_architecture_of_what_is_no_checkpoint(users, name):
    with pytest.raises(PolicyError, match='leave --architecture out'):
        find_policy(name, 'users_policies:Learned')


@pytest.mark.parametrize('name', ['nowhere:Coast', 'users_policies:Nobody'])
def test_import_paths_that_lead_nowhere(users, name):
    with pytest.raises(ArchitectureError, match=name):
        find_policy(name)
