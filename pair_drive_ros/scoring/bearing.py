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
Objects exactly straight ahead or behind, whose bearing the devkits lose to rounding (sic).

A bearing is the arc cosine of the product of two unit vectors. Where an object lies exactly on the
ego's axis the last bit decides whether that product exceeds one, and if so the arc cosine is NaN
and the object is neither ahead nor behind. This matters at the very first step only, where the
ego's pose is the logged one; there the devkits' arithmetic is repeated to the last bit, in global
coordinates and with the sine and cosine of numpy 1.23 on AVX-512 (an argument reduced by multiples
of pi and an odd polynomial of degree 15, in fused multiply-adds).
"""

from fractions import Fraction
from itertools import pairwise
import math

import numpy as np
from pair_drive_ros.scoring.scene import Objects
from pair_drive_ros.scoring.time_to_collision import LOOK_AHEAD_STEPS, LOOK_AHEADS

ON_AXIS = 1e-6
TINY = 2.0 ** -27


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float.fromhex(word) for word in text.split())


PI_PARTS = _floats('0x1.921fb54442d18p+1 0x1.1a62633145c06p-53 0x1.c1cd129024e09p-106')
INVERSE_PI = float.fromhex('0x1.45f306dc9c883p-2')
SINE = _floats('-0x1.9f1517e9f65f0p-41 0x1.60e6bee01d83ep-33 -0x1.ae6355aaa4a53p-26 '
               '0x1.71de3806add1ap-19 -0x1.a01a019a659ddp-13 0x1.111111110a573p-7 '
               '-0x1.55555555554a8p-3')
COSINE = _floats('-0x1.9f0d60811aac8p-41 0x1.60e6857a2f220p-33 -0x1.ae63546002231p-26 '
                 '0x1.71de38030fea0p-19 -0x1.a01a019a5b87bp-13 0x1.111111110a4a8p-7 '
                 '-0x1.55555555554a7p-3')


def undefined_bearings(objects: Objects, ego: np.ndarray) -> np.ndarray:
    """
    Whether the bearing [N, 4] of each object from the ego's first pose is undefined.

    The columns are the object's boxes 0, 3, 6 and 9 steps later, as time to collision asks.

    :param ego: x, y and heading of the rear axle, global
    """
    steps = LOOK_AHEAD_STEPS * np.arange(LOOK_AHEADS)
    dx, dy = np.moveaxis(objects.boxes[steps, :, :2] - ego[:2], -1, 0)
    across = np.abs(dy * math.cos(ego[2]) - dx * math.sin(ego[2]))
    on_axis = objects.seen[steps] & (across < ON_AXIS * np.hypot(dx, dy))
    undefined = np.zeros((len(objects.kind), LOOK_AHEADS), bool)
    for column, n in np.argwhere(on_axis):
        x, y = _centroid(*objects.boxes[steps[column], n].tolist(), *objects.size[n].tolist())
        dx, dy = x - float(ego[0]), y - float(ego[1])
        distance = math.sqrt(dx * dx + dy * dy)
        if distance > 0.0:
            heading = float(ego[2])
            product = cosine(heading) * (dx / distance) + sine(heading) * (dy / distance)
            undefined[n, column] = abs(product) > 1.0
    return undefined


def sine(angle: float) -> float:
    """Sine to the last bit of the reference machine, for angles of a few turns."""
    turns = round(Fraction(INVERSE_PI) * Fraction(angle))
    value = _odd_polynomial(_reduce(angle, float(turns)), SINE)
    return -value if turns % 2 else value


def cosine(angle: float) -> float:
    """Cosine to the last bit of the reference machine, for angles of a few turns."""
    if abs(angle) < TINY:
        return 1.0
    turns = math.floor(Fraction(INVERSE_PI) * Fraction(abs(angle)))
    value = -_odd_polynomial(_reduce(abs(angle), turns + 0.5), COSINE)
    return -value if turns % 2 else value


def _reduce(angle: float, turns: float) -> float:
    for part in PI_PARTS:
        angle = _fma(-turns, part, angle)
    return angle


def _odd_polynomial(angle: float, coefficients: tuple[float, ...]) -> float:
    square = angle * angle
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = _fma(square, value, coefficient)
    return _fma(angle * square, value, angle)


def _fma(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def _centroid(x: float, y: float, heading: float, length: float,
              width: float) -> tuple[float, float]:
    """Centroid of a box as a polygon library finds it: from triangles that share a corner."""
    cos, sin = cosine(heading), sine(heading)
    cos_left, sin_left = cosine(heading + math.pi / 2.0), sine(heading + math.pi / 2.0)
    half = (length / 2.0, width / 2.0)
    corners = [(x + (side * half[1] * cos_left + end * half[0] * cos),
                y + (side * half[1] * sin_left + end * half[0] * sin))
               for end, side in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    (base_x, base_y), doubled, sum_x, sum_y = corners[0], 0.0, 0.0, 0.0
    for (ax, ay), (bx, by) in pairwise([*corners, corners[0]]):
        area = (ax - base_x) * (by - base_y) - (bx - base_x) * (ay - base_y)
        doubled += area
        sum_x += area * (base_x + ax + bx)
        sum_y += area * (base_y + ay + by)
    if doubled == 0.0:
        return x, y
    return sum_x / 3.0 / doubled, sum_y / 3.0 / doubled
