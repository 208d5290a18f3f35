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

"""Scenes from above: what lies where on the paper."""

from dataclasses import replace

from matplotlib.figure import Figure
import numpy as np
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.scoring import ObjectType, Polygons, Protocol, ScoringScenes
from pair_drive_ros.scoring.example import example_scene
from pair_drive_training.evaluation.bev_picture import draw_scene, ScenePlans
import pytest

V2 = Protocol.NAVSIM_V2
CAR_AHEAD = (ObjectType.VEHICLE, 12.0, 0.0, 0.0, 0.0, 4.5, 1.9)


def turned(scene, angle):
    """Turn a scene about the ego."""
    base = np.array([0.0, 0.0, angle])

    def points(xy):
        return compose(base, np.column_stack([xy, np.zeros(len(xy))]))[:, :2]

    ego = scene.ego.copy()
    ego[2] += angle
    return replace(
        scene, ego=ego, polygons=replace(scene.polygons, xy=points(scene.polygons.xy)),
        centreline=points(scene.centreline),
        objects=replace(scene.objects, boxes=compose(base, scene.objects.boxes)),
        reference=replace(scene.reference, poses=compose(base, scene.reference.poses)))


def draw(scene, speed=8.0):
    """Draw the scene with a plan straight ahead; return the axes."""
    plan = np.array([[speed * 0.5 * k, 0.0, 0.0] for k in range(1, 9)])
    axes = Figure().add_subplot()
    draw_scene(axes, ScenePlans(ScoringScenes.prepare([scene], V2), plan, plan, None))
    return axes


def extents(axes):
    """Bounds of every patch and collection, in the order they were drawn."""
    paths = [path for patch in axes.patches for path in [patch.get_path()]]
    paths += [path for collection in axes.collections for path in collection.get_paths()]
    return np.array([path.get_extents().extents for path in paths])


def test_forward_is_up_and_left_is_left():
    axes = draw(example_scene(V2))
    roads = axes.patches[0].get_path().get_extents()
    # The oncoming lane (y up to 5.25 m) lies to the left, the road leads up from -40 to 120 m.
    assert (roads.x0, roads.y0, roads.y1) == pytest.approx((-13.5, -40.0, 120.0))
    plan = max(axes.lines, key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(plan.get_xydata()[-1], [0.0, 32.0], atol=1e-12)


@pytest.mark.parametrize('angle', [0.7, 2.0, -3.0])
def test_the_picture_does_not_turn_with_the_map(angle):
    scene = example_scene(V2, [CAR_AHEAD, (ObjectType.PEDESTRIAN, 20.0, 6.0, 1.0, 1.5, 0.8, 0.8)],
                          red=False)
    np.testing.assert_allclose(extents(draw(turned(scene, angle))), extents(draw(scene)),
                               atol=1e-9)


def test_collision_is_marked_where_it_happens():
    safe, crash = draw(example_scene(V2)), draw(example_scene(V2, [CAR_AHEAD]))
    assert len(crash.collections) > len(safe.collections)
    ego, car = crash.collections[-2].get_paths(), crash.collections[-1].get_paths()
    assert len(ego) == len(car) == 1
    # The ego's front (4.05 m ahead of the axle) has reached the car's rear at 9.75 m.
    assert 9.75 < ego[0].get_extents().y1 < 11.5
    assert car[0].get_extents().y0 == pytest.approx(9.75)


def test_the_square_grows_with_the_plan():
    axes = draw(example_scene(V2), speed=25.0)
    assert axes.get_ylim()[1] > 100.0
    assert np.diff(axes.get_xlim()) == pytest.approx(np.diff(axes.get_ylim()))


def test_holes_are_rings_of_their_own():
    scene = example_scene(V2)
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    with_hole = Polygons(1, np.concatenate([100.0 * square, 40.0 * square[::-1] + 30.0]),
                         np.array([0, 5, 10]), np.array([0, 0]))
    axes = draw(replace(scene, polygons=with_hole, layers=scene.layers[:1],
                        on_route=np.zeros(1, bool)))
    assert len(axes.patches[0].get_path().to_polygons()) == 2
