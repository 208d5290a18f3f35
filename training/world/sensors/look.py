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

"""Light and weather of a drive."""

from dataclasses import dataclass
import math

import numpy as np
from pair_drive_training.world.towns.dice import Dice

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """
    What a drive looks like; colours are red, green, blue shares.

    ``sun`` unit vector towards the sun in the map frame; ``sunlight`` and ``skylight`` colours of
    the light; ``zenith``, ``horizon`` and ``cloud`` colours of the sky, ``cover`` share of
    clouds; ``visibility`` m after which haze has taken 63 %; ``exposure`` and ``tint`` of the
    camera; ``grain`` standard deviation of its noise, 0..255; ``rain`` share of LiDAR
    returns lost and of gloss on the road; ``lamps_on`` whether people drive with headlights.
    """

    seed: int
    sun: tuple[float, float, float]
    sunlight: Colour
    skylight: Colour
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cover: float
    visibility: float
    exposure: float
    tint: Colour
    grain: float
    rain: float
    lamps_on: bool


@dataclass(frozen=True)
class _Weather:
    """Ranges that a look is drawn from; ``elevation`` of the sun in degrees."""

    elevation: tuple[float, float]
    sunlight: Colour
    skylight: Colour
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cover: tuple[float, float]
    visibility: tuple[float, float]
    exposure: tuple[float, float]
    grain: tuple[float, float]
    rain: tuple[float, float] = (0.0, 0.0)
    lamps_on: bool = False


_WEATHERS = {
    'clear': _Weather((28.0, 65.0), (0.62, 0.59, 0.52), (0.50, 0.54, 0.62),
                      (0.28, 0.50, 0.82), (0.76, 0.85, 0.93), (0.97, 0.97, 0.98), (0.0, 0.4),
                      (350.0, 700.0), (0.92, 1.1), (1.0, 2.5)),
    'cloudy': _Weather((25.0, 60.0), (0.30, 0.29, 0.27), (0.66, 0.68, 0.72),
                       (0.46, 0.60, 0.78), (0.80, 0.84, 0.88), (0.92, 0.92, 0.94), (0.5, 0.8),
                       (300.0, 600.0), (0.92, 1.1), (1.0, 3.0)),
    'overcast': _Weather((30.0, 60.0), (0.06, 0.06, 0.06), (0.80, 0.82, 0.85),
                         (0.70, 0.73, 0.77), (0.84, 0.86, 0.88), (0.80, 0.81, 0.83), (0.8, 1.0),
                         (200.0, 400.0), (0.85, 1.05), (1.5, 3.5)),
    'rain': _Weather((25.0, 50.0), (0.03, 0.03, 0.03), (0.64, 0.67, 0.71),
                     (0.52, 0.55, 0.59), (0.68, 0.71, 0.74), (0.58, 0.60, 0.63), (0.9, 1.0),
                     (110.0, 200.0), (0.85, 1.0), (2.5, 5.0), (0.05, 0.15), True),
    'dusk': _Weather((5.0, 12.0), (0.44, 0.27, 0.14), (0.30, 0.32, 0.42),
                     (0.17, 0.22, 0.40), (0.82, 0.56, 0.42), (0.60, 0.46, 0.46), (0.2, 0.7),
                     (250.0, 500.0), (0.9, 1.1), (2.5, 5.0), (0.0, 0.0), True),
}
WEATHERS = tuple(_WEATHERS)
_TWENTIETHS = ('clear',) * 7 + ('cloudy',) * 5 + ('overcast',) * 3 + ('rain',) * 2 + ('dusk',) * 3
"""How often each is drawn."""


def draw_look(seed: int, weather: str | None = None) -> Look:
    """
    Draw the light and the weather of a drive.

    :param weather: one of ``WEATHERS``; drawn as well where None
    """
    dice = Dice(np.random.SeedSequence([seed, 0x10CC]))
    kind = _WEATHERS[dice.pick(_TWENTIETHS) if weather is None else weather]
    azimuth = dice.between(0.0, 2.0 * math.pi)
    elevation = math.radians(dice.between(*kind.elevation))
    warmth = dice.between(-0.05, 0.05)
    return Look(seed,
                (math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation),
                 math.sin(elevation)),
                kind.sunlight, kind.skylight, kind.zenith, kind.horizon, kind.cloud,
                dice.between(*kind.cover), dice.between(*kind.visibility),
                dice.between(*kind.exposure), (1.0 + warmth, 1.0, 1.0 - warmth),
                dice.between(*kind.grain), dice.between(*kind.rain), kind.lamps_on)
