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

"""Signals, brake lights and indicators can be told from an image of the mini preset."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.sensors.camera_rig import MINI
from pair_drive_training.world.sensors.look import draw_look, WEATHERS
from pair_drive_training.world.sensors.renderer import Renderer
from pair_drive_training.world.towns.town import SignalHead
from pair_drive_training.world.traffic.drive import Actor
import pytest

CONNECTOR = 17
TRUCK, CAR = (8.0, 2.5, 3.4), (4.6, 1.85, 1.45)


@pytest.fixture(scope='module')
def renderer(bare_town):
    """Return a town whose only signal, at (40, -3), shows towards the origin."""
    head = SignalHead(np.array([41.7, -3.0, 3.4]), np.pi, (CONNECTOR,))
    return Renderer(replace(bare_town, signal_heads=(head,)), MINI.with_cameras(['CAM_F0']))


def picture(renderer, weather, red=None, actors=(), braking=False, blinking=0):
    """Draw actors, as (size, pose), from the origin."""
    moment = (np.zeros(3),
              [Actor('0' * 16, ObjectType.VEHICLE, np.array(size), 0, 3) for size, _ in actors],
              np.array([pose for _, pose in actors]).reshape(-1, 3),
              np.full(len(actors), braking), np.full(len(actors), blinking),
              {} if red is None else {CONNECTOR: red})
    return renderer.cameras(*moment, draw_look(2, weather))['CAM_F0'].astype(int)


def red_pixels(image):
    return ((image[..., 0] > 120) & (image[..., 0] > 1.8 * image[..., 1])
            & (image[..., 0] > 1.8 * image[..., 2])).sum()


def green_pixels(image):
    return ((image[..., 1] > 110) & (image[..., 1] > 1.5 * image[..., 0])).sum()


@pytest.mark.parametrize('weather', WEATHERS)
def test_a_signal_40_m_away_is_seen_to_be_red_or_green(renderer, weather):
    stop, go, off = (picture(renderer, weather, state) for state in (True, False, None))
    assert red_pixels(stop) >= 5 and red_pixels(go) == red_pixels(off) == 0
    assert green_pixels(go) >= green_pixels(off) + 3


def test_a_hidden_signal_is_not_seen(renderer):
    assert red_pixels(picture(renderer, 'clear', True, [(TRUCK, (12.0, -1.0, 0.0))])) == 0


@pytest.mark.parametrize('weather', WEATHERS)
def test_brake_lights_30_m_ahead_are_seen(renderer, weather):
    ahead = [(CAR, (31.7, 0.0, 0.0))]
    on, off = (picture(renderer, weather, None, ahead, braking) for braking in (True, False))
    redder = (on[..., 0] - on[..., 1]) - (off[..., 0] - off[..., 1])
    assert (redder > 50).sum() >= 6


@pytest.mark.parametrize(('blinking', 'side'), [(1, slice(0, 240)), (-1, slice(240, 480))])
def test_an_indicator_shows_on_its_side(renderer, blinking, side):
    ahead = [(CAR, (12.0, 0.0, 0.0))]
    change = picture(renderer, 'overcast', None, ahead, blinking=blinking) - picture(
        renderer, 'overcast', None, ahead)
    bright = change[..., 0] > 60
    assert bright[:, side].sum() >= 4 and bright.sum() == bright[:, side].sum()
