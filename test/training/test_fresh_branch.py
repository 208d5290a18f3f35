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

"""The RL branch that a run begins with: which weights it has, and that they are its own."""

from pair_drive_ros.models.architectures import ArchitectureError
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.diffusion_drive import DiffusionDriveConfig
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.policy import Network
from pair_drive_ros.models.refiner import RefinerConfig
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig, TransfuserError
from pair_drive_ros.models.tree_config import TreeConfig, TreeError
from pair_drive_training import fresh_branch
from pair_drive_training.fresh_branch import (
    begin_with_perception,
    fresh_refiner,
    FreshBranchError,
)
import pytest
from tiny_branch import PERCEPTION, tiny_perception, tiny_refiner, TREE
from tiny_diffusion import tiny_diffusion_drive
import torch

RECORD = TrainingRecord('noise', 0, 'none')


def fresh(init=None, seed: int = 0, **tree):
    torch.manual_seed(seed)
    return fresh_refiner('mini', PERCEPTION, {**TREE, **tree}, init)


def saved(folder, network: Network):
    path = folder / 'given.safetensors'
    save_checkpoint(path, network, RECORD)
    return path


def other_values(network: torch.nn.Module) -> torch.nn.Module:
    """Give every weight and statistic a value of its own that no initialisation has."""
    with torch.no_grad():
        for place, value in enumerate(network.state_dict().values()):
            value.copy_(torch.full_like(value, 2.0 + place))
    return network


def test_entries_that_differ_are_those_of_the_preset():
    assert fresh().config == RefinerConfig(tiny_perception(), TreeConfig(**TREE))
    small = {**PERCEPTION, 'image_height': 32, 'image_width': 64, 'lidar_bins': 64}
    full = fresh_refiner('full', small, {'group': 5}, None)
    assert full.config == RefinerConfig(TransfuserConfig(**small), TreeConfig(group=5))


def test_weights_are_drawn_from_the_generator():
    one, same, other = (fresh(seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one['tree.heads.weight'], other['tree.heads.weight'])


@pytest.mark.parametrize('policy', [
    Transfuser(tiny_perception()),
    # What moves its plan's poses is nothing to the branch.
    Transfuser(tiny_perception(plan_refinement=True)),
    tiny_diffusion_drive(config=DiffusionDriveConfig.mini(**PERCEPTION))],
    ids=['transfuser', 'with_plan_refinement', 'diffusion_drive'])
def test_a_policys_perception_is_copied_and_the_tree_is_as_it_was_drawn(tmp_path, policy):
    path = saved(tmp_path, other_values(policy))
    given = policy.state_dict()
    refiner, drawn = fresh(path), fresh()
    for name, value in refiner.perception.state_dict().items():
        assert torch.equal(value, given[name])
    for name, value in refiner.tree.state_dict().items():
        assert torch.equal(value, drawn.tree.state_dict()[name])


def test_no_weight_is_shared_with_the_policy_it_begins_with(tmp_path, monkeypatch):
    policy = other_values(Transfuser(tiny_perception()))
    monkeypatch.setattr(fresh_branch, 'load_policy', lambda path: (policy, None))
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    refiner = fresh(saved(tmp_path, policy))
    places = {value.data_ptr() for value in policy.state_dict().values()}
    assert not any(value.data_ptr() in places for value in refiner.state_dict().values())
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())


def test_a_refiner_is_gone_on_with_whole(tmp_path):
    given = other_values(tiny_refiner())
    refiner = fresh(saved(tmp_path, given))
    assert all(torch.equal(value, given.state_dict()[name])
               for name, value in refiner.state_dict().items())


def test_another_perception_begins_with_a_policys(tmp_path):
    policy = other_values(Transfuser(tiny_perception()))
    perception = tiny_refiner().perception
    begin_with_perception(perception, saved(tmp_path, policy))
    assert all(torch.equal(value, policy.state_dict()[name])
               for name, value in perception.state_dict().items())


@pytest.mark.parametrize('given, first', [
    (Transfuser(tiny_perception(decoder_width=24)), 'keyval_embedding.weight'),
    (tiny_refiner(perception={'base_width': 8}), r'perception\.backbone'),
    (tiny_refiner(width=24), r'tree\.encoder'), (EgoStatus(EgoStatusConfig(4)), 'backbone')],
    ids=['wider_queries', 'wider_encoders', 'wider_tree', 'no_perception'])
def test_what_does_not_fit_is_refused_and_named(tmp_path, given, first):
    path = saved(tmp_path, given)
    with pytest.raises(FreshBranchError, match=f'init: {path} does not fit: .*first {first}.*'
                                               'a checkpoint of the same sizes'):
        fresh(path)


def test_a_users_own_policy_is_not_imported(tmp_path):
    class Mine(EgoStatus):
        architecture = 'mine:Mine'

    with pytest.raises(ArchitectureError, match="'mine:Mine', which does not ship"):
        fresh(saved(tmp_path, Mine(EgoStatusConfig(4))))


def test_public_image_weights_come_before_what_a_checkpoint_gives(tmp_path, monkeypatch):
    name, asked = 'backbone.image_encoder.conv1.weight', []

    def load(perception, path):
        asked.append(path)
        perception.get_parameter(name).data.fill_(0.5)

    monkeypatch.setattr(fresh_branch, 'load_image_weights', load)
    public = tmp_path / 'resnet34.pth'
    given = other_values(tiny_refiner())
    found = [fresh_refiner('mini', PERCEPTION, TREE, init, public).perception.get_parameter(name)
             for init in (None, saved(tmp_path, given))]
    assert asked == [public, public] and (found[0] == 0.5).all()
    assert torch.equal(found[1], given.perception.get_parameter(name))


@pytest.mark.parametrize('perception, tree, error, sentence', [
    ({'colour': 1}, {}, FreshBranchError, 'perception, tree: do not fit .*colour'),
    ({}, {'height': 1}, FreshBranchError, 'perception, tree: do not fit .*height'),
    ({'base_width': 3}, {}, TransfuserError, 'base_width'),
    ({}, {'group': 7}, TreeError, 'group: expected one of 5, 9, 12, 15')])
@pytest.mark.parametrize('preset', ['mini', 'full'])
def test_entries_that_build_nothing_are_sentences(preset, perception, tree, error, sentence):
    with pytest.raises(error, match=sentence):
        fresh_refiner(preset, perception, tree, None)
