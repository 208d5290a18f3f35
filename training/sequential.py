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
Sequential fine-tuning: the baseline that imitates first, then improves the same network by GRPO.

It is what PaIR-Drive (arXiv 2603.13842) compares itself with; Shao et al., DeepSeekMath, 2024, for
group relative policy optimisation. The reward is the exact PDM score of every plan that is drawn,
computed online, as that of the RL branch. How plans are drawn is the policy's:

- a Gaussian around the plan, smooth in time and of four numbers (:class:`PlanGaussian`);
- DiffusionDrive: noise between its denoising steps, as in DiffusionDriveV2 (hustvl, revision
  affbea2), see ``DiffusionHead.explore``; four copies of each of the likeliest modes are a group.

The network is in evaluation mode throughout, with gradients: statistics and sensors are those of
the car, and what was drawn and what is improved is the plan that will be driven.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.architectures import checkpoint_file, load_policy
from pair_drive_ros.models.diffusion_drive import DiffusionDrive
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_training.data.training_batches import Batch
from pair_drive_training.objectives import clipped_surrogate, group_advantage
from pair_drive_training.options import option
from pair_drive_training.run_config import TrainingRunError
from pair_drive_training.scored_run import ScoredConfig, ScoredRun
from pair_drive_training.training_run import Figures, Terms
from pair_drive_training.validation import Validation
import torch
from torch.distributions import Normal

HEAD = 'trajectory_head.'
COPIES = 4
RATIO_CLIP = 0.2
# Of a denoising step relative to the one after it, as in DiffusionDriveV2.
DISCOUNT = 0.8
# Within a shorter way the car cannot get aside as far.
SHORTEST_WAY_M = 10.0
# In a plan's coordinates a heading's error of 1 rad counts as much as a point's of 5 m.
_HEADING_M = 5.0
_RIDGE = 1e-3
_SUB_SCORES = ('nc', 'dac', 'ddc', 'ep', 'ttc', 'comfort', 'tlc', 'lk')


@dataclass(frozen=True, kw_only=True)
class SequentialConfig(ScoredConfig):
    """What a run of sequential fine-tuning is made of; also its command line and its YAML."""

    policy: str = option('checkpoint to fine-tune: its weights file, or the name of one that '
                         'ships')
    architecture: str = option("import path of the class of a user's checkpoint", '')
    part: str = option('what is trained: all, or head: the trajectory head alone, as '
                       'DiffusionDriveV2', 'all')
    plans: int = option('plans that are drawn and scored in each scene; of diffusion_drive a '
                        'multiple of 4', 16)
    along_m: float = option('std along the path at 4 s of a plan that is drawn, m, once growing '
                            'with time and once with its square', 1.5)
    across_m: float = option('std to the side, m, growing with the way and its square', 0.4)
    scale: float = option('std of the factor of x and y in each denoising step of '
                          'diffusion_drive: 0.04 in ten steps are 0.09 in two', 0.09)
    cloning: float = option("weight of the policy's imitation loss, against forgetting", 0.1)
    learning_rate: float = option('at its highest', 1e-4)
    precision: str = option('bf16 (mixed), which rounds poses to as much as 0.25 m, or fp32',
                            'fp32')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_among('part', 'all', 'head')
        self.check_least(2, 'plans')
        self.check_least(0, 'cloning')
        self.check_positive('along_m', 'across_m', 'scale')


class Draws(NamedTuple):
    """What was drawn in B scenes: N groups of G plans, by S random decisions each."""

    plans: torch.Tensor
    """[B, N, G, 8, 3]: x m, y m, heading rad; without a gradient."""
    log_prob: torch.Tensor
    """[B, N, G, S]: of each decision, given those before it."""


class PlanGaussian:
    """
    A Gaussian over four coordinates of a plan, around the plan itself.

    The coordinates say how far a plan lies along four directions, in m at its end: along its own
    path, growing with time and with time squared, and to its left, growing with the way and with
    its square (the heading turns with them). What is drawn is smooth, and all of it can be driven
    as well as the plan. The rest of a plan is not random.

    :param plan: [B, 8, 3], the mean
    :param along_m, across_m: std of the two directions along and of the two across
    """

    def __init__(self, plan: torch.Tensor, along_m: float, across_m: float):
        plan = plan.float()
        self._plan = plan.detach()
        self._directions = directions(self._plan)
        self.density = Normal(
            coordinates(plan, self._directions)[:, None],
            plan.new_tensor([along_m, along_m, across_m, across_m]), validate_args=False)

    def draw(self, count: int) -> torch.Tensor:
        """Draw coordinates [B, count, 4], without a gradient."""
        return self.density.sample((count,))[:, :, 0].transpose(0, 1)

    def plans(self, drawn: torch.Tensor) -> torch.Tensor:
        """Return the plans [B, G, 8, 3] of coordinates [B, G, 4]."""
        moved = (drawn - self.density.mean.detach())[..., None, None] * self._directions[:, None]
        return self._plan[:, None] + moved.sum(dim=2)

    def log_prob(self, drawn: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities [B, G] of coordinates [B, G, 4]; the mean has a gradient."""
        return self.density.log_prob(drawn).sum(dim=-1)


def directions(plan: torch.Tensor) -> torch.Tensor:
    """Return how the poses of plans [B, 8, 3] move for 1 m of each coordinate, [B, 4, 8, 3]."""
    steps = plan[..., :2].diff(dim=1, prepend=torch.zeros_like(plan[:, :1, :2]))
    travelled = steps.norm(dim=-1).cumsum(dim=1)
    length = travelled[:, -1:].clamp(min=SHORTEST_WAY_M)
    way = travelled / length
    time_share = torch.arange(1, PLAN_POSES + 1, device=plan.device) / PLAN_POSES
    cos, sin = plan[..., 2].cos(), plan[..., 2].sin()
    still = torch.zeros_like(cos)
    along = torch.stack([cos, sin, still], dim=-1)
    return torch.stack([
        time_share[:, None] * along, time_share.square()[:, None] * along,
        torch.stack([-sin * way, cos * way, 1.0 / length + still], dim=-1),
        torch.stack([-sin * way.square(), cos * way.square(), 2.0 * way / length], dim=-1)], dim=1)


def coordinates(plan: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """
    Return how far plans [B, 8, 3] lie along directions [B, 4, 8, 3]: [B, 4], by least squares.

    The directions are given, not a function of the plan: gradients flow through the plan alone.
    """
    weight = plan.new_tensor([1.0, 1.0, _HEADING_M])
    basis = (along * weight).flatten(2)
    # Written out, since autocast would round a product of matrices.
    gram = (basis[:, :, None] * basis[:, None]).sum(dim=-1)
    seen = (basis * (plan * weight).flatten(1)[:, None]).sum(dim=-1)
    return torch.linalg.solve(gram + _RIDGE * torch.eye(len(gram[0]), device=gram.device), seen)


class Sequential(ScoredRun):
    """
    A run of sequential fine-tuning, see :class:`ScoredRun`; its checkpoints are imitation's.

    :raises ArchitectureError, CheckpointError: besides, when the policy cannot be loaded
    """

    config: SequentialConfig
    policy: ImitationPolicy

    def build(self) -> ImitationPolicy:
        """Load the policy."""
        config = self.config
        self.policy, _ = load_policy(checkpoint_file(config.policy), config.architecture)
        if isinstance(self.policy, DiffusionDrive) and config.plans % COPIES:
            raise TrainingRunError(f'plans: expected a multiple of {COPIES}, the copies of a mode '
                                   f'of {self.policy.architecture}, got {config.plans}')
        if config.part == 'head':
            if not any(name.startswith(HEAD) for name, _ in self.policy.named_parameters()):
                raise TrainingRunError(f'part: {self.policy.architecture} has no trajectory_head; '
                                       'train all of it')
            for name, value in self.policy.named_parameters():
                if not name.startswith(HEAD):
                    value.requires_grad_(False)
        return self.policy

    @property
    def checkpoint(self) -> ImitationPolicy:
        """Return the policy."""
        return self.policy

    def prepare(self) -> dict[str, Any]:
        """Make the validation."""
        self._validation = (Validation.of_run(self.config, self.feature_spec, self.val_protocol)
                            if self.rank == 0 else None)
        return {}

    def begin_epoch(self) -> None:
        """Leave the network as it is driven, see the module."""
        self.policy.eval()

    def loss(self, batch: Batch, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> tuple[Terms, Figures]:
        """
        Draw plans, score them, and raise the probability of those better than their group.

        Terms: ``policy``, PaIR-Drive's clipped surrogate with eps 0.2, about 0 but for its
        gradient; ``cloning``. Figures: the mean ``reward`` (0 to 1), the mean of the best of each
        scene, of each sub-score, and the share of groups with spread.
        """
        draws = self._draw(features)
        scores = self.score(draws.plans.flatten(1, 2), batch.scenes)
        reward = scores.total.float().reshape(draws.plans.shape[:3])
        advantage = group_advantage(reward)
        decisions = draws.log_prob.shape[-1]
        weight = DISCOUNT ** torch.arange(decisions - 1, -1, -1, device=self.device)
        # One step for each batch: what drew the plans is what is improved.
        policy = clipped_surrogate(draws.log_prob, draws.log_prob, advantage[..., None] * weight,
                                   RATIO_CLIP)
        cloned = torch.stack(list(self.policy.loss(features, targets).values())).sum()
        sub_scores = {f'reward_{name}': value.float().mean() for name in _SUB_SCORES
                      if (value := getattr(scores, name)) is not None}
        return ({'policy': policy, 'cloning': self.config.cloning * cloned},
                {'reward': reward.mean(), 'reward_best': reward.flatten(1).amax(dim=1).mean(),
                 **sub_scores,
                 'groups_with_spread': advantage.ne(0.0).any(dim=-1).float().mean()})

    def validate(self) -> Mapping[str, float]:
        """Measure the score of the single plan, and the imitation loss."""
        return self._validation.measure(self.policy, self.device) if self._validation else {}

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Prefer the score of the single plan."""
        return self._validation.quality(row) if self._validation else None

    def _draw(self, features: Mapping[str, torch.Tensor]) -> Draws:
        config = self.config
        if isinstance(self.policy, DiffusionDrive):
            return _draw_by_diffusion(self.policy, features, config.plans, config.scale)
        gaussian = PlanGaussian(self.policy.plan(features), config.along_m, config.across_m)
        drawn = gaussian.draw(config.plans)
        return Draws(gaussian.plans(drawn)[:, None], gaussian.log_prob(drawn)[:, None, :, None])


def _draw_by_diffusion(policy: DiffusionDrive, features: Mapping[str, torch.Tensor], plans: int,
                       scale: float) -> Draws:
    """Denoise the most likely modes of each scene in four noisy copies each."""
    bev_map, bev_feature, queries = policy.conditions(features)
    seen = queries[:, :1], queries[:, 1:], bev_feature
    with torch.no_grad():
        likeliest = policy.trajectory_head.sample(*seen).logits.topk(plans // COPIES).indices
    drawn = policy.trajectory_head.explore(
        *seen, likeliest.repeat_interleave(COPIES, dim=1), scale)
    with torch.no_grad():
        # The way to the plan that is driven is not random from here on.
        refined = torch.stack([policy.refined(poses, queries, bev_map)
                               for poses in drawn.poses.unbind(1)], dim=1)
    groups = plans // COPIES, COPIES
    return Draws(refined.float().unflatten(1, groups), drawn.log_prob.unflatten(1, groups))
