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

"""Offsets without a tree: the leaves of the tree's intentions, none of which sees another."""

from pair_drive_ros.models.candidates import generate, tree_of
from pair_drive_ros.models.offset_sampler import OffsetSampler
from pair_drive_ros.models.tree_config import GROUPS, TreeConfig, TreeError
from pair_drive_ros.models.tree_geometry import Intention
from pair_drive_ros.models.tree_sampler import TreeSampler
import pytest
from tiny_branch import tiny_refiner
from tiny_view import bend, BEV_WIDTH, tiny_view, WIDTH
import torch


def sampler(**changes):
    torch.manual_seed(0)
    return OffsetSampler(TreeConfig(**{'width': 16, 'flat': True, **changes}), BEV_WIDTH, WIDTH)


@pytest.mark.parametrize('group', GROUPS)
def test_every_leaf_has_four_nodes_of_its_own(group):
    flat = sampler(group=group)
    grown = flat(tiny_view(), bend())
    assert flat.nodes == 4 * group == grown.offsets.shape[1]
    assert grown.paths.flatten().unique().numel() == flat.nodes
    assert grown.leaves.shape == (2, group, 8, 3) and grown.leaves.isfinite().all()
    assert torch.allclose(grown.log_probs.exp().sum(dim=1), torch.ones(2), atol=1e-5)


def test_the_same_offsets_make_the_leaves_of_the_tree():
    flat = sampler()
    torch.manual_seed(0)
    tree = TreeSampler(TreeConfig(width=16), BEV_WIDTH, WIDTH)
    grown = tree(tiny_view(), bend(), torch.randn(2, 2, tree.nodes, 2))
    own = torch.empty(4, flat.nodes, 2)
    own[:, flat(tiny_view(), bend()).paths] = grown.offsets[:, grown.paths]
    again = flat(tiny_view(), bend(), drawn=own.view(2, 2, flat.nodes, 2))
    assert torch.allclose(again.leaves, grown.leaves, atol=1e-5)


def test_noise_on_one_leaf_leaves_the_others_where_they_are():
    flat = sampler()
    plain = flat(tiny_view(), bend())
    noise = torch.zeros(2, 1, flat.nodes, 2)
    noise[:, 0, plain.paths[3]] = 2.0
    moved = (flat(tiny_view(), bend(), noise).leaves - plain.leaves).abs().amax(dim=(0, 2, 3))
    assert moved[3] > 0.1 and (moved[torch.arange(15) != 3] < 1e-5).all()


def test_untrained_offsets_lie_where_those_of_the_tree_do():
    flat, tree = sampler(), TreeSampler(TreeConfig(width=16), BEV_WIDTH, WIDTH)
    with torch.no_grad():
        for head in (flat.offset_head, tree.heads):
            head.weight.zero_()
    view, root = tiny_view(), bend()
    assert torch.allclose(flat(view, root).leaves, tree(view, root).leaves, atol=1e-5)
    assert flat.first_offsets([Intention.LEFT, Intention.GO]).tolist() == [[0.0, -1.0],
                                                                           [-1.0, -1.0]]


def test_it_looks_at_the_scene_and_learns_in_all_of_its_parts():
    flat = sampler()
    one, other = (flat(tiny_view(seed=seed), bend()) for seed in (0, 1))
    assert not torch.allclose(one.leaves, other.leaves, atol=1e-3)
    assert not torch.allclose(one.log_probs, other.log_probs, atol=1e-4)
    grown = flat(tiny_view(), bend(), torch.randn(2, 2, flat.nodes, 2))
    (grown.log_probs[:, 0].sum() + grown.means.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in flat.parameters())


def test_a_refiner_without_a_tree_makes_candidates_and_an_untrained_control():
    refiner = tiny_refiner(flat=True)
    assert isinstance(refiner.tree, OffsetSampler)
    assert isinstance(tree_of('untrained', refiner.tree), OffsetSampler)
    candidates = generate('tree', refiner.tree, tiny_view(), bend())
    assert candidates.plans.shape == (2, 16, 8, 3)


def test_there_are_no_other_leaves_to_choose_the_likeliest_from():
    with pytest.raises(TreeError, match=r'most_likely: without a tree \(flat\)'):
        tree_of('likeliest', sampler())
