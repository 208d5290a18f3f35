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

"""
The objectives of the tree, each a small function of rewards and log-probabilities.

Shapes: B scenes, T noisy trees of each, G leaves of each tree, ``[B, T, G]``. Rewards are scores
from 0 to 1. What the paper gives (PaIR-Drive, arXiv 2603.13842: a normalised advantage, a clipped
surrogate, a KL penalty) stands first; the others are ours, and why is in docs/paper_to_code.md.
"""

import torch

# Below this spread, the leaves of a group are equally good: there is nothing to learn from it.
LEAST_SPREAD = 1e-4


def group_advantage(rewards: torch.Tensor) -> torch.Tensor:
    """
    Compare each leaf with its own tree: (r - mean) / (std + 1e-4), GRPO's advantage.

    A group without spread gets zeros.

    :param rewards: [B, T, G]
    """
    spread = rewards.std(dim=-1, keepdim=True)
    advantage = (rewards - rewards.mean(dim=-1, keepdim=True)) / (spread + LEAST_SPREAD)
    return advantage.masked_fill(spread < LEAST_SPREAD, 0.0)


def path_advantage(rewards: torch.Tensor) -> torch.Tensor:
    """
    Compare each leaf with the same path in the scene's other trees.

    Only the noise of its own offsets makes it differ. In units of the batch's spread.

    :param rewards: [B, T, G]
    """
    return _normalised(rewards - rewards.mean(dim=1, keepdim=True))


def policy_advantage(rewards: torch.Tensor, log_probs: torch.Tensor) -> torch.Tensor:
    """
    Weigh the comparison along the same path by the leaf's chance among the leaves.

    With it the offsets follow the gradient of the policy's expected reward; leaves that are never
    chosen stay as they are, which keeps the tree wide.

    :param rewards: [B, T, G]; ``log_probs`` of the leaves' paths, likewise
    """
    chances = log_probs.detach().log_softmax(dim=-1).exp()
    return path_advantage(rewards) * chances


def best_advantage(rewards: torch.Tensor) -> torch.Tensor:
    """
    Credit each tree's best leaf with what it is better than the best leaves of the other trees.

    The set of leaves is optimised, which is what a selector can use; the rest of them gets zeros.

    :param rewards: [B, T, G]
    """
    best, leaf = rewards.max(dim=-1, keepdim=True)
    advantage = _normalised(best - best.mean(dim=1, keepdim=True))
    return torch.zeros_like(rewards).scatter(-1, leaf, advantage)


def clipped_surrogate(log_probs: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor,
                      clip: float) -> torch.Tensor:
    """
    Return minus the mean of min(rho A, clip(rho) A), PPO's loss as GRPO takes it over.

    :param log_probs: of the present policy, any shape; ``old`` of the one that drew, likewise
    :param clip: how far the ratio may go from 1 before it earns nothing more
    """
    ratio = (log_probs - old.detach()).exp()
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


def k3(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """
    Estimate KL(policy || reference) from samples of the policy: exp(-d) - 1 + d, never below 0.

    :param log_probs: of what was drawn, by the policy; ``reference`` by the reference
    """
    away = reference.detach() - log_probs
    return (away.exp() - 1.0 - away).mean()


def gaussian_kl(means: torch.Tensor, reference: torch.Tensor, spread: float) -> torch.Tensor:
    """
    Return the mean KL between Gaussians of one spread around two means, exactly.

    :param means: [..., 2], of the offsets of each node; ``reference`` likewise
    """
    return 0.5 * ((means - reference.detach()) / spread).square().sum(dim=-1).mean()


def expected_loss(log_probs: torch.Tensor, rewards: torch.Tensor, spread: float) -> torch.Tensor:
    """
    Return minus the expected reward of the leaves, exactly: they are all there.

    The leaves' chances are renormalised among themselves. A tree's mean reward is taken off, which
    changes no gradient.

    :param log_probs: [B, T, G], of the leaves' paths
    :param spread: what the rewards are measured in
    """
    chances = log_probs.log_softmax(dim=-1).exp()
    above = (rewards - rewards.mean(dim=-1, keepdim=True)) / spread
    return -(chances * above).sum(dim=-1).mean()


def entropy(log_probs: torch.Tensor) -> torch.Tensor:
    """Return the mean entropy of the leaves' chances, nats: [B, T, G] -> scalar."""
    relative = log_probs.log_softmax(dim=-1)
    return -(relative.exp() * relative).sum(dim=-1).mean()


def reward_weights(rewards: torch.Tensor, temperature: float) -> torch.Tensor:
    """
    Weigh the same path's offsets of the scene's trees by softmax(r / temperature), [B, T, G].

    For reward-weighted regression: the means move to the offsets that were rewarded.
    """
    return (rewards / temperature).softmax(dim=1)


def adapted(beta: float, divergence: float, target: float) -> float:
    """
    Adapt the weight of the KL penalty: times or over 1.5 outside of half to twice the target.

    The paper calls its weight dynamic without a rule; this is that of rsl_rl, within 1e-3 to 1.
    """
    if divergence > 2.0 * target:
        beta *= 1.5
    elif divergence < 0.5 * target:
        beta /= 1.5
    return min(max(beta, 1e-3), 1.0)


def _normalised(values: torch.Tensor) -> torch.Tensor:
    return values / (values.std() + LEAST_SPREAD)
