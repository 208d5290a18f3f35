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

"""Which frames are kept: those that constant velocity fails in and the human does not."""

import numpy as np
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.log import read_log
from pair_drive_training.world import scene_selection
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.log_writer import log_bytes, log_frames
from pair_drive_training.world.scene_selection import select_scenes
from pair_drive_training.world.sensors.camera_rig import MINI
import pytest
import tiny_navsim
from tiny_world import braking_drive

KEY = DriveKey(7, 'train', 0)


@pytest.fixture(scope='module')
def city(tmp_path_factory):
    """Map of the tiny city."""
    return read_city(tiny_navsim.write_city(tmp_path_factory.mktemp('maps')), tiny_navsim.CITY)


def log_of(drive, city, tmp_path):
    path = tmp_path / f'{KEY.log_name}.pkl'
    path.write_bytes(log_bytes(log_frames(drive, KEY, city, tiny_navsim.CITY, MINI.cameras)))
    return read_log(path)


def test_driving_into_a_queue_at_constant_speed_is_worth_keeping(city, tmp_path):
    log = log_of(braking_drive(KEY), city, tmp_path)
    selection = select_scenes(log, city)
    assert selection.candidates == 10 and selection.unscored == selection.easy == 0
    assert len(selection.tokens) == 10 - selection.poor >= 8
    kept = [frame.token for frame in log.frames if frame.token in selection.tokens]
    assert list(selection.tokens) == kept
    assert all(0.8 <= score <= 1.0 for score in selection.human)


def test_an_empty_road_is_not(city, tmp_path):
    drive = braking_drive(KEY)
    drive.present[:] = False
    drive.ego[:, :3] = tiny_navsim.to_map(np.column_stack(
        [20.0 + np.arange(len(drive.ego)), np.full(len(drive.ego), -1.75),
         np.zeros(len(drive.ego))]))
    drive.ego[:, 3], drive.ego[:, 5] = 10.0, 0.0
    selection = select_scenes(log_of(drive, city, tmp_path), city)
    assert selection.tokens == () and selection.easy == selection.candidates == 10


def test_where_the_human_collides_nothing_is_kept(city, tmp_path):
    drive = braking_drive(KEY)
    # The queue stands where the ego comes to a halt.
    drive.poses[:, 0, :2] -= 12.0 * np.array([np.cos(0.3), np.sin(0.3)])
    selection = select_scenes(log_of(drive, city, tmp_path), city)
    assert selection.tokens == () and selection.poor == 10


def test_of_many_some_are_taken_that_spread_evenly(city, tmp_path, monkeypatch):
    log = log_of(braking_drive(KEY), city, tmp_path)
    every = select_scenes(log, city).tokens
    monkeypatch.setattr(scene_selection, 'MAX_SCENES_A_DRIVE', 2)
    assert select_scenes(log, city).tokens == (every[0], every[-1])


def test_scenes_that_cannot_be_scored_are_counted(city, tmp_path):
    log = log_of(braking_drive(KEY), city, tmp_path)
    other = read_city(city_without_the_route(tmp_path), tiny_navsim.CITY)
    selection = select_scenes(log, other)
    assert selection.unscored == selection.candidates == 10 and selection.tokens == ()


def city_without_the_route(folder):
    path = folder / 'empty.gpkg'
    tiny_navsim.write_geopackage(path, {}, tiny_navsim.CRS)
    return path
