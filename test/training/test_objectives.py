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

"""The objectives of the tree on numbers worked out by hand."""

import math

from pair_drive_training.objectives import (
    adapted,
    best_advantage,
    clipped_surrogate,
    entropy,
    expected_loss,
    gaussian_kl,
    group_advantage,
    k3,
    LEAST_SPREAD,
    path_advantage,
    policy_advantage,
    reward_weights,
)
import pytest
import torch
from torch.distributions import kl_divergence, Normal

REWARDS = torch.tensor([[[0.0, 0.5, 1.0], [0.2, 0.8, 0.2]],
                        [[0.3, 0.3, 0.3], [0.9, 0.1, 0.5]]])
"""Of two scenes, two trees of each, three leaves of each tree."""


def test_a_leaf_is_compared_with_its_own_tree():
    found = group_advantage(REWARDS)
    # Mean 0.5 and standard deviation 0.5; mean 0.4 and 0.2 sqrt(3); mean 0.5 and 0.4.
    torch.testing.assert_close(found[0, 0], torch.tensor([-0.5, 0.0, 0.5]) / (0.5 + 1e-4))
    torch.testing.assert_close(found[0, 1], torch.tensor([-0.2, 0.4, -0.2])
                               / (0.2 * math.sqrt(3.0) + 1e-4))
    torch.testing.assert_close(found[1, 1], torch.tensor([0.4, -0.4, 0.0]) / (0.4 + 1e-4))


@pytest.mark.parametrize('value', [0.0, 0.3, 0.9, 1.0])
def test_a_tree_without_spread_teaches_nothing(value):
    rewards = torch.full((1, 2, 15), value)
    rewards[0, 1, 3] = value + LEAST_SPREAD
    assert not group_advantage(rewards).any()


def test_the_mean_of_a_scene_changes_no_advantage():
    easier = REWARDS + torch.tensor([0.5, -0.2])[:, None, None]
    log_probs = torch.linspace(-3.0, -1.0, 12).view(2, 2, 3)
    for advantage in (group_advantage, path_advantage, best_advantage,
                      lambda rewards: policy_advantage(rewards, log_probs)):
        torch.testing.assert_close(advantage(easier), advantage(REWARDS), atol=1e-5, rtol=1e-5)


def test_a_path_is_compared_with_itself_in_the_scenes_other_trees():
    away = torch.tensor([[[-0.1, -0.15, 0.4], [0.1, 0.15, -0.4]],
                         [[-0.3, 0.1, -0.1], [0.3, -0.1, 0.1]]])
    spread = math.sqrt(2.0 * (0.01 + 0.0225 + 0.16 + 0.09 + 0.01 + 0.01) / 11.0)
    torch.testing.assert_close(path_advantage(REWARDS), away / (spread + 1e-4))


def test_a_path_that_is_worse_than_others_but_best_of_itself_is_credited():
    rewards = torch.tensor([[[0.1, 0.9], [0.2, 0.9]]])
    found = path_advantage(rewards)
    assert found[0, 1, 0] > 0.0 > found[0, 0, 0] and not found[0, :, 1].any()


def test_a_path_counts_as_much_as_it_is_likely_among_the_leaves():
    chances = torch.tensor([0.5, 0.3, 0.2])
    # Chances of whole paths: the leaves' do not sum to one.
    log_probs = (0.01 * chances).log().expand(2, 2, 3).clone().requires_grad_()
    found = policy_advantage(REWARDS, log_probs)
    torch.testing.assert_close(found, path_advantage(REWARDS) * chances)
    assert not found.requires_grad


def test_only_each_trees_best_leaf_is_credited():
    found = best_advantage(REWARDS)
    # The best leaves have 1.0 and 0.8, and 0.3 and 0.9: 0.1 and 0.3 away from their means.
    spread = math.sqrt(2.0 * (0.1 ** 2 + 0.3 ** 2) / 3.0) + 1e-4
    expected = torch.zeros(2, 2, 3)
    expected[0, 0, 2], expected[0, 1, 1] = 0.1 / spread, -0.1 / spread
    expected[1, 0, 0], expected[1, 1, 0] = -0.3 / spread, 0.3 / spread
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(dim=(1, 2)), torch.zeros(2))


def test_trees_whose_best_leaves_are_equally_good_teach_nothing():
    rewards = torch.tensor([[[0.9, 0.1], [0.3, 0.9]], [[0.2, 0.4], [0.4, 0.0]]])
    assert not best_advantage(rewards).any()


@pytest.mark.parametrize('ratio, advantage, loss', [
    (1.0, 2.0, -2.0), (1.1, 2.0, -2.2), (0.9, -2.0, 1.8), (0.9, 2.0, -1.8),
    # Beyond the clip what would earn more earns no more, what would cost more does.
    (1.5, 2.0, -2.4), (0.5, 2.0, -1.0), (0.5, -2.0, 1.6), (1.5, -2.0, 3.0)])
def test_the_surrogate_is_clipped_where_it_would_earn_more(ratio, advantage, loss):
    log_probs = torch.tensor([math.log(ratio) - 3.0], requires_grad=True)
    found = clipped_surrogate(log_probs, torch.tensor([-3.0]), torch.tensor([advantage]), 0.2)
    assert found.item() == pytest.approx(loss, rel=1e-5)
    found.backward()
    is_clipped = (ratio - 1.0) * advantage > 0.2 * abs(advantage)
    assert log_probs.grad.item() == pytest.approx(
        0.0 if is_clipped else -ratio * advantage, rel=1e-5, abs=1e-7)


def test_at_the_policy_that_drew_the_surrogates_gradient_is_the_policy_gradient():
    log_probs = torch.randn(4, 3, requires_grad=True)
    advantage = torch.randn(4, 3)
    clipped_surrogate(log_probs, log_probs, advantage, 0.2).backward()
    torch.testing.assert_close(log_probs.grad, -advantage / 12.0)


def test_k3_is_never_negative_and_zero_for_equal_policies():
    torch.manual_seed(0)
    own, other = torch.randn(50), torch.randn(50)
    each = torch.stack([k3(own[place], other[place]) for place in range(50)])
    assert each.min() > 0.0
    torch.testing.assert_close(k3(own, other), each.mean())
    assert k3(own, own).item() == 0.0
    assert k3(torch.tensor(0.0), torch.tensor(1.0)).item() == pytest.approx(math.e - 2.0)


def test_k3_pulls_towards_the_reference_and_leaves_it_alone():
    own = torch.tensor([1.0, -1.0], requires_grad=True)
    reference = torch.zeros(2, requires_grad=True)
    k3(own, reference).backward()
    assert own.grad[0] > 0.0 > own.grad[1] and reference.grad is None
    at = torch.zeros(2, requires_grad=True)
    k3(at, reference).backward()
    assert not at.grad.any()


def test_the_mean_of_k3_over_a_policys_samples_is_the_divergence():
    policy, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.4, 0.4, 0.2])
    counts = torch.tensor([70, 20, 10])
    drawn = [values.log().repeat_interleave(counts) for values in (policy, reference)]
    exact = (policy * (policy / reference).log()).sum()
    torch.testing.assert_close(k3(*drawn), exact)


def test_the_expected_reward_is_that_of_the_leaves_chances():
    chances = torch.tensor([[[0.5, 0.3, 0.2]]])
    rewards = torch.tensor([[[1.0, 0.0, 0.5]]])
    # Chances of whole paths: their leaves' do not sum to one. The tree's mean is 0.5.
    found = expected_loss((0.01 * chances).log(), rewards, 0.25)
    assert found.item() == pytest.approx(-(0.6 - 0.5) / 0.25, rel=1e-5)


def test_its_gradient_is_the_exact_policy_gradient_of_a_softmax():
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 3, requires_grad=True)
    expected_loss(logits, REWARDS, 0.5).backward()
    chances = logits.detach().softmax(dim=-1)
    mean = (chances * REWARDS).sum(dim=-1, keepdim=True)
    torch.testing.assert_close(logits.grad, -chances * (REWARDS - mean) / (0.5 * 4))
    better = REWARDS > mean
    assert (logits.grad[better] < 0.0).all() and (logits.grad[~better] >= 0.0).all()
    assert not logits.grad[1, 0].abs().max() > 1e-7


def test_descending_it_makes_the_best_leaf_certain():
    logits = torch.zeros(2, 2, 3, requires_grad=True)
    for _ in range(60):
        gradient, = torch.autograd.grad(expected_loss(logits, REWARDS, 0.3), logits)
        logits = (logits - 20.0 * gradient).detach().requires_grad_()
    chances = logits.softmax(dim=-1)
    assert chances[0, 0, 2] > 0.95 and chances[0, 1, 1] > 0.95 and chances[1, 1, 0] > 0.95
    torch.testing.assert_close(chances[1, 0], torch.full((3,), 1.0 / 3.0))


def test_entropy_is_greatest_where_all_leaves_are_equally_likely():
    even = torch.full((2, 3, 15), -4.0)
    assert entropy(even).item() == pytest.approx(math.log(15.0), rel=1e-5)
    assert entropy(torch.tensor([[[0.5, 0.25, 0.25]]]).log()).item() == pytest.approx(
        1.5 * math.log(2.0), rel=1e-5)
    assert entropy(torch.tensor([[[0.0, -90.0, -90.0]]])).item() == pytest.approx(0.0, abs=1e-6)


def test_the_same_paths_offsets_are_weighed_by_what_they_earned():
    rewards = torch.tensor([[[0.5, 0.2], [0.7, 0.2], [0.5, 0.2]]])
    found = reward_weights(rewards, 0.1)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(1, 2))
    high = math.exp(2.0) / (2.0 + math.exp(2.0))
    torch.testing.assert_close(found[0, :, 0], torch.tensor(
        [(1.0 - high) / 2.0, high, (1.0 - high) / 2.0]))
    torch.testing.assert_close(found[0, :, 1], torch.full((3,), 1.0 / 3.0))


@pytest.mark.parametrize('beta, divergence, expected', [
    (0.04, 0.21, 0.06), (0.04, 0.04, 0.04 / 1.5), (0.04, 0.1, 0.04), (0.04, 0.2, 0.04),
    (0.04, 0.05, 0.04), (0.9, 5.0, 1.0), (1.0, 5.0, 1.0), (0.0012, 0.0, 1e-3), (1e-3, 0.0, 1e-3)])
def test_the_penaltys_weight_follows_the_divergence_within_bounds(beta, divergence, expected):
    assert adapted(beta, divergence, 0.1) == pytest.approx(expected)


def test_the_kl_of_gaussians_is_torchs():
    means, reference = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    exact = kl_divergence(Normal(means, 0.7), Normal(reference, 0.7)).sum(dim=-1).mean()
    assert torch.allclose(gaussian_kl(means, reference, 0.7), exact, atol=1e-6)
