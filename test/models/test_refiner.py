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

"""The refiner: what its perception hands over, and that a checkpoint keeps it."""

import json

from pair_drive_ros.models.architectures import ArchitectureError, load_policy
from pair_drive_ros.models.checkpoint import (
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
    TrainingRecord,
)
from pair_drive_ros.models.policy import FeatureError
from pair_drive_ros.models.refiner import Refiner, RefinerConfig
from pair_drive_ros.models.selector import Selector
from pair_drive_ros.models.transfuser_config import TransfuserError
from pair_drive_ros.models.tree_config import TreeConfig, TreeError
import pytest
from tiny_branch import tiny_perception, tiny_refiner
from tiny_network import random_features
from tiny_view import bend, BEV_WIDTH, WIDTH
import torch

RECORD = TrainingRecord('noise', 0, 'none')


def test_a_view_is_what_perception_predicts_with():
    refiner = tiny_refiner()
    features = random_features(refiner, batch=2)
    with torch.no_grad():
        view = refiner.view(features)
        percept = refiner.perception.perceive(features)
        bev_map = refiner.perception.bev_map(percept)
        auxiliary = refiner.perception.auxiliary(bev_map, percept.queries[:, 1:])
    assert view.bev_map.shape == (2, BEV_WIDTH, 32, 32) and view.ego.shape == (2, WIDTH)
    torch.testing.assert_close(view.bev_map, bev_map)
    torch.testing.assert_close(view.ego, percept.queries[:, 0])
    torch.testing.assert_close(view.agents, percept.queries[:, 1:])
    torch.testing.assert_close(view.agent_states, auxiliary['agent_states'])
    torch.testing.assert_close(view.agent_logits, auxiliary['agent_labels'])
    assert torch.equal(view.status, features['status_feature'])


def test_a_view_in_single_precision_is_the_same_view():
    refiner = tiny_refiner()
    with torch.no_grad():
        view = refiner.view(random_features(refiner))
    half = type(view)(*(tensor.bfloat16() for tensor in view))
    assert all(tensor.dtype == torch.float32 for tensor in half.single())
    assert all(torch.equal(one, other.float()) for one, other in zip(
        half.single(), half, strict=True))


def test_it_grows_a_tree_from_any_plan():
    refiner = tiny_refiner()
    with torch.no_grad():
        view = refiner.view(random_features(refiner, batch=2))
        trees = [refiner.tree(view, root) for root in (bend(), torch.zeros(2, 8, 3))]
    assert all(tree.leaves.shape == (2, 15, 8, 3) and tree.leaves.isfinite().all()
               for tree in trees)


def test_what_the_tree_learns_reaches_the_encoders():
    refiner = tiny_refiner()
    tree = refiner.tree(refiner.view(random_features(refiner, batch=2)), bend())
    (tree.log_probs[:, 0].sum() + tree.means.square().sum()).backward()
    for name in ('backbone.image_encoder.conv1.weight', 'agent_head.mlp_label.0.weight'):
        assert refiner.perception.get_parameter(name).grad.abs().sum() > 0.0


def test_features_that_are_missing_are_named():
    refiner = tiny_refiner()
    features = random_features(refiner)
    del features['lidar_feature']
    with pytest.raises(FeatureError, match='lidar_feature are missing'):
        refiner.view(features)


def test_a_checkpoint_keeps_it(tmp_path):
    path = tmp_path / 'refiner.safetensors'
    refiner = tiny_refiner(perception={'stage_blocks': (1, 2, 1, 1)}, group=9, largest_turn=0.2)
    save_checkpoint(path, refiner, RECORD)
    loaded, card = load_checkpoint(path, Refiner)
    assert loaded.config == refiner.config and not loaded.training
    assert isinstance(loaded.config.perception.stage_blocks, tuple)
    assert card.architecture == 'pair_drive_refiner'
    features = random_features(refiner, batch=2)
    with torch.no_grad():
        one, other = (each.tree(each.view(features), bend()) for each in (refiner, loaded))
    assert torch.equal(one.leaves, other.leaves) and torch.equal(one.log_probs, other.log_probs)


def test_the_papers_own_tree_survives_a_card(tmp_path):
    path = tmp_path / 'refiner.safetensors'
    config = RefinerConfig(tiny_perception(), TreeConfig.parity(width=16))
    save_checkpoint(path, Refiner(config), RECORD)
    assert load_checkpoint(path, Refiner)[0].config.tree == config.tree


def test_it_is_neither_a_selector_nor_a_policy(tmp_path):
    path = tmp_path / 'refiner.safetensors'
    save_checkpoint(path, tiny_refiner(), RECORD)
    with pytest.raises(CheckpointError, match="'pair_drive_refiner', not 'pair_drive_selector'"):
        load_checkpoint(path, Selector)
    with pytest.raises(ArchitectureError, match="'pair_drive_refiner', which does not ship"):
        load_policy(path)


def test_a_card_with_a_tree_that_cannot_be_grown_is_refused(tmp_path):
    path = tmp_path / 'refiner.safetensors'
    save_checkpoint(path, tiny_refiner(), RECORD)
    card = path.with_suffix('.json')
    entries = json.loads(card.read_text())
    entries['config']['tree']['group'] = 7
    card.write_text(json.dumps(entries))
    with pytest.raises(CheckpointError, match='group: expected one of 5, 9, 12, 15, got 7'):
        load_checkpoint(path, Refiner)


def test_the_small_one_moves_no_plan_of_its_own():
    config = RefinerConfig.mini({'base_width': 4}, {'group': 5})
    assert config.perception.base_width == 4 and config.tree.group == 5
    assert not config.perception.plan_refinement and config.perception.lidar_bins == 128


@pytest.mark.parametrize('perception, tree, error', [
    ({'base_width': 3}, {}, TransfuserError), ({}, {'width': 12}, TreeError),
    ({}, {'colour': 1}, TypeError)])
def test_bad_entries_of_either_part_are_refused(perception, tree, error):
    with pytest.raises(error):
        RefinerConfig.mini(perception, tree)
