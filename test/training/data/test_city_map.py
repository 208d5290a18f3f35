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

"""Queries of a city map agree with brute force and keep the devkit's rules."""

import numpy as np
from pair_drive_training.data.city_map import (
    baseline_with_headings,
    CityMap,
    Lane,
    Layer,
    MapError,
    Roadblock,
)
import pytest
import shapely

NO_AREAS = {layer: ((), np.array([], dtype=object))
            for layer in (Layer.INTERSECTION, Layer.CARPARK_AREA, Layer.WALKWAY, Layer.CROSSWALK,
                          Layer.STOP_POLYGON)}


def lane(name: str, polygon: shapely.Polygon, is_connector: bool = False) -> Lane:
    baseline = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    return Lane(name, is_connector, 'block', polygon, baseline, None, (), ())


def city_of(polygons: list[shapely.Polygon]) -> CityMap:
    lanes = [lane(str(index), polygon) for index, polygon in enumerate(polygons)]
    return CityMap('test', lanes, [], NO_AREAS)


def random_triangles(random: np.random.Generator, count: int) -> list[shapely.Polygon]:
    corners = random.uniform(0.0, 100.0, (count, 1, 2)) + random.uniform(-8.0, 8.0, (count, 3, 2))
    return list(shapely.polygons(corners))


@pytest.mark.parametrize('seed', range(5))
def test_queries_agree_with_brute_force(seed):
    random = np.random.default_rng(seed)
    polygons = random_triangles(random, 300)
    city = city_of(polygons)
    for x, y, radius in random.uniform((0.0, 0.0, 1.0), (100.0, 100.0, 40.0), (20, 3)):
        square = shapely.box(x - radius, y - radius, x + radius, y + radius)
        point = shapely.Point(x, y)
        assert city.near(Layer.LANE, x, y, radius).tolist() == [
            index for index, polygon in enumerate(polygons) if polygon.intersects(square)]
        assert city.containing(Layer.LANE, x, y).tolist() == [
            index for index, polygon in enumerate(polygons) if polygon.contains(point)]
        distances = [polygon.distance(point) for polygon in polygons]
        assert city.nearest(Layer.LANE, x, y) == distances.index(min(distances))


def test_touching_the_square_is_near_but_the_edge_is_not_inside():
    city = city_of([shapely.box(0.0, 0.0, 10.0, 10.0)])
    assert city.near(Layer.LANE, 15.0, 5.0, 5.0).tolist() == [0]
    assert city.near(Layer.LANE, 15.0, 5.0, 4.999).tolist() == []
    assert city.containing(Layer.LANE, 10.0, 5.0).tolist() == []
    assert city.containing(Layer.LANE, 9.999, 5.0).tolist() == [0]


def test_near_asks_whole_shapes_not_their_bounding_boxes():
    corner_free = shapely.Polygon([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)])
    assert city_of([corner_free]).near(Layer.LANE, 9.0, 9.0, 1.0).tolist() == []


def test_a_hole_is_outside():
    ring = shapely.box(0.0, 0.0, 10.0, 10.0).difference(shapely.box(4.0, 4.0, 6.0, 6.0))
    city = city_of([ring])
    assert city.containing(Layer.LANE, 5.0, 5.0).tolist() == []
    assert city.containing(Layer.LANE, 2.0, 2.0).tolist() == [0]


def test_the_first_of_equally_near_objects_is_taken():
    box = shapely.box(0.0, 0.0, 1.0, 1.0)
    far = shapely.box(50.0, 0.0, 51.0, 1.0)
    assert city_of([far, box, box]).nearest(Layer.LANE, 0.5, 0.5) == 1


def test_an_empty_layer_has_nothing_near_and_no_nearest():
    city = city_of([])
    assert city.near(Layer.CROSSWALK, 0.0, 0.0, 100.0).tolist() == []
    assert city.containing(Layer.LANE, 0.0, 0.0).tolist() == []
    with pytest.raises(MapError, match='test: the map has no crosswalk'):
        city.nearest(Layer.CROSSWALK, 0.0, 0.0)


def test_layers_are_kept_apart_and_a_lane_wins_over_a_connector_of_its_id():
    here, there = shapely.box(0.0, 0.0, 1.0, 1.0), shapely.box(5.0, 5.0, 6.0, 6.0)
    blocks = [Roadblock('7', False, here, (), (), ()), Roadblock('7', True, there, (), (), ())]
    city = CityMap('test', [lane('7', here), lane('7', there, is_connector=True)], blocks,
                   NO_AREAS)
    assert not city.lanes['7'].is_connector
    assert not city.roadblocks['7'].is_connector
    assert city.ids(Layer.LANE) == city.ids(Layer.LANE_CONNECTOR) == ('7',)
    for layer, polygon in ((Layer.LANE, here), (Layer.LANE_CONNECTOR, there),
                           (Layer.ROADBLOCK, here), (Layer.ROADBLOCK_CONNECTOR, there)):
        assert city.polygons(layer).tolist() == [polygon]


def test_headings_are_those_of_the_segments_and_the_last_is_repeated():
    poses = baseline_with_headings(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [0.0, 2.0]]))
    assert poses[:, :2].tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [0.0, 2.0]]
    np.testing.assert_allclose(poses[:, 2], [0.0, np.pi / 2, np.pi, np.pi])


def test_a_lane_has_its_baseline_as_a_line():
    assert lane('1', shapely.box(0.0, 0.0, 1.0, 1.0)).line.equals(
        shapely.LineString([(0.0, 0.0), (1.0, 0.0)]))
