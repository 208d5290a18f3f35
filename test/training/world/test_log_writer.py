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

"""A drive as a log: every field as OpenScene has it, and the geometry read back."""

import pickle
import pickletools

import numpy as np
from pair_drive_ros.core.frames import DrivingCommand
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.frames import SceneFrames
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.log import read_log
from pair_drive_training.data.path import Path as Line
from pair_drive_training.data.tracks import tracks_of_frame
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.log_writer import (
    driving_command,
    log_bytes,
    log_frames,
    RouteProgress,
)
from pair_drive_training.world.sensors.camera_rig import CAMERAS, MINI
import pytest
import tiny_navsim
from tiny_world import braking_drive

KEY = DriveKey(7, 'train', 3)


@pytest.fixture(scope='module')
def city(tmp_path_factory) -> CityMap:
    """Map of the tiny city."""
    path = tiny_navsim.write_city(tmp_path_factory.mktemp('maps'))
    return read_city(path, tiny_navsim.CITY)


@pytest.fixture(scope='module')
def drive():
    """Return a drive through it."""
    return braking_drive(KEY)


@pytest.fixture(scope='module')
def raw(city, drive):
    """Return the frames of its log."""
    return log_frames(drive, KEY, city, tiny_navsim.CITY, MINI.cameras)


@pytest.fixture(scope='module')
def read(raw, tmp_path_factory):
    """Return the frames as the loader reads them."""
    path = tmp_path_factory.mktemp('log') / f'{KEY.log_name}.pkl'
    path.write_bytes(log_bytes(raw))
    return read_log(path)


def test_frames_are_half_a_second_apart_give_or_take(raw):
    times = np.array([frame['timestamp'] for frame in raw])
    assert len(raw) == 23
    gaps = np.diff(times) - 500_000
    assert 0 < np.abs(gaps).max() < 3000
    assert all(type(frame['timestamp']) is int for frame in raw)


def test_types_are_those_of_openscene(raw):
    frame = raw[6]
    expected = {'token': str, 'frame_idx': int, 'timestamp': int, 'log_name': str,
                'log_token': str, 'scene_name': str, 'scene_token': str, 'map_location': str,
                'roadblock_ids': list, 'vehicle_name': str, 'can_bus': np.ndarray,
                'lidar_path': str, 'lidar2ego_translation': np.ndarray,
                'lidar2ego_rotation': list, 'ego2global_translation': list,
                'ego2global_rotation': list, 'ego_dynamic_state': list, 'traffic_lights': list,
                'driving_command': np.ndarray, 'cams': dict, 'sample_prev': str,
                'sample_next': str, 'ego2global': np.ndarray, 'lidar2ego': np.ndarray,
                'lidar2global': np.ndarray, 'anns': dict}
    assert {name: type(value) for name, value in frame.items()} == expected
    assert frame['can_bus'].shape == (18,) and frame['can_bus'].dtype == np.float64
    assert all(type(block) is str for block in frame['roadblock_ids'])
    assert all(type(connector) is int and type(red) is bool
               for connector, red in frame['traffic_lights'])
    assert frame['driving_command'].tolist() == [0, 1, 0, 0]
    assert frame['driving_command'].dtype == np.int64
    boxes = frame['anns']['gt_boxes']
    assert boxes.dtype == frame['anns']['gt_velocity_3d'].dtype == np.float32
    assert boxes.shape == (3, 7) and frame['anns']['gt_velocity_3d'].shape == (3, 3)
    assert all(type(value) is float for value in frame['ego_dynamic_state'])


def test_tokens_are_sixteen_hex_digits_and_chain_the_frames(raw):
    tokens = [frame['token'] for frame in raw]
    boxes = [token for frame in raw for token in frame['anns']['instance_tokens']]
    assert len(set(tokens + boxes)) == len(tokens) + len(boxes)
    for token in tokens + boxes:
        assert len(token) == 16 and int(token, 16) >= 0
    assert [frame['sample_next'] for frame in raw] == [*tokens[1:], None]
    assert [frame['sample_prev'] for frame in raw] == [None, *tokens[:-1]]


def test_the_ego_is_read_back_where_it_drove(read, drive):
    for index, frame in enumerate(read.frames):
        state = drive.ego[5 * index]
        assert frame.pose == pytest.approx(state[:3], abs=1e-9)
        assert frame.velocity == pytest.approx(state[3:5], abs=1e-6)
        assert frame.acceleration == pytest.approx(state[5:], abs=1e-6)
    assert (read.log_name, read.map_name) == (KEY.log_name, tiny_navsim.CITY)


def test_objects_are_read_back_where_they_were(read, drive):
    for index in (2, 12):
        tracks = tracks_of_frame(read.frames[index])
        rows = [row for row in range(4) if drive.present[5 * index, row] and row != 3]
        assert tracks.kind.tolist() == [drive.actors[row].kind for row in rows]
        assert tracks.boxes == pytest.approx(drive.poses[5 * index, rows], abs=1e-4)
        assert tracks.velocity == pytest.approx(drive.velocity[5 * index, rows], abs=1e-5)
        assert tracks.size == pytest.approx(np.stack(
            [drive.actors[row].size[:2] for row in rows]))
    assert ObjectType.TRAFFIC_CONE in tracks_of_frame(read.frames[2]).kind


def test_a_track_keeps_its_token(read):
    tokens = [set(frame.annotations.track_tokens) for frame in read.frames]
    assert len(tokens[0]) == 2 and len(tokens[-1]) == 3
    assert tokens[0] < tokens[-1]


def test_objects_stand_on_the_ground(raw):
    boxes = raw[0]['anns']['gt_boxes']
    assert boxes[:, 2] == pytest.approx(boxes[:, 5] / 2)


def test_lights_follow_the_signals(raw):
    assert raw[0]['traffic_lights'] == [(62, False), (71, True)]
    assert raw[10]['traffic_lights'] == [(62, True), (71, True)]


def test_all_eight_cameras_are_named_with_their_calibration(read):
    for frame in read.frames:
        assert set(frame.cameras) == set(CAMERAS)
        for camera in MINI.cameras:
            record = frame.cameras[camera.name]
            assert record.data_path == f'{KEY.log_name}/{camera.name}/{frame.token}.jpg'
            assert np.array_equal(record.intrinsics, camera.intrinsics)
            assert np.array_equal(record.sensor2lidar[:3, :3], camera.rotation)
            assert np.array_equal(record.sensor2lidar[:3, 3], camera.translation)
        assert frame.lidar_path == f'{KEY.log_name}/MergedPointCloud/{frame.token}.pcd'
        assert np.array_equal(frame.lidar2ego, np.eye(4))


def test_a_log_is_a_scene(read):
    scene = SceneFrames(read.log_name, read.map_name, read.frames[:14])
    assert scene.now.roadblock_ids == tiny_navsim.ROUTE
    assert len(scene.future) == 10


def test_the_can_bus_is_filled(raw, drive):
    bus, state = raw[9]['can_bus'], drive.ego[45]
    assert bus[:3] == pytest.approx([*state[:2], 0.0])
    assert bus[3:7] == pytest.approx([np.cos(state[2] / 2), 0.0, 0.0, np.sin(state[2] / 2)])
    assert bus[7:12] == pytest.approx([state[5], state[6], 0.0, state[3], state[4]])


def test_the_pickle_names_nothing_that_numpy_1_lacks(raw):
    content = log_bytes(raw)
    names = {argument for opcode, argument, _ in pickletools.genops(content)
             if opcode.name == 'GLOBAL'}
    assert names == {'numpy.core.multiarray _reconstruct', 'numpy ndarray', 'numpy dtype'}
    again = pickle.loads(content)
    assert [frame['token'] for frame in again] == [frame['token'] for frame in raw]
    assert content == log_bytes(raw)


def test_another_drive_has_other_names_and_numbers():
    keys = [DriveKey(7, 'train', 3), DriveKey(7, 'train', 4), DriveKey(7, 'val', 3),
            DriveKey(8, 'train', 3)]
    assert len({key.log_name for key in keys}) == len({key.token('frame', 0) for key in keys}) == 4
    drawn = {int(key.randomness('drive').generate_state(1)[0]) for key in keys}
    assert len(drawn | {int(keys[0].randomness('look').generate_state(1)[0])}) == 5
    assert all(DriveKey.of_log(key.log_name) == key for key in keys)
    assert DriveKey.of_log('maps') is None


@pytest.mark.parametrize('offset, expected', [
    (2.001, DrivingCommand.LEFT), (1.999, DrivingCommand.STRAIGHT),
    (-1.999, DrivingCommand.STRAIGHT), (-2.001, DrivingCommand.RIGHT)])
def test_commands_are_offsets_twenty_metres_ahead(offset, expected):
    pose = np.array([3.0, -4.0, 0.5])
    line = compose(pose, np.array([[0.0, 0.0, 0.0], [15.0, 0.0, 0.0], [15.0, offset, 0.0],
                                   [40.0, offset, 0.0]]))
    assert driving_command(Line(line), pose) is expected


def test_the_command_turns_right_before_a_right_turn(city):
    route = RouteProgress([10, 70, 30], city)
    poses = tiny_navsim.to_map(np.array([[x, -1.75, 0.0] for x in (20.0, 70.0, 95.0)]))
    commands = [route.advance(pose)[1] for pose in poses]
    assert commands == [DrivingCommand.STRAIGHT, DrivingCommand.STRAIGHT, DrivingCommand.RIGHT]


def test_the_route_starts_with_the_block_before_and_ends_some_way_ahead(city):
    route = RouteProgress([10, 60, 20], city)
    poses = tiny_navsim.to_map(np.array([[x, -1.75, 0.0] for x in (20.0, 115.0, 200.0)]))
    assert [route.advance(pose)[0] for pose in poses] == [
        ['10', '60', '20'], ['10', '60', '20'], ['60', '20']]


def test_a_route_that_comes_back_to_a_block_ends_before_that(city):
    route = RouteProgress([40, 80, 50, 40, 80], city)
    pose = tiny_navsim.to_map(np.array([[150.0, 5.25, np.pi]]))[0]
    assert route.advance(pose)[0] == ['40', '80', '50']
