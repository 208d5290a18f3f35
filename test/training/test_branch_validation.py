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

"""Validation of the RL branch: that its numbers are those of the scorer, and its margin best."""

from dataclasses import replace

from pair_drive_ros.models.candidates import generate, tree_of
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.refinement_branch import RefinementBranch
from pair_drive_ros.models.selector import HEADS, Selector
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_training import branch_validation
from pair_drive_training.branch_validation import BranchValidation, MARGINS
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.training_batches import TrainingBatches
from pair_drive_training.evaluation.policies import PolicyError
import pytest
from scored_cache import scored_scenes, write_scored_cache
from tiny_branch import tiny_refiner, tiny_selector
from tiny_cache import token, write_cache
import torch

CPU = torch.device('cpu')
SCENES = 6
V1 = Protocol.NAVSIM_V1
RECORD = TrainingRecord('noise', 0, 'none')


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return write_scored_cache(tmp_path_factory.mktemp('cache'), SCENES)


@pytest.fixture(scope='module')
def policy(tmp_path_factory):
    """Save a policy that goes straight on at 3 m/s and a little more for faster cars."""
    network = EgoStatus(EgoStatusConfig(4))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        first, *_, last = (layer for layer in network.mlp if isinstance(layer, torch.nn.Linear))
        for layer in (first, network.mlp[2], network.mlp[4]):
            layer.weight[0, 4 if layer is first else 0] = 1.0
        last.weight[::3, 0] = 0.05 * torch.arange(1.0, 9.0)
        last.bias[::3] = 1.5 * torch.arange(1.0, 9.0)
    path = tmp_path_factory.mktemp('policy') / 'straight.safetensors'
    save_checkpoint(path, network, RECORD)
    return str(path)


@pytest.fixture
def refiner():
    refiner = tiny_refiner()
    with torch.no_grad():
        refiner.tree.heads.weight.mul_(30.0)
        # To brake is likeliest, which is good before the lorry.
        refiner.tree.heads.bias.view(4, 3)[3, 0] = 9.0
    return refiner


def validation(cache, policy, refiner, tokens=None, batch=4, protocol=V1):
    return BranchValidation(cache, tokens, policy, refiner.feature_spec, protocol, batch, 1)


def seen(cache, policy, refiner):
    """Return all scenes' features and the policy's plans in them."""
    opened = Cache.open(cache)
    tokens = [token(index) for index in range(SCENES)]
    batch = TrainingBatches(opened, tokens, refiner.feature_spec, 1).read(tokens)
    features, _ = batch.on(CPU, refiner.feature_spec)
    speed = features['status_feature'][:, 4, None]
    plans = torch.zeros(SCENES, 8, 3)
    plans[..., 0] = (1.5 + 0.05 * speed) * torch.arange(1.0, 9.0)
    return features, plans


def guess(self, view, candidates):
    """Predict, in place of a selector, something else for every plan, but good of all."""
    progress = 0.5 + 0.4 * (40.0 * candidates.plans[..., -1, 0]).sin()
    values = {name: torch.full_like(progress, 0.999) for name in HEADS[self.protocol]}
    return {name: value.logit() for name, value in {**values, 'ep': progress}.items()}


def percent(values):
    return pytest.approx(100.0 * float(values.mean()), abs=1e-4)


@pytest.mark.parametrize('protocol', Protocol)
def test_the_trees_numbers_are_the_scorers(cache, policy, refiner, protocol):
    features, root = seen(cache, policy, refiner)
    with torch.no_grad():
        tree = refiner.tree(refiner.view(features), root)
    scenes = scored_scenes(SCENES, protocol)
    leaves = pdm_score(tree.leaves.double(), scenes, protocol)
    roots = pdm_score(root.double()[:, None], scenes, protocol).total[:, 0]
    likeliest = leaves.total[torch.arange(SCENES), tree.log_probs.argmax(dim=1)]
    row = validation(cache, policy, refiner, protocol=protocol).of_tree(refiner.train(), CPU)
    assert row == {
        'val/root': percent(roots), 'val/leaf': percent(leaves.total),
        'val/coverage': percent(torch.maximum(leaves.total.amax(dim=1), roots)),
        'val/likeliest': percent(likeliest), 'val/leaf_comfort': percent(leaves.comfort)}
    assert 0.0 < row['val/leaf'] < row['val/coverage'] and not refiner.training
    assert row['val/likeliest'] > row['val/leaf'] + 10.0


@pytest.mark.parametrize('generator', ['flat', 'likeliest', 'untrained'])
def test_another_generators_numbers_are_those_of_its_own_candidates(cache, policy, refiner,
                                                                    generator):
    features, root = seen(cache, policy, refiner)
    with torch.no_grad():
        candidates = generate(generator, tree_of(generator, refiner.tree),
                              refiner.view(features), root)
    total = pdm_score(candidates.plans.double(), scored_scenes(SCENES, V1), V1).total
    row = validation(cache, policy, refiner).of_tree(refiner, CPU, generator)
    assert row['val/coverage'] == percent(total.amax(dim=1))
    assert row['val/leaf'] == percent(total[:, 1:])
    assert row['val/leaf'] != validation(cache, policy, refiner).of_tree(refiner, CPU)['val/leaf']


def test_scenes_may_come_in_any_batches_and_order(cache, policy, refiner, tmp_path):
    whole = validation(cache, policy, refiner).of_tree(refiner, CPU)
    for batch in (1, 5, 100):
        row = validation(cache, policy, refiner, batch=batch).of_tree(refiner, CPU)
        assert row == pytest.approx(whole, abs=1e-3)
    listed = tmp_path / 'listed.yaml'
    listed.write_text('tokens:\n' + ''.join(f"- '{token(index)}'\n"
                                            for index in reversed(range(SCENES))))
    row = validation(cache, policy, refiner, tokens=listed).of_tree(refiner, CPU)
    assert row == pytest.approx(whole, abs=1e-3)
    listed.write_text(f"tokens:\n- '{token(5)}'\n")
    root = validation(cache, policy, refiner, tokens=listed).of_tree(refiner, CPU)['val/root']
    plan = seen(cache, policy, refiner)[1][5:, None].double()
    assert root == percent(pdm_score(plan, scored_scenes(SCENES).scene(5), V1).total)


@pytest.mark.parametrize('protocol', Protocol)
def test_the_margin_is_the_one_with_which_the_branch_drives_best(cache, policy, refiner,
                                                                 protocol, monkeypatch):
    features, root = seen(cache, policy, refiner)
    scenes = scored_scenes(SCENES, protocol)
    monkeypatch.setattr(Selector, 'forward', guess)
    selector = tiny_selector(protocol=protocol.value)
    branch = RefinementBranch(refiner, selector)
    driven = {}
    for margin in MARGINS:
        selector.config = replace(selector.config, margin=margin)
        with torch.no_grad():
            refinement = branch.eval().refine(branch.encode(features), root)
        driven[margin] = pdm_score(refinement.plan.double()[:, None], scenes, protocol)
    assert len({float(scores.total.mean()) for scores in driven.values()}) > 1
    best = max(MARGINS, key=lambda margin: float(driven[margin].total.mean()))
    measure = validation(cache, policy, refiner, protocol=protocol)
    for margin in (0.0, 0.2):
        selector.config = replace(selector.config, margin=margin)
        row, found = measure.of_branch(branch.train(), CPU)
        assert found == best and selector.config.margin == margin
        assert row['val/selected'] == percent(driven[best].total)
        for name in HEADS[protocol]:
            assert row[f'val/{name}'] == percent(getattr(driven[best], name))
    tree = measure.of_tree(refiner, CPU)
    assert (row['val/root'], row['val/coverage']) == (tree['val/root'], tree['val/coverage'])
    assert not branch.training


@pytest.mark.parametrize('liking, margin', [(0.04, 0.05), (0.12, 0.15), (-0.04, 0.0)])
def test_a_liking_for_bad_plans_is_outweighed_by_the_least_margin(cache, policy, refiner,
                                                                  monkeypatch, liking, margin):
    """Where the selector likes a leaf that is worse than the plan, the plan must stay."""
    def forward(self, view, candidates):
        one = torch.ones(candidates.plans.shape[:2])
        # Of the total it is five twelfths.
        progress = torch.full_like(one, 0.1)
        progress[:, 1] += 12.0 / 5.0 * liking
        values = {'nc': one, 'dac': one, 'ep': progress, 'ttc': one, 'comfort': one}
        return {name: value.logit(eps=1e-6) for name, value in values.items()}

    def score(plans, scenes, protocol):
        scores = pdm_score(plans, scenes, protocol)
        worse = torch.zeros_like(scores.total)
        worse[:, 0] = 1.0
        return replace(scores, total=worse)

    monkeypatch.setattr(Selector, 'forward', forward)
    monkeypatch.setattr(branch_validation, 'pdm_score', score)
    branch = RefinementBranch(refiner, tiny_selector())
    row, found = validation(cache, policy, refiner).of_branch(branch, CPU)
    assert found == margin and row['val/selected'] == 100.0


def test_what_cannot_be_measured_is_a_sentence(cache, policy, refiner, tmp_path):
    with pytest.raises(CacheError, match='human has no plan in 6 scenes, for example 0000'):
        validation(cache, 'human', refiner)
    with pytest.raises(PolicyError, match="there is no policy 'nobody'"):
        validation(cache, 'nobody', refiner)
    with pytest.raises(CacheError, match='not made of navsim_v1'):
        validation(write_cache(tmp_path / 'noise', 2), policy, refiner)
