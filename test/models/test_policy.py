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

"""The contract of a policy: what a subclass of ten lines gets for nothing."""

from dataclasses import dataclass

from pair_drive_ros.models.checkpoint import load_checkpoint, save_checkpoint, TrainingRecord
from pair_drive_ros.models.policy import (
    check_features,
    FeatureError,
    ImitationPolicy,
    NoConfig,
    TensorSpec,
)
import pytest
import torch

SPEC = {'status_feature': TensorSpec((8,))}


class Straight(ImitationPolicy):
    """Drives a learned speed straight ahead."""

    feature_spec = SPEC

    def __init__(self, config=None):
        super().__init__(config)
        self.speed = torch.nn.Parameter(torch.tensor(2.0))

    def plan(self, features):
        plan = torch.zeros(len(features['status_feature']), 8, 3)
        plan[..., 0] = self.speed * 0.5 * torch.arange(1, 9)
        return plan


@dataclass(frozen=True)
class SpeedConfig:
    """Configuration with a default."""

    speed: float = 3.0


class Named(Straight):
    """A policy with a name and a configuration."""

    architecture = 'named'
    config_class = SpeedConfig


class Heir(Named):
    """A subclass of a named policy is another architecture."""


def test_an_architecture_is_its_import_path_unless_it_says_otherwise():
    assert Straight.architecture == f'{__name__}:Straight'
    assert Named.architecture == 'named'
    assert Heir.architecture == f'{__name__}:Heir'


def test_without_a_configuration_the_class_makes_its_own():
    assert Straight().config == NoConfig()
    assert Named().config == SpeedConfig()
    assert Named(SpeedConfig(5.0)).config.speed == 5.0


def test_a_policy_without_a_configuration_comes_back_from_a_file(tmp_path):
    policy = Straight()
    torch.nn.init.constant_(policy.speed, 7.0)
    card = save_checkpoint(tmp_path / 's.safetensors', policy, TrainingRecord('noise', 0, 'none'))
    assert card.config == {}
    loaded, _ = load_checkpoint(tmp_path / 's.safetensors', Straight)
    assert loaded.config == NoConfig() and loaded.speed.item() == 7.0


def test_the_default_loss_is_the_mean_distance_of_all_coordinates():
    targets = torch.zeros(2, 8, 3)
    targets[..., 0] = 0.5 * torch.arange(1, 9)
    policy = Straight()
    terms = policy.loss({'status_feature': torch.zeros(2, 8)}, {'trajectory': targets})
    # 1 m/s too fast: 0.5 .. 4 m ahead in one of three coordinates.
    assert {name: term.item() for name, term in terms.items()} == {
        'trajectory': pytest.approx(2.25 / 3.0)}
    terms['trajectory'].backward()
    assert policy.speed.grad > 0.0


def test_a_policy_must_plan():
    class Lazy(ImitationPolicy):
        feature_spec = SPEC

    with pytest.raises(TypeError, match='plan'):
        Lazy()


@pytest.mark.parametrize('features, sentence', [
    ({}, 'status_feature are missing; given: none'),
    ({'speed': torch.zeros(1)}, 'status_feature are missing; given: speed'),
    ({'status_feature': torch.zeros(1, 7)}, r'expected \[B, 8\] torch.float32, got \[1, 7\]'),
    ({'status_feature': torch.zeros(1, 8, dtype=torch.int64)}, 'int64')])
def test_features_that_do_not_fit_are_sentences(features, sentence):
    with pytest.raises(FeatureError, match=sentence):
        check_features(features, SPEC)


def test_more_features_than_are_read_do_no_harm():
    check_features({'status_feature': torch.zeros(3, 8), 'other': torch.zeros(1)}, SPEC)
