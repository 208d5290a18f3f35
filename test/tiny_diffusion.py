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

"""A tiny DiffusionDrive of the full one's build, and anchors for it."""

import dataclasses

from pair_drive_ros.models.diffusion_drive import DiffusionDrive, DiffusionDriveConfig
from pair_drive_ros.models.diffusion_head import DiffusionHead
from tiny_network import TINY
import torch

WIDTH = 16
"""Of the tiny head."""
TINY_DIFFUSION = DiffusionDriveConfig(**dataclasses.asdict(TINY))


def fan_anchors() -> torch.Tensor:
    """Return twenty parabolas [20, 8, 2]: five curvatures at each of 2, 5, 8 and 11 m/s."""
    travelled = (torch.tensor([2.0, 5.0, 8.0, 11.0]).repeat_interleave(5)[:, None]
                 * 0.5 * torch.arange(1, 9))
    curvature = torch.tensor([-0.015, -0.0075, 0.0, 0.0075, 0.015]).repeat(4)[:, None]
    return torch.stack([travelled, curvature * travelled ** 2 / 2.0], dim=-1)


def tiny_diffusion_drive(seed: int = 0,
                         config: DiffusionDriveConfig = TINY_DIFFUSION) -> DiffusionDrive:
    """Build the tiny network with seeded weights and anchors, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = DiffusionDrive(config).eval()
    policy.set_anchors(fan_anchors())
    return policy


def tiny_head(seed: int = 0, offsets_from_anchors: bool = False) -> DiffusionHead:
    """Build the head alone with seeded weights and anchors; the seed is of its noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = DiffusionHead(WIDTH, ffn=16, feature_width=WIDTH, seed=seed,
                             offsets_from_anchors=offsets_from_anchors).eval()
    head.set_anchors(fan_anchors())
    return head


def conditions(batch: int = 1, width: int = WIDTH) -> tuple[torch.Tensor, ...]:
    """Draw what the head looks at: ego query, agent queries, BEV feature."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(batch, *shape, generator=generator)
                 for shape in ((1, width), (30, width), (width, 16, 16)))


def human(batch: int = 1, mode: int = 7) -> torch.Tensor:
    """Return a drive [B, 8, 3] close to one of the anchors."""
    poses = torch.cat([1.02 * fan_anchors()[mode], torch.full((8, 1), 0.1)], dim=-1)
    return poses.expand(batch, -1, -1)
