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

"""Sensor dropout takes away some of the sensors that are there, and never the last."""

from pair_drive_ros.models.sensor_dropout import LOSS_RATE, SensorDropout
import pytest
import torch

SCENES = 20_000


def left_of(share, validity, training=True):
    torch.manual_seed(0)
    return SensorDropout(share).train(training)(validity)


def test_nothing_is_lost_in_evaluation_or_without_a_share():
    validity = torch.ones(100, 4)
    assert torch.equal(left_of(1.0, validity, training=False), validity)
    assert torch.equal(left_of(0.0, validity), validity)


def test_what_is_not_there_does_not_come_back_and_one_sensor_is_left():
    torch.manual_seed(1)
    validity = (torch.rand(SCENES, 4) < 0.5).float()
    left = left_of(1.0, validity)
    assert ((left == 0.0) | (left == 1.0)).all()
    assert (left <= validity).all()
    assert torch.equal(left.any(dim=1), validity.any(dim=1))
    alone = validity.sum(dim=1) == 1.0
    assert alone.any() and torch.equal(left[alone], validity[alone])


@pytest.mark.parametrize('share', [0.3, 1.0])
def test_sensors_are_lost_at_the_stated_rates(share):
    left = left_of(share, torch.ones(SCENES, 4))
    # Where all four would be lost none is: one of four's loss then needs another that stays.
    rate = share * LOSS_RATE * (1.0 - LOSS_RATE ** 3)
    untouched = 1.0 - share * (1.0 - (1.0 - LOSS_RATE) ** 4 - LOSS_RATE ** 4)
    five_sigma = 5.0 * 0.5 / SCENES ** 0.5
    assert (1.0 - left.mean(dim=0)).tolist() == pytest.approx([rate] * 4, abs=five_sigma)
    whole = (left.sum(dim=1) == 4.0).float().mean().item()
    assert whole == pytest.approx(untouched, abs=five_sigma)
    lost = 1.0 - left
    both = (lost[:, 0] * lost[:, 3]).mean().item()
    assert both == pytest.approx(share * LOSS_RATE ** 2 * (1.0 - LOSS_RATE ** 2), abs=five_sigma)
