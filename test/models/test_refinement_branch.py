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

"""The RL branch at run time: candidates around any plan, and which of them is chosen."""

from dataclasses import replace

from pair_drive_ros.models import architectures
from pair_drive_ros.models.architectures import ArchitectureError, branch_file
from pair_drive_ros.models.checkpoint import CheckpointError, save_checkpoint, TrainingRecord
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.flat_sampler import flat_leaves
from pair_drive_ros.models.policy import FeatureError
from pair_drive_ros.models.refinement_branch import BranchError, load_branch, RefinementBranch
from pair_drive_ros.models.transfuser import Transfuser
import pytest
from tiny_branch import tiny_perception, tiny_refiner, tiny_selector
from tiny_network import random_features
from tiny_view import bend, straight
import torch

RECORD = TrainingRecord('noise', 0, 'none')


def make(seed: int = 0, refiner=None, **selector) -> RefinementBranch:
    return RefinementBranch(refiner or tiny_refiner(seed), tiny_selector(seed, **selector)).eval()


def refined(branch, root, features=None):
    features = random_features(branch, batch=len(root)) if features is None else features
    with torch.no_grad():
        return branch.refine(branch.encode(features), root)


@pytest.mark.parametrize('generator', ['tree', 'untrained', 'flat'])
def test_the_plan_is_the_first_candidate_and_the_chosen_one_is_among_them(generator):
    root = bend(3)
    found = refined(make(generator=generator), root)
    assert found.candidates.shape == (3, 16, 8, 3) and found.candidates.isfinite().all()
    assert torch.equal(found.candidates[:, 0], root)
    assert found.scores.shape == found.order.shape == (3, 16)
    assert set(found.sub_scores) == {'nc', 'dac', 'ep', 'ttc', 'comfort'}
    for scene in range(3):
        best = int(found.scores[scene].argmax())
        assert found.order[scene, 0] == best
        assert torch.equal(found.plan[scene], found.candidates[scene, best])


def test_the_best_is_chosen_in_each_scene_by_itself():
    found = refined(make(), bend(2))
    order = torch.stack([torch.arange(16).roll(-3), torch.arange(16).roll(-7)])
    plan = found._replace(order=order).plan
    assert torch.equal(plan[0], found.candidates[0, 3])
    assert torch.equal(plan[1], found.candidates[1, 7])


def test_with_the_largest_margin_the_plan_stays():
    root = bend(3)
    assert torch.equal(refined(make(margin=1.0, seed=1), root).plan, root)


def test_the_imitation_policy_can_be_exchanged():
    """Neither branch knows of the other: what is handed over is a plan."""
    branch = make()
    before = {name: value.clone() for name, value in branch.state_dict().items()}
    torch.manual_seed(0)
    policies = [Transfuser(tiny_perception()).eval(), EgoStatus(EgoStatusConfig(4)).eval()]
    features = random_features(branch, batch=2)
    chosen = []
    with torch.no_grad():
        view = branch.encode(features)
        for policy in policies:
            root = policy.plan(features)
            found = branch.refine(view, root)
            assert torch.equal(found.candidates[:, 0], root)
            again = branch.refine(view, root)
            assert torch.equal(again.plan, found.plan)
            chosen.append(found.candidates)
    assert not torch.allclose(*chosen)
    after = branch.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_without_encoders_of_its_own_the_selector_looks_with_the_trees():
    branch = make()
    view = branch.encode(random_features(branch))
    assert view.selector is view.tree


def test_the_selectors_own_encoders_may_have_other_sizes():
    own = tiny_perception(bev_width=16, decoder_width=24)
    branch = make(perception=own, bev_width=16, view_width=24)
    with torch.no_grad():
        view = branch.encode(random_features(branch))
    assert view.tree.bev_map.shape[1] == 8 and view.selector.bev_map.shape[1] == 16
    assert refined(branch, bend(1)).plan.shape == (1, 8, 3)


@pytest.mark.parametrize('changes', [{'bev_width': 16}, {'view_width': 24}])
def test_a_selector_of_another_refiner_is_refused(changes):
    with pytest.raises(BranchError, match='name the refiner that the selector was trained with'):
        make(**changes)


def test_encoders_that_read_other_features_are_refused():
    with pytest.raises(BranchError, match='train both with the same preset'):
        make(perception=tiny_perception(lidar_bins=64))


def test_features_that_are_missing_are_named():
    branch = make()
    assert branch.feature_spec == branch.refiner.feature_spec
    features = random_features(branch)
    del features['camera_feature']
    with pytest.raises(FeatureError, match='camera_feature'):
        branch.encode(features)


def test_the_trees_leaves_are_the_candidates():
    branch, root = make(), bend(2)
    features = random_features(branch, batch=2)
    with torch.no_grad():
        tree = branch.refiner.tree(branch.refiner.view(features), root)
    assert torch.equal(refined(branch, root, features).candidates[:, 1:], tree.leaves)


def test_an_untrained_tree_is_the_same_whatever_was_trained():
    root, one, other = bend(2), tiny_refiner(), tiny_refiner()
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in other.tree.parameters():
            parameter.add_(torch.randn_like(parameter))
    found = [refined(make(refiner=refiner, generator='untrained'), root)
             for refiner in (one, other)]
    assert torch.equal(found[0].candidates, found[1].candidates)
    assert not torch.allclose(found[0].candidates,
                              refined(make(refiner=other), root).candidates, atol=1e-3)


def test_without_a_tree_no_tree_is_asked():
    refiner, root = tiny_refiner(), straight(2)
    for parameter in refiner.tree.parameters():
        torch.nn.init.constant_(parameter, torch.nan)
    found = refined(make(refiner=refiner, generator='flat'), root)
    assert torch.equal(found.candidates[:, 1:], flat_leaves(root))
    assert found.scores.isfinite().all()


@pytest.mark.parametrize('own', [False, True])
def test_a_branch_survives_the_disk(tmp_path, own):
    branch = make(margin=0.05, perception=tiny_perception() if own else None)
    paths = tmp_path / 'refiner.safetensors', tmp_path / 'selector.safetensors'
    save_checkpoint(paths[0], branch.refiner, RECORD)
    save_checkpoint(paths[1], branch.selector, replace(RECORD, seed=4))
    loaded, refiner_card, selector_card = load_branch(*paths)
    assert not loaded.training and not loaded.selector.training
    assert (refiner_card.architecture, refiner_card.training.seed) == ('pair_drive_refiner', 0)
    assert (selector_card.architecture, selector_card.training.seed) == ('pair_drive_selector', 4)
    features, root = random_features(branch, batch=2), bend(2)
    one, other = refined(branch, root, features), refined(loaded, root, features)
    assert torch.equal(one.candidates, other.candidates)
    assert torch.equal(one.scores, other.scores) and torch.equal(one.order, other.order)


def test_parts_that_do_not_belong_together_are_not_loaded(tmp_path):
    refiner, selector = tmp_path / 'refiner.safetensors', tmp_path / 'selector.safetensors'
    save_checkpoint(refiner, tiny_refiner(), RECORD)
    save_checkpoint(selector, tiny_selector(view_width=24), RECORD)
    with pytest.raises(BranchError, match='decoder_width 24, but the refiner has 8 and 16'):
        load_branch(refiner, selector)
    with pytest.raises(CheckpointError, match="'pair_drive_selector', not 'pair_drive_refiner'"):
        load_branch(selector, refiner)


def test_parts_that_ship_are_found_by_name_and_any_by_path(tmp_path, monkeypatch):
    folder = tmp_path / 'refinement'
    monkeypatch.setattr(architectures, 'BRANCH_CHECKPOINTS', folder)
    with pytest.raises(ArchitectureError, match=r"no part 'refiner' .*ships \(none\), or a file "
                                                'ending in .safetensors'):
        branch_file('refiner')
    folder.mkdir()
    for name in ('selector', 'refiner'):
        (folder / f'{name}.safetensors').touch()
    assert branch_file('refiner') == folder / 'refiner.safetensors'
    with pytest.raises(ArchitectureError, match=r'ships \(refiner, selector\)'):
        branch_file('judge')
    path = tmp_path / 'mine.safetensors'
    assert branch_file(str(path)) == path
