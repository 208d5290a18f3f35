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
The geometry of the tree: what one node's offsets do to a plan.

PaIR-Drive (arXiv 2603.13842), tree-structured sampler. Pure functions of tensors in the plan's own
frame, ``base_link``; nothing here is learned.
"""

import enum

from pair_drive_ros.core.trajectory import PLAN_POSES
import torch

LEVELS = 4
# Each level decides the pose two steps after that of the level before.
BRANCH_POSES = tuple(range(1, PLAN_POSES, 2))
# A car that stands has no step of its own to take the measure from.
LEAST_STEP_M = 0.5
STEP_FACTOR = 1.5
_TINY_M = 1e-3


class Intention(enum.IntEnum):
    """What a node does, in the order of the paper's released path codes."""

    LEFT = 0
    GO = 1
    RIGHT = 2
    BRAKE = 3


def step_measure(root: torch.Tensor) -> torch.Tensor:
    """
    Return the longest step of a node, m: 1.5 times the mean step of the reference.

    The step of a reference that stands counts 0.5 m.

    :param root: [..., 8, 3]
    :return: [...]
    """
    mean = arc_lengths(root)[..., -1] / PLAN_POSES
    return STEP_FACTOR * torch.hypot(mean, mean.new_tensor(LEAST_STEP_M))


def translated(plan: torch.Tensor, level: int, step: torch.Tensor,
               turn: torch.Tensor) -> torch.Tensor:
    """
    Move the poses from a level's on by one displacement, as the paper's released code does.

    The pose of the level goes ``step`` along its own heading turned by ``turn``; it and all after
    it are moved by the same x and y, and turned by the same heading, each about itself.

    :param plan: [..., 8, 3]
    :param level: 0 to 3
    :param step: m, negative to go back, [...]
    :param turn: rad, [...]
    """
    pose = BRANCH_POSES[level]
    heading = plan[..., pose, 2] + turn
    move = torch.stack([step * heading.cos(), step * heading.sin(), turn], dim=-1)
    reached = torch.arange(PLAN_POSES, device=plan.device) >= pose
    return plan + reached[:, None] * move[..., None, :]


def driven(plan: torch.Tensor, level: int, step: torch.Tensor,
           turn: torch.Tensor) -> torch.Tensor:
    """
    Drive the plan's own path further or less far, and turn what is left of it.

    The pose of the level and all after it slide ``step`` along the path, the one between it and
    the level before half of that, none back beyond the pose of the level before; past its end the
    path goes on straight. Then everything after the pose of the level before turns rigidly by
    ``turn`` about that pose. A car that brakes in a bend stays in its lane.

    :param plan: [..., 8, 3]
    :param level: 0 to 3
    :param step: m, negative to go less far, [...]
    :param turn: rad, [...]
    """
    pose = BRANCH_POSES[level]
    arc = arc_lengths(plan)
    share = torch.zeros(PLAN_POSES, device=plan.device, dtype=plan.dtype)
    share[pose - 1], share[pose:] = 0.5, 1.0
    # Never behind where the level before has left the car.
    start = arc[..., pose - 2, None] if pose > 1 else torch.zeros_like(arc[..., :1])
    places = torch.maximum(arc + share * step[..., None], start).cummax(dim=-1).values
    kept = (share == 0.0)[:, None]
    slid = torch.where(kept, plan, along(plan, arc, places))
    pivot = (plan[..., pose - 2, None, :2] if pose > 1
             else torch.zeros_like(plan[..., :1, :2]))
    away = slid[..., :2] - pivot
    cos, sin = turn.cos()[..., None], turn.sin()[..., None]
    turned = torch.stack([pivot[..., 0] + cos * away[..., 0] - sin * away[..., 1],
                          pivot[..., 1] + sin * away[..., 0] + cos * away[..., 1],
                          slid[..., 2] + turn[..., None]], dim=-1)
    return torch.where(kept, plan, turned)


def arc_lengths(plan: torch.Tensor) -> torch.Tensor:
    """Return how far each pose lies along a plan's path, m: [..., 8, 3] -> [..., 8]."""
    return _with_origin(plan[..., :2]).diff(dim=-2).norm(dim=-1).cumsum(dim=-1)


def along(plan: torch.Tensor, arc: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """
    Return the poses [..., 8, 3] at arc lengths of a plan's path; straight on past its end.

    :param plan: [..., 8, 3]
    :param arc: its own :func:`arc_lengths`, [..., 8]
    :param places: arc lengths, m, 0 or more, [..., 8]
    """
    knots = _with_origin(plan)
    arc = torch.cat([torch.zeros_like(arc[..., :1]), arc], dim=-1)
    after = torch.searchsorted(arc.contiguous(), places.contiguous(),
                               right=True).clamp(1, PLAN_POSES)
    before = (after - 1)[..., None].expand(*after.shape, 3)
    first, second = knots.gather(-2, before), knots.gather(-2, before + 1)
    begin = arc.gather(-1, after - 1)
    length = (arc.gather(-1, after) - begin).clamp_min(_TINY_M)
    share = ((places - begin) / length).clamp(0.0, 1.0)[..., None]
    turn = second[..., 2:] - first[..., 2:]
    turn = torch.atan2(turn.sin(), turn.cos())
    points = first[..., :2] + share * (second[..., :2] - first[..., :2])
    beyond = (places - arc[..., -1:]).clamp_min(0.0)[..., None]
    last = knots[..., -1:, 2:]
    return torch.cat([points + beyond * torch.cat([last.cos(), last.sin()], dim=-1),
                      first[..., 2:] + share * turn], dim=-1)


def _with_origin(plan: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros_like(plan[..., :1, :]), plan], dim=-2)
