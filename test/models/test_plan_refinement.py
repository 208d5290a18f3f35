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

"""The refinement of a plan: where it looks, what it moves, and how both networks use it."""

from dataclasses import replace

from pair_drive_ros.models.diffusion_drive import DiffusionDrive, DiffusionDriveConfig
from pair_drive_ros.models.plan_refinement import PlanRefinement
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig
import pytest
from tiny_network import random_features, TINY
import torch


def refinement(seed=0):
    torch.manual_seed(seed)
    module = PlanRefinement(4, 16, 32)
    torch.nn.init.normal_(module.mlp[-1].weight)
    return module


def straight(step_m=3.0):
    plan = torch.zeros(1, 8, 3)
    plan[0, :, 0] = step_m * torch.arange(1, 9)
    return plan


def test_an_untrained_one_moves_nothing():
    plan = straight()
    refined = PlanRefinement(4, 16, 32)(plan, torch.rand(1, 16), torch.rand(1, 4, 32, 32))
    torch.testing.assert_close(refined, plan)


def test_it_looks_at_the_map_under_the_poses_and_beside_them():
    bev_map = torch.rand(1, 4, 32, 32, requires_grad=True)
    plan = straight()
    # The third pose, 9 m ahead, turned left: its sides lie ahead and behind.
    plan[0, 2] = torch.tensor([9.0, 5.0, torch.pi / 2.0])
    refinement()(plan, torch.rand(1, 16), bev_map).sum().backward()
    seen = (bev_map.grad.abs().sum(dim=1)[0] > 0.0).nonzero()
    # The rows lie along x, the columns along y, cells of 2 m from -32 m on.
    places = 2.0 * seen - 31.0
    wanted = torch.cat([torch.cat([torch.tensor([[3.0 * k, side]]) for k in (1, 2, 4, 5, 6, 7, 8)
                                   for side in (-1.5, 0.0, 1.5)]),
                        torch.tensor([[7.5, 5.0], [9.0, 5.0], [10.5, 5.0]])])
    distance = (places[:, None] - wanted[None]).abs().amax(dim=-1)
    assert distance.amin(dim=1).max() < 2.0
    assert distance.amin(dim=0).max() <= 1.0


def test_beyond_the_map_there_is_nothing():
    module = refinement()
    far, query = straight(step_m=100.0), torch.rand(1, 16)
    with torch.inference_mode():
        one, other = (module(far, query, torch.rand(1, 4, 32, 32)) for _ in range(2))
    assert torch.equal(one, other)


def test_the_given_plan_learns_nothing_from_it():
    plan = straight().requires_grad_()
    refined = refinement()(plan, torch.rand(1, 16), torch.rand(1, 4, 32, 32))
    assert refined.requires_grad
    [gradient] = torch.autograd.grad(refined.sum(), plan, allow_unused=True)
    assert gradient is None


def test_transfuser_learns_the_plan_before_and_after_it():
    torch.manual_seed(0)
    network = Transfuser(replace(TINY, plan_refinement=True))
    torch.nn.init.normal_(network.plan_refinement.mlp[-1].weight)
    features = random_features(network, batch=2)
    outputs = network.eval()(features)
    assert not torch.allclose(outputs['trajectory'], outputs['unrefined'])
    torch.testing.assert_close(network.plan(features), outputs['trajectory'])
    targets = {'trajectory': outputs['unrefined'].detach(),
               'agent_states': torch.zeros(2, 30, 5), 'agent_labels': torch.ones(2, 30).bool(),
               'bev_semantic_map': torch.zeros(2, 32, 64, dtype=torch.uint8)}
    terms = network.loss(features, targets)
    assert terms['unrefined'].item() == pytest.approx(0.0, abs=1e-5)
    assert terms['trajectory'] > 0.1


@torch.inference_mode()
def test_diffusion_drive_refines_its_best_mode():
    torch.manual_seed(0)
    network = DiffusionDrive(DiffusionDriveConfig.mini(mode_agreement=0.0)).eval()
    network.set_anchors(torch.rand(20, 8, 2) * 10.0)
    features = random_features(network, batch=2)
    outputs = network(features)
    best = outputs['modes'][torch.arange(2), outputs['mode_logits'].argmax(dim=1)]
    torch.testing.assert_close(outputs['trajectory'], best)
    torch.nn.init.normal_(network.plan_refinement.mlp[-1].weight)
    refined = network.plan(features)
    assert not torch.allclose(refined, best)
    torch.testing.assert_close(refined, network(features)['trajectory'])


def test_only_the_small_networks_have_it():
    assert TransfuserConfig.mini().plan_refinement and TransfuserConfig.mini().bev_ahead
    assert not TransfuserConfig().plan_refinement and not TransfuserConfig().bev_ahead
