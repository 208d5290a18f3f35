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

"""The command "cache" on a tiny data set: from logs, maps and sensors to records, end to end."""

import argparse
import json
from pathlib import Path
import pickle
import re

import numpy as np
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data import cache_command
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.frames import LogError
from pair_drive_training.data.log import read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.records import make_records, pack_records, scoring_scene
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.data.targets import scene_targets
from pair_drive_training.data.transfuser_scene import scene_features
import pytest
import tiny_navsim

# The current frames of the scenes of 4 + 10 frames in logs of 16.
FRAMES = 16
NOW = (3, 4, 5)


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    """Return a folder with maps, two logs, and the sensors of the first log."""
    folder = tmp_path_factory.mktemp('navsim')
    tiny_navsim.write_city(folder / 'maps')
    (folder / 'logs' / 'test').mkdir(parents=True)
    for name in ('one', 'two'):
        tiny_navsim.write_log(folder / 'logs' / 'test', name, FRAMES)
    tiny_navsim.write_sensors(folder / 'sensors', 'one', NOW)
    return folder


@pytest.fixture(scope='module')
def built(data, tmp_path_factory) -> Path:
    """Return a cache of everything the tiny data set has."""
    path = tmp_path_factory.mktemp('caches') / 'cache'
    assert run(data, path, '--sensors', str(data / 'sensors')) == 1
    return path


def run(data, out, *more):
    parser = argparse.ArgumentParser()
    cache_command.add_arguments(parser)
    return cache_command.run(parser.parse_args(
        ['--logs', str(data / 'logs'), '--maps', str(data / 'maps'), '--out', str(out),
         '--processes', '2', *more]))


def tokens_of(name):
    return [tiny_navsim.frame_token(name, index) for index in NOW]


def scene_of(data, token):
    return next(scene for path in (data / 'logs' / 'test').iterdir()
                for scene in scenes_of_log(read_log(path), SceneFilter())
                if scene.token == token)


def assert_same(read, expected):
    assert read.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(read[name], value)


def test_every_kind_is_there(built):
    cache = Cache.open(built)
    both = sorted(tokens_of('one') + tokens_of('two'))
    for kind in ('scenes', 'navsim_v1', 'navsim_v2', 'traffic', 'targets'):
        assert sorted(cache.tokens(kind)) == both
    assert sorted(cache.tokens('features')) == sorted(tokens_of('one'))
    assert cache.header.maps == {tiny_navsim.CITY: tiny_navsim.VERSION}
    assert cache.header.splits == ('all scenes',)
    assert cache.verify() == []


@pytest.mark.parametrize('protocol', Protocol)
def test_scoring_scenes_are_those_made_directly(data, built, protocol):
    token = tokens_of('two')[1]
    scene = scene_of(data, token)
    city = MapStore(data / 'maps').city(scene.map_name)
    record = make_records(scene, city, [protocol.value])[protocol.value]
    expected = pack_records(protocol.value, [record])
    read = scoring_scene(Cache.open(built), token, protocol).arrays._asdict()
    assert_same(read, {name: expected[name] for name in read})


def test_records_of_fixed_shapes_are_those_made_directly(data, built):
    cache = Cache.open(built)
    token = tokens_of('one')[2]
    scene = scene_of(data, token)
    city = MapStore(data / 'maps').city(scene.map_name)
    assert_same(cache.read('scenes', token), make_records(scene, city, ['scenes'])['scenes'])
    assert_same(cache.read('targets', token), scene_targets(scene, city))
    assert_same(cache.read('features', token),
                scene_features(scene, data / 'sensors', ['features'])['features'])


def test_the_table_and_the_reasons(data, built, capsys):
    assert run(data, built, '--sensors', str(data / 'sensors')) == 1
    lines = capsys.readouterr().out.split('\n')
    assert lines[0].split() == ['kind', 'complete', 'missing', 'failed', 'MB', 'scenes/s']
    table = {line.split()[0]: line.split()[1:4] for line in lines[1:7]}
    assert table['scenes'] == ['6', '0', '0']
    assert table['features'] == ['3', '0', '3']
    reasons = [line for line in lines if line.startswith('features: ')]
    assert len(reasons) == 1
    assert re.match(r'features: 3 failed, for example \w+: .*/two/CAM_L0/\w+\.jpg: no such file',
                    reasons[0])
    assert lines[-2] == f'{built}: 6 scenes asked for'


def test_a_cache_grows_by_protocol_sensors_and_split(data, tmp_path, capsys):
    one = tmp_path / 'one.txt'
    one.write_text('\n'.join(tokens_of('one')))
    out = tmp_path / 'cache'
    assert run(data, out, '--tokens', str(one), '--protocol', 'navsim_v1') == 0
    assert Cache.open(out).kinds == ('scenes', 'navsim_v1')
    assert run(data, out, '--tokens', str(one), '--protocol', 'navsim_v2') == 0
    assert run(data, out, '--tokens', str(one), '--sensors', str(data / 'sensors')) == 0
    assert run(data, out) == 0
    cache = Cache.open(out)
    assert {kind: len(cache.tokens(kind)) for kind in cache.kinds} == {
        'scenes': 6, 'navsim_v1': 6, 'navsim_v2': 6, 'traffic': 6, 'features': 3, 'targets': 3}
    assert cache.header.splits == ('one.txt', 'all scenes')
    capsys.readouterr()


def test_features_of_both_sizes(data, tmp_path, capsys):
    """Full features first, those of the mini networks added to them, or both at once."""
    one = tmp_path / 'one.txt'
    one.write_text('\n'.join(tokens_of('one')))
    options = ['--tokens', str(one), '--protocol', 'navsim_v1', '--sensors', str(data / 'sensors')]
    grown, together = tmp_path / 'grown', tmp_path / 'together'
    assert run(data, grown, *options) == 0
    assert 'features_mini' not in Cache.open(grown).kinds
    assert run(data, grown, *options, '--features', 'mini') == 0
    assert run(data, together, *options, '--features', 'both') == 0
    for token in tokens_of('one'):
        expected = scene_features(scene_of(data, token), data / 'sensors',
                                  ['features', 'features_mini'])
        for kind in ('features', 'features_mini'):
            assert_same(Cache.open(grown).read(kind, token), expected[kind])
            assert_same(Cache.open(together).read(kind, token), expected[kind])
    assert Cache.open(grown).header.kinds == Cache.open(together).header.kinds
    capsys.readouterr()


def test_features_without_sensors_are_refused(data, tmp_path):
    with pytest.raises(CacheError, match='--features mini: features are made from sensor blobs'):
        run(data, tmp_path / 'cache', '--features', 'mini')


def test_tokens_that_no_log_has(data, tmp_path, capsys):
    listed = tmp_path / 'listed.json'
    listed.write_text(json.dumps([tokens_of('one')[0], '0123456789abcdef']))
    assert run(data, tmp_path / 'cache', '--tokens', str(listed), '--protocol', 'navsim_v1') == 1
    said = capsys.readouterr().out
    assert 'scenes: 1 missing, for example 0123456789abcdef: in none of the logs' in said


def test_a_filter_that_names_a_log_which_is_not_there(data, tmp_path, capsys):
    split = tmp_path / 'split.yaml'
    split.write_text('num_history_frames: 4\nnum_future_frames: 10\nframe_interval: 1\n'
                     'log_names: [two, three]\n')
    assert run(data, tmp_path / 'cache', '--tokens', str(split), '--protocol', 'navsim_v1') == 1
    assert sorted(Cache.open(tmp_path / 'cache').tokens('scenes')) == sorted(tokens_of('two'))
    assert 'there is no log three.pkl, which the filter names' in capsys.readouterr().out


def write_synthetic(folder, log):
    """Write a second-stage scene: the history of a log, and empty streets after it."""
    raw = pickle.loads(log.read_bytes())[:4]
    frames = [{
        'token': frame['token'], 'timestamp': frame['timestamp'],
        'roadblock_ids': frame['roadblock_ids'], 'traffic_lights': frame['traffic_lights'],
        'annotations': {
            'boxes': frame['anns']['gt_boxes'], 'names': frame['anns']['gt_names'],
            'velocity_3d': frame['anns']['gt_velocity_3d'],
            'instance_tokens': frame['anns']['instance_tokens'],
            'track_tokens': frame['anns']['track_tokens']},
        'ego_status': {
            'ego_pose': np.append(frame['ego2global_translation'][:2], 0.3),
            'ego_velocity': np.array(frame['ego_dynamic_state'][:2], np.float32),
            'ego_acceleration': np.array(frame['ego_dynamic_state'][2:], np.float32),
            'driving_command': frame['driving_command'], 'in_global_frame': True},
        'lidar_path': frame['lidar_path'], 'camera_dict': frame['cams'],
    } for frame in raw]
    folder.mkdir()
    (folder / 'scene.pkl').write_bytes(pickle.dumps({
        'scene_metadata': {'log_name': 'one', 'map_name': tiny_navsim.CITY,
                           'initial_token': 'a_synthetic_token', 'num_history_frames': 4},
        'frames': frames,
        'extended_detections_tracks': [{'tracked_objects': {'tracked_objects': []}}] * 10,
        'extended_traffic_light_data': [{'traffic_lights': []}] * 10}))


SYNTHETIC_SPLIT = """
num_history_frames: 4
num_future_frames: 10
frame_interval: 1
tokens: [{token}]
include_synthetic_scenes: true
synthetic_scene_tokens: [a_synthetic_token]
"""


def test_synthetic_scenes(data, tmp_path, capsys):
    split = tmp_path / 'split.yaml'
    split.write_text(SYNTHETIC_SPLIT.format(token=tokens_of('one')[0]))
    options = ['--tokens', str(split), '--sensors', str(data / 'sensors')]
    with pytest.raises(LogError, match='asks for synthetic scenes; give the folder'):
        run(data, tmp_path / 'cache', *options)
    write_synthetic(tmp_path / 'pickles', data / 'logs' / 'test' / 'one.pkl')
    assert run(data, tmp_path / 'cache', *options, '--synthetic', str(tmp_path / 'pickles')) == 0
    cache = Cache.open(tmp_path / 'cache')
    record = cache.read('scenes', 'a_synthetic_token')
    assert record['synthetic']
    assert not record['has_human']
    assert cache.has('navsim_v2', 'a_synthetic_token')
    assert cache.has('features', 'a_synthetic_token')
    assert not cache.has('targets', 'a_synthetic_token')
    assert (tmp_path / 'cache' / 'scenes').is_dir()
    assert any(path.name.startswith('synthetic-')
               for path in (tmp_path / 'cache' / 'scenes').iterdir())
    capsys.readouterr()


def test_refusals(data, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(LogError, match=r'lies a log \(\*\.pkl\)'):
        run(data, tmp_path / 'cache', '--logs', str(tmp_path / 'empty'))
    listed = tmp_path / 'listed.txt'
    listed.write_text('0123456789abcdef\n')
    with pytest.raises(CacheError, match='no scene that the filter asks for is in the 2 logs'):
        run(data, tmp_path / 'cache', '--tokens', str(listed))
    with pytest.raises(CacheError, match='name a folder that can be written'):
        run(data, listed / 'cache')


@pytest.mark.parametrize('count', ['0', '-1', 'many'])
def test_a_number_of_processes_that_is_none(data, tmp_path, count, capsys):
    with pytest.raises(SystemExit):
        run(data, tmp_path, '--processes', count)
    assert 'expected a number of processes from 1 on' in capsys.readouterr().err
