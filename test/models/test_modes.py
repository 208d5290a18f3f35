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

"""One plan of several modes."""

import math

from pair_drive_ros.models.modes import Modes
import torch


def straight_modes(*asides):
    """Return modes of one scene that go straight ahead, each so far to the left."""
    poses = torch.zeros(1, len(asides), 8, 3)
    poses[..., 0] = torch.arange(1.0, 9.0)
    poses[..., 1] = torch.tensor(asides)[:, None]
    return poses


def test_modes_that_agree_with_the_best_are_averaged():
    probability = torch.tensor([[0.2, 0.5, 0.3]])
    modes = Modes(straight_modes(0.8, 0.0, 3.0), probability.log())
    alone, agreed, everyone = (modes.agreed(distance) for distance in (0.0, 1.0, 5.0))
    assert torch.equal(alone, modes.best()) and alone[0, 0, 1] == 0.0
    # The third is too far away; the first counts as its share of both.
    torch.testing.assert_close(agreed[0], straight_modes(0.8 * 0.2 / 0.7)[0, 0])
    torch.testing.assert_close(everyone[0], straight_modes(0.8 * 0.2 + 3.0 * 0.3)[0, 0])


def test_headings_are_averaged_across_the_border():
    poses = straight_modes(0.0, 0.0)
    poses[:, 0, :, 2], poses[:, 1, :, 2] = math.pi - 0.1, -math.pi + 0.1
    heading = Modes(poses, torch.tensor([[0.1, 0.0]])).agreed(1.0)[..., 2]
    assert (heading - math.pi).abs().max() < 0.1
