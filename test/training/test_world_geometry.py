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

"""The drawn world: motion, cameras and LiDAR agree with each other and with plain geometry."""

import numpy as np
from pair_drive_ros.core.geometry import relative_to, rigid_transform
from pair_drive_training.world import rig
from pair_drive_training.world.camera import Camera, planar_transform
from pair_drive_training.world.ground import GroundMap, PAINT
from pair_drive_training.world.lidar import Lidar
from pair_drive_training.world.rig import LidarPattern
from pair_drive_training.world.road import EgoMotion, RoadLine, SpeedProfile
from pair_drive_training.world.shapes import car, ellipsoid, frustum, person, tree
import pytest
import yaml

SIZE = (320, 180)
RED = (0, 0, 255)
LEVEL = rigid_transform(np.array([0.0, 0.0, 1.5]),
                        np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))


@pytest.fixture(scope='module')
def ground():
    """Paint a short road with a crossing 20 m ahead."""
    return GroundMap(RoadLine(70.0), (20.0,), np.random.default_rng(0))


def is_red(image):
    """Tell [H, W] where an image is clearly red."""
    blue, green, red = (image[..., i].astype(int) for i in range(3))
    return (red > 100) & (red > 2 * green) & (red > 2 * blue)


def test_motion_is_the_derivative_of_the_pose():
    motion, step = EgoMotion(RoadLine(100.0), SpeedProfile()), 1e-2
    for time_s in (0.1, 1.7, 4.2):
        before, here, after = (motion.pose(time_s + d) for d in (-step, 0.0, step))
        moved = relative_to(here, after) - relative_to(here, before)
        speed, yaw_rate = motion.velocity(time_s)
        assert moved / (2 * step) == pytest.approx([speed, 0.0, yaw_rate], abs=2e-3)
        faster = (motion.velocity(time_s + step)[0] - motion.velocity(time_s - step)[0])
        assert motion.acceleration(time_s) == pytest.approx(
            [faster / (2 * step), speed * yaw_rate], abs=1e-3)


def test_motion_starts_at_the_origin_along_x():
    motion = EgoMotion(RoadLine(50.0), SpeedProfile())
    assert motion.pose(0.0) == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize('solids', [car((1, 2, 3)), person((1, 2, 3), (4, 5, 6), 0.5),
                                    tree(6.0, 1.5, np.random.default_rng(0)),
                                    (frustum((1, 2, 3), (4, 2, 1), RED, top=(0.5, 0.7)),)])
def test_solids_are_convex_and_face_outwards(solids):
    for solid in solids:
        for normal, corners in zip(solid.normals, solid.corners, strict=True):
            height = (solid.vertices - solid.vertices[corners[0]]) @ normal
            assert height.max() < 1e-9
            assert np.abs(height[corners]).max() < 1e-9


def test_box_is_drawn_where_a_pinhole_sees_it(ground):
    matrix = rig.intrinsics(*SIZE)
    box = frustum((10.0, 1.0, 0.5), (2.0, 1.0, 2.0), RED)
    mask = is_red(Camera(LEVEL, matrix, SIZE, ground).render(np.eye(4), [box]))
    rows, columns = np.nonzero(mask)
    focal = matrix[0, 0]
    # The near face stands at 9 m: 0.5 to 1.5 m to the left, 1 m below to 1 m above the camera.
    assert columns.min() == pytest.approx(160 - focal * 1.5 / 9, abs=1.0)
    assert rows.min() == pytest.approx(90 - focal * 1.0 / 9, abs=1.0)
    assert rows.max() == pytest.approx(90 + focal * 1.0 / 9, abs=1.0)
    # Its right flank is seen too and ends at the far face.
    assert columns.max() == pytest.approx(160 - focal * 0.5 / 11, abs=1.0)


@pytest.mark.parametrize('order', [slice(None), slice(None, None, -1)])
def test_nearer_solid_hides_the_farther_in_any_order(ground, order):
    near = frustum((6.0, 0.0, 0.0), (1.0, 3.0, 3.0), (90, 90, 90))
    far = frustum((12.0, 0.0, 0.0), (1.0, 2.0, 2.5), RED)
    camera = Camera(LEVEL, rig.intrinsics(*SIZE), SIZE, ground)
    assert is_red(camera.render(np.eye(4), [far])).any()
    assert not is_red(camera.render(np.eye(4), [near, far][order])).any()


def test_solid_across_the_near_plane_is_cut_not_mirrored(ground):
    beside = frustum((0.0, -2.0, 0.0), (12.0, 1.0, 2.5), RED)
    mask = is_red(Camera(LEVEL, rig.intrinsics(*SIZE), SIZE, ground).render(np.eye(4), [beside]))
    columns = np.flatnonzero(mask.any(axis=0))
    assert mask[:, -1].any() and columns.min() > SIZE[0] / 2


def test_behind_the_camera_is_not_seen(ground):
    behind = frustum((-8.0, 0.0, 0.0), (2.0, 4.0, 3.0), RED)
    camera = Camera(LEVEL, rig.intrinsics(*SIZE), SIZE, ground)
    assert not is_red(camera.render(np.eye(4), [behind])).any()


def test_crossing_is_painted_where_the_ground_projects(ground):
    image = Camera(LEVEL, rig.intrinsics(640, 360), (640, 360), ground).render(np.eye(4), [])
    focal = rig.intrinsics(640, 360)[0, 0]
    row = int(180 + focal * 1.5 / 20.0)
    # Stripes of half a metre with as much between them: about half of the lane is paint.
    lane = image[row, int(320 - focal * 1.7 / 20):int(320 + focal * 1.7 / 20)].mean(axis=1)
    bright = lane > 0.75 * np.mean(PAINT)
    assert 0.3 < bright.mean() < 0.75
    assert not (image[row - 6, 300:340].mean(axis=1) > 0.9 * np.mean(PAINT)).any()


def scan(ground, solids, pattern=None):
    """Scan from a sensor 2 m above the origin without noise, unless the pattern has some."""
    pattern = pattern or LidarPattern(noise=0.0)
    mount = rigid_transform(np.array([0.0, 0.0, 2.0]), np.eye(3))
    return Lidar(mount, pattern, ground).scan(np.eye(4), solids, np.random.default_rng(0))


def test_lidar_measures_ground_and_the_faces_of_a_box(ground):
    points = scan(ground, [frustum((11.0, 0.0, 0.0), (2.0, 4.0, 3.0), RED)])
    assert points.dtype == np.float32 and points.shape[1] == 4
    in_box = points[(np.abs(points[:, 1]) < 1.9) & (points[:, 0] > 9.5) & (points[:, 0] < 13.0)
                    & (points[:, 2] > -1.95)]
    assert len(in_box) > 100
    assert in_box[:, 0] == pytest.approx(10.0, abs=1e-4)
    others = points[(points[:, 2] < -1.9) & (points[:, 0] < 9.5)]
    assert others[:, 2] == pytest.approx(-2.0, abs=1e-4)
    # Nothing is measured in the box's shadow.
    shadow = (points[:, 0] > 12.5) & (np.abs(points[:, 1]) < 0.19 * points[:, 0])
    assert not (shadow & (points[:, 2] < 0.5)).any()


def test_lidar_meets_a_solid_across_the_seam_behind_it(ground):
    points = scan(ground, [frustum((-11.0, 0.0, 0.0), (2.0, 4.0, 3.0), RED)])
    hit = points[(points[:, 0] < -9.9) & (points[:, 0] > -10.1) & (points[:, 2] > -1.9)]
    assert hit[:, 1].min() < -1.8 and hit[:, 1].max() > 1.8
    assert np.diff(np.unique(hit[:, 1].round(3))).max() < 0.1


def test_lidar_finds_an_ellipsoid_and_stays_out_of_it(ground):
    points = scan(ground, [ellipsoid((8.0, 0.0, 2.0), (2.0, 2.0, 1.5), [RED])])
    inside = ((points[:, :3] - [8.0, 0.0, 0.0]) / [2.0, 2.0, 1.5])
    norm = np.linalg.norm(inside, axis=1)
    assert (norm < 1.001).sum() > 200
    assert norm.min() > 0.75


def test_lidar_inside_a_solid_sees_nothing(ground):
    assert len(scan(ground, [frustum((0.0, 0.0, 0.0), (4.0, 4.0, 4.0), RED)])) == 0


def test_range_noise_has_the_stated_size_and_follows_the_generator(ground):
    wall = [frustum((21.0, 0.0, 0.0), (2.0, 60.0, 30.0), RED)]
    points = scan(ground, wall, LidarPattern(noise=0.05))
    again = scan(ground, wall, LidarPattern(noise=0.05))
    assert np.array_equal(points, again)
    ahead = points[(points[:, 2] > -1.0) & (np.abs(points[:, 1]) < 3.0) & (points[:, 0] > 15.0)]
    assert ahead[:, 0].std() == pytest.approx(0.05, rel=0.2)


def test_paint_returns_more_than_asphalt(ground):
    paint = ground.brightness(np.array([[20.0, -1.3 + 0.02 * i] for i in range(100)]))
    assert paint.max() > 1.5 * paint.min()


def test_vehicle_pose_moves_camera_and_lidar_alike(ground):
    pose = planar_transform(np.array([5.0, -2.0, 0.7]))
    assert pose[:3, :3] @ [1.0, 0.0, 0.0] == pytest.approx([np.cos(0.7), np.sin(0.7), 0.0])
    assert pose[:3, 3] == pytest.approx([5.0, -2.0, 0.0])


def test_rig_looks_left_front_right():
    for name, yaw in (('left', 55.0), ('front', 0.0), ('right', -55.0)):
        forward = rig.base_from_sensor(rig.CAMERA_POSES[name])[:3, 2]
        assert np.degrees(np.arctan2(forward[1], forward[0])) == pytest.approx(yaw)
        assert forward[2] == pytest.approx(-np.sin(rig.CAMERA_PITCH))


def test_committed_rig_file_is_the_rig(checkout):
    text = (checkout / 'config' / 'sample_rig.yaml').read_text()
    assert text == rig.rig_parameters()
    parameters = yaml.safe_load(text)['/**']['ros__parameters']
    assert parameters['cameras'] == list(rig.CAMERA_POSES)
    assert parameters['lidar.extrinsics'] == pytest.approx(rig.LIDAR_POSE)
