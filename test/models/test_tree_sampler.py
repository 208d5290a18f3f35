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

"""The tree: which nodes there are, what its leaves share, and what its chances are."""

from pair_drive_ros.models.candidates import generate, of_tree, tree_of
from pair_drive_ros.models.tree_config import GROUPS, TreeConfig, TreeError
from pair_drive_ros.models.tree_geometry import step_measure
from pair_drive_ros.models.tree_sampler import TreeSampler
import pytest
from tiny_view import bend, BEV_WIDTH, mirrored, straight, tiny_view, WIDTH
import torch


def sampler(**changes):
    torch.manual_seed(0)
    return TreeSampler(TreeConfig(**{'width': 16, **changes}), BEV_WIDTH, WIDTH)


@pytest.mark.parametrize('group', GROUPS)
def test_each_group_has_as_many_different_leaves(group):
    assert len(set(GROUPS[group])) == group
    tree = sampler(group=group)(tiny_view(), bend())
    assert tree.leaves.shape == (2, group, 8, 3)
    assert tree.log_probs.shape == (2, group)
    assert tree.leaves.isfinite().all()


def test_the_papers_groups_are_the_papers():
    assert ' '.join(GROUPS[15]) == ('0000 0001 0011 1001 1100 1111 3333 1133 1222 1122 2211 2221 '
                                    '2222 2201 2210')
    assert ' '.join(GROUPS[5]) == '0000 1111 2222 0011 2211'


def test_leaves_share_the_nodes_of_their_common_prefix():
    tree = sampler()(tiny_view(), bend())
    codes = GROUPS[15]
    for one, other in (('0000', '0001'), ('1111', '1122'), ('2211', '2210')):
        a, b = codes.index(one), codes.index(other)
        shared = sum(x == y for x, y in zip(tree.paths[a], tree.paths[b], strict=True))
        # The pose of a level, and those before it, are settled by the level.
        settled = 2 * shared
        assert torch.equal(tree.leaves[:, a, :settled - 1], tree.leaves[:, b, :settled - 1])
        assert not torch.allclose(tree.leaves[:, a, -1], tree.leaves[:, b, -1], atol=1e-3)


def test_the_chances_of_all_paths_sum_to_one():
    torch.manual_seed(0)
    whole = TreeSampler(TreeConfig(width=16, most_likely=True), BEV_WIDTH, WIDTH)
    whole._likeliest = lambda tree: tree
    tree = whole(tiny_view(), bend())
    assert tree.log_probs.shape == (2, 256)
    assert torch.allclose(tree.log_probs.exp().sum(dim=1), torch.ones(2), atol=1e-5)


def test_the_likeliest_leaves_brake_and_go_straight_on_as_well():
    tree = sampler(most_likely=True, group=5)
    with torch.no_grad():
        tree.heads.bias.view(4, 3)[0, 0] = 50.0       # left, whatever comes
    grown = tree(tiny_view(), bend())
    chosen = {tuple(tree._codes[leaf].tolist()) for leaf in (grown.paths[0, :, -1] - 84).tolist()}
    assert (1, 1, 1, 1) in chosen
    assert any(3 in code for code in chosen)
    assert (0, 0, 0, 0) in chosen
    assert grown.leaves.shape == (2, 5, 8, 3)
    assert grown.of_leaves(grown.means[..., 0]).shape == (2, 5, 4)


def test_the_likeliest_leaves_of_a_tree_are_among_all_of_its_paths():
    trained = sampler(group=9)
    found = tree_of('likeliest', trained)(tiny_view(), bend())
    assert found.leaves.shape == (2, 9, 8, 3)
    codes = trained(tiny_view(), bend())
    # The path codes that are likeliest are among them, and grow as they do in the tree itself.
    best = codes.log_probs.argmax(dim=1)
    for scene in range(2):
        same = (found.leaves[scene] - codes.leaves[scene, best[scene]]).abs().amax(dim=(1, 2))
        beaten = (found.log_probs[scene] > codes.log_probs[scene, best[scene]] + 1e-5).sum()
        assert bool((same < 1e-4).any()) or int(beaten) >= 7


def test_offsets_stay_in_the_bounds_of_their_intentions():
    tree = sampler()
    measure = step_measure(straight())[:, None]
    extreme = torch.full((2, 4, 2), 40.0)
    for sign, steps, turns in ((1.0, [0.5, 1.0, 0.5, -1.0], [0.35, 0.0, -0.35, 0.0]),
                               (-1.0, [-0.5, 0.0, -0.5, 0.0], [0.0, 0.0, 0.0, 0.0])):
        step, turn = tree.squashed(sign * extreme, range(4), measure)
        assert torch.allclose(step / measure, torch.tensor([steps] * 2), atol=1e-5)
        assert torch.allclose(turn, torch.tensor([turns] * 2), atol=1e-5)


def test_parity_has_the_bounds_of_the_released_code():
    torch.manual_seed(0)
    tree = TreeSampler(TreeConfig.parity(width=16), BEV_WIDTH, WIDTH)
    step, turn = tree.squashed(torch.full((1, 4, 2), 40.0), range(4), torch.ones(1, 1))
    assert torch.allclose(step, torch.tensor([[1.0, 1.0, 1.0, -1.0]]))
    assert torch.allclose(turn, torch.tensor([[1.2, 0.0, -1.2, 0.0]]))
    assert tree.config.geometry == 'translated'
    noisy = tree(tiny_view(), bend(), torch.ones(2, 1, tree.nodes, 2))
    assert torch.equal(noisy.leaves, tree(tiny_view(), bend()).leaves)


def test_the_same_offsets_mirror_the_tree():
    torch.manual_seed(0)
    tree = sampler(group=5)
    with torch.no_grad():
        tree.heads.weight.zero_()                     # the same offsets, whatever is seen
    one = tree(tiny_view(), bend()).leaves
    other = tree(tiny_view(), mirrored(bend())).leaves
    left, ahead, right = (GROUPS[5].index(code) for code in ('0000', '1111', '2222'))
    assert torch.allclose(mirrored(one[:, left]), other[:, right], atol=1e-4)
    assert torch.allclose(mirrored(one[:, ahead]), other[:, ahead], atol=1e-4)


def test_several_noisy_trees_grow_from_each_root():
    tree = sampler(spread=0.5)
    view, root = tiny_view(), bend()
    noise = torch.randn(2, 3, tree.nodes, 2)
    noise[:, 0] = 0.0
    grown = tree(view, root, noise)
    assert grown.leaves.shape == (6, 15, 8, 3)
    plain = tree(view, root)
    assert torch.allclose(grown.leaves[::3], plain.leaves, atol=1e-5)
    assert torch.allclose((grown.offsets - grown.means).detach(), 0.5 * noise.flatten(0, 1),
                          atol=1e-5)


def test_the_tree_looks_at_the_scene():
    tree = sampler()
    one, other = (tree(tiny_view(seed=seed), bend()).leaves for seed in (0, 1))
    assert not torch.allclose(one, other, atol=1e-3)


def test_no_gradient_reaches_the_root_or_the_offsets_drawn():
    tree = sampler()
    root = bend().requires_grad_()
    grown = tree(tiny_view(), root, torch.randn(2, 2, tree.nodes, 2))
    assert not grown.offsets.requires_grad
    (grown.log_probs.sum() + grown.means.sum()).backward()
    assert root.grad is None
    assert all(parameter.grad is not None for parameter in tree.parameters())


def test_candidates_begin_with_the_root():
    tree, view, root = sampler(), tiny_view(), bend()
    for generator in ('tree', 'untrained', 'flat'):
        candidates = generate(generator, tree, view, root)
        assert candidates.plans.shape == (2, 16, 8, 3)
        assert torch.equal(candidates.plans[:, 0], root)
        assert torch.allclose(candidates.log_probs[:, 1:].exp().sum(dim=1), torch.ones(2))
    grown = tree(view, root)
    assert torch.equal(of_tree(root, grown).plans[:, 1:], grown.leaves)


def test_an_untrained_tree_is_always_the_same_one():
    trained = sampler().fresh(7)
    one, other = tree_of('untrained', trained), tree_of('untrained', trained)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(),
                                                 other.state_dict().values(), strict=True))
    assert not torch.equal(one.heads.weight, trained.heads.weight)


@pytest.mark.parametrize(('entry', 'value'), [
    ('group', 7), ('geometry', 'rigid'), ('largest_turn', 0.0), ('largest_turn', 4.0),
    ('spread', -0.1), ('width', 12), ('spread', float('nan'))])
def test_a_bad_entry_is_named(entry, value):
    with pytest.raises(TreeError, match=entry):
        TreeConfig(**{entry: value})
