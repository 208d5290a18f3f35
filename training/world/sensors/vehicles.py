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

"""Bodies of vehicles: passenger cars, vans, lorries and buses, with lamps that light up."""

import numpy as np
from pair_drive_training.world.sensors.mesh import (
    block,
    BRAKE,
    Colour,
    disc,
    faces,
    GLASS,
    GLOW,
    HEAD,
    join,
    LEFT,
    MATT,
    Mesh,
    PAINT,
    panel,
    polygons,
    RIGHT,
)

PAINTS: tuple[Colour, ...] = (
    (0.86, 0.86, 0.86), (0.10, 0.10, 0.11), (0.55, 0.57, 0.60), (0.32, 0.34, 0.37),
    (0.13, 0.22, 0.45), (0.55, 0.10, 0.10), (0.72, 0.70, 0.64), (0.14, 0.30, 0.22),
    (0.42, 0.30, 0.20), (0.80, 0.62, 0.16), (0.22, 0.45, 0.62), (0.93, 0.92, 0.88))
_GLASS: Colour = (0.16, 0.18, 0.20)
_TYRE: Colour = (0.07, 0.07, 0.075)
_RIM: Colour = (0.52, 0.53, 0.54)
_TRIM: Colour = (0.12, 0.12, 0.125)
_LENS, _TAIL, _AMBER = (0.82, 0.84, 0.86), (0.36, 0.03, 0.03), (0.55, 0.32, 0.08)
_PLATE: Colour = (0.90, 0.90, 0.86)
_METAL, _GLAZED, _RETRO = 90.0, 12.0, 230.0


def vehicle(size: np.ndarray, model: int, colour: int) -> Mesh:
    """
    Return the body of a vehicle around its centre on the ground, front along x.

    Length and height tell cars, vans, lorries and buses apart; ``model`` and ``colour`` vary them.

    :param size: [3] length, width, height
    """
    length, width, height = (float(value) for value in size)
    paint = PAINTS[colour % len(PAINTS)]
    if length > 9.5:
        return _bus(length, width, height, paint)
    if length > 6.2:
        return _lorry(length, width, height, paint)
    if height > 1.95 or length > 5.4:
        return _van(length, width, height, paint)
    return _car(length, width, height, paint, model % 3)


def _car(length: float, width: float, height: float, paint: Colour, style: int) -> Mesh:
    """Saloon (0), hatchback (1) or off-roader (2)."""
    belt = (0.60, 0.58, 0.62)[style] * height
    base, roof, back = ((0.60, 0.55, -0.05), (0.66, 0.66, -0.10), (0.72, 0.76, -0.09))[style]
    radius = (0.22, 0.22, 0.24)[style] * height
    body = block((0.0, 0.0, 0.16 * height), (length, width, belt - 0.16 * height),
                 top=(0.965, 0.95))
    cabin = block((back * length, 0.0, belt - 0.01), (base * length, 0.92 * width, height - belt),
                  top=(roof, 0.82), shift=(-0.02, -0.035, -0.02)[style] * length)
    parts = [polygons(faces(body), paint, PAINT, reflects=_METAL),
             polygons(faces(cabin), paint, PAINT, reflects=_METAL)]
    for side in ('left', 'right'):
        parts += [_glass(cabin, side, (0.07, 0.47), (0.10, 0.86)),
                  _glass(cabin, side, (0.52, 0.92), (0.10, 0.86)),
                  polygons(panel(body, side, (0.02, 0.98), (0.0, 0.20)), _TRIM, casts=False)]
    parts += [_glass(cabin, face, (0.07, 0.93), (0.08, 0.90)) for face in ('front', 'rear')]
    parts += [polygons(panel(body, 'front', (0.28, 0.72), (0.25, 0.55)), _TRIM, casts=False)]
    return join([*parts, *_bumpers(body), *_lamps(body, 0.56, 0.84),
                 polygons(panel(cabin, 'rear', (0.40, 0.60), (0.91, 0.99)), _TAIL,
                          lamps=BRAKE, casts=False),
                 *_wheels(length, width, radius, (0.31, -0.30))])


def _van(length: float, width: float, height: float, paint: Colour) -> Mesh:
    body = block((-0.07 * length, 0.0, 0.12 * height), (0.86 * length, width, 0.88 * height),
                 top=(0.93, 0.90), shift=-0.025 * length)
    nose = block((0.40 * length, 0.0, 0.12 * height), (0.20 * length, 0.97 * width, 0.40 * height),
                 top=(0.86, 0.94), shift=-0.012 * length)
    parts = [polygons(faces(body), paint, PAINT, reflects=_METAL),
             polygons(faces(nose), paint, PAINT, reflects=_METAL),
             _glass(body, 'front', (0.06, 0.94), (0.50, 0.90)),
             _glass(body, 'rear', (0.10, 0.90), (0.55, 0.86)),
             _glass(body, 'left', (0.02, 0.24), (0.50, 0.86)),
             _glass(body, 'right', (0.76, 0.98), (0.50, 0.86)),
             polygons(panel(nose, 'front', (0.25, 0.75), (0.30, 0.60)), _TRIM, casts=False)]
    return join([*parts, *_bumpers(nose, ('front',)), *_bumpers(body, ('rear',)),
                 *_front_lamps(nose, 0.50, 0.80), *_rear_lamps(body, 0.24, 0.44),
                 *_wheels(length, width, 0.35, (0.33, -0.31))])


def _lorry(length: float, width: float, height: float, paint: Colour) -> Mesh:
    cab = block((0.5 * length - 1.0, 0.0, 0.45), (2.0, 0.96 * width, 0.80 * height - 0.45),
                top=(0.88, 0.95), shift=-0.08)
    load = block((-1.1, 0.0, 0.95), (length - 2.2, width, height - 0.95))
    chassis = block((-1.0, 0.0, 0.50), (length - 2.1, 0.80 * width, 0.45))
    pale = tuple(0.45 * part + 0.50 for part in paint)
    parts = [polygons(faces(cab), paint, PAINT, reflects=_METAL),
             polygons(faces(load), pale, reflects=_METAL),
             polygons(faces(chassis), _TRIM),
             _glass(cab, 'front', (0.06, 0.94), (0.50, 0.88)),
             _glass(cab, 'left', (0.06, 0.62), (0.50, 0.86)),
             _glass(cab, 'right', (0.38, 0.94), (0.50, 0.86))]
    return join([*parts, *_bumpers(cab, ('front',)), *_front_lamps(cab, 0.12, 0.26),
                 *_rear_lamps(chassis, 0.20, 0.90),
                 *_wheels(length, width, 0.48, (0.5 - 1.1 / length, -0.26, -0.39))])


def _bus(length: float, width: float, height: float, paint: Colour) -> Mesh:
    body = block((0.0, 0.0, 0.35), (length, width, height - 0.35), top=(0.985, 0.95))
    parts = [polygons(faces(body), paint, PAINT, reflects=_METAL),
             _glass(body, 'front', (0.05, 0.95), (0.30, 0.85)),
             _glass(body, 'rear', (0.12, 0.88), (0.50, 0.85))]
    panes = max(4, round(length / 1.7))
    for side in ('left', 'right'):
        parts += [_glass(body, side, ((pane + 0.06) / panes, (pane + 0.94) / panes),
                         (0.42, 0.82)) for pane in range(panes)]
    parts += [_glass(body, 'right', (at, at + 1.2 / length), (0.03, 0.82))
              for at in (0.52, 0.90)]
    return join([*parts, *_bumpers(body), *_lamps(body, 0.08, 0.18),
                 *_wheels(length, width, 0.48, (0.30, -0.26))])


def _glass(corners: np.ndarray, face: str, across: tuple[float, float],
           up: tuple[float, float]) -> Mesh:
    return polygons(panel(corners, face, across, up), _GLASS, GLASS, casts=False,
                    reflects=_GLAZED)


def _bumpers(corners: np.ndarray, ends: tuple[str, ...] = ('front', 'rear')) -> list[Mesh]:
    """Dark lower edge and number plate."""
    return [mesh for end in ends for mesh in (
        polygons(panel(corners, end, (0.02, 0.98), (0.0, 0.22)), _TRIM, casts=False),
        polygons(panel(corners, end, (0.37, 0.63), (0.14, 0.36), 0.025), _PLATE, casts=False,
                 reflects=_RETRO))]


def _lamps(corners: np.ndarray, low: float, high: float) -> list[Mesh]:
    return _front_lamps(corners, low, high) + _rear_lamps(corners, low, high)


def _front_lamps(corners: np.ndarray, low: float, high: float) -> list[Mesh]:
    # Seen from the front, the vehicle's left is on the right.
    return [
        _lamp(corners, 'front', (0.76, 0.93), (low, high), _LENS, HEAD),
        _lamp(corners, 'front', (0.07, 0.24), (low, high), _LENS, HEAD),
        _lamp(corners, 'front', (0.93, 1.0), (low, high), _AMBER, LEFT),
        _lamp(corners, 'front', (0.0, 0.07), (low, high), _AMBER, RIGHT)]


def _rear_lamps(corners: np.ndarray, low: float, high: float) -> list[Mesh]:
    return [
        _lamp(corners, 'rear', (0.09, 0.25), (low, high), _TAIL, BRAKE),
        _lamp(corners, 'rear', (0.75, 0.91), (low, high), _TAIL, BRAKE),
        _lamp(corners, 'rear', (0.0, 0.09), (low, high), _AMBER, LEFT),
        _lamp(corners, 'rear', (0.91, 1.0), (low, high), _AMBER, RIGHT)]


def _lamp(corners: np.ndarray, face: str, across: tuple[float, float], up: tuple[float, float],
          colour: Colour, lit_by: int) -> Mesh:
    return polygons(panel(corners, face, across, up, 0.02), colour, lamps=lit_by | GLOW,
                    casts=False, reflects=_RETRO)


def _wheels(length: float, width: float, radius: float, axles: tuple[float, ...]) -> list[Mesh]:
    """Wheels at the axles, given as shares of the length from the middle."""
    meshes = []
    for axle in axles:
        for side in (1.0, -1.0):
            x, y = axle * length, side * (0.5 * width + 0.012)
            tyre = block((x, side * (0.5 * width - 0.12), 0.0), (1.4 * radius, 0.22, 1.4 * radius))
            meshes += [polygons(faces(tyre, ('front', 'rear')), _TYRE, reflects=8.0),
                       polygons(disc((x, y, radius), radius, side), _TYRE, MATT, reflects=8.0),
                       polygons(disc((x, y + 0.01 * side, radius), 0.6 * radius, side), _RIM,
                                casts=False)]
    return meshes
