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
How bright polygons are in the light of the day, and the lamps that shine by themselves.

Kernels over the polygons of a scene; colours are red, green, blue.
"""

import math

from pair_drive_ros.scoring.compile import cpu_kernel, device
from pair_drive_training.world.sensors.mesh import (
    BRAKE,
    GLASS,
    GLOW,
    GREEN,
    HEAD,
    LEFT,
    PAINT,
    RED,
    RIGHT,
)
from pair_drive_training.world.sensors.visibility import SAMPLES


@device
def _lamp_colour(lamps, state, lamps_on, c):
    """One channel of a lamp; -1 where it is dark."""
    lit = lamps & state
    if lit & BRAKE:
        return 1.0 if c == 0 else 0.10
    if lit & RED:
        return 1.0 if c == 0 else 0.08
    if lit & GREEN:
        return (0.10, 1.0, 0.60)[c]
    if lit & (LEFT | RIGHT):
        return (1.0, 0.62, 0.08)[c]
    if lit & HEAD:
        return (1.0, 0.98, 0.88)[c]
    if lamps_on and lamps & BRAKE:
        return 0.55 if c == 0 else 0.04
    return -1.0


def _light_things(scene, light, lit):
    """Write the colours float32 [P, 3] of flat polygons in the light of the day."""
    mesh = scene.mesh
    for thing in range(len(scene.spheres)):
        for p in range(scene.first[thing], scene.first[thing + 1]):
            up = mesh.normals[p, 2]
            sunny = max(0.0, mesh.normals[p, 0] * light.sun[0] + mesh.normals[p, 1] * light.sun[1]
                        + up * light.sun[2])
            for c in range(3):
                glow = _lamp_colour(mesh.lamps[p], scene.states[thing], light.lamps_on, c)
                if glow >= 0.0:
                    lit[p, c] = glow / light.gain[c]
                    continue
                shade = light.skylight[c] * (0.66 + 0.34 * up) + light.sunlight[c] * sunny
                value = mesh.colours[p, c] * shade
                if mesh.materials[p] == GLASS:
                    value = 0.6 * value + 0.22 * light.horizon[c] * (0.6 + max(0.0, up))
                elif mesh.materials[p] == PAINT:
                    value += 0.05 * light.horizon[c] * (1.0 + 2.0 * max(0.0, up))
                lit[p, c] = value


def _add_glow(scene, view, buffers, light, image):
    """Blend halos around the lamps that are lit and in sight, as a lens makes them."""
    mesh, rows, columns = scene.mesh, buffers.shows.shape[0], buffers.shows.shape[1]
    for thing in range(len(scene.spheres)):
        state = scene.states[thing]
        if state == 0:
            continue
        for p in range(scene.first[thing], scene.first[thing + 1]):
            lamps = mesh.lamps[p]
            if not lamps & GLOW or not lamps & state:
                continue
            x, y, z = 0.0, 0.0, 0.0
            for k in range(4):
                x += 0.25 * (mesh.corners[p, k, 0] - view.eye[0])
                y += 0.25 * (mesh.corners[p, k, 1] - view.eye[1])
                z += 0.25 * (mesh.corners[p, k, 2] - view.eye[2])
            depth = view.forward[0] * x + view.forward[1] * y + view.forward[2] * z
            distance = math.sqrt(x * x + y * y + z * z)
            facing = -(mesh.normals[p, 0] * x + mesh.normals[p, 1] * y
                       + mesh.normals[p, 2] * z) / distance
            if depth < 1.0 or facing < 0.1:
                continue
            column = (view.inverse[0, 0] * x + view.inverse[0, 1] * y + view.inverse[0, 2] * z
                      ) / depth
            row = (view.inverse[1, 0] * x + view.inverse[1, 1] * y + view.inverse[1, 2] * z
                   ) / depth
            i, j = int(column + 0.5), int(row + 0.5)
            if i < 0 or j < 0 or i >= columns or j >= rows:
                continue
            if buffers.closeness[j, i] * depth > 1.03:
                continue
            signal = lamps & (RED | GREEN) != 0
            spread = max((1.3 if signal else 0.9) * image.shape[1] / 480.0,
                         (0.16 if signal else 0.13) * view.focal / (SAMPLES * depth))
            strength = min(1.0, 2.0 * facing) * (0.85 if signal else 0.6)
            if lamps & state & HEAD:
                strength *= 0.7
            strength *= 1.0 - light.haze[int(distance)]
            cx, cy = (column + 0.5) / SAMPLES - 0.5, (row + 0.5) / SAMPLES - 0.5
            reach = 2.6 * spread
            for v in range(max(0, int(cy - reach)), min(image.shape[0], int(cy + reach) + 2)):
                for u in range(max(0, int(cx - reach)), min(image.shape[1], int(cx + reach) + 2)):
                    square = ((u - cx) ** 2 + (v - cy) ** 2) / (spread * spread)
                    share = strength * math.exp(-0.5 * square)
                    for c in range(3):
                        colour = 255.0 * _lamp_colour(lamps, state, light.lamps_on, c)
                        before = float(image[v, u, c])
                        image[v, u, c] = int(before + (colour - before) * share + 0.5)


light_things = cpu_kernel(_light_things)
add_glow = cpu_kernel(_add_glow)
