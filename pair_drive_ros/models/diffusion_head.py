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
DiffusionDrive's trajectory head: twenty anchors, denoised into twenty plans with logits.

Liao et al., DiffusionDrive: Truncated Diffusion Model for End-to-End Autonomous Driving, CVPR
2025. Anchors with a little noise are points in front of the car; two cascaded decoder layers look
at the BEV map where the points lie, at the agents and at the ego, and move them.

Attribute names are those of the public code without its leading underscores, see
``models.perception``.
"""

import math
from typing import NamedTuple

from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.diffusion import DdimScheduler, denormalise, normalise
from pair_drive_ros.models.features import LIDAR_RANGE_M
from pair_drive_ros.models.modes import Modes, pick
import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional

MODES = 20
HEADS = 8
LAYERS = 2
DROPOUT = 0.1
TRAINING_STEPS = 50
START_STEP = 8
DENOISING_STEPS = (10, 0)
_MAX_PERIOD = 10000.0
_PRIOR_PROBABILITY = 0.01
_FOCAL_GAMMA = 2.0
_FOCAL_ALPHA = 0.25
# DiffusionDriveV2's unit of x and y, and the std of its log-probability in it.
_EXPLORED_M = (50.0, 20.0)
_LOG_PROB_STD = 0.1


class DiffusionHeadError(ValueError):
    """The head cannot be built, or its anchors are unusable or were never set."""


class DiffusionLosses(NamedTuple):
    """What the head is trained by, unweighted; and the plan that it is trained to correct."""

    modes: torch.Tensor
    """Focal loss of the logits, summed over the layers; a scalar."""
    trajectory: torch.Tensor
    """L1 of the poses of the anchor that is nearest to the human, summed; a scalar."""
    nearest: torch.Tensor
    """These poses of the last layer, [B, 8, 3]."""


class Explored(NamedTuple):
    """K plans that were drawn in each of B scenes, and how likely each draw was."""

    poses: torch.Tensor
    """[B, K, 8, 3]: x m, y m, heading rad; without a gradient."""
    log_prob: torch.Tensor
    """[B, K, S]: of each denoising step's points, given those before it."""


class StepEmbedding(nn.Module):
    """Sinusoidal embedding of diffusion steps: all sines, then all cosines."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2
        exponents = torch.arange(half) / (half - 1)
        self.frequencies: torch.Tensor
        self.register_buffer('frequencies', _MAX_PERIOD ** -exponents, persistent=False)

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """Embed int64 [B] as float32 [B, width]."""
        angles = steps[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class PointEmbedding(nn.Module):
    """Sinusoidal embedding of points: for y, then for x, sine and cosine of each frequency."""

    def __init__(self, width: int):
        super().__init__()
        count = width // 4
        self.frequencies: torch.Tensor
        self.register_buffer('frequencies',
                             2.0 * math.pi * _MAX_PERIOD ** -(torch.arange(count) / count),
                             persistent=False)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Embed [..., 2] (x, y in m) as [..., width]."""
        angles = points.flip(-1)[..., None] * self.frequencies
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-3)


class GridSampleAttention(nn.Module):
    """Attention of each mode to the BEV map at its own eight points, and nowhere else."""

    def __init__(self, width: int, feature_width: int):
        super().__init__()
        self.attention_weights = nn.Linear(width, PLAN_POSES)
        self.output_proj = nn.Linear(width, width)
        self.value_proj = nn.Sequential(nn.Conv2d(feature_width, width, 3, padding=1),
                                        nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(DROPOUT)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        nn.init.xavier_uniform_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def forward(self, modes: torch.Tensor, points: torch.Tensor,
                values: torch.Tensor) -> torch.Tensor:
        """
        Add to each mode what lies at its points.

        :param modes: [B, 20, width]
        :param points: [B, 20, 8, 2], x, y in m
        :param values: :attr:`value_proj` of the BEV map, [B, width, rows, columns]: rows along x,
            columns along y, both from -32 m to 32 m; beyond that there is nothing but zero
        """
        # grid_sample wants the column first: the place along y.
        places = points.flip(-1) / LIDAR_RANGE_M
        sampled = functional.grid_sample(values, places, align_corners=False)
        weights = self.attention_weights(modes).softmax(dim=-1)
        mixed = torch.einsum('bcmp,bmp->bmc', sampled, weights.to(sampled.dtype))
        return modes + self.dropout(self.output_proj(mixed))


class TimeModulation(nn.Module):
    """Scale and shift of each channel by the embedded diffusion step (FiLM)."""

    def __init__(self, width: int):
        super().__init__()
        self.scale_shift_mlp = nn.Sequential(nn.Mish(), nn.Linear(width, 2 * width))

    def forward(self, modes: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Modulate modes [B, 20, width] by ``time`` [B or 1, 1, width]."""
        scale, shift = self.scale_shift_mlp(time).chunk(2, dim=-1)
        return modes * (1.0 + scale) + shift


class TaskDecoder(nn.Module):
    """What a mode says: eight offsets with headings, and its logit."""

    def __init__(self, width: int):
        super().__init__()
        logit = nn.Linear(width, 1)
        # One of twenty modes is the human's: without a prior the other nineteen rule the loss.
        nn.init.constant_(logit.bias, -math.log((1.0 - _PRIOR_PROBABILITY) / _PRIOR_PROBABILITY))
        self.plan_cls_branch = nn.Sequential(
            *_linear_relu_norm(width, width), *_linear_relu_norm(width, width), logit)
        self.plan_reg_branch = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, PLAN_POSES * 3))

    def forward(self, modes: torch.Tensor, origins: torch.Tensor) -> Modes:
        """Decode modes [B, 20, width] that begin at ``origins`` [B, 20, 8, 2]."""
        raw = self.plan_reg_branch(modes).unflatten(-1, (PLAN_POSES, 3))
        poses = torch.cat([origins + raw[..., :2], math.pi * raw[..., 2:].tanh()], dim=-1)
        return Modes(poses, self.plan_cls_branch(modes).squeeze(-1))


class DiffusionDecoderLayer(nn.Module):
    """Attention to the BEV map, the agents and the ego; the modes do not see each other."""

    def __init__(self, width: int, ffn: int, feature_width: int):
        super().__init__()
        self.cross_bev_attention = GridSampleAttention(width, feature_width)
        self.cross_agent_attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.cross_ego_attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.ffn = nn.Sequential(nn.Linear(width, ffn), nn.ReLU(), nn.Linear(ffn, width))
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.time_modulation = TimeModulation(width)
        self.task_decoder = TaskDecoder(width)

    def forward(self, modes: torch.Tensor, points: torch.Tensor, origins: torch.Tensor,
                values: torch.Tensor, agents: torch.Tensor, ego: torch.Tensor,
                time: torch.Tensor) -> Modes:
        """
        Plan.

        :param modes: [B, 20, width], what the modes are about
        :param points: [B, 20, 8, 2], x, y in m: where the modes look at the BEV map
        :param origins: what the offsets are added to, in the same shape
        :param values: see :class:`GridSampleAttention`
        :param agents: [B, 30, width]
        :param ego: [B, 1, width]
        :param time: embedded diffusion step, [B or 1, 1, width]
        """
        modes = self.cross_bev_attention(modes, points, values)
        for attention, norm, keys in ((self.cross_agent_attention, self.norm1, agents),
                                      (self.cross_ego_attention, self.norm2, ego)):
            seen, _ = attention(modes, keys, keys, need_weights=False)
            modes = norm(modes + self.dropout(seen))
        modes = self.time_modulation(self.norm3(self.ffn(modes)), time)
        return self.task_decoder(modes, origins)


class DiffusionDecoder(nn.Module):
    """Two layers, each of which moves the points that the one before has moved."""

    def __init__(self, width: int, ffn: int, feature_width: int):
        super().__init__()
        self.layers = nn.ModuleList(DiffusionDecoderLayer(width, ffn, feature_width)
                                    for _ in range(LAYERS))

    def values(self, bev_feature: torch.Tensor) -> list[torch.Tensor]:
        """Project the BEV map for each layer; the same at every diffusion step."""
        return [layer.get_submodule('cross_bev_attention.value_proj')(bev_feature)
                for layer in self.layers]

    def forward(self, modes: torch.Tensor, points: torch.Tensor, origins: torch.Tensor,
                values: list[torch.Tensor], agents: torch.Tensor, ego: torch.Tensor,
                time: torch.Tensor) -> list[Modes]:
        """Return the plans of each layer; all see the same ``modes``, only points are passed."""
        plans: list[Modes] = []
        for layer, value in zip(self.layers, values, strict=True):
            plans.append(layer(modes, points, origins, value, agents, ego, time))
            points = origins = plans[-1].poses[..., :2].detach()
        return plans


class DiffusionHead(nn.Module):
    """
    The trajectory head (4.95 M parameters by default, 4.23 M of them in the decoder).

    :param width: of the queries; a multiple of 16
    :param ffn: hidden width of the layers' MLPs
    :param feature_width: channels of the BEV map
    :param seed: of the noise from which every plan starts. The noise is the same for every scene
        and in every call, so the same input gives the same plan in any batch
    :param offsets_from_anchors: whether the first layer's offsets are added to the anchors instead
        of to the noisy points
    :raises DiffusionHeadError: when the width does not fit the embeddings
    """

    def __init__(self, width: int = 256, ffn: int = 1024, feature_width: int = 256,
                 seed: int = 0, offsets_from_anchors: bool = False):
        super().__init__()
        if width <= 0 or width % 16:
            raise DiffusionHeadError(f'width: expected a multiple of 16, got {width}')
        point_width = width // 4
        self.plan_anchor = nn.Parameter(torch.zeros(MODES, PLAN_POSES, 2), requires_grad=False)
        self.point_embedding = PointEmbedding(point_width)
        self.plan_anchor_encoder = nn.Sequential(
            *_linear_relu_norm(PLAN_POSES * point_width, width), nn.Linear(width, width))
        self.time_mlp = nn.Sequential(StepEmbedding(width), nn.Linear(width, 4 * width),
                                      nn.Mish(), nn.Linear(4 * width, width))
        self.diff_decoder = DiffusionDecoder(width, ffn, feature_width)
        self.scheduler = DdimScheduler()
        self._offsets_from_anchors = offsets_from_anchors
        # Drawn on the CPU, whatever the device: the plans of a CPU and a GPU must agree.
        noise = torch.randn(1, MODES, PLAN_POSES, 2, device='cpu',
                            generator=torch.Generator('cpu').manual_seed(seed))
        self.start_noise: torch.Tensor
        self.register_buffer('start_noise', noise, persistent=False)

    @torch.no_grad()
    def set_anchors(self, anchors: torch.Tensor) -> None:
        """
        Set the anchors, which then are part of every checkpoint.

        :param anchors: [20, 8, 2], x, y in m of eight poses at 0.5 s steps in ``base_link``
        :raises DiffusionHeadError: when the shape differs, or a point is not finite or outside of
            the range of the diffusion (x -1.2..55.7 m, y -20..26 m), where it would be clipped
        """
        if anchors.shape != self.plan_anchor.shape:
            raise DiffusionHeadError(f'anchors: expected the shape {list(self.plan_anchor.shape)} '
                                     f'(modes, poses, xy), got {list(anchors.shape)}')
        outside = ~(normalise(anchors.float()).abs() <= 1.0).all(dim=-1)
        if outside.any():
            mode, pose = outside.nonzero()[0].tolist()
            x, y = anchors[mode, pose].tolist()
            raise DiffusionHeadError(
                f'anchors: mode {mode} has the point ({x:.1f} m, {y:.1f} m) at pose {pose}; '
                'points must be finite and within x -1.2..55.7 m, y -20..26 m: leave such scenes '
                'out when making the anchors')
        if not anchors.any():
            raise DiffusionHeadError('anchors: all points are zero; make them from a training '
                                     'split with make-anchors')
        self.plan_anchor.copy_(anchors)

    def forward(self, ego_query: torch.Tensor, agent_queries: torch.Tensor,
                bev_feature: torch.Tensor, points: torch.Tensor,
                steps: torch.Tensor) -> list[Modes]:
        """
        Predict the clean plans from noisy points once.

        :param ego_query: [B, 1, width]
        :param agent_queries: [B, 30, width]
        :param bev_feature: [B, feature_width, rows, columns], see :class:`GridSampleAttention`
        :param points: [B, 20, 8, 2], noisy anchors, x, y in m
        :param steps: diffusion step of the points, int64 [B] or [1]
        :return: the plans of each layer; gradients do not flow from one layer to the one before
        """
        values = self.diff_decoder.values(bev_feature)
        return self._denoise(ego_query, agent_queries, values, points, steps, self.plan_anchor)

    def sample(self, ego_query: torch.Tensor, agent_queries: torch.Tensor,
               bev_feature: torch.Tensor) -> Modes:
        """
        Plan: denoise the anchors in two steps; deterministic.

        :return: the twenty plans; :meth:`Modes.agreed` makes the plan of them
        :raises DiffusionHeadError: when the anchors were never set
        """
        values = self.diff_decoder.values(bev_feature)
        noisy = self.scheduler.add_noise(
            self._normalised_anchors(), self.start_noise,
            torch.tensor([START_STEP], device=self.start_noise.device))
        noisy = noisy.expand(len(ego_query), -1, -1, -1)
        for step in DENOISING_STEPS:
            modes = self._denoise(ego_query, agent_queries, values,
                                  denormalise(noisy.clamp(-1.0, 1.0)),
                                  torch.tensor([step], device=noisy.device),
                                  self.plan_anchor)[-1]
            noisy = self.scheduler.step(normalise(modes.poses[..., :2]), step, noisy)
        return modes

    def explore(self, ego_query: torch.Tensor, agent_queries: torch.Tensor,
                bev_feature: torch.Tensor, modes: torch.Tensor, std: float) -> Explored:
        """
        Denoise some modes with noise after each step, as DiffusionDriveV2 explores.

        The noise is multiplicative and shared by a plan's points: x and y in m are each scaled by
        1 + std * n, n standard normal. The log-probability takes the points for independent
        Gaussians around what the step would have given, with 0.1 of 50 m and of 20 m. The public
        scheduler's own noise (eta 1) would be below 0.01 here, beneath every floor, and is left
        out: without noise the plans are those of :meth:`sample`.

        :param modes: which anchors are denoised, int64 [B, K]; one may be named several times
        :raises DiffusionHeadError: when the anchors were never set
        """
        values = self.diff_decoder.values(bev_feature)
        noisy = self.scheduler.add_noise(
            self._normalised_anchors()[0][modes], self.start_noise[0][modes],
            torch.tensor([START_STEP], device=modes.device))
        extent = noisy.new_tensor(_EXPLORED_M)
        log_prob = []
        for step in DENOISING_STEPS:
            found = self._denoise(ego_query, agent_queries, values,
                                  denormalise(noisy.clamp(-1.0, 1.0)),
                                  torch.tensor([step], device=noisy.device),
                                  self.plan_anchor[modes])[-1]
            mean = found.poses[..., :2].float()
            if step:
                mean = denormalise(self.scheduler.step(normalise(mean), step, noisy))
            scale = 1.0 + std * torch.randn(*modes.shape, 1, 2, device=modes.device)
            points = (mean * scale).detach()
            density = Normal(mean / extent, _LOG_PROB_STD, validate_args=False)
            log_prob.append(density.log_prob(points / extent).sum(dim=(-2, -1)))
            noisy = normalise(points)
        # Scaling x and y turns whatever does not lie along one of them.
        heading = found.poses[..., 2].detach().float()
        direction = scale * torch.stack([heading.cos(), heading.sin()], dim=-1)
        turned = torch.atan2(direction[..., 1], direction[..., 0])
        return Explored(torch.cat([points, turned[..., None]], dim=-1),
                        torch.stack(log_prob, dim=-1))

    def losses(self, ego_query: torch.Tensor, agent_queries: torch.Tensor,
               bev_feature: torch.Tensor, trajectory: torch.Tensor) -> DiffusionLosses:
        """
        Compare plans from anchors at random diffusion steps with the human's.

        :param trajectory: the human's poses, [B, 8, 3]
        :raises DiffusionHeadError: when the anchors were never set
        """
        anchors = self._normalised_anchors()
        batch, device = len(trajectory), trajectory.device
        steps = torch.randint(TRAINING_STEPS, (batch,), device=device)
        noise = torch.randn(batch, *self.plan_anchor.shape, device=device)
        noisy = self.scheduler.add_noise(anchors, noise, steps).clamp(-1.0, 1.0)
        layers = self(ego_query, agent_queries, bev_feature, denormalise(noisy), steps)
        nearest = nearest_anchor(self.plan_anchor, trajectory)
        human = functional.one_hot(nearest, MODES).float()
        classification = [focal_loss(modes.logits.float(), human) for modes in layers]
        plans = [pick(modes.poses, nearest).float() for modes in layers]
        regression = [functional.l1_loss(plan, trajectory) for plan in plans]
        return DiffusionLosses(torch.stack(classification).sum(), torch.stack(regression).sum(),
                               plans[-1])

    def _normalised_anchors(self) -> torch.Tensor:
        """Return the anchors in the range of the diffusion, [1, 20, 8, 2]."""
        if not self.plan_anchor.any():
            raise DiffusionHeadError('the anchors were never set; make them from the training '
                                     'split with make-anchors and set them, or load a checkpoint')
        return normalise(self.plan_anchor)[None]

    def _denoise(self, ego_query: torch.Tensor, agent_queries: torch.Tensor,
                 values: list[torch.Tensor], points: torch.Tensor, steps: torch.Tensor,
                 anchors: torch.Tensor) -> list[Modes]:
        modes = self.plan_anchor_encoder(self.point_embedding(points).flatten(-2))
        time = self.time_mlp(steps)[:, None]
        origins = anchors.expand_as(points) if self._offsets_from_anchors else points
        return self.diff_decoder(modes, points, origins, values, agent_queries, ego_query, time)


def nearest_anchor(anchors: torch.Tensor, trajectory: torch.Tensor) -> torch.Tensor:
    """
    Find the anchor with the smallest mean distance to the human's points.

    :param anchors: [20, 8, 2], x, y in m
    :param trajectory: [B, 8, 3]
    :return: int64 [B]
    """
    distances = (trajectory[:, None, :, :2] - anchors).norm(dim=-1).mean(dim=-1)
    return distances.argmin(dim=1)


def focal_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """
    Sigmoid focal loss (Lin et al., 2017; gamma 2, alpha 0.25), the mean over all elements.

    :param targets: 0 or 1, in the shape of ``logits``
    """
    probability = logits.sigmoid()
    wrong = probability + targets - 2.0 * probability * targets
    alpha = 1.0 - _FOCAL_ALPHA + (2.0 * _FOCAL_ALPHA - 1.0) * targets
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    return (alpha * wrong ** _FOCAL_GAMMA * entropy).mean()


def _linear_relu_norm(inputs: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, width), nn.ReLU(inplace=True), nn.LayerNorm(width)
