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

"""A drive as a recording: what it holds, that it repeats, what it refuses."""

import cv2
import numpy as np
from pair_drive_ros.conversions.rotation import rotation_from_rpy
from pair_drive_ros.core.frames import DrivingCommand
from pair_drive_ros.core.geometry import project_to_image
from pair_drive_ros.evaluation.bag import BagReader
from pair_drive_training.world.drive_bag import (
    BagOptions,
    CAMERAS,
    DriveBagError,
    LIDAR_POSITION,
    START_NS,
    write_drive_bag,
)
from pair_drive_training.world.sensors.camera_rig import MINI
import pytest
import yaml

SHORT = BagOptions(seconds=0.3, seed=7)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Write a short recording once."""
    path = tmp_path_factory.mktemp('bag') / 'drive'
    write_drive_bag(path, SHORT)
    return path


def messages(bag, topic):
    """Return (receive time, message) of one topic."""
    with BagReader(bag) as reader:
        return [(stamp, message) for _, stamp, message in reader.messages([topic])]


def test_topics_and_rates(bag):
    with BagReader(bag) as reader:
        counts = reader.message_counts()
        assert reader.latched_topics() == {'/tf_static', '/command'}
    expected = dict.fromkeys(['/command', '/acceleration', '/lidar/points',
                              '/ground_truth/objects'], 3) | {'/tf_static': 1, '/odom': 11}
    for name in ('left', 'front', 'right'):
        expected[f'/camera/{name}/image/compressed'] = 3
        expected[f'/camera/{name}/camera_info'] = 3
    assert counts == expected


def test_all_sensors_share_their_stamps(bag):
    wanted = [(START_NS + step * 100_000_000,) * 2 for step in range(3)]
    for topic in ('/lidar/points', '/camera/left/image/compressed',
                  '/camera/front/camera_info', '/acceleration'):
        assert [(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec, received)
                for received, message in messages(bag, topic)] == wanted


def test_images_decode_at_the_calibrated_size(bag):
    _, info = messages(bag, '/camera/front/camera_info')[0]
    _, image = messages(bag, '/camera/front/image/compressed')[0]
    front = MINI.with_cameras(['CAM_F0']).cameras[0]
    assert image.format == 'jpeg' and image.header.frame_id == 'camera_front'
    assert cv2.imdecode(image.data, cv2.IMREAD_COLOR).shape == (*front.size[::-1], 3)
    assert (info.width, info.height) == front.size
    assert info.k.reshape(3, 3) == pytest.approx(front.intrinsics)


def test_points_lie_on_the_ground_and_in_the_front_image(bag):
    _, cloud = messages(bag, '/lidar/points')[0]
    assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'intensity']
    points = np.array(cloud.data).view(np.float32).reshape(-1, 4)
    assert len(points) == cloud.width > 2000 and cloud.header.frame_id == 'lidar'
    in_base = points[:, :3].astype(np.float64) + LIDAR_POSITION
    near = np.hypot(in_base[:, 0], in_base[:, 1]) < 15.0
    assert abs(np.percentile(in_base[near, 2], 20)) < 0.1
    front = MINI.with_cameras(['CAM_F0']).cameras[0]
    pixels, _ = project_to_image((in_base - front.translation) @ front.rotation,
                                 front.intrinsics)
    inside = ((pixels >= 0.0) & (pixels < front.size)).all(axis=1)
    assert inside.sum() > 200


def test_static_transforms_are_the_rig(bag, checkout):
    _, tree = messages(bag, '/tf_static')[0]
    placed = {t.child_frame_id: t.transform for t in tree.transforms}
    assert all(t.header.frame_id == 'base_link' for t in tree.transforms)
    assert set(placed) == {'lidar', 'camera_left', 'camera_front', 'camera_right'}
    rig = yaml.safe_load((checkout / 'config' / 'sample_rig.yaml').read_text())
    extrinsics = rig['/**']['ros__parameters']['lidar.extrinsics']
    position = placed['lidar'].translation
    assert [position.x, position.y, position.z, 0.0, 0.0, 0.0] == extrinsics
    # A camera looks along the z axis of its frame: the left one to the left of ahead.
    q = placed['camera_left'].rotation
    ahead = 2.0 * np.array([q.x * q.z + q.w * q.y, q.y * q.z - q.w * q.x])
    assert 0.7 < np.arctan2(ahead[1], ahead[0]) < 1.2


def test_the_parameters_of_the_sample_drive_place_its_cameras(checkout):
    """No wheel brings the messages of /tf_static, so the parameters must do without."""
    rig = yaml.safe_load((checkout / 'config' / 'sample_rig.yaml').read_text())
    parameters = rig['/**']['ros__parameters']
    assert parameters['cameras'] == list(CAMERAS)
    poses = np.reshape(parameters['camera_extrinsics'], (-1, 6))
    for pose, camera in zip(poses, MINI.with_cameras(CAMERAS.values()).cameras, strict=True):
        np.testing.assert_allclose(pose[:3], camera.translation, atol=1e-6)
        np.testing.assert_allclose(rotation_from_rpy(*pose[3:]), camera.rotation, atol=1e-6)


def test_every_image_comes_after_its_calibration(bag):
    for name in CAMERAS:
        topics = [f'/camera/{name}/camera_info', f'/camera/{name}/image/compressed']
        with BagReader(bag) as reader:
            order = [topic for topic, _, _ in reader.messages(topics)]
        assert order == 3 * topics


def test_odometry_starts_at_the_origin_and_moves_as_it_says(bag):
    first, second = (message for _, message in messages(bag, '/odom')[:2])
    assert (first.header.frame_id, first.child_frame_id) == ('odom', 'base_link')
    assert (first.pose.pose.position.x, first.pose.pose.position.y) == (0.0, 0.0)
    moved = np.hypot(second.pose.pose.position.x, second.pose.pose.position.y)
    gap = second.header.stamp.nanosec - first.header.stamp.nanosec
    assert gap == 20_000_000
    assert moved == pytest.approx(0.02 * first.twist.twist.linear.x, abs=0.01)


def test_commands_are_navsims(bag):
    for _, message in messages(bag, '/command'):
        assert message.data in set(DrivingCommand)


def test_objects_are_boxes_on_the_ground(bag):
    _, array = messages(bag, '/ground_truth/objects')[0]
    assert array.markers
    assert len({marker.id for marker in array.markers}) == len(array.markers)
    for marker in array.markers:
        assert marker.header.frame_id == 'base_link'
        assert marker.pose.position.z == pytest.approx(marker.scale.z / 2.0)


def test_same_options_give_the_same_bytes(bag, tmp_path):
    again = tmp_path / 'drive'
    write_drive_bag(again, SHORT)
    names = sorted(entry.name for entry in bag.iterdir())
    assert names == ['drive.mcap', 'metadata.yaml']
    for name in names:
        assert (again / name).read_bytes() == (bag / name).read_bytes()


def test_an_earlier_recording_is_replaced_and_nothing_is_left_over(tmp_path):
    out = tmp_path / 'drive'
    write_drive_bag(out, BagOptions(0.2, 7))
    write_drive_bag(out, BagOptions(0.1, 7))
    assert len(messages(out, '/lidar/points')) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ['drive']


@pytest.mark.parametrize('content', ['folder', 'file', 'other bag'])
def test_what_is_no_recording_of_ours_is_left_alone(tmp_path, content):
    out = tmp_path / 'drive'
    if content == 'file':
        out.write_text('mine')
    else:
        out.mkdir()
        name = 'drive.mcap' if content == 'other bag' else 'notes.txt'
        (out / name).write_text('mine')
        if content == 'other bag':
            (out / 'metadata.yaml').write_text('rosbag2_bagfile_information: {custom_data: null}')
    with pytest.raises(DriveBagError, match='exists and is not a recording of a drive'):
        write_drive_bag(out, SHORT)
    kept = out if content == 'file' else next(out.iterdir())
    assert kept.exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DriveBagError, match='cannot be written'):
        write_drive_bag(tmp_path / 'file' / 'drive', SHORT)


@pytest.mark.parametrize('seconds, seed, sentence', [
    (0.0, 0, 'seconds: expected more than 0'), (float('nan'), 0, 'seconds: expected'),
    (1e9, 0, 'at most 35'), (1.0, -1, 'seed: expected 0 or more')])
def test_bad_numbers_are_refused(seconds, seed, sentence):
    with pytest.raises(DriveBagError, match=sentence):
        BagOptions(seconds, seed)
