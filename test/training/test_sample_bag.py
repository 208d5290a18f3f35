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

"""The sample recording: what it holds, that it repeats, what it refuses."""

import cv2
import numpy as np
from pair_drive_ros.core.geometry import invert_transform, transform_points
from pair_drive_ros.evaluation.bag import BagReader
from pair_drive_training.__main__ import main
from pair_drive_training.world import rig
from pair_drive_training.world.sample_bag import (
    SampleBagError,
    SampleBagOptions,
    START_NS,
    write_sample_bag,
)
import pytest

SMALL = SampleBagOptions(seconds=0.2, seed=3, size=(192, 108))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Write a small sample recording once."""
    path = tmp_path_factory.mktemp('sample') / 'drive'
    write_sample_bag(path, SMALL)
    return path


def messages(bag, topic):
    """Return (receive time, message) of one topic."""
    with BagReader(bag) as reader:
        return [(stamp, message) for _, stamp, message in reader.messages([topic])]


def test_topics_and_rates(bag):
    with BagReader(bag) as reader:
        counts = reader.message_counts()
        assert reader.latched_topics() == {'/tf_static', '/command'}
    expected = {'/tf_static': 1, '/command': 2, '/odom': 10, '/acceleration': 10,
                '/lidar/points': 2}
    for name in ('left', 'front', 'right'):
        expected[f'/camera/{name}/image/compressed'] = 2
        expected[f'/camera/{name}/camera_info'] = 2
    assert counts == expected


def test_cameras_and_lidar_share_their_stamps(bag):
    def stamps(topic):
        return [(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec, received)
                for received, message in messages(bag, topic)]

    wanted = [(START_NS + i * 100_000_000,) * 2 for i in range(2)]
    for topic in ('/lidar/points', '/camera/left/image/compressed',
                  '/camera/front/camera_info', '/camera/right/image/compressed'):
        assert stamps(topic) == wanted
    assert stamps('/odom') == [(START_NS + i * 20_000_000,) * 2 for i in range(10)]


def test_images_decode_at_the_calibrated_size(bag):
    _, info = messages(bag, '/camera/front/camera_info')[0]
    _, image = messages(bag, '/camera/front/image/compressed')[0]
    assert image.format == 'jpeg' and image.header.frame_id == 'camera_front'
    assert cv2.imdecode(image.data, cv2.IMREAD_COLOR).shape == (108, 192, 3)
    assert (info.width, info.height) == (192, 108)
    assert info.k.reshape(3, 3) == pytest.approx(rig.intrinsics(192, 108))


def test_points_stand_on_the_ground_and_project_into_the_front_image(bag):
    _, cloud = messages(bag, '/lidar/points')[0]
    assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'intensity']
    points = np.array(cloud.data).view(np.float32).reshape(-1, 4)
    assert len(points) == cloud.width > 10000
    in_base = transform_points(rig.base_from_sensor(rig.LIDAR_POSE), points[:, :3])
    assert in_base[:, 2].min() > -0.1
    assert np.median(in_base[np.linalg.norm(in_base[:, :2], axis=1) < 5.0, 2]) < 0.1
    camera = invert_transform(rig.base_from_sensor(rig.CAMERA_POSES['front']))
    assert (transform_points(camera, in_base)[:, 2] > 5.0).sum() > 1000


def test_static_transforms_are_the_rig(bag):
    _, tree = messages(bag, '/tf_static')[0]
    placed = {t.child_frame_id: t.transform.translation for t in tree.transforms}
    assert all(t.header.frame_id == 'base_link' for t in tree.transforms)
    assert set(placed) == {'lidar', 'camera_left', 'camera_front', 'camera_right'}
    assert (placed['lidar'].x, placed['lidar'].z) == (rig.LIDAR_POSE[0], rig.LIDAR_POSE[2])


def test_same_options_give_the_same_bytes_and_another_seed_does_not(bag, tmp_path):
    again, other = tmp_path / 'drive', tmp_path / 'other' / 'drive'
    write_sample_bag(again, SMALL)
    write_sample_bag(other, SampleBagOptions(SMALL.seconds, SMALL.seed + 1, SMALL.size))
    names = sorted(entry.name for entry in bag.iterdir())
    assert names == ['drive.mcap', 'metadata.yaml']
    for name in names:
        assert (again / name).read_bytes() == (bag / name).read_bytes()
    assert (other / 'drive.mcap').read_bytes() != (bag / 'drive.mcap').read_bytes()


def test_an_earlier_sample_is_replaced_and_nothing_is_left_over(tmp_path):
    out = tmp_path / 'drive'
    write_sample_bag(out, SMALL)
    write_sample_bag(out, SampleBagOptions(0.1, 0, (64, 36)))
    assert len(messages(out, '/lidar/points')) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ['drive']


@pytest.mark.parametrize('content', ['folder', 'file', 'other bag'])
def test_what_is_not_a_sample_is_left_alone(tmp_path, content):
    out = tmp_path / 'drive'
    if content == 'file':
        out.write_text('mine')
    else:
        out.mkdir()
        name = 'drive.mcap' if content == 'other bag' else 'notes.txt'
        (out / name).write_text('mine')
        if content == 'other bag':
            (out / 'metadata.yaml').write_text('rosbag2_bagfile_information: {custom_data: null}')
    with pytest.raises(SampleBagError, match='exists and is not a sample recording'):
        write_sample_bag(out, SMALL)
    kept = out if content == 'file' else next(out.iterdir())
    assert kept.exists()


@pytest.mark.parametrize('arguments, sentence', [
    (['--seconds', '0'], 'seconds: expected more than 0'),
    (['--seconds', '-3'], 'seconds: expected more than 0'),
    (['--seconds', 'nan'], 'seconds: expected more than 0'),
    (['--seconds', '1e9'], 'at most 60'),
    (['--seed', '-1'], 'seed: expected 0 or more'),
    (['--image-size', '4x4'], 'image size: expected'),
])
def test_command_refuses_bad_numbers(tmp_path, capsys, arguments, sentence):
    assert main(['sample-bag', str(tmp_path / 'drive'), *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count('\n') == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('size', ['big', '10', '10x', '-5x9', '1e3x9'])
def test_command_refuses_a_size_that_is_none(tmp_path, capsys, size):
    with pytest.raises(SystemExit) as stop:
        main(['sample-bag', str(tmp_path / 'drive'), f'--image-size={size}'])
    assert stop.value.code == 2
    assert 'expected WIDTHxHEIGHT' in capsys.readouterr().err


def test_command_refuses_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    out = tmp_path / 'file' / 'drive'
    assert main(['sample-bag', str(out), '--seconds', '0.1', '--image-size', '64x36']) == 2
    assert 'cannot be written' in capsys.readouterr().err


def test_command_prints_path_and_size(tmp_path, capsys):
    out = tmp_path / 'drive'
    assert main(['sample-bag', str(out), '--seconds', '0.1', '--image-size', '64x36']) == 0
    assert capsys.readouterr().out.startswith(f'{out}: ')


def test_help_names_the_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['--help'])
    assert stop.value.code == 0
    assert 'sample-bag' in capsys.readouterr().out
