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

"""The semantic map from above: known cells, symmetry, and the recipe written down slowly."""

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_training.data.bev import semantic_map, SemanticClass
from pair_drive_training.data.city_map import baseline_with_headings, CityMap, Lane, Layer
from pair_drive_training.data.frames import Annotations
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.log import read_log
import pytest
import shapely
from shapely import affinity

ROAD, WALKWAY, LINE = SemanticClass.ROAD, SemanticClass.WALKWAY, SemanticClass.CENTRELINE
AT_ORIGIN = np.zeros(3)
FAR_AWAY = np.array([[500.0, 500.0], [501.0, 500.0]])


def lane(number, polygon, line=FAR_AWAY, connector=False):
    return Lane(str(number), connector, 'block', polygon,
                baseline_with_headings(np.asarray(line, float)), None, (), ())


def city(lanes=(), **areas):
    layers = {Layer.INTERSECTION: (), Layer.WALKWAY: ()} | {
        Layer[name.upper()]: polygons for name, polygons in areas.items()}
    return CityMap('somewhere', lanes, (), {
        layer: (tuple(map(str, range(len(polygons)))), np.array(polygons, dtype=object))
        for layer, polygons in layers.items()})


def annotations(*boxes, dtype=np.float32):
    """Make boxes of (name, x, y, heading, length, width)."""
    rows = [(x, y, 0.8, length, width, 1.6, heading)
            for _, x, y, heading, length, width in boxes]
    return Annotations(np.array(rows, dtype).reshape(-1, 7), tuple(box[0] for box in boxes),
                       np.zeros((len(boxes), 3)), tuple(map(str, range(len(boxes)))))


def drawn(annotated=None, somewhere=None, pose=AT_ORIGIN):
    return semantic_map(annotations() if annotated is None else annotated,
                        city() if somewhere is None else somewhere, np.asarray(pose, float))


def filled(rows, columns, label):
    expected = np.zeros((128, 256), np.uint8)
    expected[rows, columns] = label
    return expected


def test_nothing_around_is_an_empty_map():
    empty = drawn()
    assert empty.dtype == np.uint8 and empty.shape == (128, 256) and not empty.any()
    assert empty.flags.c_contiguous


def test_a_box_fills_the_cells_it_covers_and_its_border():
    # x 8..12 m is rows 32..48; y 3..5 m, to the left, is columns 140..148.
    np.testing.assert_array_equal(drawn(annotations(('vehicle', 10.0, 4.0, 0.0, 4.0, 2.0))),
                                  filled(slice(32, 49), slice(140, 149), 5))


def test_a_box_turned_by_a_right_angle_lies_across():
    # Half a cell off the grid, so that rounding in the rotation moves no corner across it.
    turned = drawn(annotations(('pedestrian', 10.125, 4.125, np.pi / 2, 4.0, 2.0)))
    np.testing.assert_array_equal(turned, filled(slice(36, 45), slice(136, 153), 6))


def test_what_lies_behind_is_cut_off_at_the_rear_axle():
    half = drawn(annotations(('barrier', 0.0, -10.0, 0.0, 4.0, 1.0)))
    np.testing.assert_array_equal(half, filled(slice(0, 9), slice(86, 91), 4))
    assert not drawn(annotations(('vehicle', -10.0, 0.0, 0.0, 4.0, 2.0))).any()


def test_coordinates_are_cut_towards_zero():
    # The rear edge at -0.2 m falls into row 0, not row -1; the front edge at 0.24 m too.
    np.testing.assert_array_equal(
        drawn(annotations(('vehicle', 0.02, 0.375, 0.0, 0.44, 0.5))),
        filled(slice(0, 1), slice(128, 131), 5))


@pytest.mark.parametrize(('name', 'label'), [
    ('czone_sign', 4), ('barrier', 4), ('traffic_cone', 4), ('generic_object', 4),
    ('vehicle', 5), ('pedestrian', 6), ('bicycle', 0)])
def test_classes_of_objects(name, label):
    assert drawn(annotations((name, 10.0, 0.0, 0.0, 1.0, 1.0)))[40, 128] == label


def test_later_classes_lie_over_earlier_ones_whatever_the_order_of_boxes():
    square = shapely.box(5.0, -5.0, 15.0, 5.0)
    everything = city([lane(1, square, [(6.0, 0.0), (14.0, 0.0)])], intersection=[square],
                      walkway=[square])
    boxes = [('pedestrian', 10.0, 0.0, 0.0, 0.5, 0.5), ('vehicle', 10.0, 0.0, 0.0, 1.0, 1.0),
             ('barrier', 10.0, 0.0, 0.0, 2.0, 2.0)]
    seen = drawn(annotations(*boxes), everything)
    assert [seen[row, 128] for row in (40, 42, 44, 48)] == [6, 5, 4, LINE]
    assert seen[40, 140] == WALKWAY
    np.testing.assert_array_equal(seen, drawn(annotations(*boxes[::-1]), everything))


def test_holes_are_filled_and_all_parts_drawn():
    ring = shapely.Polygon(shapely.box(4.0, -4.0, 12.0, 4.0).exterior,
                           [shapely.box(6.0, -2.0, 10.0, 2.0).exterior])
    parts = shapely.MultiPolygon([ring, shapely.box(20.0, 0.0, 22.0, 2.0)])
    expected = filled(slice(16, 49), slice(112, 145), 1)
    expected[80:89, 128:137] = 1
    np.testing.assert_array_equal(drawn(somewhere=city(intersection=[parts])), expected)


def test_overlapping_polygons_do_not_cancel_each_other():
    twice = [shapely.box(4.0, -4.0, 12.0, 4.0)] * 2
    np.testing.assert_array_equal(drawn(somewhere=city(intersection=twice)),
                                  filled(slice(16, 49), slice(112, 145), 1))


def test_connectors_give_their_centreline_but_no_road():
    square = shapely.box(5.0, -5.0, 15.0, 5.0)
    connector = lane(1, square, [(5.0, 0.0), (15.0, 0.0)], connector=True)
    seen = drawn(somewhere=city([connector]))
    assert set(np.unique(seen)) == {0, LINE}
    assert seen[20:61, 128].tolist() == [LINE] * 41


def test_a_lane_is_found_by_its_polygon_a_connector_by_its_line():
    touching = shapely.box(31.0, -1.0, 40.0, 1.0)
    beyond = [(33.0, 0.0), (40.0, 0.0)]
    back_in = [(33.0, 20.0), (33.0, 0.0), (10.0, 0.0)]
    # Lines that turn back into view show whether the object was taken at all.
    assert LINE in drawn(somewhere=city([lane(1, touching, back_in)]))
    assert LINE in drawn(somewhere=city([lane(1, touching, back_in, connector=True)]))
    far = shapely.box(33.0, -1.0, 40.0, 1.0)
    assert LINE not in drawn(somewhere=city([lane(1, far, back_in)]))
    assert LINE in drawn(somewhere=city([lane(1, far, back_in, connector=True)]))
    # Turned by an eighth the view reaches 45 m along the map's axis; the square does not.
    half_left = [0.0, 0.0, np.pi / 4]
    corner = [(26.0, 26.0), (33.0, 33.0)]
    assert LINE not in drawn(pose=half_left,
                             somewhere=city([lane(1, far, beyond, connector=True)]))
    assert LINE in drawn(pose=[10.0, 10.0, np.pi / 4],
                         somewhere=city([lane(1, far, corner, connector=True)]))


def test_a_mirrored_scene_gives_the_mirrored_map():
    random = np.random.default_rng(5)
    for _ in range(20):
        # Widths on the grid, lengths off it: the normal's cosine is not quite zero.
        boxes = [(name, random.integers(0, 60) / 2 + 0.125, random.integers(-56, 57) / 2, 0.0,
                  *random.integers(1, 9, 2).astype(float)) for name in ('vehicle', 'barrier')]
        areas = [shapely.box(x, y, x + 7.0, y + 3.5)
                 for x, y in np.round(random.uniform(-30.0, 25.0, (3, 2)) * 4) / 4]
        mirrored = [(name, x, -y, heading, *size) for name, x, y, heading, *size in boxes]
        there = drawn(annotations(*boxes), city(intersection=areas, walkway=areas[:1]))
        flipped = [affinity.scale(area, 1.0, -1.0, origin=(0.0, 0.0)) for area in areas]
        back = drawn(annotations(*mirrored), city(intersection=flipped, walkway=flipped[:1]))
        # Left of column 128 lies what lay right of it; the very first column has no partner.
        np.testing.assert_array_equal(back[:, 1:], there[:, :0:-1])


def test_the_map_turns_and_moves_with_ego():
    area = shapely.Polygon([(5.1, -6.3), (17.4, -2.2), (14.3, 8.6), (4.2, 3.1)])
    here = drawn(somewhere=city(intersection=[area]))
    for x, y, heading in ((664_051.3, 3_995_998.2, 0.0), (-70.4, 31.9, 2.1)):
        moved = affinity.translate(affinity.rotate(area, heading, (0.0, 0.0), True), x, y)
        there = drawn(pose=[x, y, heading], somewhere=city(intersection=[moved]))
        # Vertices are cut to cells, so a vertex on the edge of one may fall into the next.
        assert np.count_nonzero(there != here) <= 3


def slowly(annotated, somewhere, pose):
    """Write the recipe down once more: a mask per class, brute-force queries, turned masks."""
    square = shapely.box(pose[0] - 32.0, pose[1] - 32.0, pose[0] + 32.0, pose[1] + 32.0)
    cos, sin = np.cos(pose[2]), np.sin(pose[2])

    def pixels(points):
        return (np.array(points) / 0.25 + [[0.0, 128.0]]).astype(np.int32).reshape(-1, 1, 2)

    def local(geometry):
        moved = affinity.translate(geometry, -pose[0], -pose[1])
        return affinity.affine_transform(moved, [cos, sin, -sin, cos, 0.0, 0.0])

    def mask(shapes, draw):
        canvas = np.zeros((256, 128), np.uint8)
        for shape in shapes:
            draw(canvas, pixels(shape))
        return np.rot90(canvas)[::-1] > 0

    def areas(*layers):
        return mask([local(polygon).exterior.coords for layer in layers
                     for polygon in somewhere.polygons(layer) if polygon.intersects(square)],
                    lambda canvas, points: cv2.fillPoly(canvas, [points], 255))

    def boxes(*names):
        corners = []
        for name, (x, y, _, length, width, _, heading) in zip(annotated.names, annotated.boxes,
                                                              strict=True):
            if name in names:
                box = shapely.box(-length / 2, -width / 2, length / 2, width / 2)
                box = affinity.rotate(box, float(heading), (0.0, 0.0), True)
                corners.append(affinity.translate(box, float(x), float(y)).exterior.coords)
        return mask(corners, lambda canvas, points: cv2.fillPoly(canvas, [points], 255))

    lines = [one.line for one in somewhere.lanes.values()
             if (one.line if one.is_connector else one.polygon).intersects(square)]
    result = np.zeros((128, 256), np.int64)
    result[areas(Layer.LANE, Layer.INTERSECTION)] = 1
    result[areas(Layer.WALKWAY)] = 2
    result[mask([local(line).coords for line in lines],
                lambda canvas, points: cv2.polylines(canvas, [points], False, 255, 2))] = 3
    result[boxes('czone_sign', 'barrier', 'traffic_cone', 'generic_object')] = 4
    result[boxes('vehicle')] = 5
    result[boxes('pedestrian')] = 6
    return result


def random_scene(seed):
    random = np.random.default_rng(seed)
    pose = np.array([*random.uniform(-1e6, 1e6, 2), random.uniform(-4.0, 4.0)])

    def blob(reach):
        angles = np.sort(random.uniform(0.0, 2 * np.pi, 7))
        ring = np.column_stack([np.cos(angles), np.sin(angles)]) * random.uniform(2.0, 15.0)
        return shapely.Polygon(ring + pose[:2] + random.uniform(-reach, reach, 2))

    lanes = [lane(number, blob(50.0), np.cumsum(random.normal(0.0, 6.0, (9, 2)), axis=0)
                  + pose[:2] + random.uniform(-40.0, 40.0, 2), bool(number % 2))
             for number in range(16)]
    names = random.choice(['vehicle', 'pedestrian', 'bicycle', 'traffic_cone', 'barrier',
                           'czone_sign', 'generic_object'], 25)
    boxes = [(str(name), *random.uniform(-40.0, 40.0, 2), random.uniform(-4.0, 4.0),
              *random.uniform(0.3, 9.0, 2)) for name in names]
    # In double, where the oracle's corners and ours differ by rounding alone.
    return (annotations(*boxes, dtype=np.float64),
            city(lanes, intersection=[blob(45.0) for _ in range(4)],
                 walkway=[blob(45.0) for _ in range(4)]), pose)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_random_scenes_agree_with_the_recipe_written_down_slowly(seed):
    scene = random_scene(seed)
    expected = slowly(*scene)
    assert np.count_nonzero(expected) > 500
    np.testing.assert_array_equal(semantic_map(*scene), expected)


@pytest.mark.shared_data
def test_maps_and_logs_of_the_real_format_agree_with_the_slow_recipe(shared_golden):
    fixture = shared_golden / 'fixture'
    for log_path in sorted((fixture / 'navsim_logs/synth').glob('*.pkl'))[2:5]:
        log = read_log(log_path)
        [map_path] = fixture.glob(f'maps/{log.map_name}/*/map.gpkg')
        somewhere = read_city(map_path, log.map_name)
        for frame in log.frames[3::4]:
            seen = semantic_map(frame.annotations, somewhere, frame.pose)
            assert {ROAD, LINE} < set(np.unique(seen))
            np.testing.assert_array_equal(seen, slowly(frame.annotations, somewhere, frame.pose))
