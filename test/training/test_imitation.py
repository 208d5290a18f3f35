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

"""The trainer: a run learns, goes on exactly where it was, and refuses what it cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
import json
import os
from pathlib import Path
import socket
import subprocess
import sys
from typing import ClassVar

import numpy as np
from pair_drive_ros.models.checkpoint import load_card, load_checkpoint
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
from pair_drive_training import learning_curves
from pair_drive_training.__main__ import main
from pair_drive_training.data.cache import CacheError
from pair_drive_training.fresh_policy import FreshPolicyError
from pair_drive_training.imitation import Imitation, ImitationConfig
from pair_drive_training.run_config import TrainingRunError
from pair_drive_training.run_state import RunStateError
from pair_drive_training.validation import Validation
import pytest
from safetensors.torch import load_file
from tiny_cache import token, write_cache
from tiny_diffusion import fan_anchors
import torch
from torch import nn

SCENES = 12
MODEL = {'base_width': 4, 'stage_blocks': [1, 1, 1, 1],
         'bev_width': 8, 'decoder_width': 16, 'decoder_layers': 1, 'decoder_ffn': 16}


@dataclass(frozen=True)
class LineConfig:
    """Configuration of :class:`Line`."""

    rate: float = 1.0


class Line(ImitationPolicy):
    """A user's policy: a linear map of the ego status."""

    config_class: ClassVar[type] = LineConfig
    feature_spec = {'status_feature': TensorSpec((8,))}

    def __init__(self, config=None):
        super().__init__(config)
        self.map = nn.Linear(8, 24)

    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.config.rate * self.map(features['status_feature']).unflatten(1, (8, 3))


class Still(ImitationPolicy):
    """A user's policy without a parameter."""

    feature_spec = {'status_feature': TensorSpec((8,))}

    def plan(self, features):
        return torch.zeros(len(features['status_feature']), 8, 3)


@pytest.fixture(scope='module')
def cache(tmp_path_factory) -> Path:
    return write_cache(tmp_path_factory.mktemp('cache'), SCENES)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Leave out the curves, which take longer than a tiny network's epoch."""
    monkeypatch.setattr(learning_curves, 'draw_curves', lambda *asked: None)


@pytest.fixture
def config(cache, tmp_path) -> ImitationConfig:
    return ImitationConfig(cache=cache, out=tmp_path / 'run', policy='transfuser', model=MODEL,
                           val_cache=cache, val_score='none', epochs=4, batch=4, seed=3,
                           readers=1, threads=1)


def line_of(config: ImitationConfig, **changes) -> ImitationConfig:
    """Return the configuration of a run of the smallest policy."""
    return replace(config, **{'policy': f'{__name__}:Line', 'model': {}, 'precision': 'fp32',
                              **changes})


def weights(folder: Path, name: str = 'last') -> dict[str, torch.Tensor]:
    return load_file(folder / f'{name}.safetensors')


def rows(folder: Path, *without: str) -> list[dict[str, float]]:
    return [{name: value for name, value in json.loads(line).items() if name not in without}
            for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def assert_equal_runs(one: Path, other: Path) -> None:
    for which in ('last', 'best'):
        before, after = weights(one, which), weights(other, which)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert rows(one, 'seconds') == rows(other, 'seconds')


def interrupt(*_):
    raise KeyboardInterrupt


def test_two_and_two_epochs_are_four(config, tmp_path):
    whole = replace(config, out=tmp_path / 'whole')
    Imitation(whole).run()
    Imitation(config).run(2)
    assert [row['epoch'] for row in rows(config.out)] == [1, 2]
    resumed = Imitation(config)
    assert resumed.step == 2 * resumed.steps_per_epoch
    resumed.run()
    assert_equal_runs(whole.out, config.out)
    assert [row['epoch'] for row in rows(whole.out)] == [1, 2, 3, 4]


@pytest.mark.parametrize('policy', ['transfuser', f'{__name__}:Line'])
def test_a_run_goes_on_within_an_epoch(config, tmp_path, monkeypatch, policy):
    config = config if policy == 'transfuser' else line_of(config)
    whole = replace(config, out=tmp_path / 'whole', epochs=1)
    Imitation(whole).run()
    broken = replace(config, epochs=1, save_minutes=0.0)
    run = Imitation(broken)
    step = run._step
    monkeypatch.setattr(run, '_step', lambda module, batch: step(module, batch)
                        if run.step < 2 else interrupt())
    with pytest.raises(KeyboardInterrupt):
        run.run()
    resumed = Imitation(broken)
    assert resumed.step == 2
    resumed.run()
    assert_equal_runs(whole.out, config.out)


@pytest.mark.parametrize('where', ['measure', 'quality'])
def test_an_epoch_that_was_not_validated_is_not_over(config, tmp_path, monkeypatch, where):
    config = line_of(config, epochs=2, save_minutes=0.0)
    whole = replace(config, out=tmp_path / 'whole')
    Imitation(whole).run()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Validation, where, interrupt)
        Imitation(config).run()
    Imitation(config).run()
    assert_equal_runs(whole.out, config.out)


def test_few_channels_in_single_precision_do_not_end_the_process(config, tmp_path):
    arguments = ['--cache', str(config.cache), '--out', str(tmp_path / 'run'), '--model',
                 *(f'{name}={value}' for name, value in MODEL.items()), '--epochs', '4',
                 '--batch', '4', '--precision', 'fp32', '--val-score', 'none']
    ended = subprocess.run([sys.executable, '-m', 'pair_drive_training', 'train', *arguments],
                           capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-500:]


def test_the_default_loss_learns_and_the_best_is_kept(config):
    run = Imitation(line_of(config, epochs=20, learning_rate=0.05))
    run.run()
    measured = [row['val/trajectory'] for row in rows(config.out)]
    assert measured[-1] < 0.3 * measured[0]
    learned = [row['train/trajectory'] for row in rows(config.out)]
    assert learned[-1] < 0.3 * learned[0]
    policy, card = load_checkpoint(config.out / 'best.safetensors', Line)
    assert card.architecture == f'{__name__}:Line'
    assert card.training.metrics['val/trajectory'] == min(measured)
    assert list((config.out / 'tensorboard').iterdir())


def test_the_best_is_what_was_best_and_the_last_what_was_last(config, monkeypatch):
    monkeypatch.setattr(Validation, 'quality',
                        lambda self, row: {1: 1.0, 2: 3.0, 3: 2.0}.get(row['epoch']))
    Imitation(line_of(config, epochs=4)).run()
    epochs = [load_card(config.out / f'{name}.safetensors').training.metrics['epoch']
              for name in ('best', 'last')]
    assert epochs == [2, 4]


def test_validation_may_be_rare_but_the_last_epoch_has_it(config):
    Imitation(line_of(config, epochs=5, val_every=2)).run()
    assert [row['epoch'] for row in rows(config.out) if 'val/trajectory' in row] == [2, 4, 5]


def test_the_learning_rate_rises_to_its_highest_and_falls_to_zero(config):
    for warmup, epochs in ((0.1, 4), (0.3, 3), (0.0, 2), (0.99, 3)):
        run = Imitation(line_of(config, warmup=warmup, epochs=epochs, learning_rate=0.1,
                                out=config.out / f'{warmup}'))
        steps = epochs * run.steps_per_epoch
        rates = [run.learning_rate(step) for step in range(steps)]
        top = rates.index(max(rates))
        assert rates[:top + 1] == sorted(rates[:top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert max(rates) == pytest.approx(0.1) and min(rates) > 0.0
        assert rates[0] == pytest.approx(0.1 / max(round(warmup * steps), 1))
        if warmup < 0.5:
            assert rates[-1] < 0.03


def test_sensor_dropout_is_of_training_only(config):
    run = Imitation(config)
    batch = run._batches.read(run._batches.tokens[:4])
    features, _ = batch.on(torch.device('cpu'), run.policy.feature_spec)
    policy = run.policy.eval()
    assert torch.equal(policy.plan(features), policy.plan(features))
    policy.train()
    plans = [policy.plan(features) for _ in range(4)]
    assert any(not torch.equal(plans[0], plan) for plan in plans[1:])


def test_a_policy_without_parameters_is_not_trained(config):
    with pytest.raises(TrainingRunError, match='no parameters to train'):
        Imitation(replace(config, policy=f'{__name__}:Still', model={}))


def test_a_changed_configuration_is_named(config):
    config = line_of(config)
    Imitation(config).run(1)
    with pytest.raises(TrainingRunError, match='learning_rate was 0.001, now 0.01'):
        Imitation(replace(config, learning_rate=0.01))
    assert Imitation(replace(config, readers=2)).step == 3


def test_other_scenes_are_not_gone_on_with(config, tmp_path):
    grown = write_cache(tmp_path / 'cache', SCENES)
    config = line_of(config, cache=grown)
    Imitation(config).run(1)
    write_cache(grown, SCENES + 1)
    with pytest.raises(TrainingRunError, match='begun with other scenes; the cache has grown'):
        Imitation(config)


@pytest.mark.parametrize('bad', [
    lambda self, features, targets: {'trajectory': self.plan(features).sum() * float('nan')},
    # A finite loss whose gradient is not: that of the root at zero.
    lambda self, features, targets: {'trajectory': (0.0 * self.plan(features)).sum().sqrt()}])
def test_a_loss_that_is_not_finite_stops_and_leaves_the_tokens(config, monkeypatch, bad):
    config = line_of(config)
    Imitation(config).run(1)
    kept = (config.out / 'state.safetensors').read_bytes()
    run = Imitation(config)
    before = {name: tensor.clone() for name, tensor in run.policy.state_dict().items()}
    monkeypatch.setattr(Line, 'loss', bad)
    with pytest.raises(TrainingRunError, match=r'not finite \(.*gradient\); the batch is in'):
        run.run()
    content = json.loads((config.out / 'bad_batch.json').read_text())
    assert content['step'] == 3 and len(content['tokens']) == 4
    assert set(content['terms']) == {'trajectory', 'gradient'}
    assert content['terms']['gradient'] == 'nan'
    assert (config.out / 'state.safetensors').read_bytes() == kept
    assert all(torch.equal(before[name], tensor)
               for name, tensor in run.policy.state_dict().items())


def test_a_network_that_says_nan_stops_too(config):
    run = Imitation(config)
    torch.nn.init.constant_(run.policy.agent_head.mlp_label[0].bias, float('nan'))
    with pytest.raises(TrainingRunError, match='loss is not finite .agent_labels'):
        run.run()
    assert len(json.loads((config.out / 'bad_batch.json').read_text())['tokens']) == 4


def test_scenes_that_the_cache_misses_are_named(config, tmp_path):
    tokens = tmp_path / 'tokens.txt'
    tokens.write_text(f'{0:016x}\n{77:016x}\n')
    with pytest.raises(CacheError, match='misses features_mini of 1 of 2 scenes'):
        Imitation(replace(config, tokens=tokens))
    with pytest.raises(CacheError, match='misses features_mini of 1 of 2 scenes'):
        Imitation(replace(config, val_tokens=tokens))


@pytest.mark.parametrize('changes, sentence', [
    ({'batch': 0}, 'batch: expected 1 or more'),
    ({'precision': 'fp8'}, "precision: expected one of bf16, fp32, got 'fp8'"),
    ({'warmup': 1.0}, 'warmup: expected a share'),
    ({'learning_rate': 0.0}, 'learning_rate: expected more than 0'),
    ({'clip': float('nan')}, 'clip: expected more than 0, got nan'),
    ({'weight_decay': -1.0}, 'weight_decay: expected 0 or more'),
    ({'device': 'gpu'}, "device: expected one of cpu, cuda, got 'gpu'")])
def test_bad_values_are_sentences(config, changes, sentence):
    with pytest.raises(TrainingRunError, match=sentence):
        replace(config, **changes)


@pytest.mark.parametrize('changes, sentence', [
    ({'batch': 100}, 'no more than all scenes'),
    ({'model': {'colour': 1}}, 'model: does not fit transfuser'),
    ({'anchors': Path('anchors.npy')}, 'anchors')])
def test_what_cannot_be_built_is_a_sentence(config, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Imitation(replace(config, **changes))


def test_a_damaged_state_is_not_gone_on_with(config):
    config = line_of(config)
    Imitation(config).run(1)
    path = config.out / 'state.safetensors'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunStateError, match='remove it to begin anew'):
        Imitation(config)


def test_the_card_says_what_it_was_trained_on(config, tmp_path):
    tokens = tmp_path / 'few.txt'
    tokens.write_text('\n'.join(token(index) for index in range(5)))
    Imitation(line_of(config, tokens=tokens, val_cache=None, val_score='navsim_v1',
                      epochs=1)).run()
    card = load_card(config.out / 'last.safetensors')
    assert card.training.data == 'few.txt (5 scenes) of a cache of noise'
    assert card.training.seed == 3 and card.architecture == f'{__name__}:Line'
    assert card.training.protocol is None
    assert not (config.out / 'best.safetensors').exists()


def test_a_run_begins_with_what_a_checkpoint_shares(config, tmp_path):
    Imitation(replace(config, epochs=1)).run()
    anchors = tmp_path / 'anchors.npy'
    np.save(anchors, fan_anchors().numpy())
    begun = Imitation(replace(config, out=tmp_path / 'other', policy='diffusion_drive',
                              anchors=anchors, init=config.out / 'last.safetensors'))
    given, own = weights(config.out), begun.policy.state_dict()
    shared = [name for name in own if name in given and own[name].shape == given[name].shape]
    assert 'backbone.image_encoder.conv1.weight' in shared and len(shared) < len(own)
    assert all(torch.equal(own[name], given[name]) for name in shared)
    with pytest.raises(FreshPolicyError, match='no weight that ego_status has'):
        Imitation(replace(config, policy='ego_status', model={},
                          init=config.out / 'last.safetensors'))


def test_two_processes_learn_what_one_does(config, tmp_path, monkeypatch):
    """Gradients of a network without batch statistics are the mean over both halves."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])

    def command(name):
        return ['train', '--cache', str(config.cache), '--out', str(tmp_path / name), '--policy',
                'ego_status', '--model', 'width=32', '--epochs', '3', '--batch', '4',
                '--precision', 'fp32', '--val-score', 'none', '--val-cache', str(config.cache),
                '--threads', '1', '--readers', '1', '--seed', '3']

    # This process is the first, which writes.
    two = {'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
    second = subprocess.Popen(
        [sys.executable, '-m', 'pair_drive_training', *command('two')], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        env={**os.environ, **two, 'RANK': '1', 'OMP_NUM_THREADS': '1'})
    try:
        with monkeypatch.context() as patch:
            for name, value in {**two, 'RANK': '0'}.items():
                patch.setenv(name, value)
            assert main(command('two')) == 0
        _, errors = second.communicate(timeout=240)
    finally:
        second.kill()
    assert second.returncode == 0, errors
    assert main(command('one')) == 0
    one, both = weights(tmp_path / 'one'), weights(tmp_path / 'two')
    assert all(torch.allclose(one[name], both[name], atol=1e-5) for name in one)
    assert [row['epoch'] for row in rows(tmp_path / 'two')] == [1, 2, 3]
