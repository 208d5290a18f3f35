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

"""What DiffusionDrive's head is taught: the nearest anchor, its losses, their noise."""

import math

from pair_drive_ros.models.diffusion import normalise
from pair_drive_ros.models.diffusion_head import DiffusionHead, focal_loss, nearest_anchor
from pair_drive_ros.models.modes import Modes
import pytest
from tiny_diffusion import conditions, fan_anchors, human, tiny_head
import torch


def test_the_nearest_anchor_is_that_of_the_mean_distance():
    anchors = torch.zeros(3, 8, 2)
    anchors[0, :, 0] = 2.0
    anchors[1, -1, 0] = 20.0
    anchors[2, :, 1] = -1.5
    trajectory = torch.zeros(2, 8, 3)
    trajectory[1, -1, 0] = 19.0
    trajectory[0, :, 2] = 3.0
    assert nearest_anchor(anchors, trajectory).tolist() == [2, 1]


def test_focal_loss_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    targets = torch.tensor([[1.0, 0.0]])
    by_hand = (0.25 * 0.5 ** 2 * math.log(2.0) + 0.75 * 0.75 ** 2 * math.log(4.0)) / 2.0
    assert focal_loss(logits, targets).item() == pytest.approx(by_hand)


class Oracle(torch.nn.Module):
    """Puts the human's poses into one mode, wild ones into the others."""

    def __init__(self, poses, mode):
        super().__init__()
        self.poses, self.mode = poses, mode

    def forward(self, modes, points):
        """Return the poses and logits that are sure of that mode."""
        poses = torch.full((*modes.shape[:2], 8, 3), 50.0)
        poses[:, self.mode] = self.poses
        logits = torch.full(modes.shape[:2], -20.0)
        logits[:, self.mode] = 20.0
        return Modes(poses, logits)


def test_a_perfect_head_has_no_loss():
    head = tiny_head().eval()
    mode = 12
    for layer in head.diff_decoder.layers:
        layer.task_decoder = Oracle(human(3, mode), mode)
    classification, regression, plan = head.losses(*conditions(3), human(3, mode))
    torch.testing.assert_close(plan, human(3, mode))
    assert classification.item() == pytest.approx(0.0, abs=1e-6)
    assert regression.item() == pytest.approx(0.0, abs=1e-6)


def test_both_layers_are_summed():
    head, inputs = tiny_head(), conditions(2)
    losses = []
    for layers in (2, 1):
        del head.diff_decoder.layers[layers:]
        torch.manual_seed(0)
        losses.append(head.losses(*inputs, human(2)))
    both, first = losses
    assert both.modes > first.modes > 0.0
    assert both.trajectory > first.trajectory > 0.0


def test_training_starts_from_little_noise_within_the_range():
    head = tiny_head()
    seen = []
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[3:]))
    torch.manual_seed(0)
    head.losses(*conditions(200), human(200))
    [(points, steps)] = seen
    assert points.shape == (200, 20, 8, 2)
    assert set(steps.tolist()) <= set(range(50))
    assert len(set(steps.tolist())) > 40
    assert normalise(points).abs().max().item() == pytest.approx(1.0, abs=1e-5)
    noise = normalise(points[:, 7:8]) - normalise(fan_anchors()[7:8])
    assert noise[steps < 5].std() < 0.03
    assert noise[steps > 45].std().item() == pytest.approx(0.092, abs=0.01)


def test_training_noise_comes_from_the_global_generator():
    head, inputs = tiny_head(), conditions(2)

    def loss(seed):
        torch.manual_seed(seed)
        return head.losses(*inputs, human(2)).trajectory.item()

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)


def test_no_parameter_but_the_anchors_is_idle():
    head = tiny_head().train()
    losses = head.losses(*conditions(2), human(2))
    (losses.modes + losses.trajectory).backward()
    idle = [name for name, p in head.named_parameters() if p.grad is None]
    assert idle == ['plan_anchor']


def test_losses_are_exact_under_mixed_precision():
    head = tiny_head()
    with torch.autocast('cpu', torch.bfloat16):
        terms = head.losses(*conditions(2), human(2))
    assert all(term.dtype == torch.float32 and term.isfinite().all() for term in terms)


def test_the_head_learns_where_the_human_drives():
    torch.manual_seed(0)
    head = DiffusionHead(64, ffn=64, feature_width=64)
    head.set_anchors(fan_anchors())
    inputs = [torch.cat([tensor] * 4) for tensor in conditions(2, 64)]
    trajectory = torch.cat([human(mode=2), human(mode=17)] * 4)
    optimiser = torch.optim.Adam([p for p in head.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(80):
        optimiser.zero_grad()
        losses = head.losses(*inputs, trajectory)
        (10.0 * losses.modes + 8.0 * losses.trajectory).backward()
        optimiser.step()
    with torch.inference_mode():
        plans = head.eval().sample(*inputs).best()
    # The noise is worth 1 m; the plans of the two scenes lie 21 m apart on average.
    assert (plans - trajectory)[..., :2].norm(dim=-1).mean(dim=1).max() < 2.0
