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

"""What cameras show: the right pixels, the nearest thing, the same bytes every time."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.sensors.camera_rig import MINI
from pair_drive_training.world.sensors.look import draw_look
from pair_drive_training.world.sensors.renderer import Renderer
from pair_drive_training.world.towns.town import Marking
from pair_drive_training.world.towns.world_towns import simple_town
from pair_drive_training.world.traffic.drive import Actor
import pytest
import shapely.affinity

CAR, TRUCK, PERSON, BOX = (4.6, 1.85, 1.45), (8.0, 2.5, 3.2), (0.6, 0.6, 1.75), (2.0, 1.0, 2.0)
MIDDLE, HORIZON, FOCAL, EYE_HEIGHT = 159.5, 89.5, 300.0, 1.5


def test_a_box_is_drawn_where_a_pinhole_sees_it(stage, seen):
    stage.add(ObjectType.GENERIC_OBJECT, BOX, (10.0, 1.0, 0.0))
    rows, columns = np.nonzero(seen())
    # Its near face stands at 9 m, 0.5 to 1.5 m to the left, on the ground 1.5 m below the eye.
    assert columns.min() == pytest.approx(MIDDLE - FOCAL * 1.5 / 9.0, abs=1.0)
    assert columns.max() == pytest.approx(MIDDLE - FOCAL * 0.5 / 11.0, abs=1.5)
    assert rows.max() == pytest.approx(HORIZON + FOCAL * EYE_HEIGHT / 9.0, abs=1.0)
    # The top, where the box has narrowed, is half a metre above the eye, 9.1 m away.
    assert rows.min() == pytest.approx(HORIZON - FOCAL * 0.5 / 9.1, abs=1.0)


@pytest.mark.parametrize('order', [slice(None), slice(None, None, -1)])
def test_the_nearer_hides_the_farther(stage, seen, order):
    near, far = (ObjectType.VEHICLE, TRUCK, (14.0, 0.0, 0.0)), (
        ObjectType.PEDESTRIAN, PERSON, (24.0, 0.0, 0.0))
    stage.add(*far)
    assert seen().sum() > 50
    stage.emptied().add(*near)
    alone = stage.image()
    stage.emptied()
    for actor in (near, far)[order]:
        stage.add(*actor)
    assert np.array_equal(stage.image(), alone)


def test_what_is_behind_is_not_seen(stage, seen):
    stage.add(ObjectType.VEHICLE, TRUCK, (-9.0, 0.0, 0.0))
    assert not seen().any()


def test_what_reaches_past_the_camera_is_cut_not_mirrored(stage, seen):
    stage.add(ObjectType.VEHICLE, (12.0, 2.5, 3.0), (2.0, -3.0, 0.0))
    columns = np.flatnonzero(seen().any(axis=0))
    assert columns.max() == 319 and columns.min() > 160


def test_a_mirrored_scene_gives_a_mirrored_image(stage, seen):
    masks = []
    for side in (1.0, -1.0):
        stage.emptied()
        stage.add(ObjectType.VEHICLE, CAR, (12.0, 2.0 * side, 0.4 * side))
        stage.add(ObjectType.VEHICLE, TRUCK, (25.0, -4.0 * side, -1.0 * side))
        stage.add(ObjectType.TRAFFIC_CONE, (0.4, 0.4, 0.75), (8.0, -1.0 * side, 0.0))
        masks.append(seen())
    assert masks[0].sum() > 2000
    assert (masks[0] != masks[1][:, ::-1]).sum() < 0.02 * masks[0].sum()


def test_a_marking_is_painted_where_the_ground_projects(bare_town, level_rig, stage):
    line = Marking(np.array([[15.0, -3.0], [15.0, 3.0]]), False, False, 1.0)
    painted = Renderer(replace(bare_town, markings=(line,)), level_rig)
    before = stage.image().astype(int)
    after = painted.cameras(*stage.moment(), stage.look)['CAM_F0'].astype(int)
    rows, columns = np.nonzero((after - before).min(axis=-1) > 30)
    assert rows.min() == pytest.approx(HORIZON + FOCAL * EYE_HEIGHT / 15.5, abs=1.0)
    assert rows.max() == pytest.approx(HORIZON + FOCAL * EYE_HEIGHT / 14.5, abs=1.0)
    assert columns.min() == pytest.approx(MIDDLE - FOCAL * 3.0 / 14.5, abs=1.5)
    assert columns.max() == pytest.approx(MIDDLE + FOCAL * 3.0 / 14.5, abs=1.5)


def test_the_sun_casts_a_shadow_away_from_itself(stage):
    stage.look = replace(draw_look(1, 'clear'), grain=0.0, sun=(0.0, 0.8, 0.6))
    empty = stage.image().astype(int)
    stage.add(ObjectType.GENERIC_OBJECT, BOX, (10.0, 2.0, 0.0))
    darker = (empty - stage.image()).min(axis=-1) > 15
    # The sun is to the left; the shadow lies to the right of the box, 2 m * 4 / 3 long.
    on_ground = darker[int(HORIZON + FOCAL * EYE_HEIGHT / 10.0)]
    assert on_ground[int(MIDDLE - FOCAL * 0.5 / 10.0):int(MIDDLE + FOCAL * 0.5 / 10.0)].all()
    assert not on_ground[int(MIDDLE + FOCAL * 2.0 / 10.0):].any()
    assert not on_ground[:int(MIDDLE - FOCAL * 3.0 / 9.0)].any()


def test_places_far_from_the_origin_look_the_same(bare_town, level_rig, stage):
    x, y = 664430.0, 3997650.0
    far = replace(bare_town, centre=bare_town.centre + [x, y], walkways={}, car_parks={},
                  asphalt=shapely.affinity.translate(bare_town.asphalt, x, y))
    near = Renderer(replace(bare_town, walkways={}, car_parks={}), level_rig)
    stage.add(ObjectType.VEHICLE, CAR, (12.0, 2.0, 0.5))
    ego, actors, poses, *rest = stage.moment()
    here = near.cameras(ego, actors, poses, *rest, stage.look)['CAM_F0']
    there = Renderer(far, level_rig).cameras(ego + [x, y, 0.0], actors, poses + [x, y, 0.0], *rest,
                                             stage.look)['CAM_F0']
    assert np.abs(here.astype(int) - there).max() <= 2


def test_the_same_moment_gives_the_same_bytes(bare_town, level_rig, stage):
    stage.look = draw_look(4, 'dusk')
    stage.add(ObjectType.VEHICLE, CAR, (12.0, 2.0, 0.5), braking=True)
    again = Renderer(bare_town, level_rig)
    # What another moment left behind does not matter.
    again.cameras(stage.ego_pose + [3.0, 2.0, 1.0], *stage.moment()[1:], stage.look)
    assert np.array_equal(again.cameras(*stage.moment(), stage.look)['CAM_F0'], stage.image())
    assert np.array_equal(again.lidar(*stage.moment(), stage.look), stage.points())
    other = draw_look(5, 'dusk')
    assert not np.array_equal(again.cameras(*stage.moment(), other)['CAM_F0'], stage.image())


def test_a_person_at_30_m_has_some_pixels_in_the_mini_preset(bare_town):
    renderer = Renderer(bare_town, MINI.with_cameras(['CAM_F0']))
    look = replace(draw_look(1, 'overcast'), grain=0.0)
    nobody = ([], np.zeros((0, 3)), np.zeros(0), np.zeros(0), {})
    ego = np.zeros(3)
    empty = renderer.cameras(ego, *nobody, look)['CAM_F0'].astype(int)
    person = Actor('0' * 16, ObjectType.PEDESTRIAN, np.array(PERSON), 0, 0)
    image = renderer.cameras(ego, [person], np.array([[31.66, 0.0, 1.0]]), np.zeros(1),
                             np.zeros(1), {}, look)['CAM_F0']
    assert (np.abs(image - empty).max(axis=-1) > 15).sum() > 60


def test_any_subset_of_the_cameras_can_be_drawn():
    town = simple_town()
    names = ['CAM_B0', 'CAM_L2']
    images = Renderer(town, MINI.with_cameras(names)).cameras(
        np.zeros(3), [], np.zeros((0, 3)), np.zeros(0), np.zeros(0), {}, draw_look(0))
    assert list(images) == names
    assert all(image.shape == (270, 480, 3) and image.dtype == np.uint8
               for image in images.values())
