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

"""The RL branch's training: that it learns what is rewarded, and leaves alone what it must."""

from dataclasses import replace
import json
import math
from pathlib import Path

from pair_drive_ros.models.checkpoint import (
    load_card,
    load_checkpoint,
    save_checkpoint,
    TrainingRecord,
)
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.tree_config import TreeConfig
from pair_drive_ros.models.tree_sampler import TreeSampler
from pair_drive_ros.scoring import Protocol
from pair_drive_training import learning_curves, objectives, reinforcement, scored_run
from pair_drive_training.__main__ import main
from pair_drive_training.data.cache import CacheError
from pair_drive_training.fresh_branch import FreshBranchError
from pair_drive_training.reinforcement import leaf_density, Reinforcement, ReinforcementConfig
from pair_drive_training.roots import RootsError
from pair_drive_training.run_config import TrainingRunError
import pytest
from safetensors.torch import load_file
from scored_cache import all_are_even, further_is_better, write_scored_cache
from tiny_branch import PERCEPTION, TREE
from tiny_cache import token, write_cache
from tiny_view import bend, BEV_WIDTH, tiny_view, WIDTH
import torch
from torch.distributions import Normal

SCENES = 8
TIMED = ('seconds', 'train/scoring_share')
RECORD = TrainingRecord('noise', 0, 'none')


@pytest.fixture(scope='module')
def cache(tmp_path_factory) -> Path:
    return write_scored_cache(tmp_path_factory.mktemp('cache'), SCENES)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(learning_curves, 'draw_curves', lambda *asked: None)


@pytest.fixture
def toy(monkeypatch):
    """Reward how far ahead a leaf ends."""
    monkeypatch.setattr(scored_run, 'pdm_score', further_is_better)


@pytest.fixture
def config(cache, tmp_path) -> ReinforcementConfig:
    """Configure a run of the tree alone."""
    return ReinforcementConfig(
        cache=cache, out=tmp_path / 'run', perception=PERCEPTION, tree=TREE,
        learn_perception=False, roots='human', epochs=2, batch=4, readers=1, threads=1, seed=3)


def rows(folder: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in json.loads(line).items() if name not in TIMED}
            for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def state(run: Reinforcement) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.refiner.state_dict().items()}


def changed(before, after) -> set[str]:
    """Return which weights and statistics differ."""
    return {name for name in before if not torch.equal(before[name], after[name])}


@torch.no_grad()
def leaves_of(run: Reinforcement) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rewards and chances of the leaves of all scenes, without noise, [B, G]."""
    run.refiner.eval()
    batch = run._batches.read(run.tokens)
    features, targets = batch.on(run.device, run.feature_spec)
    tree = run.refiner.tree(run.refiner.view(features), targets['trajectory'])
    total = further_is_better(tree.leaves, batch.scenes, Protocol.NAVSIM_V1).total
    return total, tree.log_probs.softmax(dim=1)


@pytest.mark.parametrize('scores', ['exact', 'clipped'])
def test_what_is_rewarded_becomes_likely(config, toy, scores):
    run = Reinforcement(replace(config, scores=scores, offsets='none', entropy=0.0, epochs=6,
                                learning_rate=0.03))
    rewards, chances = leaves_of(run)
    before = (rewards * chances).sum(dim=1) - rewards.mean(dim=1)
    assert before.abs().max() < 0.005
    run.run()
    rewards, chances = leaves_of(run)
    assert ((rewards * chances).sum(dim=1) - rewards.mean(dim=1) > 0.01).all()
    learned = rows(config.out)
    assert learned[-1]['train/leaf_entropy'] < learned[0]['train/leaf_entropy'] - 0.1
    assert 'train/offsets' not in learned[0]


@pytest.mark.parametrize('offsets', ['policy', 'group', 'path', 'regression', 'best'])
def test_offsets_move_to_what_is_rewarded(config, toy, offsets):
    run = Reinforcement(replace(config, offsets=offsets, offset_weight=3.0, offsets_after=0.0,
                                trees=8, epochs=5, learning_rate=0.03))
    before, _ = leaves_of(run)
    run.run()
    after, _ = leaves_of(run)
    # Some scenes have leaves that reach 30 m from the first on.
    assert (after.amax(dim=1) - before.amax(dim=1)).mean() > 0.02
    if offsets != 'best':
        assert after.mean() - before.mean() > 0.03
        learned = rows(config.out)
        assert learned[-1]['train/reward'] > learned[0]['train/reward'] + 0.03


def test_entropy_makes_leaves_even_that_are_equally_good(config, monkeypatch):
    monkeypatch.setattr(scored_run, 'pdm_score', all_are_even)
    run = Reinforcement(replace(config, offsets='none', entropy=1.0, epochs=3, learning_rate=0.03))
    with torch.no_grad():
        run.refiner.tree.heads.bias[0] = 1.0
    run.run()
    learned = rows(config.out)
    assert learned[-1]['train/leaf_entropy'] > learned[0]['train/leaf_entropy'] + 0.01
    assert learned[0]['train/entropy'] < 0.0


def test_offsets_wait_until_the_scores_are_there(config, toy):
    Reinforcement(replace(config, epochs=4, offsets_after=0.5)).run()
    assert ['train/offsets' in row for row in rows(config.out)] == [False, False, True, True]


def test_the_weight_of_the_offsets_is_a_factor(config, toy):
    losses = []
    for weight in (0.3, 0.6):
        run = Reinforcement(replace(config, offset_weight=weight, offsets_after=0.0, epochs=1,
                                    batch=8, out=config.out / str(weight)))
        run.run()
        losses.append(rows(run.config.out)[0]['train/offsets'])
    assert losses[1] == pytest.approx(2.0 * losses[0], rel=1e-4) and abs(losses[0]) > 1e-5


def test_the_density_is_that_of_the_offsets_along_a_leafs_path():
    torch.manual_seed(0)
    sampler = TreeSampler(TreeConfig(width=16), BEV_WIDTH, WIDTH)
    tree = sampler(tiny_view(), bend(), torch.randn(2, 3, sampler.nodes, 2))
    found = leaf_density(tree, 0.7)
    assert found.shape == (6, 15) and found.requires_grad
    each = Normal(tree.means, 0.7).log_prob(tree.offsets) - Normal(0.0, 0.7).log_prob(
        torch.tensor(0.0))
    for leaf in (0, 7, 14):
        torch.testing.assert_close(found[:, leaf],
                                   each[:, tree.paths[leaf]].sum(dim=(1, 2)))
    assert not leaf_density(tree, 0.0).any()


@pytest.mark.parametrize('scores, offsets', [
    ('exact', 'policy'), ('exact', 'best'), ('clipped', 'group'), ('clipped', 'path')])
def test_groups_without_spread_teach_nothing(config, monkeypatch, scores, offsets):
    monkeypatch.setattr(scored_run, 'pdm_score', all_are_even)
    run = Reinforcement(replace(config, scores=scores, offsets=offsets, offsets_after=0.0,
                                entropy=0.0, weight_decay=0.0, epochs=1))
    before = state(run)
    run.run()
    row = rows(config.out)[0]
    assert row['train/groups_with_spread'] == 0.0
    assert row['train/gradient'] == pytest.approx(0.0, abs=1e-6)
    assert all(torch.allclose(before[name], value, atol=1e-4)
               for name, value in state(run).items())


@pytest.mark.parametrize('changes', [
    {'learn_perception': True}, {'divergence': 0.001, 'roots': 'perturbed'}],
    ids=['with_perception', 'with_divergence'])
def test_one_and_one_epoch_are_two(config, changes, tmp_path):
    config = replace(config, offsets_after=0.0, **changes)
    whole = replace(config, out=tmp_path / 'whole')
    Reinforcement(whole).run()
    Reinforcement(config).run(1)
    Reinforcement(config).run()
    assert rows(whole.out) == rows(config.out) and len(rows(whole.out)) == 2
    for name in ('last', 'state'):
        one, other = (load_file(folder / f'{name}.safetensors')
                      for folder in (whole.out, config.out))
        assert one.keys() == other.keys() and not changed(one, other)


def test_what_is_not_to_learn_stays_bit_by_bit(config):
    run = Reinforcement(config)
    before = state(run)
    run.run(1)
    different = changed(before, state(run))
    assert different and all(name.startswith('tree.') for name in different)


def test_perception_learns_with_its_statistics(config):
    run = Reinforcement(replace(config, learn_perception=True, epochs=1))
    before = state(run)
    run.run()
    different = changed(before, state(run))
    for name in ('backbone.image_encoder.conv1.weight', 'backbone.image_encoder.bn1.running_mean',
                 'agent_head.mlp_label.0.weight', 'bev_semantic_head.2.bias'):
        assert f'perception.{name}' in different
    assert {'train/agent_states', 'train/agent_labels',
            'train/bev_semantic_map'} <= set(rows(config.out)[0])


def test_a_heavy_divergence_holds_the_tree_where_it_began(config, toy, monkeypatch):
    monkeypatch.setattr(reinforcement, '_FIRST_BETA', 1e3)
    monkeypatch.setattr(objectives, 'adapted', lambda beta, divergence, target: beta)
    away = []
    for divergence in (0.0, 0.1):
        run = Reinforcement(replace(config, divergence=divergence, offsets_after=0.0, epochs=4,
                                    learning_rate=0.02, out=config.out / str(divergence)))
        before = leaves_of(run)[1].log()
        run.run()
        away.append((leaves_of(run)[1].log() - before).abs().mean())
    assert away[1] < 0.2 * away[0] and away[0] > 0.3
    assert not any(parameter.requires_grad for parameter in run.network['began'].parameters())


def test_a_heavy_offset_kl_holds_the_leaves_where_they_began(config, toy):
    away = []
    for weight in (0.0, 1e3):
        run = Reinforcement(replace(config, offset_kl=weight, offsets_after=0.0, epochs=4,
                                    learning_rate=0.02, out=config.out / str(weight)))
        before = leaves_of(run)[0]
        run.run()
        away.append((leaves_of(run)[0] - before).abs().mean())
    assert away[1] < 0.3 * away[0]


def test_the_divergence_is_logged_though_nothing_is_held_by_it(config, toy):
    Reinforcement(replace(config, offsets='none', epochs=4, learning_rate=0.02)).run()
    learned = rows(config.out)
    assert learned[-1]['train/kl'] > learned[0]['train/kl'] + 0.01 > 0.01
    assert not {'train/divergence', 'train/offset_kl', 'train/beta'} & set(learned[-1])


def test_the_divergences_weight_follows_it(config, toy):
    config = replace(config, divergence=0.003, offsets_after=0.0, epochs=6, batch=8,
                     learning_rate=0.02)
    run = Reinforcement(config)
    run.run()
    beta, weights = 0.04, []
    for row in rows(config.out):
        beta = objectives.adapted(beta, row['train/kl'], 0.003)
        weights.append(beta)
        assert row['train/beta'] == pytest.approx(beta) and row['train/kl'] >= 0.0
    assert weights[0] < 0.04 < weights[-1] and run.memory['beta'] == pytest.approx(beta)
    # The tree as it began is the tree of the first step.
    assert rows(config.out)[0]['train/kl'] == pytest.approx(0.0, abs=1e-6)


def test_a_reward_that_is_not_finite_names_the_batch(config, monkeypatch):
    def score(plans, *arguments, **options):
        scores = further_is_better(plans, *arguments, **options)
        scores.total[0, 0] = math.nan
        return scores

    monkeypatch.setattr(scored_run, 'pdm_score', score)
    with pytest.raises(TrainingRunError, match=r'not finite \(scores.*reward.*the batch is in'):
        Reinforcement(config).run()
    assert len(json.loads((config.out / 'bad_batch.json').read_text())['tokens']) == 4


@pytest.mark.parametrize('offsets', ['none', 'policy'])
def test_a_tree_that_says_nan_names_the_batch(config, offsets):
    run = Reinforcement(replace(config, offsets=offsets, offsets_after=0.0))
    torch.nn.init.constant_(run.refiner.tree.heads.bias, math.nan)
    with pytest.raises(TrainingRunError, match=r'step 0: the loss is not finite \(scores'):
        run.run()
    tokens = json.loads((config.out / 'bad_batch.json').read_text())['tokens']
    assert len(tokens) == 4 and set(tokens) <= {token(index) for index in range(SCENES)}


@pytest.mark.parametrize('changes, error, sentence', [
    ({'scores': 'guess'}, TrainingRunError, "scores: expected one of exact, clipped, got 'guess'"),
    ({'offsets': 'worst'}, TrainingRunError, 'offsets: expected one of policy, best, group, path'),
    ({'roots': 'air'}, TrainingRunError, 'roots: expected one of human, perturbed'),
    ({'preset': 'tiny'}, TrainingRunError, 'preset: expected one of mini, full'),
    ({'protocol': 'navsim_v3'}, TrainingRunError, 'protocol: expected one of navsim_v1'),
    ({'trees': 1}, TrainingRunError, 'trees: expected 2 or more, got 1'),
    ({'trees': 0, 'offsets': 'none'}, TrainingRunError, 'trees: expected 1 or more, got 0'),
    ({'tree': {'spread': 0.0}, 'offsets': 'path'}, TrainingRunError, 'without a spread nothing'),
    ({'tree': {'most_likely': True}}, TrainingRunError, 'most_likely leaves differ from tree to'),
    ({'entropy': -0.1}, TrainingRunError, 'entropy: expected 0 or more, got -0.1'),
    ({'divergence': -1.0}, TrainingRunError, 'divergence: expected 0 or more'),
    ({'offset_weight': -1.0}, TrainingRunError, 'offset_weight: expected 0 or more'),
    ({'offsets_after': 1.0}, TrainingRunError, 'offsets_after: expected a share from 0 on below'),
    ({'roots': 'policy'}, RootsError, 'policy needs root_plans'),
    ({'root_plans': Path('plans.npz')}, RootsError, 'human asks for no plans'),
    ({'perception': {'colour': 1}}, FreshBranchError, 'perception, tree: do not fit'),
    ({'tree': {'group': 7}}, ValueError, 'group: expected one of 5, 9, 12, 15')])
def test_what_cannot_be_done_is_a_sentence(config, changes, error, sentence):
    with pytest.raises(error, match=sentence):
        Reinforcement(replace(config, **changes))


def test_a_cache_without_scenes_for_the_scorer_is_refused(config, tmp_path):
    noise = write_cache(tmp_path / 'noise', 4)
    with pytest.raises(CacheError, match='not made of navsim_v1'):
        Reinforcement(replace(config, cache=noise))


@pytest.mark.parametrize(('recipe', 'protocol'), [
    ('refiner', 'navsim_v1'), ('refiner', 'navsim_v2'), ('refiner_human', 'navsim_v1')])
def test_the_command_trains_validates_and_keeps_the_best(config, checkout, recipe, protocol,
                                                         capsys):
    policy = config.out.parent / 'ego.safetensors'
    save_checkpoint(policy, EgoStatus(EgoStatusConfig(4)), RECORD)
    pairs = [f'{name}={value}' for name, value in PERCEPTION.items()]
    code = main(['reinforce', '--config', str(checkout / 'config' / f'train_{recipe}_mini.yaml'),
                 '--cache', str(config.cache), '--val-cache', str(config.cache), '--val-policy',
                 str(policy), '--out', str(config.out), '--batch', '8', '--roots', 'perturbed',
                 '--perception', *pairs, '--tree', 'width=16', '--protocol', protocol,
                 '--epochs', '2', '--threads', '1', '--readers', '1', '--no-learn-perception'])
    assert code == 0 and '2 of 2 epochs' in capsys.readouterr().out
    refiner, _ = load_checkpoint(config.out / 'last.safetensors', Refiner)
    assert refiner.config.tree.width == 16
    learned = rows(config.out)
    best = load_card(config.out / 'best.safetensors').training
    assert best.protocol == protocol and best.metrics['val/likeliest'] == max(
        row['val/likeliest'] for row in learned)
    assert ('train/reward_tlc' in learned[0]) == (protocol == 'navsim_v2')
    for row in learned:
        assert row['val/coverage'] >= max(row['val/root'], row['val/likeliest'], row['val/leaf'])
        assert 0.0 <= row['train/reward'] < row['train/best_leaf'] <= 1.0
