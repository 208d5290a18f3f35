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
import subprocess
import sys
from typing import ClassVar

import numpy as np
from pair_drive_ros.models.checkpoint import load_card, load_checkpoint
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_training.__main__ import main
from pair_drive_training.data.cache import CacheError, CacheHeader, write_header
from pair_drive_training.data.shards import ShardCard, write_shard
from pair_drive_training.imitation import Imitation, ImitationConfig, ImitationError
from pair_drive_training.run_state import RunStateError
import pytest
from safetensors.torch import load_file
import torch
from torch import nn

SCENES = 12
MODEL = {'image_height': 128, 'image_width': 512, 'base_width': 4, 'stage_blocks': [1, 1, 1, 1],
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
    """Write random scenes whose human drives at a constant velocity."""
    path = tmp_path_factory.mktemp('cache')
    kinds = {'features_mini': 1, 'targets': 1, 'scenes': 1}
    write_header(path, CacheHeader(kinds, splits=('noise',)))
    rng = np.random.default_rng(0)
    status = rng.normal(size=(SCENES, 8)).astype(np.float32)
    status[:, :4] = np.eye(4)[rng.integers(4, size=SCENES)]
    speed = rng.uniform(1.0, 10.0, SCENES).astype(np.float32)
    status[:, 4] = speed
    trajectory = np.zeros((SCENES, 8, 3), np.float32)
    trajectory[..., 0] = 0.5 * np.arange(1, 9) * speed[:, None]
    tokens = tuple(f'{index:016x}' for index in range(SCENES))
    history = np.repeat(status[:, None], 4, axis=1)
    arrays = {
        'features_mini': {
            'camera_feature': rng.integers(0, 256, (SCENES, 3, 128, 512), np.uint8),
            'lidar_feature': rng.integers(0, 6, (SCENES, 1, 128, 128), np.uint8),
            'status_feature': status},
        'targets': {
            'trajectory': trajectory,
            'agent_states': rng.normal(0.0, 9.0, (SCENES, 30, 5)).astype(np.float32),
            'agent_labels': rng.random((SCENES, 30)) < 0.3,
            'bev_semantic_map': rng.integers(0, 7, (SCENES, 128, 256), np.uint8)},
        'scenes': {
            'token': np.array(tokens), 'log_name': np.array(['noise'] * SCENES),
            'velocity': history[..., 4:6], 'acceleration': history[..., 6:],
            'command': history[..., :4].astype(np.int64)}}
    for kind, of_kind in arrays.items():
        write_shard(path / kind, ShardCard(1, kind, 1, 'noise', tokens, {}), of_kind)
    return path


@pytest.fixture
def config(cache, tmp_path) -> ImitationConfig:
    return ImitationConfig(cache=cache, out=tmp_path / 'run', policy='transfuser', model=MODEL,
                           val_cache=cache, val_score='none', epochs=4, batch=4, seed=3,
                           readers=1, threads=1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / 'last.safetensors')


def test_two_and_two_epochs_are_four(config, tmp_path):
    whole = replace(config, out=tmp_path / 'whole')
    Imitation(whole).run()
    Imitation(config).run(2)
    assert json.loads((config.out / 'metrics.jsonl').read_text().splitlines()[-1])['epoch'] == 2
    resumed = Imitation(config)
    assert resumed.step == 2 * resumed.steps_per_epoch
    resumed.run()
    before, after = weights(whole.out), weights(config.out)
    assert all(torch.equal(before[name], after[name]) for name in before)
    without_time = [[{name: value for name, value in json.loads(line).items()
                      if name != 'seconds'}
                     for line in (folder / 'metrics.jsonl').read_text().splitlines()]
                    for folder in (whole.out, config.out)]
    assert without_time[0] == without_time[1] and len(without_time[0]) == 4


def test_a_run_goes_on_within_an_epoch(config, tmp_path, monkeypatch):
    whole = replace(config, out=tmp_path / 'whole', epochs=1)
    Imitation(whole).run()
    broken = replace(config, epochs=1, save_minutes=0.0)
    run = Imitation(broken)
    step = run._step
    monkeypatch.setattr(run, '_step', lambda module, batch: step(module, batch)
                        if run.step < 2 else (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    resumed = Imitation(broken)
    assert resumed.step == 2
    resumed.run()
    before, after = weights(whole.out), weights(config.out)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_default_loss_learns_and_the_best_is_kept(config):
    run = Imitation(replace(config, policy=f'{__name__}:Line', model={}, epochs=30,
                            learning_rate=0.05, precision='fp32'))
    run.run()
    rows = [json.loads(line) for line in
            (config.out / 'metrics.jsonl').read_text().splitlines()]
    assert rows[-1]['val/trajectory'] < 0.3 * rows[0]['val/trajectory']
    policy, card = load_checkpoint(config.out / 'best.safetensors', Line)
    assert card.architecture == f'{__name__}:Line'
    assert card.training.metrics['val/trajectory'] == min(row['val/trajectory'] for row in rows)
    assert (config.out / 'curves.png').stat().st_size > 5000
    assert list((config.out / 'tensorboard').iterdir())


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
    with pytest.raises(ImitationError, match='no parameters to train'):
        Imitation(replace(config, policy=f'{__name__}:Still', model={}))


def test_a_changed_configuration_is_named(config):
    Imitation(config).run(1)
    with pytest.raises(ImitationError, match='learning_rate was 0.001, now 0.01'):
        Imitation(replace(config, learning_rate=0.01))
    assert Imitation(replace(config, readers=2)).step == 3


def test_a_loss_that_is_not_finite_stops_and_leaves_the_tokens(config, monkeypatch):
    Imitation(config).run(1)
    kept = (config.out / 'state.safetensors').read_bytes()
    run = Imitation(config)
    monkeypatch.setattr(Transfuser, 'loss', lambda self, features, targets: {
        'trajectory': self.plan(features).sum() * float('nan')})
    with pytest.raises(ImitationError, match='loss is not finite .trajectory.'):
        run.run()
    bad = json.loads((config.out / 'bad_batch.json').read_text())
    assert bad['step'] == 3 and len(bad['tokens']) == 4 and bad['terms'] == {'trajectory': 'nan'}
    assert (config.out / 'state.safetensors').read_bytes() == kept


def test_scenes_that_the_cache_misses_are_named(config, tmp_path):
    tokens = tmp_path / 'tokens.txt'
    tokens.write_text(f'{0:016x}\n{77:016x}\n')
    with pytest.raises(CacheError, match='misses features_mini of 1 of 2 scenes'):
        Imitation(replace(config, tokens=tokens))


@pytest.mark.parametrize('changes, sentence', [
    ({'batch': 0}, 'batch: expected 1 or more'),
    ({'precision': 'fp8'}, "precision: expected one of bf16, fp32, got 'fp8'"),
    ({'warmup': 1.0}, 'warmup: expected a share')])
def test_bad_values_are_sentences(config, changes, sentence):
    with pytest.raises(ImitationError, match=sentence):
        replace(config, **changes)


@pytest.mark.parametrize('changes, sentence', [
    ({'batch': 100}, 'no more than there are scenes'),
    ({'model': {'colour': 1}}, 'model: does not fit transfuser'),
    ({'anchors': Path('anchors.npy')}, 'anchors')])
def test_what_cannot_be_built_is_a_sentence(config, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Imitation(replace(config, **changes))


def test_a_damaged_state_is_not_gone_on_with(config):
    Imitation(config).run(1)
    path = config.out / 'state.safetensors'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunStateError, match='remove it to begin anew'):
        Imitation(config)


def test_the_card_says_what_it_was_trained_on(config):
    Imitation(config).run(1)
    card = load_card(config.out / 'last.safetensors')
    assert card.training.data == f'all scenes ({SCENES} scenes) of a cache of noise'
    assert card.training.seed == 3 and card.architecture == 'transfuser'


def test_two_processes_learn_what_one_does(config, tmp_path):
    """Gradients of a network without batch statistics are the mean over both halves."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', '2',
               '--master_port', '29517', '-m', 'pair_drive_training', 'train',
               '--cache', str(config.cache), '--out', str(tmp_path / 'two'),
               '--policy', 'ego_status', '--epochs', '2',
               '--batch', '4', '--precision', 'fp32', '--val-score', 'none', '--threads', '1',
               '--readers', '1', '--seed', '3']
    run = subprocess.run(command, capture_output=True, text=True, timeout=240,
                         env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert run.returncode == 0, run.stderr
    assert main(['train', '--cache', str(config.cache), '--out', str(tmp_path / 'one'),
                 '--policy', 'ego_status', '--epochs', '2', '--batch', '4', '--precision', 'fp32',
                 '--val-score', 'none', '--threads', '1', '--readers', '1', '--seed', '3']) == 0
    one, two = weights(tmp_path / 'one'), weights(tmp_path / 'two')
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)

