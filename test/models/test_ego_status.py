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

"""The blind control: size, output and what it reads."""

from dataclasses import replace

from pair_drive_ros.models.checkpoint import load_checkpoint, save_checkpoint, TrainingRecord
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.features import transfuser_features
from pair_drive_ros.models.policy import FeatureError
import pytest
from tiny_network import noise_frame
import torch


def test_it_is_the_devkits_network():
    policy = EgoStatus()
    shapes = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    assert shapes == {'mlp.0.weight': (512, 8), 'mlp.0.bias': (512,),
                      'mlp.2.weight': (512, 512), 'mlp.2.bias': (512,),
                      'mlp.4.weight': (512, 512), 'mlp.4.bias': (512,),
                      'mlp.6.weight': (24, 512), 'mlp.6.bias': (24,)}


def test_the_plan_by_hand():
    policy = EgoStatus(EgoStatusConfig(width=8))
    for layer in policy.mlp[::2]:
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    status = torch.tensor([[1.0, 0.0, 0.0, 0.0, 5.0, -0.5, 2.0, 1.0]])
    plan = policy.plan({'status_feature': status})
    assert plan.shape == (1, 8, 3)
    assert plan.flatten().tolist() == [1.0, 0.0, 0.0, 0.0, 5.0, 0.0, 2.0, 1.0] + 16 * [0.0]


def test_it_needs_no_sensor():
    policy = EgoStatus(EgoStatusConfig(width=4))
    frame = noise_frame(cameras=(), lidar=False)
    features = transfuser_features(frame, policy.feature_spec)
    faster = transfuser_features(
        replace(frame, ego=replace(frame.ego, velocity=frame.ego.velocity + 5.0)),
        policy.feature_spec)
    assert set(features) == {'status_feature'}
    assert not torch.equal(policy.plan(features), policy.plan(faster))


def test_wrong_features_are_named():
    with pytest.raises(FeatureError, match='status_feature'):
        EgoStatus().plan({'status_feature': torch.zeros(1, 7)})


def test_it_learns_by_the_default_loss_and_comes_back_from_a_file(tmp_path):
    policy = EgoStatus(EgoStatusConfig(width=16))
    features = {'status_feature': torch.rand(4, 8)}
    terms = policy.loss(features, {'trajectory': policy.plan(features).detach() + 0.25})
    assert {name: term.item() for name, term in terms.items()} == {
        'trajectory': pytest.approx(0.25)}
    save_checkpoint(tmp_path / 'e.safetensors', policy, TrainingRecord('noise', 0, 'none'))
    loaded, card = load_checkpoint(tmp_path / 'e.safetensors', EgoStatus)
    assert card.config == {'width': 16}
    assert torch.equal(loaded.plan(features), policy.plan(features))
