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

"""Scenes held in memory, along the example road; and a small cache on the disk."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.features import FEATURE_VERSION
from pair_drive_ros.models.refiner import Refiner, RefinerConfig
from pair_drive_ros.models.selector import Selector, SelectorConfig
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.models.tree_config import TreeConfig
from pair_drive_ros.scoring import History, Protocol, ScoringScenes
from pair_drive_ros.scoring.example import example_scene, TIME_US
from pair_drive_training.data.cache import CacheHeader, SCHEMA_VERSION, write_header
from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.frames import SceneFrames
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.records import make_records, pack_records, RECORD_VERSIONS
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.data.shards import ShardCard, write_shard
from pair_drive_training.data.transfuser_scene import FEATURES_MINI
from pair_drive_training.evaluation import evaluate_command
from pair_drive_training.evaluation.one_stage import SceneHead
import pytest
from tiny_cache import noise_features
import tiny_navsim
from tiny_network import TINY
import torch

FRAME_US = 500_000


class Drive:
    """Scenes named ``<log>-<frame>`` 0.5 s apart, all alike but for their time."""

    def __init__(self, logs: dict[str, int], protocol: Protocol):
        self.protocol = protocol
        self.heads = {
            f'{log}-{frame}': SceneHead(f'{log}-{frame}', log, TIME_US + frame * FRAME_US,
                                        np.array([4.0 * frame, 100.0, 0.0]), False)
            for log, frames in logs.items() for frame in range(frames)}
        self.broken: set[str] = set()
        self.history_speed = 8.0
        self.calls: list[list[str]] = []

    def scoring_scenes(self, tokens):
        """Prepare the scenes of tokens; those in ``broken`` raise."""
        self.calls.append(list(tokens))
        for token in tokens:
            if token in self.broken:
                raise ValueError(f'{token}: the record is damaged')
        scenes = []
        for token in tokens:
            shift = self.heads[token].time_us - TIME_US
            scene = example_scene(self.protocol)
            motion = scene.history.motion.copy()
            motion[:-1, 1] = self.history_speed
            scenes.append(replace(
                scene, name=token, time_us=TIME_US + shift,
                history=History(scene.history.times_us + shift, motion), reference=replace(
                    scene.reference, times_us=scene.reference.times_us + shift)))
        return ScoringScenes.prepare(scenes, self.protocol)


def straight(speed: float = 8.0, y: float = 0.0) -> np.ndarray:
    """Plan [1, 8, 3] straight ahead at a speed, shifted to the side."""
    return np.array([[[speed * 0.5 * k, y, 0.0] for k in range(1, 9)]])


@pytest.fixture
def make_drive():
    """Make drives from the number of frames of each log."""
    return Drive


@pytest.fixture
def drive_at():
    """Make plans [1, 8, 3] straight ahead at a speed, shifted to the side by y."""
    return straight


def write_records(cache: Path, log: str, scenes: list[SceneFrames], city: CityMap) -> None:
    """Add the records of the scenes of a log to a cache."""
    records = [make_records(scene, city, list(RECORD_VERSIONS)) for scene in scenes]
    tokens = tuple(scene.token for scene in scenes)
    for kind, version in RECORD_VERSIONS.items():
        write_shard(cache / kind, ShardCard(SCHEMA_VERSION, kind, version, log, tokens, {}),
                    pack_records(kind, [record[kind] for record in records]))


def write_features(cache: Path, log: str, scenes: list[SceneFrames]) -> None:
    """Add features of noise to a cache."""
    write_shard(cache / FEATURES_MINI, ShardCard(
        SCHEMA_VERSION, FEATURES_MINI, FEATURE_VERSION, log,
        tuple(scene.token for scene in scenes), {}),
        noise_features(np.random.default_rng(len(log)), len(scenes)))


class DataSet:
    """
    A cache of the tiny data set: two logs, and second-stage scenes made of two others.

    It has features for mini networks, of noise.

    ``tokens`` by log in the order of time.
    """

    def __init__(self, folder: Path):
        self.cache = folder / 'cache'
        self.tokens: dict[str, list[str]] = {}
        city = read_city(tiny_navsim.write_city(folder / 'maps'), tiny_navsim.CITY)
        write_header(self.cache, CacheHeader(
            {**RECORD_VERSIONS, FEATURES_MINI: FEATURE_VERSION}))
        for log, speed, start_x, synthetic in (
                ('one', 8.0, 40.0, False), ('two', 7.0, 38.0, False), ('after', 8.0, 71.8, True),
                ('beside', 7.0, 70.9, True)):
            frames = read_log(tiny_navsim.write_log(folder / 'logs', log, frames=17, speed=speed,
                                                    start_x=start_x)).frames
            scenes = [SceneFrames(log, tiny_navsim.CITY, frames[first:first + 14], synthetic)
                      for first in range(3)]
            self.tokens[log] = [scene.token for scene in scenes]
            write_records(self.cache, log, scenes, city)
            write_features(self.cache, log, scenes)


@pytest.fixture(scope='session')
def data_set(tmp_path_factory):
    """Build the tiny cache once."""
    return DataSet(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """Save a network as small as TINY, but of images that a cache has; return path and network."""
    torch.manual_seed(3)
    mini = TransfuserConfig.mini()
    network = Transfuser(replace(
        TINY, image_height=mini.image_height, image_width=mini.image_width,
        lidar_bins=mini.lidar_bins, ground_view=True, sensor_validity=True)).eval()
    path = tmp_path_factory.mktemp('checkpoints') / 'small.safetensors'
    save_checkpoint(path, network, TrainingRecord('none', 3, 'none'))
    return path, network


@pytest.fixture(scope='session')
def branch_files(tmp_path_factory):
    """Save the two halves of an RL branch of such a network's size; return their paths."""
    torch.manual_seed(4)
    mini = TransfuserConfig.mini()
    refiner = Refiner(RefinerConfig(replace(
        TINY, image_height=mini.image_height, image_width=mini.image_width,
        lidar_bins=mini.lidar_bins, ground_view=True, sensor_validity=True),
        TreeConfig(group=5, width=16)))
    perception = refiner.config.perception
    selector = Selector(SelectorConfig(perception.bev_width, perception.decoder_width, width=16))
    folder = tmp_path_factory.mktemp('branch')
    paths = folder / 'refiner.safetensors', folder / 'selector.safetensors'
    for path, network in zip(paths, (refiner, selector), strict=True):
        save_checkpoint(path, network.eval(), TrainingRecord('none', 4, 'none'))
    return paths


@pytest.fixture(scope='session')
def golden_cache(tmp_path_factory, shared_golden):
    """Build a cache of the golden scenes from their logs and maps."""
    folder = tmp_path_factory.mktemp('golden')
    write_header(folder, CacheHeader(RECORD_VERSIONS))
    maps = MapStore(shared_golden / 'fixture' / 'maps')
    for path in find_logs(shared_golden / 'fixture' / 'navsim_logs'):
        log = read_log(path)
        write_records(folder, log.log_name, scenes_of_log(log, SceneFilter()),
                      maps.city(log.map_name))
    return folder


@pytest.fixture
def evaluate_in(tmp_path):
    """Run the command over a cache; return its exit code and the folder of the results."""
    def call(cache, protocol, *arguments, out=tmp_path / 'out'):
        parser = argparse.ArgumentParser()
        evaluate_command.add_arguments(parser)
        options = ['--cache', cache, '--protocol', protocol.value, '--out', out, *arguments]
        return evaluate_command.run(parser.parse_args([str(option) for option in options])), out
    return call
