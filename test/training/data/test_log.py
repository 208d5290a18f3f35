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

"""OpenScene logs: what a frame becomes, and the sentence for each thing that can be wrong."""

import pickle

import numpy as np
from pair_drive_training.data.frames import LogError
from pair_drive_training.data.log import find_logs, read_log, yaw_of
from pair_drive_training.data.unpickling import UnpicklingRefusal
import pytest
import tiny_navsim


@pytest.fixture
def tiny(tmp_path):
    """Path of a log of six frames."""
    return tiny_navsim.write_log(tmp_path / 'logs', frames=6)


@pytest.fixture
def changed(tiny):
    """Change the raw frames of the tiny log; return its path."""
    def changed(change):
        raw = pickle.loads(tiny.read_bytes())
        change(raw)
        tiny.write_bytes(pickle.dumps(raw, 4))
        return tiny
    return changed


def test_a_frame_says_what_the_file_says(tiny):
    log, raw = read_log(tiny), pickle.loads(tiny.read_bytes())
    assert (log.log_name, log.map_name, len(log.frames)) == ('tiny', tiny_navsim.CITY, 6)
    frame, values = log.frames[2], raw[2]
    assert frame.token == values['token']
    assert frame.time_us == values['timestamp']
    assert frame.roadblock_ids == ('10', '60', '20')
    assert frame.traffic_lights == (('71', True), ('62', False))
    assert frame.lidar_path == values['lidar_path']
    assert frame.command.tolist() == [0, 1, 0, 0]
    assert frame.pose[:2].tolist() == values['ego2global_translation'][:2]
    assert frame.pose[2] == pytest.approx(tiny_navsim.ORIGIN[2])
    assert frame.annotations.names == tuple(values['anns']['gt_names'])
    assert frame.annotations.track_tokens == tuple(values['anns']['track_tokens'])
    assert frame.annotations.boxes.tolist() == values['anns']['gt_boxes'].tolist()
    assert frame.annotations.velocity.tolist() == values['anns']['gt_velocity_3d'].tolist()
    assert type(frame.annotations.boxes) is np.ndarray


def test_precision_is_that_of_the_devkit(changed):
    def change(raw):
        raw[0]['ego_dynamic_state'] = [8.1, 0.3, -0.7, 1e-9]
        raw[0]['ego2global_translation'] = [664083.7590183124, 3995995.8157750675, 0.0]
    frame = read_log(changed(change)).frames[0]
    assert frame.pose[:2].tolist() == [664083.7590183124, 3995995.8157750675]
    assert frame.velocity.dtype == frame.acceleration.dtype == np.float32
    assert frame.velocity.tolist() == [np.float32(8.1), np.float32(0.3)]
    assert frame.acceleration.tolist() == [np.float32(-0.7), np.float32(1e-9)]
    assert frame.annotations.boxes.dtype == np.float32


@pytest.mark.parametrize('quaternion, yaw', [
    # What pyquaternion 0.9.9 says: Quaternion(...).yaw_pitch_roll[0].
    ([1.0, 0.0, 0.0, 0.0], 0.0),
    ([0.8, 0.0, 0.0, 0.6], 1.2870022175865687),
    ([0.9, 0.1, -0.2, 0.3], 0.6989996140390012),
    ([0.3, -0.2, 0.1, -0.9], -2.514521991000775),
    ([9.0, 1.0, -2.0, 3.0], 0.6989996140390012),
])
def test_yaw_is_pyquaternions(quaternion, yaw):
    assert yaw_of(np.array(quaternion)) == pytest.approx(yaw, abs=1e-15)


def test_las_vegas_has_a_longer_name_among_the_maps(changed):
    def change(raw):
        for frame in raw:
            frame['map_location'] = 'las_vegas'
    assert read_log(changed(change)).map_name == 'us-nv-las-vegas-strip'


def test_cameras_are_placed_in_the_lidar_frame(tiny):
    frame, raw = read_log(tiny).frames[0], pickle.loads(tiny.read_bytes())[0]
    assert set(frame.cameras) == set(tiny_navsim.CAMERA_YAWS_DEG)
    camera, values = frame.cameras['CAM_L0'], raw['cams']['CAM_L0']
    assert camera.data_path == values['data_path']
    assert (camera.sensor2lidar[:3, :3] == values['sensor2lidar_rotation']).all()
    assert (camera.sensor2lidar[:3, 3] == values['sensor2lidar_translation']).all()
    assert camera.sensor2lidar[3].tolist() == [0, 0, 0, 1]
    assert (camera.intrinsics == values['cam_intrinsic']).all()
    assert (camera.distortion == values['distortion']).all()


def test_the_lidar_is_turned_and_moved_into_the_ego_frame(changed):
    def change(raw):
        raw[0]['lidar2ego_rotation'] = [np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]
        raw[0]['lidar2ego_translation'] = [1.5, 0.0, 1.6]
    lidar2ego = read_log(changed(change)).frames[0].lidar2ego
    # A quarter turn to the left: what the LiDAR sees ahead lies at the ego's left.
    assert lidar2ego @ [10.0, 0.0, 0.0, 1.0] == pytest.approx([1.5, 10.0, 1.6, 1.0])


def test_a_log_without_calibration_or_sensors_can_still_be_scored(changed):
    def change(raw):
        raw[0]['cams'] = {'CAM_F0': {'data_path': 'none.jpg'}, 'CAM_B0': {}}
        raw[0]['lidar_path'] = None
    frame = read_log(changed(change)).frames[0]
    assert frame.cameras == {}
    assert frame.lidar_path is None


def test_a_frame_without_objects_has_empty_arrays(changed):
    def change(raw):
        raw[0]['anns'] = {key: [] for key in raw[0]['anns']}
        raw[0]['traffic_lights'] = []
    annotations = read_log(changed(change)).frames[0].annotations
    assert annotations.boxes.shape == (0, 7)
    assert annotations.velocity.shape == (0, 3)
    assert annotations.names == annotations.track_tokens == ()


def test_names_may_be_a_numpy_array(changed):
    def change(raw):
        raw[0]['anns']['gt_names'] = np.array(raw[0]['anns']['gt_names'])
    names = read_log(changed(change)).frames[0].annotations.names
    assert all(type(name) is str for name in names)


@pytest.mark.parametrize('key', [
    'token', 'timestamp', 'log_name', 'map_location', 'roadblock_ids', 'traffic_lights', 'anns',
    'ego2global_translation', 'ego2global_rotation', 'ego_dynamic_state', 'driving_command',
    'cams', 'lidar_path', 'lidar2ego_rotation', 'lidar2ego_translation'])
def test_a_missing_key_is_named_with_its_frame(changed, key):
    with pytest.raises(LogError, match=rf"tiny\.pkl, frame 3: there is no '{key}'; .*copy it"):
        read_log(changed(lambda raw: raw[3].pop(key)))


@pytest.mark.parametrize('key', ['gt_boxes', 'gt_names', 'gt_velocity_3d', 'instance_tokens',
                                 'track_tokens'])
def test_a_missing_or_short_annotation_is_named(changed, key):
    with pytest.raises(LogError, match=f'frame 1, anns: the lists differ in length: .*{key} '):
        read_log(changed(lambda raw: raw[1]['anns'].update({key: raw[1]['anns'][key][1:]})))
    with pytest.raises(LogError, match=f"frame 1, anns: there is no '{key}'"):
        read_log(changed(lambda raw: raw[1]['anns'].pop(key)))


@pytest.mark.parametrize('key, value, reason', [
    ('token', '', "expected text, got ''"),
    ('token', 7, 'expected text, got 7'),
    ('timestamp', 1.5, 'expected a whole number'),
    ('anns', None, 'expected a dictionary, got NoneType'),
    ('cams', [], 'expected a dictionary, got list'),
    ('roadblock_ids', '123', 'expected a list, got str'),
    ('roadblock_ids', [None], 'expected texts or whole numbers, got None'),
    ('traffic_lights', [(1, True, 2)], 'expected pairs'),
    ('traffic_lights', [1], 'expected pairs'),
    ('traffic_lights', [(0.5, True)], 'expected texts or whole numbers, got 0.5'),
    ('ego2global_translation', [1.0, 2.0], r'expected shape \[3\], got \[2\]'),
    ('ego2global_translation', [1.0, np.nan, 0.0], 'not finite'),
    ('ego2global_rotation', [0.0, 0.0, 0.0, 0.0], 'all zero'),
    ('ego2global_rotation', ['a', 0, 0, 0], 'no array of numbers'),
    ('ego_dynamic_state', [1.0, 2.0, 3.0], r'expected shape \[4\], got \[3\]'),
    ('ego_dynamic_state', None, 'got an array of object'),
    ('driving_command', [0, np.inf, 0, 0], 'not finite'),
    ('lidar2ego_rotation', [0.0, 0.0, 0.0, 0.0], 'all zero'),
])
def test_a_value_that_cannot_be_is_named(changed, key, value, reason):
    with pytest.raises(LogError, match=rf'tiny\.pkl, frame 2.*{key}.*{reason}'):
        read_log(changed(lambda raw: raw[2].update({key: value})))


@pytest.mark.parametrize('key, value, reason', [
    ('gt_boxes', np.zeros((5, 6)), r'expected shape \[N, 7\], got \[5, 6\]'),
    ('gt_boxes', np.full((5, 7), np.nan), 'not finite'),
    ('gt_boxes', [[1.0], [1.0, 2.0]], 'no array of numbers'),
    ('gt_velocity_3d', np.zeros((5, 2)), r'expected shape \[N, 3\], got \[5, 2\]'),
])
def test_a_box_that_cannot_be_is_named(changed, key, value, reason):
    with pytest.raises(LogError, match=f'frame 2, anns: {key}: {reason}'):
        read_log(changed(lambda raw: raw[2]['anns'].update({key: value})))


def test_a_wrong_calibration_is_named(changed):
    def change(raw):
        raw[2]['cams']['CAM_F0']['cam_intrinsic'] = np.eye(4)
    with pytest.raises(LogError, match=r'frame 2, cams, CAM_F0: cam_intrinsic: .*got \[4, 4\]'):
        read_log(changed(change))


def test_time_must_ascend(changed):
    with pytest.raises(LogError, match='frame 4: its timestamp .* does not come after'):
        read_log(changed(lambda raw: raw[4].update(timestamp=raw[3]['timestamp'])))


def test_a_token_may_be_there_once_only(changed):
    with pytest.raises(LogError, match='frame 4: frame 1 has the token'):
        read_log(changed(lambda raw: raw[4].update(token=raw[1]['token'])))


@pytest.mark.parametrize('key', ['log_name', 'map_location'])
def test_one_file_holds_one_log(changed, key):
    with pytest.raises(LogError, match=f'{key} changes within the log'):
        read_log(changed(lambda raw: raw[4].update({key: 'another'})))


@pytest.mark.parametrize('value', [[], {}, 'text', None])
def test_what_is_no_list_of_frames_is_refused(changed, value):
    path = changed(lambda raw: None)
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(LogError, match='expected a list of frames'):
        read_log(path)


def test_a_log_that_would_run_something_is_refused(changed):
    with pytest.raises(UnpicklingRefusal, match=r'builtins\.print'):
        read_log(changed(lambda raw: raw[0].update(token=print)))


def test_logs_are_found_down_to_two_levels(tmp_path):
    for name in ('b.pkl', 'test/a.pkl', 'navsim_logs/trainval/c.pkl', 'w/x/y/too_deep.pkl',
                 'test/notes.txt', 'test/._a.pkl', 'empty/y.txt'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_logs(tmp_path)] == ['a.pkl', 'b.pkl', 'c.pkl']
    with pytest.raises(LogError, match='empty: neither here nor two levels below lies a log'):
        find_logs(tmp_path / 'empty')
    with pytest.raises(LogError, match='nowhere: no such folder'):
        find_logs(tmp_path / 'nowhere')


@pytest.mark.shared_data
def test_logs_in_the_real_format_are_read(shared_golden):
    logs = [read_log(path) for path in find_logs(shared_golden / 'fixture' / 'navsim_logs')]
    assert len(logs) == 8
    assert all(len(log.frames) == 14 for log in logs)
    assert all(frame.cameras == {} for log in logs for frame in log.frames)
