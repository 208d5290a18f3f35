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

"""Polygons, rectangles and the centreline against brute force."""

from dataclasses import replace
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_ros.scoring import MapLayer, Polygons, Protocol, ScoringScenes
from pair_drive_ros.scoring.boxes import rectangles_touch
from pair_drive_ros.scoring.example import example_scene
from pair_drive_ros.scoring.polygons import contains
from pair_drive_ros.scoring.progress import arc_length
from pair_drive_ros.scoring.traffic_light import box_touches_polygon
import pytest

shapely = pytest.importorskip('shapely')
COORDINATE = st.integers(-6, 6).map(float)


def pack(rings, owner=None):
    """Arrays of a scene whose map is one polygon per ring, or as ``owner`` says."""
    owner = np.arange(len(rings)) if owner is None else np.array(owner)
    count = int(owner.max()) + 1
    xy = np.concatenate(rings)
    offsets = np.cumsum([0] + [len(ring) for ring in rings])
    scene = replace(example_scene(Protocol.NAVSIM_V1), layers=np.full(count, MapLayer.LANE),
                    on_route=np.zeros(count, bool),
                    polygons=Polygons(count, xy, offsets, owner))
    return ScoringScenes.prepare([scene], Protocol.NAVSIM_V1).arrays


def star(rng, corners):
    angle = np.sort(rng.uniform(0.0, 2.0 * np.pi, corners))
    radius = rng.uniform(1.0, 9.0, corners)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return np.vstack([ring, ring[:1]])


@pytest.mark.parametrize('corners', [3, 4, 9, 60, 700])
def test_contains_equals_a_geometry_library(corners):
    rng = np.random.default_rng(corners)
    ring = star(rng, corners)
    arrays, polygon = pack([ring]), shapely.Polygon(ring)
    points = np.concatenate([rng.uniform(-10.0, 10.0, (400, 2)), ring])
    ours = [contains(arrays, 0, x, y) for x, y in points.tolist()]
    assert ours == shapely.contains_xy(polygon, points[:, 0], points[:, 1]).tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=7, unique=True),
       COORDINATE, COORDINATE)
def test_the_boundary_is_outside(corners, x, y):
    polygon = shapely.Polygon(corners)
    if polygon.is_valid and polygon.area > 0.0:
        arrays = pack([np.array([*corners, corners[0]])])
        assert contains(arrays, 0, x, y) == polygon.contains(shapely.Point(x, y))


def square(low, high):
    return np.array([[low, low], [high, low], [high, high], [low, high], [low, low]], float)


def test_holes_and_parts():
    arrays = pack([square(0, 10), square(4, 6), square(20, 22), square(1, 2)], [0, 0, 0, 1])
    assert contains(arrays, 0, 1.0, 1.0)
    assert not contains(arrays, 0, 5.0, 5.0)
    assert not contains(arrays, 0, 4.0, 5.0)
    assert contains(arrays, 0, 21.0, 21.0)
    assert not contains(arrays, 1, 5.0, 5.0)


def corners_of(x, y, heading, length, width):
    cos, sin = math.cos(heading), math.sin(heading)
    return [(x + a * length * cos - b * width * sin, y + a * length * sin + b * width * cos)
            for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]


@settings(max_examples=150, deadline=None)
@given(st.floats(-6.0, 6.0), st.floats(-6.0, 6.0), st.floats(-3.0, 3.0), st.floats(-3.0, 3.0),
       st.floats(0.2, 3.0), st.floats(0.2, 3.0))
def test_rectangles_touch_equals_a_geometry_library(x, y, turn_a, turn_b, length, width):
    one = shapely.Polygon(corners_of(0.0, 0.0, turn_a, 2.588, 1.1485))
    other = shapely.Polygon(corners_of(x, y, turn_b, length, width))
    if abs(one.distance(other)) > 1e-9 or one.intersection(other).area > 1e-9:
        assert rectangles_touch(x, y, math.cos(turn_a), math.sin(turn_a), 2.588, 1.1485,
                                math.cos(turn_b), math.sin(turn_b), length, width) \
            == one.intersects(other)


def test_touching_counts():
    assert rectangles_touch(3.0, 0.0, 1.0, 0.0, 2.0, 1.0, 1.0, 0.0, 1.0, 1.0)
    assert not rectangles_touch(3.0 + 1e-9, 0.0, 1.0, 0.0, 2.0, 1.0, 1.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize('seed', range(3))
def test_box_touches_polygon_equals_a_geometry_library(seed):
    rng = np.random.default_rng(seed)
    ring = star(rng, 40)
    arrays, polygon = pack([ring]), shapely.Polygon(ring)
    for x, y, turn in rng.uniform([-13.0, -13.0, -3.0], [13.0, 13.0, 3.0], (100, 3)).tolist():
        box = shapely.Polygon(corners_of(x, y, turn, 2.588, 1.1485))
        assert box_touches_polygon(arrays, 0, x, y, math.cos(turn), math.sin(turn)) \
            == box.intersects(polygon)


def test_a_box_inside_a_polygon_touches_it():
    arrays = pack([square(-50, 50)])
    assert box_touches_polygon(arrays, 0, 0.0, 0.0, 1.0, 0.0)
    assert not box_touches_polygon(pack([square(-50, 50), square(-20, 20)], [0, 0]), 0,
                                   0.0, 0.0, 1.0, 0.0)


def test_arc_length_equals_a_geometry_library():
    rng = np.random.default_rng(5)
    line = np.cumsum(rng.uniform(-1.0, 2.0, (60, 2)), axis=0)
    line = np.insert(line, 30, line[30], axis=0)
    scene = replace(example_scene(Protocol.NAVSIM_V1), centreline=line)
    arrays = ScoringScenes.prepare([scene], Protocol.NAVSIM_V1).arrays
    string = shapely.LineString(line)
    for x, y in rng.uniform(-10.0, 60.0, (200, 2)).tolist():
        assert arc_length(arrays, 0, x, y) == pytest.approx(string.project(shapely.Point(x, y)),
                                                            abs=1e-9)
