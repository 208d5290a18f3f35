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

"""The geometry of the tree on cases whose answers are known."""

import math

from pair_drive_ros.models.flat_sampler import flat_leaves, SHIFTS_M, SPEEDS
from pair_drive_ros.models.tree_geometry import (
    along,
    arc_lengths,
    BRANCH_POSES,
    driven,
    LEAST_STEP_M,
    step_measure,
    translated,
)
import pytest
from tiny_view import bend, mirrored, straight
import torch

GEOMETRIES = pytest.mark.parametrize('geometry', [driven, translated])
ZERO = torch.zeros(2)


@GEOMETRIES
@pytest.mark.parametrize('level', range(4))
def test_no_offset_gives_the_reference_back(geometry, level):
    plan = bend()
    assert torch.allclose(geometry(plan, level, ZERO, ZERO), plan, atol=1e-5)


def test_nodes_of_the_references_own_steps_give_it_back():
    # The reference is what a car that stands reaches by its steps, level after level.
    plan = straight(speed=4.0)
    grown = torch.zeros_like(plan)
    for level in range(4):
        grown = translated(grown, level, torch.full((2,), 4.0), ZERO)
    assert torch.allclose(grown[:, list(BRANCH_POSES)], plan[:, list(BRANCH_POSES)])


@GEOMETRIES
@pytest.mark.parametrize('level', range(4))
def test_poses_before_the_branch_stay(geometry, level):
    plan = bend()
    moved = geometry(plan, level, torch.full((2,), 1.0), torch.full((2,), 0.2))
    first = max(BRANCH_POSES[level] - 1, 0)
    assert torch.equal(moved[:, :first], plan[:, :first])
    assert not torch.allclose(moved[:, BRANCH_POSES[level]:], plan[:, BRANCH_POSES[level]:],
                              atol=0.1)


@GEOMETRIES
def test_a_mirrored_plan_is_moved_as_its_mirror_image(geometry):
    plan, step, turn = bend(), torch.tensor([1.5, -2.0]), torch.tensor([0.3, -0.1])
    moved = geometry(plan, 1, step, turn)
    assert torch.allclose(mirrored(moved), geometry(mirrored(plan), 1, step, -turn), atol=1e-5)


@GEOMETRIES
def test_heading_turns_by_no_more_than_the_turn(geometry):
    plan = straight()
    turn = torch.tensor([0.3, -0.2])
    moved = geometry(plan, 0, ZERO, turn)
    assert torch.allclose(moved[:, BRANCH_POSES[0]:, 2] - plan[:, BRANCH_POSES[0]:, 2],
                          turn[:, None].expand(-1, 7), atol=1e-6)


def test_translated_tail_keeps_its_shape():
    plan = bend()
    moved = translated(plan, 1, torch.full((2,), 2.0), torch.full((2,), 0.3))
    pose = BRANCH_POSES[1]
    assert torch.allclose((moved - plan)[:, pose:], (moved - plan)[:, pose:pose + 1].expand(
        -1, 8 - pose, -1), atol=1e-5)
    heading = plan[:, pose, 2] + 0.3
    assert torch.allclose((moved - plan)[:, pose, 0], 2.0 * heading.cos(), atol=1e-5)


def test_a_brake_stays_on_the_path():
    plan = bend(radius=20.0)
    moved = driven(plan, 1, torch.full((2,), -3.0), ZERO)
    to_centre = torch.hypot(moved[..., 0], moved[..., 1] - 20.0)
    assert torch.allclose(to_centre, torch.full_like(to_centre, 20.0), atol=0.12)
    assert torch.allclose(arc_lengths(moved)[:, 3:], arc_lengths(plan)[:, 3:] - 3.0, atol=0.1)
    assert torch.allclose(arc_lengths(moved)[:, 2], arc_lengths(plan)[:, 2] - 1.5, atol=0.1)


def test_a_step_forward_goes_straight_on_past_the_end():
    plan = bend()
    moved = driven(plan, 3, torch.full((2,), 5.0), ZERO)
    last = plan[:, -1]
    ahead = last[:, :2] + 5.0 * torch.stack([last[:, 2].cos(), last[:, 2].sin()], dim=-1)
    assert torch.allclose(moved[:, -1, :2], ahead, atol=1e-4)
    assert torch.allclose(moved[:, -1, 2], last[:, 2])


def test_the_hardest_brake_never_goes_back():
    plan = straight(speed=2.0)
    for level in range(4):
        plan = driven(plan, level, torch.full((2,), -50.0), ZERO)
        assert (plan[..., 0].diff(dim=1) >= -1e-6).all()
    assert torch.allclose(plan[..., 0], torch.zeros(2, 8), atol=1e-5)


def test_a_car_that_stands_is_not_torn_apart():
    plan = driven(torch.zeros(2, 8, 3), 0, torch.full((2,), 1.0), torch.full((2,), 0.1))
    assert plan.isfinite().all()
    assert torch.allclose(plan[:, 1, :2].norm(dim=-1), torch.ones(2), atol=1e-5)


def test_the_measure_is_one_and_a_half_steps():
    assert torch.allclose(step_measure(straight(speed=8.0)),
                          torch.tensor(1.5 * math.hypot(4.0, LEAST_STEP_M)))
    assert torch.allclose(step_measure(torch.zeros(3, 8, 3)), torch.tensor(1.5 * LEAST_STEP_M))


def test_places_on_a_path_are_where_its_poses_are():
    plan = bend()
    arc = arc_lengths(plan)
    assert torch.allclose(along(plan, arc, arc), plan, atol=1e-5)


def test_flat_leaves_are_five_speeds_times_three_shifts():
    root = straight(speed=8.0)
    leaves = flat_leaves(root)
    ends = {(round(float(x), 3), round(float(y), 3)) for x, y in leaves[0, :, -1, :2]}
    assert ends == {(round(32.0 * speed, 3), shift) for speed in SPEEDS for shift in SHIFTS_M}
    assert torch.allclose(leaves[:, 7], root, atol=1e-5)
    assert (leaves[:, :, 0, 1].abs() < 0.2).all()
