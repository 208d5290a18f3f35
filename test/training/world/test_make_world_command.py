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

"""The command make-world on the real towns, traffic and sensors; the picture of what it made."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.data.targets import scene_targets
from pair_drive_training.data.transfuser_scene import scene_features
from pair_drive_training.world import make_world_command
from pair_drive_training.world.contact_sheet import contact_sheet, examples
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.procedural_world import town_of, TOWNS_OF_SPLIT
from pair_drive_training.world.sensors.camera_rig import RigError
from pair_drive_training.world.towns.world_towns import TOWNS
from pair_drive_training.world.world_folder import WorldError
import pytest


def command(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    make_world_command.add_arguments(parser)
    return make_world_command.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Path:
    """Make two scenes of the validation towns."""
    out = tmp_path_factory.mktemp('world') / 'out'
    assert command(out, '--scenes', 2, '--seed', 7, '--split', 'val', '--processes', 1) == 0
    return out


def scenes_of(world):
    wanted = SceneFilter.from_yaml(world / 'scene_filter' / 'world_val.yaml')
    return [scene for path in find_logs(world / 'navsim_logs')
            for scene in scenes_of_log(read_log(path), wanted)]


def test_the_loaders_read_maps_logs_and_sensors(world):
    scenes = scenes_of(world)
    assert len(scenes) == 2
    maps = MapStore(world / 'maps')
    for scene in scenes:
        features = scene_features(scene, world / 'sensor_blobs', ['features'])['features']
        assert features['camera_feature'].shape == (3, 256, 1024)
        assert features['camera_feature'].std() > 15.0
        assert (features['lidar_feature'] > 0).sum() > 300
        targets = scene_targets(scene, maps.city(scene.map_name))
        assert set(np.unique(targets['bev_semantic_map'])) >= {0, 1}


def test_all_four_cities_have_a_map(world):
    maps = MapStore(world / 'maps')
    for name in ('sg-one-north', 'us-ma-boston', 'us-nv-las-vegas-strip',
                 'us-pa-pittsburgh-hazelwood'):
        assert maps.city(name).lanes


def test_the_summary_names_the_checksum(world, capsys):
    assert command(world, '--scenes', 2, '--seed', 7, '--split', 'val', '--processes', 1) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[1].split()[:2] == ['val', '2']
    assert '0 scenes made now; checksum over the content ' in output[2]


def test_the_contact_sheet_has_a_row_for_each_scene(world):
    tokens = [scene.token for scene in scenes_of(world)]
    one, two = (cv2.imdecode(np.frombuffer(contact_sheet(world, chosen), np.uint8),
                             cv2.IMREAD_COLOR) for chosen in (tokens[:1], tokens))
    assert one.shape[1] == two.shape[1] > 1000 and abs(two.shape[0] - 2 * one.shape[0]) < 3
    assert one.std() > 20.0


def test_the_command_leaves_a_contact_sheet_of_all_splits(world):
    assert cv2.imread(str(world / 'contact_sheet.png')).std() > 20.0
    assert examples(world, 6) == [scene.token for scene in scenes_of(world)]


def test_the_contact_sheet_names_a_token_that_is_not_there(world):
    with pytest.raises(WorldError, match='has no scene ffff'):
        contact_sheet(world, ['ffff'])


def test_no_town_is_in_two_splits():
    numbers = [number for split in TOWNS_OF_SPLIT.values() for number in split]
    assert sorted(numbers) == list(range(TOWNS))
    assert town_of(DriveKey(7, 'test', 0)).seed != town_of(DriveKey(7, 'val', 0)).seed


@pytest.mark.parametrize('arguments, sentence', [
    (['--scenes', '0'], 'scenes: expected 1 or more'),
    (['--scenes', '-5'], 'scenes: expected 1 or more'),
    (['--scenes', '2'], 'too few for the splits'),
    (['--seed', '-1'], 'seed: expected 0 or more')])
def test_bad_numbers_are_sentences_and_leave_nothing(tmp_path, arguments, sentence):
    with pytest.raises(WorldError, match=sentence):
        command(tmp_path / 'out', *arguments)
    assert not list(tmp_path.iterdir())


def test_an_unknown_camera_is_named(tmp_path):
    with pytest.raises(RigError, match='CAM_X9'):
        command(tmp_path / 'out', '--cameras', 'CAM_F0,CAM_X9')
    assert not list(tmp_path.iterdir())


def test_another_seed_does_not_go_into_the_folder(world):
    with pytest.raises(WorldError, match='world of seed 7, now asked for seed 8'):
        command(world, '--scenes', 2, '--seed', 8, '--split', 'val')
