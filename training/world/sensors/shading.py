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
The colour of every pixel: sky, ground and polygons in the light of the day.

Samples that show the same are shaded once. The ground is filtered along the line of sight, as far
as a pixel reaches there, so that markings stay sharp across it; colours are red, green, blue.
"""

import math
from typing import NamedTuple

import numpy as np
from pair_drive_ros.scoring.compile import cpu_kernel, device
from pair_drive_training.world.sensors.ground_map import METRES_PER_TEXEL
from pair_drive_training.world.sensors.mesh import FOLIAGE, LEAVES, STRIPES, WALL
from pair_drive_training.world.sensors.visibility import (
    BACKDROP,
    CONTACT,
    FIRST_POLYGON,
    SAMPLES,
)

_TAPS = 6
_BLOCK = 8
"""Pixels side by side for which the ground is filtered alike, and the sky interpolated."""

REACH, SKY, SKY_STEP = range(3)
"""Rows of what the pixels of a block share; the last is a change from sample to sample."""

GROUND_END_M = 400.0
_STOREY_M, _BAY_M = 3.2, 2.8
_CONTACT_LIGHT = 0.42
_GRIT_RANGE_M, _GRIT_PER_M = 12.0, 30.0


class Light(NamedTuple):
    """
    A look, as arrays [3] of float64 and numbers.

    ``gain`` [3] exposure and tint; ``shift`` [2] cells of the clouds; ``haze`` [M] its share by
    distance in m; ``noise`` float32 [65536], normally distributed.
    """

    sun: np.ndarray
    sunlight: np.ndarray
    skylight: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    cloud: np.ndarray
    gain: np.ndarray
    shift: np.ndarray
    cover: float
    grain: float
    rain: float
    lamps_on: bool
    shadows: bool
    haze: np.ndarray
    noise: np.ndarray


@device
def _hash(number):
    number = (number ^ (number >> 16)) * 0x45D9F3B & 0xFFFFFFFF
    number = (number ^ (number >> 16)) * 0x45D9F3B & 0xFFFFFFFF
    return number ^ (number >> 16)


@device
def _pattern(grain, x, y):
    """Value of the seamless pattern at a place in cells, interpolated."""
    mask = grain.shape[0] - 1
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    i, j = int(x0) & mask, int(y0) & mask
    k, m = (i + 1) & mask, (j + 1) & mask
    upper = grain[j, i] + fx * (grain[j, k] - grain[j, i])
    lower = grain[m, i] + fx * (grain[m, k] - grain[m, i])
    return upper + fy * (lower - upper)


@device
def _sky_colour(x, y, z, ground, light):
    """Sky with clouds, the sun's glow and a dark skyline, towards a unit direction."""
    up = max(z, 0.0)
    fade = math.sqrt(min(1.0, 1.6 * up))
    red = light.horizon[0] + (light.zenith[0] - light.horizon[0]) * fade
    green = light.horizon[1] + (light.zenith[1] - light.horizon[1]) * fade
    blue = light.horizon[2] + (light.zenith[2] - light.horizon[2]) * fade
    # A plane of clouds overhead; it ends in the haze.
    scale = 34.0 / (up + 0.10)
    puff = _pattern(ground.grain, x * scale + light.shift[0], y * scale + light.shift[1])
    share = min(1.0, max(0.0, (puff - 0.5 + 1.5 * light.cover) * 1.3)) * min(1.0, up * 9.0)
    share *= 0.35 + 0.6 * light.cover
    tone = 1.0 - 0.12 * max(0.0, puff)
    red += (light.cloud[0] * tone - red) * share
    green += (light.cloud[1] * tone - green) * share
    blue += (light.cloud[2] * tone - blue) * share
    toward = x * light.sun[0] + y * light.sun[1] + z * light.sun[2]
    if toward > 0.8:
        glow = (toward ** 24 * 0.5 + toward ** 512 * 3.0) * (1.0 - 0.9 * light.cover)
        red, green = red + glow * light.sunlight[0], green + glow * light.sunlight[1]
        blue += glow * light.sunlight[2]
    if z < 0.05:
        turn = math.atan2(y, x) * 512.0 / (2.0 * math.pi)
        top = 0.020 + 0.012 * _pattern(ground.grain, turn, 3.0)
        if z < top:
            far = 0.55
            red += (0.30 * light.skylight[0] - red) * (1.0 - far)
            green += (0.36 * light.skylight[1] - green) * (1.0 - far)
            blue += (0.34 * light.skylight[2] - blue) * (1.0 - far)
    return red, green, blue


@device
def _reach(x, y, z, view, ground, reach):
    """
    Write how a pixel reaches over the ground where its ray x, y, z meets it.

    ``reach`` [4]: mip level, number of taps along the line of sight, and the step between them in
    texels of that level, to the east and to the south.
    """
    if z >= -1e-6:
        return
    flat = max(math.sqrt(x * x + y * y), 1e-9)
    depth = -view.eye[2] / z
    width = depth * SAMPLES / view.focal
    length = width * depth * math.sqrt(x * x + y * y + z * z) / view.eye[2]
    width, length = max(width, METRES_PER_TEXEL), min(max(length, METRES_PER_TEXEL), 30.0)
    taps = min(_TAPS, max(1, int(length / width + 0.5)))
    step = length / taps
    blur = 0.6 * max(width, step) / METRES_PER_TEXEL
    level = 0
    while blur > 1.0 and level < len(ground.levels) - 1:
        blur *= 0.5
        level += 1
    texels = step / (METRES_PER_TEXEL * (1 << level) * flat)
    reach[0], reach[1], reach[2], reach[3] = level, taps, x * texels, -y * texels


@device
def _ground_colour(x, y, reach, depth, ground, noise):
    """Paint of the ground at a place, averaged over what a pixel reaches."""
    level, taps = int(reach[0]), int(reach[1])
    first, texels = ground.levels[level, 0], ground.texels
    rows, columns = ground.levels[level, 1], ground.levels[level, 2]
    per_metre = 1.0 / METRES_PER_TEXEL / (1 << level)
    column = (x - ground.corner[0]) * per_metre - 0.5 + 0.5 * (1.0 - taps) * reach[2]
    row = (ground.corner[1] - y) * per_metre - 0.5 + 0.5 * (1.0 - taps) * reach[3]
    red, green, blue = 0.0, 0.0, 0.0
    for _ in range(taps):
        across = min(max(column, 0.0), columns - 1.001)
        down = min(max(row, 0.0), rows - 1.001)
        i, j = int(across), int(down)
        fx, fy = across - i, down - j
        at = first + j * columns + i
        below = at + columns
        d = fx * fy
        a, b, c = 1.0 - fx - fy + d, fx - d, fy - d
        red += (a * texels[at, 0] + b * texels[at + 1, 0] + c * texels[below, 0]
                + d * texels[below + 1, 0])
        green += (a * texels[at, 1] + b * texels[at + 1, 1] + c * texels[below, 1]
                  + d * texels[below + 1, 1])
        blue += (a * texels[at, 2] + b * texels[at + 1, 2] + c * texels[below, 2]
                 + d * texels[below + 1, 2])
        column, row = column + reach[2], row + reach[3]
    share = 1.0 / (255.0 * taps)
    if depth < _GRIT_RANGE_M:
        cell = int(x * _GRIT_PER_M) * 73 + int(y * _GRIT_PER_M) * 179
        share *= 1.0 + 0.03 * (1.0 - depth / _GRIT_RANGE_M) * noise[cell & 0xFFF]
    return red * share, green * share, blue * share


@device
def _band(at, half, blur):
    """Share of a blurred point ``at`` from the middle of a band that lies in it."""
    return min(1.0, max(0.0, (half - abs(at)) / blur + 0.5))


@device
def _facade(u, v, length, blur, number, light):
    """Share of window and its tone at ``u`` m along a wall and ``v`` m above the ground."""
    bays = max(1.0, math.floor(length / _BAY_M + 0.3))
    bay = length / bays
    column, storey = math.floor(u / bay), math.floor(v / _STOREY_M)
    across, up = u - (column + 0.5) * bay, v - (storey + 0.5) * _STOREY_M
    kind = _hash(number * 7 + int(column) * 31 + int(storey) * 1009)
    style = _hash(number)
    half, tall = 0.55 + 0.12 * (style & 3), 0.75 + 0.1 * (style >> 2 & 3)
    if storey < 1.0:
        half, tall = 0.42 * bay, 1.15
    share = _band(across, half, blur) * _band(up, tall, blur)
    tone = 0.10 + 0.10 * (kind & 255) / 255.0
    if light.lamps_on and kind >> 8 & 3 == 0:
        tone = -1.0
    elif kind >> 10 & 7 == 0:
        tone = 0.5
    return share, tone


@device
def _polygon_colour(p, column, row, scene, view, buffers, light, lit, pixel):
    """
    Colour of a polygon at a sample, before haze; and how far away it is along the optical axis.

    :param pixel: the width of a pixel a metre away
    """
    mesh, plane = scene.mesh, buffers.planes[p]
    depth = 1.0 / max(plane[0] * column + plane[1] * row + plane[2], 1e-6)
    red, green, blue = float(lit[p, 0]), float(lit[p, 1]), float(lit[p, 2])
    material = mesh.materials[p]
    if material == WALL or material == LEAVES or material == FOLIAGE or material == STRIPES:
        axes = view.axes
        x = view.eye[0] + depth * (axes[0, 0] * column + axes[0, 1] * row + axes[0, 2])
        y = view.eye[1] + depth * (axes[1, 0] * column + axes[1, 1] * row + axes[1, 2])
        z = view.eye[2] + depth * (axes[2, 0] * column + axes[2, 1] * row + axes[2, 2])
        if material == LEAVES or material == FOLIAGE:
            cell = 0.16 if depth < 30.0 else 0.5
            number = (int(math.floor(x / cell)) * 73856093 ^ int(math.floor(y / cell)) * 19349663
                      ^ int(math.floor(z / cell)) * 83492791)
            factor = 0.72 + 0.5 * (_hash(number) & 255) / 255.0
            red, green, blue = red * factor, green * factor, blue * factor
        else:
            start = mesh.corners[p, 0]
            ex, ey = mesh.corners[p, 1, 0] - start[0], mesh.corners[p, 1, 1] - start[1]
            length = math.hypot(ex, ey)
            along = ((x - start[0]) * ex + (y - start[1]) * ey) / max(length, 1e-6)
            if material == WALL:
                share, tone = _facade(along, z, length, max(depth * pixel * 1.5, 0.02), p, light)
                if tone < 0.0:
                    wr, wg, wb = 0.95, 0.78, 0.45
                else:
                    wr = tone * light.skylight[0] + 0.12 * light.horizon[0]
                    wg = tone * light.skylight[1] + 0.12 * light.horizon[1]
                    wb = tone * light.skylight[2] + 0.14 * light.horizon[2]
                stain = 1.0 - 0.10 * max(0.0, 1.0 - 0.4 * z)
                red = red * stain + (wr - red * stain) * share
                green = green * stain + (wg - green * stain) * share
                blue = blue * stain + (wb - blue * stain) * share
            else:
                leaning = along + z
                inside = leaning - 0.5 * math.floor(leaning * 2.0) - 0.25
                share = _band(inside, 0.125, max(depth * pixel * 1.5, 0.01))
                red = red * (1.0 - 0.12 * share)
                green, blue = green * (1.0 - 0.86 * share), blue * (1.0 - 0.86 * share)
    return red, green, blue, depth


@device
def _sample_colour(shown, column, row, scene, view, buffers, light, ground, lit, block, start):
    """Colour of what a sample shows, with haze; its block begins at column ``start``."""
    axes = view.axes
    if shown >= FIRST_POLYGON:
        red, green, blue, depth = _polygon_colour(shown - FIRST_POLYGON, column, row, scene, view,
                                                  buffers, light, lit, SAMPLES / view.focal)
    else:
        x = axes[0, 0] * column + axes[0, 1] * row + axes[0, 2]
        y = axes[1, 0] * column + axes[1, 1] * row + axes[1, 2]
        z = axes[2, 0] * column + axes[2, 1] * row + axes[2, 2]
        if z * GROUND_END_M > -view.eye[2]:
            along = column - start
            return (block[SKY, 0] + along * block[SKY_STEP, 0],
                    block[SKY, 1] + along * block[SKY_STEP, 1],
                    block[SKY, 2] + along * block[SKY_STEP, 2])
        depth = -view.eye[2] / z
        red, green, blue = _ground_colour(view.eye[0] + depth * x, view.eye[1] + depth * y,
                                          block[REACH], depth, ground, light.noise)
        sunny = light.sun[2] if shown == BACKDROP else 0.0
        under = (_CONTACT_LIGHT if shown == CONTACT else 1.0) * (1.0 - 2.0 * light.rain)
        red *= (light.skylight[0] + light.sunlight[0] * sunny) * under
        green *= (light.skylight[1] + light.sunlight[1] * sunny) * under
        blue *= (light.skylight[2] + light.sunlight[2] * sunny) * under
        if light.rain > 0.0:
            # A wet road mirrors the sky, the more the flatter one looks at it.
            gloss = light.rain * 2.2 * max(0.0, 1.0 + z) ** 6 * under
            red += gloss * light.horizon[0]
            green += gloss * light.horizon[1]
            blue += gloss * light.horizon[2]
    haze = light.haze[int(min(depth, len(light.haze) - 1.0))]
    return (red + (light.horizon[0] - red) * haze, green + (light.horizon[1] - green) * haze,
            blue + (light.horizon[2] - blue) * haze)


@device
def _prepare(column, row, view, light, ground, block):
    """Write what the pixels of a block share, which begins at sample ``column`` of a row."""
    axes, length = view.axes, _BLOCK * SAMPLES
    middle = column + 0.5 * length
    x = axes[0, 0] * middle + axes[0, 1] * row + axes[0, 2]
    y = axes[1, 0] * middle + axes[1, 1] * row + axes[1, 2]
    z = axes[2, 0] * middle + axes[2, 1] * row + axes[2, 2]
    _reach(x, y, z, view, ground, block[REACH])
    if z < -0.05:
        return
    # The sky changes slowly: it is interpolated between the ends of the block.
    for end in range(2):
        at = column + end * length
        x = axes[0, 0] * at + axes[0, 1] * row + axes[0, 2]
        y = axes[1, 0] * at + axes[1, 1] * row + axes[1, 2]
        z = axes[2, 0] * at + axes[2, 1] * row + axes[2, 2]
        unit = 1.0 / math.sqrt(x * x + y * y + z * z)
        red, green, blue = _sky_colour(x * unit, y * unit, z * unit, ground, light)
        block[SKY + end, 0], block[SKY + end, 1], block[SKY + end, 2] = red, green, blue
    for c in range(3):
        block[SKY_STEP, c] = (block[SKY_STEP, c] - block[SKY, c]) / length


def _shade(scene, view, buffers, light, ground, lit, block, seed, image):
    """
    Write the image uint8 [H, W, 3], with the camera's noise.

    :param block: float64 [3, 4], scratch: what neighbouring pixels share
    """
    height, width = image.shape[0], image.shape[1]
    shows = buffers.shows
    half = 0.5 * (SAMPLES - 1)
    for row in range(height):
        noise_at = _hash(row * 31 + seed)
        for column in range(width):
            top, left = row * SAMPLES, column * SAMPLES
            if column % _BLOCK == 0:
                start = left
                _prepare(start, top + half, view, light, ground, block)
            what = shows[top, left]
            same = (shows[top, left + 1] == what and shows[top + 1, left] == what
                    and shows[top + 1, left + 1] == what)
            # One call for both cases: what it does is long, and compiled into this place.
            count, share, i, j = (1, 1.0, left + half, top + half) if same else (
                4, 0.25, float(left), float(top))
            red, green, blue = 0.0, 0.0, 0.0
            for k in range(count):
                u, v = k & 1, k >> 1
                r, g, b = _sample_colour(shows[top + v, left + u], i + u, j + v, scene, view,
                                         buffers, light, ground, lit, block, start)
                red, green, blue = red + share * r, green + share * g, blue + share * b
            for c in range(3):
                noise_at += 1
                value = ((red, green, blue)[c] * light.gain[c] * 255.0
                         + light.grain * light.noise[noise_at & 0xFFFF])
                image[row, column, c] = int(min(255.0, max(0.0, value)) + 0.5)


shade = cpu_kernel(_shade)
