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

"""The selector's training: that it learns to pick, and that nothing else learns."""

from dataclasses import replace
import json
import math
from pathlib import Path

from pair_drive_ros.models.candidates import generate
from pair_drive_ros.models.checkpoint import (
    CheckpointError,
    load_card,
    load_checkpoint,
    save_checkpoint,
    TrainingRecord,
)
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.flat_sampler import flat_leaves
from pair_drive_ros.models.refinement_branch import BranchError, load_branch
from pair_drive_ros.models.selector import HEADS, Selector
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.scoring import Protocol
from pair_drive_training import branch_validation, learning_curves, scored_run
from pair_drive_training.__main__ import main
from pair_drive_training.branch_validation import BranchValidation, MARGINS
from pair_drive_training.data.cache import CacheError
from pair_drive_training.fresh_branch import FreshBranchError
from pair_drive_training.roots import RootsError
from pair_drive_training.run_config import TrainingRunError
from pair_drive_training.selection import Selection, SelectionConfig
import pytest
from safetensors.torch import load_file
from scored_cache import further_is_better, write_scored_cache
from tiny_branch import tiny_perception, tiny_refiner
from tiny_cache import write_cache
import torch

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
    """Let the plan that ends furthest ahead be best."""
    for module in (scored_run, branch_validation):
        monkeypatch.setattr(module, 'pdm_score', further_is_better)


@pytest.fixture
def config(cache, tmp_path) -> SelectionConfig:
    """Configure a run without validation that looks with the refiner's encoders."""
    save_checkpoint(tmp_path / 'refiner.safetensors', tiny_refiner(), RECORD)
    return SelectionConfig(
        cache=cache, out=tmp_path / 'run', refiner=tmp_path / 'refiner.safetensors',
        model={'width': 16}, roots='human', epochs=2, batch=4, readers=1, threads=1, seed=3)


@pytest.fixture
def validated(config) -> SelectionConfig:
    """Configure a run that is validated around the plans of a policy, 3 m/s straight ahead."""
    policy = EgoStatus(EgoStatusConfig(4))
    with torch.no_grad():
        policy.mlp[-1].weight.zero_()
        policy.mlp[-1].bias.zero_()
        policy.mlp[-1].bias[::3] = 1.5 * torch.arange(1.0, 9.0)
    path = config.out.parent / 'policy.safetensors'
    save_checkpoint(path, policy, RECORD)
    return replace(config, val_cache=config.cache, val_policy=str(path))


def rows(folder: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in json.loads(line).items() if name not in TIMED}
            for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(before, after) -> set[str]:
    """Return which weights and statistics differ."""
    return {name for name in before if not torch.equal(before[name], after[name])}


def first_batch(run: Selection):
    """Return the batch of the first four scenes, and its features and targets."""
    batch = run._batches.read(run.tokens[:4])
    return batch, *batch.on(run.device, run.feature_spec)


def test_what_is_picked_becomes_better(validated, toy):
    Selection(replace(validated, epochs=9, learning_rate=0.03, listwise=10.0, val_every=9)).run()
    learned = rows(validated.out)
    last = learned[-1]
    assert last['val/coverage'] > last['val/root'] + 3.0
    assert last['val/selected'] > last['val/coverage'] - 1.0
    assert last['train/listwise'] < learned[0]['train/listwise'] - 1.0
    assert last['train/candidate'] < last['train/best_candidate'] <= 1.0


def test_every_sub_score_is_learned(config, toy):
    Selection(replace(config, epochs=6, learning_rate=0.03, listwise=0.0)).run()
    learned = rows(config.out)
    for name in HEADS[Protocol.NAVSIM_V1]:
        assert learned[-1][f'train/{name}'] < learned[0][f'train/{name}'] - 0.02


def test_the_choice_alone_is_learned_where_no_sub_score_is(config, toy):
    """The expected score of the choice has a gradient of its own."""
    run = Selection(config)
    for weight in (0.0, 1.0):
        run.config = replace(config, listwise=weight)
        run.network.zero_grad()
        torch.manual_seed(0)
        terms, _ = run.loss(*first_batch(run))
        terms['listwise'].backward()
        reached = sum(parameter.grad.abs().sum() for parameter in run.network.parameters()
                      if parameter.grad is not None)
        assert (reached > 0.0) == (weight > 0.0)


@pytest.mark.parametrize('changes', [
    {}, {'own_perception': True}, {'generator': 'untrained', 'noisy': 1.0},
    {'generator': 'flat', 'protocol': 'navsim_v2'}],
    ids=['tree', 'own_perception', 'untrained', 'flat'])
def test_the_refiner_never_changes(config, changes):
    run = Selection(replace(config, epochs=1, **changes))
    before, tree, own = (state(part) for part in (
        run.branch.refiner, run.branch.tree, run.branch.selector))
    run.branch.train()
    run.run()
    assert not changed(before, run.branch.refiner.state_dict())
    assert not changed(tree, run.branch.tree.state_dict())
    assert not changed(load_file(config.refiner), run.branch.refiner.state_dict())
    assert 'heads.weight' in changed(own, run.branch.selector.state_dict())
    assert not any(parameter.requires_grad for parameter in run.branch.refiner.parameters())


def test_encoders_of_its_own_begin_as_the_refiners_and_learn(config):
    run = Selection(replace(config, epochs=1, own_perception=True))
    own = run.branch.selector.perception
    before = state(own)
    assert not changed(before, run.branch.refiner.perception.state_dict())
    places = {value.data_ptr() for value in run.branch.refiner.state_dict().values()}
    assert not any(value.data_ptr() in places for value in own.state_dict().values())
    run.run()
    assert {'backbone.image_encoder.conv1.weight', 'backbone.image_encoder.bn1.running_mean',
            'agent_head.mlp_label.0.weight'} <= changed(before, own.state_dict())
    assert {'train/agent_labels', 'train/bev_semantic_map'} <= set(rows(config.out)[0])
    loaded, _ = load_checkpoint(config.out / 'last.safetensors', Selector)
    assert loaded.config.perception == tiny_perception()


def test_encoders_of_its_own_may_begin_as_a_policys(config, tmp_path):
    policy, path = Transfuser(tiny_perception()), tmp_path / 'policy.safetensors'
    save_checkpoint(path, policy, RECORD)
    run = Selection(replace(config, own_perception=True, init=path))
    given = policy.state_dict()
    assert all(torch.equal(value, given[name])
               for name, value in run.branch.selector.perception.state_dict().items())


def test_in_single_precision_what_learns_is_laid_out_plainly(config):
    """A backward pass through few channels, channels last, writes beyond its memory there."""
    run = Selection(replace(config, own_perception=True, precision='fp32'))
    assert all(parameter.is_contiguous() for parameter in run.network.parameters())


@pytest.mark.parametrize('changes', [
    {'noisy': 0.5}, {'own_perception': True}, {'roots': 'perturbed', 'protocol': 'navsim_v2'}],
    ids=['tree', 'own_perception', 'perturbed'])
def test_one_and_one_epoch_are_two(validated, changes, tmp_path):
    config = replace(validated, **changes)
    whole = replace(config, out=tmp_path / 'whole')
    Selection(whole).run()
    Selection(config).run(1)
    Selection(config).run()
    assert rows(whole.out) == rows(config.out) and len(rows(whole.out)) == 2
    for name in ('best', 'last', 'state'):
        one, other = (load_file(folder / f'{name}.safetensors')
                      for folder in (whole.out, config.out))
        assert one.keys() == other.keys() and not changed(one, other)


def margins(monkeypatch, *found):
    """Let the validations find these margins, one after the other, and ever better picks."""
    left = list(found)

    def of_branch(self, branch, device):
        return {'val/selected': 50.0 - len(left)}, left.pop(0)

    monkeypatch.setattr(BranchValidation, 'of_branch', of_branch)


def test_the_margin_that_validation_chose_is_the_checkpoints(validated, monkeypatch):
    margins(monkeypatch, 0.1, 0.03)
    run = Selection(validated)
    run.run(1)
    for name in ('best', 'last'):
        card = load_card(validated.out / f'{name}.safetensors')
        assert card.config['margin'] == card.training.metrics['margin'] == 0.1
    run.run()
    branch, _, card = load_branch(validated.refiner, validated.out / 'best.safetensors')
    assert branch.selector.config.margin == card.config['margin'] == 0.03
    assert [row['margin'] for row in rows(validated.out)] == [0.1, 0.03]


def test_a_margin_of_a_real_validation_is_one_of_those_tried(validated):
    Selection(replace(validated, epochs=1)).run()
    card = load_card(validated.out / 'best.safetensors')
    assert card.config['margin'] in MARGINS and card.training.protocol == 'navsim_v1'


def test_a_margin_outlasts_an_interruption(validated, monkeypatch):
    """Epochs without a validation go on with the margin of the last one."""
    config = replace(validated, epochs=4, val_every=2)
    margins(monkeypatch, 0.07)
    Selection(config).run(2)
    Selection(config).run(1)
    assert load_card(config.out / 'last.safetensors').config['margin'] == 0.07
    assert 'margin' not in rows(config.out)[-1]


def test_without_validation_the_margin_is_the_configurations(config):
    Selection(replace(config, epochs=1, model={'width': 16, 'margin': 0.15})).run()
    card = load_card(config.out / 'last.safetensors')
    assert card.config['margin'] == 0.15 and not (config.out / 'best.safetensors').exists()


def test_candidates_are_those_of_use_but_for_some_noise(config):
    run = Selection(replace(config, noisy=0.0))
    _, features, targets = first_batch(run)
    root = targets['trajectory'].float()
    with torch.no_grad():
        view = run.branch.refiner.view(features)
        exact = generate('tree', run.branch.tree, view, root)
    assert torch.equal(run._candidates(view, root).plans, exact.plans)
    run.config = replace(config, noisy=1.0)
    noisy = [run._candidates(view, root) for _ in range(2)]
    assert noisy[0].plans.shape == exact.plans.shape
    for one, other in ((noisy[0], exact), (*noisy,)):
        assert not torch.allclose(one.plans[:, 1:], other.plans[:, 1:], atol=1e-2)
        assert torch.equal(one.plans[:, 0], other.plans[:, 0])
    assert not any(candidates.log_probs.requires_grad for candidates in noisy)
    run.config = replace(config, noisy=1.0, generator='flat')
    assert torch.equal(run._candidates(view, root).plans[:, 1:], flat_leaves(root))


def test_a_reward_that_is_not_finite_names_the_batch(config, monkeypatch):
    def score(plans, *arguments, **options):
        scores = further_is_better(plans, *arguments, **options)
        scores.ep[1, 2] = math.nan
        return scores

    monkeypatch.setattr(scored_run, 'pdm_score', score)
    with pytest.raises(TrainingRunError, match=r'not finite \(ep.*the batch is in'):
        Selection(config).run()
    assert len(json.loads((config.out / 'bad_batch.json').read_text())['tokens']) == 4


def test_a_plan_that_is_not_finite_names_the_batch(config):
    run = Selection(config)
    torch.nn.init.constant_(run.branch.tree.heads.bias, math.nan)
    with pytest.raises(TrainingRunError, match='step 0: the loss is not finite'):
        run.run()
    assert len(json.loads((config.out / 'bad_batch.json').read_text())['tokens']) == 4


@pytest.mark.parametrize('changes, error, sentence', [
    ({'generator': 'forest'}, TrainingRunError, 'generator: expected one of tree, likeliest'),
    ({'protocol': 'navsim_v3'}, TrainingRunError, 'protocol: expected one of navsim_v1'),
    ({'roots': 'air'}, TrainingRunError, 'roots: expected one of human'),
    ({'noisy': -0.1}, TrainingRunError, 'noisy: expected 0 or more'),
    ({'listwise': -1.0}, TrainingRunError, 'listwise: expected 0 or more'),
    ({'temperature': 0.0}, TrainingRunError, 'temperature: expected more than 0'),
    ({'init': Path('policy.safetensors')}, TrainingRunError, 'init: .* give own_perception'),
    ({'roots': 'mixed'}, RootsError, 'mixed needs root_plans'),
    ({'model': {'colour': 1}}, FreshBranchError, 'model: does not fit .*colour'),
    ({'model': {'width': 12}}, ValueError, 'width: expected a multiple of 8, got 12'),
    ({'model': {'view_width': 24}}, BranchError, 'name the refiner that the selector was trained'),
    ({'refiner': Path('none.safetensors')}, CheckpointError, 'none.safetensors: .*be read')])
def test_what_cannot_be_done_is_a_sentence(config, changes, error, sentence):
    with pytest.raises(error, match=sentence):
        Selection(replace(config, **changes))


def test_a_cache_without_scenes_for_the_scorer_is_refused(config, tmp_path):
    noise = write_cache(tmp_path / 'noise', 4)
    with pytest.raises(CacheError, match='not made of navsim_v2'):
        Selection(replace(config, cache=noise, protocol='navsim_v2'))


@pytest.mark.parametrize('recipe', ['selector', 'selector_human'])
def test_the_command_reads_the_configurations_that_ship(validated, checkout, recipe, capsys):
    code = main(['select', '--config', str(checkout / 'config' / f'train_{recipe}_mini.yaml'),
                 '--refiner', str(validated.refiner), '--cache', str(validated.cache),
                 '--val-cache', str(validated.cache), '--val-policy', validated.val_policy,
                 '--out', str(validated.out), '--batch', '8', '--roots', 'human', '--epochs', '2',
                 '--model', 'width=16', '--threads', '1', '--readers', '1'])
    assert code == 0 and '2 of 2 epochs' in capsys.readouterr().out
    best = load_card(validated.out / 'best.safetensors').training.metrics
    learned = rows(validated.out)
    assert best['val/selected'] == max(row['val/selected'] for row in learned)
    for row in learned:
        assert row['val/root'] <= row['val/coverage'] >= row['val/selected']
