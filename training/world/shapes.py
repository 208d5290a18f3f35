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
Convex solids and what is painted on them: cars, houses, trees, people.

One description serves every sensor: a camera draws the faces, a LiDAR meets the same planes.
Body frames have x forward, y left, z up, with z = 0 on the ground. Colours are blue, green, red.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np

Colour = tuple[int, ...]
Vector = tuple[float, float, float]

GLASS: Colour = (62, 52, 44)
SCREEN: Colour = (80, 72, 65)
BARK: Colour = (48, 66, 84)
SKIN: Colour = (150, 178, 220)
HAIR: Colour = (40, 52, 66)
TYRE: Colour = (32, 32, 34)


@dataclass(frozen=True, eq=False)
class Texture:
    """Mip pyramid of uint8 [H, W, 4] images, finest first; the fourth channel is padding."""

    levels: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, image: np.ndarray) -> 'Texture':
        """Build the pyramid of a uint8 [H, W, 3] image."""
        levels = [cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)]
        while min(levels[-1].shape[:2]) >= 4:
            height, width = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (width // 2, height // 2),
                                     interpolation=cv2.INTER_AREA))
        return cls(tuple(levels))


@dataclass(frozen=True)
class Face:
    """
    One plane polygon of a solid: three or four vertex numbers, counter-clockwise from outside.

    A texture is laid over a parallelogram whose corners are, in order, its top left, bottom
    left, bottom right and top right.
    """

    corners: tuple[int, ...]
    colour: Colour
    texture: Texture | None = None


@dataclass(frozen=True, eq=False)
class Solid:
    """
    A convex polyhedron.

    ``vertices`` [V, 3] in metres; ``corners`` [F, 4] vertex numbers of every face, a triangle's
    last one twice; ``normals`` [F, 3] unit and outward; ``intensity`` of LiDAR returns, 0 to 1.
    """

    vertices: np.ndarray
    corners: np.ndarray
    normals: np.ndarray
    faces: tuple[Face, ...]
    intensity: float

    @classmethod
    def of(cls, vertices: np.ndarray, faces: Sequence[Face], intensity: float) -> 'Solid':
        """Build the solid of its vertices [V, 3] and faces."""
        corners = np.array([(*face.corners, face.corners[-1])[:4] for face in faces])
        first, second, third = (vertices[corners[:, i]] for i in range(3))
        normals = np.cross(second - first, third - first)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return cls(vertices, corners, normals, tuple(faces), intensity)

    @cached_property
    def bounds(self) -> np.ndarray:
        """Bounding sphere [5]: centre x, y, z, radius, and the height of the highest vertex."""
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        radius = np.linalg.norm(high - low) / 2.0
        return np.array([*(low + high) / 2.0, radius, high[2]])

    def placed(self, pose: np.ndarray) -> 'Solid':
        """Return the solid at an SE(2) pose [3] of the parent frame."""
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return Solid(self.vertices @ turn + [pose[0], pose[1], 0.0], self.corners,
                     self.normals @ turn, self.faces, self.intensity)


def frustum(centre: Vector, size: Vector, colour: Colour, *, top: tuple[float, float] = (1.0, 1.0),
            shift: float = 0.0, skins: dict[str, Texture | Colour] | None = None,
            intensity: float = 0.3) -> Solid:
    """
    Box that may taper upwards.

    :param centre: middle of the bottom face
    :param size: length, width at the bottom, and height
    :param top: length and width of the top over those of the bottom
    :param shift: how far the top is moved along x, metres
    :param skins: texture or colour by face: front, rear, left, right, top
    """
    length, width, height = size
    signs = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) / 2.0
    bottom = signs * [length, width]
    upper = signs * [length * top[0], width * top[1]] + [shift, 0.0]
    vertices = np.concatenate([np.c_[bottom, np.zeros(4)], np.c_[upper, np.full(4, height)]])
    corners = {'front': (7, 3, 0, 4), 'left': (4, 0, 1, 5), 'rear': (5, 1, 2, 6),
               'right': (6, 2, 3, 7), 'top': (5, 6, 7, 4)}
    faces = [Face((0, 3, 2, 1), colour)]
    for name, numbers in corners.items():
        skin = (skins or {}).get(name, colour)
        faces.append(Face(numbers, colour, skin) if isinstance(skin, Texture)
                     else Face(numbers, skin))
    return Solid.of(vertices + np.array(centre), faces, intensity)


def ellipsoid(centre: Vector, radii: Vector, colours: Sequence[Colour],
              segments: int = 9) -> Solid:
    """Faceted ellipsoid; the facets take the colours in turn."""
    rings = np.radians([-55.0, -18.0, 18.0, 55.0])
    around = np.arange(segments) * 2.0 * np.pi / segments
    vertices = np.array([(np.cos(r) * np.cos(a), np.cos(r) * np.sin(a), np.sin(r))
                         for r in rings for a in around] + [(0, 0, -1), (0, 0, 1)])
    faces: list[tuple[int, ...]] = []
    for a in range(segments):
        b = (a + 1) % segments
        for ring in range(len(rings) - 1):
            low, high = ring * segments, (ring + 1) * segments
            faces.append((low + a, low + b, high + b, high + a))
        last = (len(rings) - 1) * segments
        faces.append((last + a, last + b, len(vertices) - 1))
        faces.append((b, a, len(vertices) - 2))
    return Solid.of(vertices * radii + np.array(centre),
                    [Face(face, colours[i * 7 % len(colours)]) for i, face in enumerate(faces)],
                    0.2)


@cache
def car(colour: Colour) -> tuple[Solid, ...]:
    """Passenger car, 4.5 x 1.85 x 1.47 m, origin under its middle."""
    side, front, rear = _car_side(colour), _car_end(colour, True), _car_end(colour, False)
    body = frustum((0.0, 0.0, 0.04), (4.5, 1.85, 0.84), colour, intensity=0.55,
                   skins={'left': side[0], 'right': side[1], 'front': front, 'rear': rear})
    cabin = frustum((-0.25, 0.0, 0.88), (2.9, 1.74, 0.55), colour, top=(0.64, 0.83), shift=-0.12,
                    intensity=0.55)
    # Panes stand a centimetre proud of the cabin, which frames them as pillars and roof.
    windows = frustum((-0.25, 0.0, 0.93), (2.5, 1.737, 0.42), GLASS, top=(0.69, 0.87),
                      shift=-0.09, intensity=0.25)
    screens = frustum((-0.26, 0.0, 0.93), (2.83, 1.5, 0.42), GLASS, top=(0.718, 0.833),
                      shift=-0.092, skins={'front': SCREEN}, intensity=0.25)
    return body, cabin, windows, screens


def house(width: float, depth: float, height: float, wall: Colour, style: int
          ) -> tuple[Solid, ...]:
    """House whose front looks along -y from y = 0, with a flat roof and a cornice."""
    facade, side = (facade_texture(wall, across, height, style) for across in (width, depth))
    dark = tuple(int(0.72 * c) for c in wall)
    block = frustum((0.0, depth / 2.0, 0.0), (width, depth, height), wall,
                    skins={'left': facade, 'right': facade, 'front': side, 'rear': side},
                    intensity=0.4)
    cornice = frustum((0.0, depth / 2.0, height), (width + 0.5, depth + 0.5, 0.35), dark)
    return block, cornice


def tree(height: float, spread: float, rng: np.random.Generator) -> tuple[Solid, ...]:
    """Broad-leaved tree: a trunk and two leafy masses in shades of one green."""
    green = np.array([48.0, 104.0, 78.0]) + rng.uniform(-14, 14, 3)
    leaves = [tuple(int(c) for c in np.clip(green * k, 0, 255)) for k in (0.86, 0.95, 1.04, 1.14)]
    trunk = frustum((0.0, 0.0, 0.0), (0.34, 0.34, 0.5 * height), BARK, top=(0.6, 0.6))
    lower = ellipsoid((0.0, 0.0, 0.62 * height), (spread, spread, 0.24 * height), leaves)
    upper = ellipsoid((0.1 * spread, 0.1 * spread, 0.8 * height),
                      (0.7 * spread, 0.7 * spread, 0.2 * height), leaves)
    return trunk, lower, upper


def lamp_post() -> tuple[Solid, ...]:
    """Street lamp 6.5 m high whose arm points along y."""
    steel = (96, 98, 96)
    return (frustum((0.0, 0.0, 0.0), (0.16, 0.16, 6.5), steel, top=(0.55, 0.55), intensity=0.6),
            frustum((0.0, 0.8, 6.4), (0.09, 1.7, 0.09), steel, intensity=0.6),
            frustum((0.0, 1.6, 6.3), (0.22, 0.6, 0.12), (205, 225, 230), intensity=0.6))


@cache
def person(shirt: Colour, trousers: Colour, stride: float) -> tuple[Solid, ...]:
    """Build a walking person 1.75 m tall; ``stride`` in [-1, 1] swings the legs and arms."""
    swing = 0.22 * stride
    legs = [frustum((-side * swing, 0.1 * side, 0.0), (0.17, 0.15, 0.86), trousers,
                    shift=side * swing) for side in (1, -1)]
    arms = [frustum((side * swing, 0.27 * side, 0.82), (0.11, 0.1, 0.58), shirt,
                    shift=-side * swing) for side in (1, -1)]
    torso = frustum((0.0, 0.0, 0.84), (0.24, 0.4, 0.62), shirt, top=(0.95, 1.1))
    head = ellipsoid((0.02, 0.0, 1.6), (0.11, 0.095, 0.14), [SKIN], segments=6)
    hair = ellipsoid((-0.02, 0.0, 1.66), (0.115, 0.1, 0.11), [HAIR], segments=6)
    return (*legs, torso, *arms, head, hair)


def _car_side(colour: Colour) -> tuple[Texture, Texture]:
    """Left and right flank 4.5 x 0.84 m: sill, wheels, doors, handles; front to the left."""
    image = np.empty((112, 600, 3), np.uint8)
    image[:] = colour
    image[:16] = np.clip(np.array(colour) * 1.12 + 8, 0, 255)
    image[84:] = (28, 28, 30)
    for x in (118, 482):
        cv2.circle(image, (x, 72), 46, (24, 24, 25), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 72), 39, TYRE, -1, cv2.LINE_AA)
        cv2.circle(image, (x, 72), 25, (168, 166, 162), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 72), 8, (90, 90, 90), -1, cv2.LINE_AA)
    seam = tuple(int(0.6 * c) for c in colour)
    for x in (215, 318, 415):
        cv2.line(image, (x, 0), (x, 82), seam, 2, cv2.LINE_AA)
    for x in (296, 396):
        cv2.rectangle(image, (x - 12, 22), (x + 10, 27), seam, -1)
    cv2.line(image, (0, 40), (600, 34), seam, 1, cv2.LINE_AA)
    cv2.rectangle(image, (0, 14), (34, 34), (235, 240, 240), -1)
    cv2.rectangle(image, (572, 12), (600, 34), (40, 40, 190), -1)
    return Texture.of(image), Texture.of(image[:, ::-1].copy())


def _car_end(colour: Colour, front: bool) -> Texture:
    """Front or rear 1.85 x 0.84 m: lamps, grille or boot lid, number plate, bumper."""
    image = np.empty((112, 248, 3), np.uint8)
    image[:] = colour
    seam = tuple(int(0.6 * c) for c in colour)
    image[74:] = tuple(int(0.45 * c + 14) for c in colour)
    image[98:] = (22, 22, 24)
    if front:
        cv2.rectangle(image, (70, 30), (178, 58), (30, 30, 32), -1)
        for y in (36, 44, 52):
            cv2.line(image, (72, y), (176, y), (95, 95, 95), 1)
    else:
        cv2.line(image, (20, 10), (228, 10), seam, 2)
        cv2.line(image, (20, 66), (228, 66), seam, 2)
    lamp = (240, 244, 244) if front else (44, 40, 205)
    for x in (6, 196):
        cv2.rectangle(image, (x, 20), (x + 46, 44), lamp, -1)
        cv2.rectangle(image, (x, 20), (x + 46, 44), seam, 1)
    cv2.rectangle(image, (92, 62), (156, 76), (225, 232, 232), -1)
    cv2.rectangle(image, (98, 66), (150, 72), (60, 60, 60), 1)
    return Texture.of(image)


@cache
def facade_texture(wall: Colour, width: float, height: float, style: int) -> Texture:
    """House front at 20 pixels a metre: shop or hall below, rows of windows above."""
    scale = 20
    columns, floors = max(1, round(width / 2.6)), max(1, round((height - 3.6) / 3.0))
    image = np.empty((round(height * scale), round(width * scale), 3), np.uint8)
    image[:] = wall
    rng = np.random.default_rng([style, int(10 * width), int(10 * height), *wall])
    grain = cv2.resize(rng.normal(0.0, 5.0, (image.shape[0] // 8 + 1, image.shape[1] // 8 + 1)),
                       image.shape[1::-1])
    image = np.clip(image + grain[..., None], 0, 255).astype(np.uint8)
    trim = tuple(int(min(255, 0.5 * c + 122)) for c in wall)
    pitch, rise = image.shape[1] / columns, (image.shape[0] - 3.6 * scale) / floors
    for floor in range(floors):
        y = int(floor * rise + 0.22 * rise)
        cv2.line(image, (0, int(floor * rise)), (image.shape[1], int(floor * rise)), trim, 1)
        for column in range(columns):
            x = int((column + 0.5) * pitch)
            _window(image, x, y, (13, 30) if style % 2 else (17, 26), trim, rng)
    _ground_floor(image, image.shape[0] - int(3.4 * scale), columns, pitch, style, rng)
    return Texture.of(image)


def _window(image: np.ndarray, x: int, y: int, size: tuple[int, int], trim: Colour,
            rng: np.random.Generator) -> None:
    half, tall = size[0] // 2 + 5, size[1] + 8
    tone = rng.uniform(0.7, 1.5)
    pane = tuple(int(min(255, c * tone)) for c in (96, 84, 70))
    cv2.rectangle(image, (x - half - 2, y - 2), (x + half + 2, y + tall + 2), trim, -1)
    cv2.rectangle(image, (x - half, y), (x + half, y + tall), pane, -1)
    if rng.random() < 0.35:
        cv2.rectangle(image, (x - half, y), (x + half, y + int(tall * rng.uniform(0.2, 0.6))),
                      (190, 202, 206), -1)
    cv2.line(image, (x, y), (x, y + tall), trim, 1)
    cv2.line(image, (x - half - 3, y + tall + 3), (x + half + 3, y + tall + 3), trim, 2)


def _ground_floor(image: np.ndarray, top: int, columns: int, pitch: float, style: int,
                  rng: np.random.Generator) -> None:
    bottom = image.shape[0]
    base = tuple(int(c) for c in rng.uniform(70, 120, 3))
    image[top:] = base
    door = int(rng.integers(columns))
    awning = [(60, 60, 170), (110, 130, 50), (130, 90, 50), (70, 140, 190)][style % 4]
    for column in range(columns):
        x0, x1 = int((column + 0.1) * pitch), int((column + 0.9) * pitch)
        if column == door:
            middle = (x0 + x1) // 2
            cv2.rectangle(image, (middle - 11, bottom - 46), (middle + 11, bottom), (44, 52, 70),
                          -1)
            cv2.rectangle(image, (middle - 7, bottom - 42), (middle + 7, bottom - 22),
                          (104, 94, 80), -1)
        else:
            glass = tuple(int(c) for c in np.array((92, 84, 72)) * rng.uniform(0.8, 1.3))
            cv2.rectangle(image, (x0, top + 16), (x1, bottom - 12), glass, -1)
            cv2.line(image, (x0 + 6, bottom - 14), (x0 + 20, top + 18), (150, 142, 130), 2,
                     cv2.LINE_AA)
    if style % 3:
        cv2.rectangle(image, (2, top), (image.shape[1] - 3, top + 13), awning, -1)
