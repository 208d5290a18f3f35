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

"""Sequential fine-tuning: what is drawn, how likely it is, and that a run raises its reward."""

from collections.abc import Mapping
from dataclasses import replace
import json
import math
from pathlib import Path
from types import SimpleNamespace

from pair_drive_ros.models.architectures import load_policy
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.diffusion_drive import DiffusionDriveConfig
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_training import learning_curves, scored_run, validation
from pair_drive_training.__main__ import main
from pair_drive_training.data import training_batches
from pair_drive_training.data.cache import CacheError
from pair_drive_training.data.training_batches import check_scenes
from pair_drive_training.run_config import TrainingRunError
from pair_drive_training.sequential import (
    coordinates,
    directions,
    PlanGaussian,
    Sequential,
    SequentialConfig,
)
import pytest
from safetensors.torch import load_file
from tiny_cache import write_cache
from tiny_diffusion import conditions, fan_anchors, tiny_diffusion_drive, tiny_head
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

SCENES = 12
RECORD = TrainingRecord('noise', 0, 'none')
GOAL_M = 14.0
SMALL = {'base_width': 4, 'stage_blocks': (1, 1, 1, 1), 'bev_width': 8, 'decoder_width': 16,
         'decoder_layers': 1, 'decoder_ffn': 16}
SMALL_DIFFUSION = DiffusionDriveConfig.mini(**SMALL)


class Line(ImitationPolicy):
    """A user's policy: a linear map of the ego status."""

    feature_spec = {'status_feature': TensorSpec((8,))}

    def __init__(self, config=None):
        super().__init__(config)
        self.map = nn.Linear(8, 24)
        nn.init.zeros_(self.map.weight)
        with torch.no_grad():
            self.map.bias.copy_(straight(10.0)[0].flatten())

    def plan(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.map(features['status_feature']).unflatten(1, (8, 3))


def straight(way_m: float) -> torch.Tensor:
    """Return a plan [1, 8, 3] straight ahead."""
    return torch.tensor([[[way_m * step / 8.0, 0.0, 0.0] for step in range(1, 9)]])


def bend(radius_m: float = 20.0) -> torch.Tensor:
    """Return a plan [1, 8, 3] to the left, 2 m a step."""
    angle = 2.0 * torch.arange(1, 9) / radius_m
    points = [radius_m * angle.sin(), radius_m * (1.0 - angle.cos())]
    return torch.stack([*points, angle], dim=-1)[None]


def goal_score(plans, scenes, protocol, *, lenient=False, threads=None):
    """Score the nearness of a plan's end to a place ahead, instead of driving."""
    assert lenient and len(plans) == len(scenes)
    total = (-((plans[..., -1, 0] - GOAL_M) / 4.0).square()).exp().double()
    return SimpleNamespace(total=total, nc=torch.ones_like(total), dac=None, ddc=None, ep=total,
                           ttc=None, comfort=None, tlc=None, lk=None)


def even_score(plans, *arguments, **options):
    """Score all plans alike."""
    return goal_score(0.0 * plans, *arguments, **options)


@pytest.fixture(scope='module')
def cache(tmp_path_factory) -> Path:
    return write_cache(tmp_path_factory.mktemp('cache'), SCENES)


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    """Replace the scorer, whose scenes the cache of noise lacks, and leave out the curves."""
    monkeypatch.setattr(learning_curves, 'draw_curves', lambda *asked: None)
    for module in (training_batches, validation):
        monkeypatch.setattr(module, 'check_scenes', lambda *asked: None)
        monkeypatch.setattr(module, 'scoring_scenes', lambda cache, tokens, protocol: tokens)
    monkeypatch.setattr(scored_run, 'pdm_score', goal_score)
    monkeypatch.setattr(validation, 'pdm_score',
                        lambda *arguments: goal_score(*arguments, lenient=True))


@pytest.fixture
def config(cache, tmp_path) -> SequentialConfig:
    path = tmp_path / 'line.safetensors'
    save_checkpoint(path, Line(), RECORD)
    return SequentialConfig(
        cache=cache, out=tmp_path / 'run', policy=str(path), architecture=f'{__name__}:Line',
        val_cache=cache, plans=8, cloning=0.0, epochs=4, batch=4, learning_rate=0.01, readers=1,
        threads=1)


def fine_tuned(network: ImitationPolicy, config: SequentialConfig, **changes) -> SequentialConfig:
    """Return the configuration of a run of a network that ships."""
    path = config.out.parent / 'network.safetensors'
    save_checkpoint(path, network, RECORD)
    return replace(config, **{'policy': str(path), 'architecture': '', 'cloning': 0.1, 'epochs': 1,
                              'learning_rate': 1e-3, **changes})


def rows(folder: Path) -> list[dict[str, float]]:
    timed = ('seconds', 'train/scoring_share')
    return [{name: value for name, value in json.loads(line).items() if name not in timed}
            for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def weights(folder: Path, name: str = 'last') -> dict[str, torch.Tensor]:
    return load_file(folder / f'{name}.safetensors')


@pytest.mark.parametrize('plan', [straight(20.0), bend(), straight(0.0)])
def test_the_log_probability_is_that_of_a_gaussian_of_four_coordinates(plan):
    gaussian = PlanGaussian(plan, 1.5, 0.4)
    torch.manual_seed(0)
    drawn = gaussian.draw(5)
    assert drawn.shape == (1, 5, 4)
    std = torch.tensor([1.5, 1.5, 0.4, 0.4])
    expected = MultivariateNormal(coordinates(plan, directions(plan))[0], std.square().diag())
    torch.testing.assert_close(gaussian.log_prob(drawn)[0], expected.log_prob(drawn[0]))


@pytest.mark.parametrize('plan', [straight(20.0), bend(), straight(3.0)])
def test_what_is_drawn_has_the_coordinates_that_were_drawn(plan):
    gaussian = PlanGaussian(plan, 1.5, 0.4)
    drawn = gaussian.draw(6)
    plans = gaussian.plans(drawn)
    assert plans.shape == (1, 6, 8, 3)
    found = coordinates(plans[0], directions(plan).expand(6, -1, -1, -1))
    torch.testing.assert_close(found, drawn[0], atol=0.02, rtol=0.0)


def test_along_is_along_the_path_and_across_turns_the_heading():
    moved = directions(straight(20.0))[0]
    time = torch.arange(1, 9) / 8.0
    torch.testing.assert_close(moved[0], torch.stack([time, 0.0 * time, 0.0 * time], dim=-1))
    torch.testing.assert_close(moved[3], torch.stack(
        [0.0 * time, time.square(), 2.0 * time / 20.0], dim=-1))
    moved = directions(bend())[0]
    forward = torch.stack([bend()[0, :, 2].cos(), bend()[0, :, 2].sin()], dim=-1)
    torch.testing.assert_close((moved[1, :, :2] * forward).sum(dim=-1), time.square())
    torch.testing.assert_close((moved[2, :, :2] * forward).sum(dim=-1), 0.0 * time)
    # A car that stands cannot get aside, but it may set off.
    still = directions(straight(0.0))[0]
    assert not still[2:, :, :2].any() and still[0, -1, 0] == 1.0


def test_the_mean_moves_towards_what_was_better():
    plan = straight(20.0).requires_grad_()
    gaussian = PlanGaussian(plan, 1.5, 0.4)
    further = gaussian.density.mean.detach() + torch.tensor([1.0, 0.0, 0.0, 0.0])
    gaussian.log_prob(further).sum().backward()
    assert torch.all(plan.grad[0, :, 0].sum() > 0.0)
    torch.testing.assert_close(plan.grad[0, :, 1:], torch.zeros(8, 2), atol=1e-4, rtol=0.0)


def test_exploring_without_noise_is_the_plan_and_its_density_is_the_stated_one(monkeypatch):
    head, seen = tiny_head(), conditions(2)
    modes = torch.tensor([[7, 3, 7], [0, 1, 19]])
    certain = head.sample(*seen)
    found = head.explore(*seen, modes, 0.0)
    chosen = torch.stack([certain.poses[row, modes[row]] for row in range(2)])
    torch.testing.assert_close(found.poses, chosen, atol=1e-4, rtol=1e-5)
    top = 16 * math.log(1.0 / (0.1 * math.sqrt(2.0 * math.pi)))
    torch.testing.assert_close(found.log_prob, torch.full((2, 3, 2), top))

    noise = torch.linspace(-1.0, 1.0, 12).view(2, 3, 1, 2)
    monkeypatch.setattr(torch, 'randn', lambda *shape, device: noise)
    means = []
    denoise = head._denoise
    monkeypatch.setattr(head, '_denoise', lambda *arguments: means.append(
        denoise(*arguments)) or means[-1])
    found = head.explore(*seen, modes, 0.05)
    mean = means[-1][-1].poses
    points = mean[..., :2] * (1.0 + 0.05 * noise)
    torch.testing.assert_close(found.poses[..., :2], points)
    extent = torch.tensor([50.0, 20.0])
    density = Independent(Normal(mean[..., :2] / extent, torch.full_like(points, 0.1)), 2)
    torch.testing.assert_close(found.log_prob[..., 1], density.log_prob(points / extent))
    assert found.log_prob.requires_grad and not found.poses.requires_grad


def test_a_run_raises_its_reward_and_the_best_plan_is_kept(config):
    run = Sequential(replace(config, epochs=30, plans=16, learning_rate=0.03))
    run.run()
    learned = rows(config.out)
    assert learned[0]['train/reward'] < 0.5 and learned[-1]['train/reward'] > 0.75
    assert learned[-1]['val/navsim_v1'] > 85.0 > 50.0 > learned[0]['val/navsim_v1']
    assert {'train/policy', 'train/cloning', 'train/reward', 'train/reward_best',
            'train/reward_nc', 'train/reward_ep', 'train/groups_with_spread',
            'train/gradient'} <= set(learned[0])
    assert 'train/reward_dac' not in learned[0]
    for row in learned:
        assert row['train/reward'] < row['train/reward_best'] <= 1.0
        assert row['train/policy'] == pytest.approx(0.0, abs=1e-6)
    kept, card = load_policy(config.out / 'best.safetensors', config.architecture)
    assert isinstance(kept, Line) and card.training.protocol == 'navsim_v1'
    assert card.training.metrics['val/navsim_v1'] == max(row['val/navsim_v1'] for row in learned)


def test_the_scorers_share_of_the_time_is_a_share(config):
    Sequential(replace(config, epochs=1)).run()
    row = json.loads((config.out / 'metrics.jsonl').read_text())
    assert 0.0 < row['train/scoring_share'] < 1.0


def test_two_and_two_epochs_are_four(config, tmp_path):
    whole = replace(config, out=tmp_path / 'whole')
    Sequential(whole).run()
    Sequential(config).run(2)
    Sequential(config).run()
    assert rows(whole.out) == rows(config.out)
    for name in ('best', 'last'):
        one, two = weights(whole.out, name), weights(config.out, name)
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_groups_without_spread_contribute_nothing(config, monkeypatch):
    monkeypatch.setattr(scored_run, 'pdm_score', even_score)
    Sequential(replace(config, epochs=1, weight_decay=0.0)).run()
    row = rows(config.out)[0]
    assert row['train/groups_with_spread'] == 0.0 and row['train/gradient'] == 0.0
    before = Line().state_dict()
    assert all(torch.equal(before[name], value) for name, value in weights(config.out).items())


def test_the_mean_of_a_group_is_what_its_plans_are_compared_with(config, monkeypatch):
    """A reward that is higher for a whole scene teaches no more than one that is not."""
    taught = []
    for offset in (0.0, 5.0):
        def score(*arguments, offset=offset, **options):
            scores = goal_score(*arguments, **options)
            scores.total += offset * torch.arange(4)[:, None]
            return scores

        monkeypatch.setattr(scored_run, 'pdm_score', score)
        Sequential(replace(config, epochs=1, out=config.out / str(offset))).run()
        taught.append(weights(config.out / str(offset)))
    assert all(torch.allclose(taught[0][name], taught[1][name], atol=1e-4) for name in taught[0])


@pytest.mark.parametrize('where', ['reward', 'plan'])
def test_a_loss_that_is_not_finite_names_the_batch(config, monkeypatch, where):
    def score(plans, *arguments, **options):
        scores = goal_score(plans, *arguments, **options)
        scores.total[0, 0] = math.nan
        return scores

    run = Sequential(config)
    if where == 'reward':
        monkeypatch.setattr(scored_run, 'pdm_score', score)
    else:
        nn.init.constant_(run.policy.map.bias, math.nan)
    with pytest.raises(TrainingRunError, match=r'not finite \(policy.*the batch is in'):
        run.run()
    assert len(json.loads((config.out / 'bad_batch.json').read_text())['tokens']) == 4


def test_batch_statistics_stay_and_everything_else_of_transfuser_learns(config):
    before = Transfuser(TransfuserConfig.mini(**SMALL))
    Sequential(fine_tuned(before, config)).run()
    after, _ = load_policy(config.out / 'last.safetensors')
    old, new = before.state_dict(), after.state_dict()
    statistics = [name for name in old if 'running_' in name or 'num_batches' in name]
    assert statistics and all(torch.equal(old[name], new[name]) for name in statistics)
    for name in ('trajectory_head.mlp.2.weight', 'backbone.image_encoder.conv1.weight'):
        assert not torch.equal(old[name], new[name])


def test_of_diffusion_drive_the_head_alone_may_learn(config):
    before = tiny_diffusion_drive(config=SMALL_DIFFUSION)
    Sequential(fine_tuned(before, config, part='head')).run()
    after, _ = load_policy(config.out / 'last.safetensors')
    old, new = before.state_dict(), after.state_dict()
    changed = {name.split('.')[0] for name in old if not torch.equal(old[name], new[name])}
    assert changed == {'trajectory_head'}
    torch.testing.assert_close(new['trajectory_head.plan_anchor'], fan_anchors())
    assert 0.0 < rows(config.out)[0]['train/groups_with_spread'] <= 1.0


def test_its_likeliest_modes_are_drawn_in_groups_of_four(config):
    run = Sequential(fine_tuned(tiny_diffusion_drive(config=SMALL_DIFFUSION), config, plans=12))
    batch = run._batches.read(run._batches.tokens[:2])
    features, _ = batch.on(run.device, run.feature_spec)
    torch.manual_seed(0)
    draws = run._draw(features)
    assert draws.plans.shape == (2, 3, 4, 8, 3) and draws.log_prob.shape == (2, 3, 4, 2)
    with torch.no_grad():
        planned = run.policy(features)
    likeliest = planned['mode_logits'].argsort(dim=1, descending=True)[:, :3]
    certain = torch.stack([planned['modes'][row, likeliest[row]] for row in range(2)])
    away = (draws.plans - certain[:, :, None])[..., :2].norm(dim=-1).mean(dim=-1)
    assert 0.0 < away.min() and away.max() < 8.0


@pytest.mark.parametrize('changes, sentence', [
    ({'plans': 1}, 'plans: expected 2 or more'),
    ({'protocol': 'navsim_v3'}, 'protocol: expected one of navsim_v1, navsim_v2'),
    ({'along_m': 0.0}, 'along_m: expected more than 0'),
    ({'part': 'backbone'}, 'part: expected one of all, head')])
def test_bad_values_are_sentences(config, changes, sentence):
    with pytest.raises(TrainingRunError, match=sentence):
        replace(config, **changes)


def test_what_a_policy_cannot_do_is_a_sentence(config):
    with pytest.raises(TrainingRunError, match='has no trajectory_head; train all'):
        Sequential(replace(config, part='head'))
    with pytest.raises(TrainingRunError, match='plans: expected a multiple of 4'):
        Sequential(fine_tuned(tiny_diffusion_drive(config=SMALL_DIFFUSION), config, plans=6))


def test_a_cache_without_the_rewards_scenes_is_refused(config, monkeypatch):
    monkeypatch.setattr(training_batches, 'check_scenes', check_scenes)
    with pytest.raises(CacheError, match='not made of navsim_v1'):
        Sequential(config)


@pytest.mark.parametrize('name', ['transfuser', 'diffusion_drive'])
def test_the_command_reads_the_configurations_that_ship(config, checkout, name, capsys):
    file = checkout / 'config' / f'train_sequential_{name}_mini.yaml'
    code = main(['sequential', '--config', str(file), '--cache', str(config.cache), '--out',
                 str(config.out), '--batch', '12', '--plans', '4', '--epochs', '1', '--threads',
                 '1', '--readers', '1'])
    assert code == 0 and '1 of 1 epochs' in capsys.readouterr().out
    policy, _ = load_policy(config.out / 'last.safetensors')
    assert policy.architecture == name
