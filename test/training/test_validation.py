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

"""Validation: means over scenes whatever the batches, the plans' score, what is best."""

from types import SimpleNamespace

from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
from pair_drive_ros.scoring import Protocol
from pair_drive_training import validation
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.validation import Validation
import pytest
from tiny_cache import token, write_cache
import torch

CPU = torch.device('cpu')
TOKENS = [token(index) for index in (6, 2, 3, 0, 1, 5, 4)]


class Echo(ImitationPolicy):
    """Plans the speed and is wrong by it, with noise beside."""

    feature_spec = {'status_feature': TensorSpec((8,))}

    def plan(self, features):
        return features['status_feature'][:, 4, None, None].expand(-1, 8, 3)

    def loss(self, features, targets):
        assert not self.training and not torch.is_grad_enabled()
        return {'speed': self.plan(features).mean(), 'noise': torch.rand(())}


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return Cache.open(write_cache(tmp_path_factory.mktemp('cache'), 7))


def speeds(cache):
    return [float(cache.read('scenes', name)['velocity'][-1, 0]) for name in TOKENS]


def make(cache, protocol=None, batch=3):
    return Validation(cache, TOKENS, Echo.feature_spec, protocol, batch, readers=1)


def test_terms_are_means_over_scenes_whatever_the_batches(cache):
    expected = sum(speeds(cache)) / len(TOKENS)
    for batch in (1, 3, 7, 100):
        row = make(cache, batch=batch).measure(Echo().train(), CPU)
        assert set(row) == {'val/speed', 'val/noise'}
        assert row['val/speed'] == pytest.approx(expected, rel=1e-5)


def test_what_is_random_is_the_same_every_time(cache):
    measure = make(cache)
    rows = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        rows.append(measure.measure(Echo(), CPU))
    assert rows[0] == rows[1]


def test_the_score_is_of_the_plans_in_the_order_of_the_scenes(cache, monkeypatch):
    asked = []
    monkeypatch.setattr(validation, 'check_scenes', lambda *asks: asked.append(asks[2]))
    monkeypatch.setattr(validation, 'scoring_scenes',
                        lambda cache, tokens, protocol: (list(tokens), protocol))

    def score(plans, scenes, protocol):
        assert plans.shape == (7, 1, 8, 3) and plans.dtype == torch.float64
        assert scenes == (TOKENS, Protocol.NAVSIM_V2) and protocol is Protocol.NAVSIM_V2
        assert plans[:, 0, 0, 0].tolist() == pytest.approx(speeds(cache))
        return SimpleNamespace(total=torch.tensor([[0.25]] * 3 + [[1.0]] * 4))

    monkeypatch.setattr(validation, 'pdm_score', score)
    measure = make(cache, Protocol.NAVSIM_V2)
    row = measure.measure(Echo(), CPU)
    assert row['val/navsim_v2'] == pytest.approx(100.0 * 4.75 / 7.0)
    assert asked == [('navsim_v2',)]
    assert measure.quality(row) == row['val/navsim_v2']
    assert measure.quality({'train/speed': 1.0}) is None


def test_without_a_score_the_smallest_loss_is_best(cache):
    measure = make(cache)
    row = {'train/a': 9.0, 'val/a': 1.0, 'val/b': 2.0}
    assert measure.quality(row) == -3.0
    assert measure.quality({'train/a': 9.0}) is None


def test_a_cache_that_cannot_be_scored_is_refused_at_once(cache):
    with pytest.raises(CacheError, match='not made of navsim_v1'):
        make(cache, Protocol.NAVSIM_V1)
