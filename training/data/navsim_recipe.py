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

"""A cache of NAVSIM's scenes: which logs are read, and what is made of each scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
import json
from pathlib import Path
from typing import Any

import numpy as np
from pair_drive_ros.models.features import FEATURE_VERSION
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import CacheHeader
from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.frames import LogError, SceneFrames
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import INDEX, MapStore
from pair_drive_training.data.recipe import Scan, Source, Stage
from pair_drive_training.data.records import (
    make_records,
    pack_records,
    RECORD_VERSIONS,
    SCENES,
    TRAFFIC,
)
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.data.shards import stack_records
from pair_drive_training.data.synthetic_scene import read_synthetic_scene
from pair_drive_training.data.targets import scene_targets
from pair_drive_training.data.transfuser_scene import FEATURE_SPECS, FEATURES, scene_features

TARGETS = 'targets'
SYNTHETIC_LOG = 'synthetic'
# A job reads as many pickles as a chunk has scenes.
SYNTHETIC_FILES = 64


@dataclass(frozen=True)
class Maps:
    """Cities of a folder of maps, kept in memory once per process."""

    root: Path
    store: Path

    def city(self, name: str) -> CityMap:
        """
        Return a city.

        :raises MapError: when the maps lack it or its file is damaged
        """
        return _map_store(self).city(name)

    def versions(self) -> dict[str, str]:
        """
        Return the version of every city.

        :raises MapError: when there is no index of maps
        """
        _map_store(self)
        return {city: entry['version']
                for city, entry in json.loads((self.root / INDEX).read_text()).items()}


class RecordStage:
    """Records for policies and scores, as ``records.py`` makes them."""

    of_synthetic = True

    def __init__(self, kinds: Sequence[str], maps: Maps):
        self.kinds: Mapping[str, int] = {kind: RECORD_VERSIONS[kind] for kind in kinds}
        self._maps = maps

    def make(self, scene: SceneFrames, wanted: Sequence[str]) -> dict[str, Any]:
        """Make the wanted records of a scene."""
        return make_records(scene, self._maps.city(scene.map_name), wanted)

    def pack(self, kind: str, records: Sequence[Any]) -> dict[str, np.ndarray]:
        """Turn records into arrays."""
        return pack_records(kind, records)


class FeatureStage:
    """
    The networks' features, from the sensors' files.

    The class knows all kinds of them, a stage makes those it is asked for.
    """

    kinds: Mapping[str, int] = dict.fromkeys(FEATURE_SPECS, FEATURE_VERSION)
    of_synthetic = True

    def __init__(self, kinds: Sequence[str], sensors: Path, synthetic_sensors: Path):
        self.kinds = dict.fromkeys(kinds, FEATURE_VERSION)
        self._sensors = sensors
        self._synthetic_sensors = synthetic_sensors

    def make(self, scene: SceneFrames, wanted: Sequence[str]) -> dict[str, Any]:
        """Read the current frame's sensors, once for all kinds."""
        root = self._synthetic_sensors if scene.synthetic else self._sensors
        return scene_features(scene, root, wanted)

    def pack(self, kind: str, records: Sequence[Any]) -> dict[str, np.ndarray]:
        """Stack the features."""
        return stack_records(records)


class TargetStage:
    """What a network learns from; synthetic scenes have no human to learn from."""

    kinds: Mapping[str, int] = {TARGETS: 1}
    of_synthetic = False

    def __init__(self, maps: Maps):
        self._maps = maps

    def make(self, scene: SceneFrames, wanted: Sequence[str]) -> dict[str, Any]:
        """Make the targets of a scene."""
        return {TARGETS: scene_targets(scene, self._maps.city(scene.map_name))}

    def pack(self, kind: str, records: Sequence[Any]) -> dict[str, np.ndarray]:
        """Stack the targets."""
        return stack_records(records)


class NavsimRecipe:
    """
    Scenes of OpenScene logs, and of second-stage pickles, by a scene filter.

    :param logs: folder of the logs, or the one above its splits
    :param maps: cities, and where their compact copies are kept
    :param scene_filter: which scenes are asked for; ``split`` its name
    :param protocols: whose records are made
    :param sensors: folder of the sensor blobs; None: no features and no targets
    :param features: kinds of features that are made
    :param synthetic: folder of the pickles of synthetic scenes
    :param synthetic_sensors: their sensor blobs
    :raises MapError: when there is no index of maps
    """

    preload = (__name__,)

    def __init__(self, logs: Path, maps: Maps, scene_filter: SceneFilter, split: str,
                 protocols: Sequence[Protocol], *, sensors: Path | None = None,
                 features: Sequence[str] = (FEATURES,), synthetic: Path | None = None,
                 synthetic_sensors: Path | None = None):
        self._logs = logs
        self._maps = maps
        self._filter = scene_filter
        self._synthetic = synthetic
        # What fails apart is a stage apart: without a route there is no score, but a drive.
        self.stages: list[Stage] = [
            RecordStage([SCENES], maps),
            RecordStage([protocol.value for protocol in protocols], maps)]
        if Protocol.NAVSIM_V2 in protocols:
            self.stages.append(RecordStage([TRAFFIC], maps))
        if sensors is not None:
            self.stages += [FeatureStage(features, sensors, synthetic_sensors or sensors),
                            TargetStage(maps)]
        self.header = CacheHeader({kind: version for stage in self.stages
                                   for kind, version in stage.kinds.items()},
                                  maps.versions(), (split,))

    @property
    def asked(self) -> tuple[str, ...] | None:
        """Tokens that the filter lists, None where it takes what the logs hold."""
        listed = self._filter
        if listed.tokens is None or listed.max_scenes is not None:
            return None
        synthetic = (listed.synthetic_scene_tokens if listed.synthetic_scene_tokens is not None
                     else listed.reactive_synthetic_initial_tokens)
        return listed.tokens + ((synthetic or ()) if listed.include_synthetic_scenes else ())

    @property
    def max_scenes(self) -> int | None:
        """How many of the first scenes are taken, None for all."""
        return self._filter.max_scenes

    def sources(self) -> list[Source]:
        """
        Return the logs that may hold scenes, then the synthetic scenes' files.

        A log that the filter names and the folder lacks is a source without a file.

        :raises LogError: when a folder is missing or has no log
        """
        paths = find_logs(self._logs)
        sources = [Source(path.stem, (path,)) for path in paths
                   if self._filter.wants_log(path.stem)]
        lacking = sorted(set(self._filter.log_names or ()) - {path.stem for path in paths})
        sources += [Source(name, ()) for name in lacking]
        return sources + self._synthetic_sources()

    def _synthetic_sources(self) -> list[Source]:
        if not self._filter.include_synthetic_scenes:
            return []
        if self._synthetic is None:
            raise LogError('the filter asks for synthetic scenes; give the folder of their '
                           'pickles (--synthetic)')
        files = sorted(self._synthetic.glob('*.pkl'))
        if not files:
            raise LogError(f'{self._synthetic}: there is no synthetic scene (*.pkl) here; give '
                           f'the folder synthetic_scene_pickles of the split')
        return [Source(SYNTHETIC_LOG, tuple(files[start:start + SYNTHETIC_FILES]), True)
                for start in range(0, len(files), SYNTHETIC_FILES)]

    def scan(self, source: Source) -> Scan:
        """Read a source and find the scenes that are asked for."""
        if not source.paths:
            return Scan((), unreadable=(f'{self._logs}: there is no log {source.name}.pkl, which '
                                        f'the filter names; download it',))
        scenes: list[SceneFrames] = []
        unreadable = []
        for path in source.paths:
            try:
                scenes += self._read(path, source.synthetic)
            except LogError as error:
                unreadable.append(str(error))
        return Scan(tuple(scene.token for scene in scenes),
                    tuple(sorted({scene.map_name for scene in scenes})), tuple(unreadable))

    def prepare_map(self, name: str) -> None:
        """Make the compact copy of a city, before every process would."""
        self._maps.city(name)

    def scenes(self, source: Source, tokens: Sequence[str]) -> list[SceneFrames]:
        """Read these scenes of a source."""
        wanted = set(tokens)
        return [scene for path in source.paths for scene in self._read(path, source.synthetic)
                if scene.token in wanted]

    def _read(self, path: Path, synthetic: bool) -> list[SceneFrames]:
        if not synthetic:
            return scenes_of_log(read_log(path), self._filter)
        scene = read_synthetic_scene(path)
        wanted = self._filter.wants_log(scene.log_name) and self._filter.wants_synthetic(
            scene.token)
        return [scene] if wanted else []


@lru_cache(maxsize=1)
def _map_store(maps: Maps) -> MapStore:
    return MapStore(maps.root, maps.store)
