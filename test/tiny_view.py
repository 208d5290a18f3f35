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

"""A small view of a scene, and roots, for tests of what looks at them."""

from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S
from pair_drive_ros.models.scene_view import SceneView
import torch

BEV_WIDTH = 8
WIDTH = 16
AGENTS = 5


def tiny_view(scenes: int = 2, seed: int = 0) -> SceneView:
    """Return a view of random numbers with cars near the ego."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(scenes, *shape, generator=generator)

    status = torch.zeros(scenes, 8)
    status[:, 1], status[:, 4] = 1.0, 8.0
    states = torch.cat([10.0 * normal(AGENTS, 2), normal(AGENTS, 1),
                        torch.tensor([4.5, 2.0]).expand(scenes, AGENTS, 2)], dim=-1)
    return SceneView(normal(BEV_WIDTH, 8, 8), normal(WIDTH), status, normal(AGENTS, WIDTH),
                     states, normal(AGENTS))


def straight(scenes: int = 2, speed: float = 8.0) -> torch.Tensor:
    """Plan straight ahead at a speed, [scenes, 8, 3]."""
    plan = torch.zeros(scenes, PLAN_POSES, 3)
    plan[..., 0] = speed * PLAN_STEP_S * torch.arange(1, PLAN_POSES + 1)
    return plan


def bend(scenes: int = 2, speed: float = 8.0, radius: float = 20.0) -> torch.Tensor:
    """Plan along a circle to the left, [scenes, 8, 3]."""
    angle = speed * PLAN_STEP_S * torch.arange(1, PLAN_POSES + 1) / radius
    plan = torch.stack([radius * angle.sin(), radius * (1.0 - angle.cos()), angle], dim=-1)
    return plan.expand(scenes, -1, -1).clone()


def mirrored(plans: torch.Tensor) -> torch.Tensor:
    """Exchange left and right of plans [..., 8, 3]."""
    return plans * torch.tensor([1.0, -1.0, -1.0])
