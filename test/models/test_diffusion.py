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

"""The DDIM scheduler and the range of the diffusion."""

from pair_drive_ros.models.diffusion import DdimScheduler, denormalise, normalise
import pytest
import torch


def test_the_corners_of_the_range_are_those_of_the_public_code():
    corners = torch.tensor([[-1.2, -20.0], [55.7, 26.0]])
    torch.testing.assert_close(normalise(corners), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    torch.testing.assert_close(normalise(torch.tensor([27.25, 3.0])), torch.zeros(2))


def test_denormalise_undoes_normalise():
    points = torch.rand(3, 20, 8, 2) * 80.0 - 40.0
    torch.testing.assert_close(denormalise(normalise(points)), points, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(('step', 'sigma'), [(8, 0.0316), (49, 0.0943)])
def test_the_truncated_steps_add_little_noise(step, sigma):
    noisy = DdimScheduler().add_noise(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([step]))
    assert noisy.item() == pytest.approx(sigma, abs=1e-4)


def test_the_last_step_leaves_almost_nothing_but_noise():
    sample, noise = torch.full((1, 4), 0.5), torch.randn(1, 4)
    noisy = DdimScheduler().add_noise(sample, noise, torch.tensor([999]))
    torch.testing.assert_close(noisy, noise, atol=0.03, rtol=0.0)


def test_each_scene_has_its_own_step():
    scheduler = DdimScheduler()
    sample, noise = torch.rand(2, 3, 2), torch.randn(2, 3, 2)
    both = scheduler.add_noise(sample, noise, torch.tensor([3, 40]))
    for scene, step in enumerate((3, 40)):
        alone = scheduler.add_noise(sample[scene:scene + 1], noise[scene:scene + 1],
                                    torch.tensor([step]))
        torch.testing.assert_close(both[scene:scene + 1], alone)


@pytest.mark.parametrize('step', [1, 10, 500])
def test_a_perfect_prediction_walks_back_along_the_same_noise(step):
    scheduler = DdimScheduler()
    sample, noise = torch.rand(2, 8) * 2.0 - 1.0, torch.randn(2, 8)
    now = scheduler.add_noise(sample, noise, torch.tensor([step]))
    before = scheduler.add_noise(sample, noise, torch.tensor([step - 1]))
    torch.testing.assert_close(scheduler.step(sample, step, now), before, atol=1e-5, rtol=1e-4)


# Computed with DDIMScheduler of diffusers 0.31 (1000 steps, scaled_linear, sample, eta 0).
@pytest.mark.parametrize(('prediction', 'step', 'sample', 'expected'), [
    (-0.4, 10, 0.9, 0.8317172527313232),
    (1.5, 10, 0.3, -0.13665372133255005),
    (0.5, 500, -1.2, -1.1970405578613281),
    (1.3, 0, 0.1, 1.0)])
def test_steps_are_those_of_the_public_scheduler(prediction, step, sample, expected):
    result = DdimScheduler().step(torch.tensor([prediction]), step, torch.tensor([sample]))
    assert result.item() == pytest.approx(expected, abs=1e-5)


def test_added_noise_is_that_of_the_public_scheduler():
    noisy = DdimScheduler().add_noise(torch.tensor([[0.5]]), torch.tensor([[-1.5]]),
                                      torch.tensor([49]))
    assert noisy.item() == pytest.approx(0.356393426656723, abs=1e-6)


def test_the_scheduler_adds_nothing_to_a_checkpoint():
    assert DdimScheduler().state_dict() == {}
