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

"""One drive of a world, in a worker process: simulate, log, select scenes, render, write aside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
import hashlib
from pathlib import Path
from typing import Any, Protocol

from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.log import read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.log_writer import log_bytes, log_frames, STEPS_A_FRAME
from pair_drive_training.world.scene_selection import select_scenes
from pair_drive_training.world.sensors.camera_rig import CameraModel
from pair_drive_training.world.traffic.drive import Drive
from pair_drive_training.world.world_folder import (
    ALL_MAPS,
    LOGS,
    MAPS,
    Record,
    SENSORS,
    sum_of,
    WorldFolder,
    writable,
)


class WorldSource(Protocol):
    """
    Where drives come from; pickled to the workers.

    ``cameras`` are all that logs name, ``preload`` the modules that every worker needs.
    """

    cameras: Sequence[CameraModel]
    preload: Sequence[str]

    def write_maps(self, folder: Path) -> None:
        """Write nuPlan's maps of all cities of the world."""

    def location(self, key: DriveKey) -> str:
        """Return the name of the city that a drive is in."""

    def drive(self, key: DriveKey) -> Drive:
        """Simulate a drive."""

    def sensor_files(self, key: DriveKey, drive: Drive,
                     steps: Sequence[int]) -> Iterator[dict[str, bytes]]:
        """Yield what is sensed at each of the steps: ``CAM_F0/{token}.jpg`` -> the file."""


@dataclass(frozen=True)
class DriveMaker:
    """What workers need: where drives come from, and where they are written."""

    source: WorldSource
    folder: WorldFolder

    def make_maps(self) -> Record:
        """
        Write the maps aside.

        :raises WorldError: when the disk refuses
        """
        staged = self.folder.staging(ALL_MAPS)
        with writable(staged):
            self.source.write_maps(staged / MAPS)
            return Record({path.relative_to(staged).as_posix(): sum_of(path)
                           for path in staged.rglob('*') if path.is_file()}, {})

    def make(self, key: DriveKey, most: int, stop: Any) -> Record | None:
        """
        Write a drive aside, with the sensors of its first scenes; None when asked to stop.

        ``facts`` of the record are the ``tokens`` of these scenes, the human's score in each, how
        many the drive has to offer, and what became of the other frames. A drive without a scene
        leaves no file.

        :param most: how many scenes are of use
        :raises WorldError: when the disk refuses
        """
        location = self.source.location(key)
        city = city_map(self.folder.path / MAPS, location)
        drive = self.source.drive(key)
        frames = log_frames(drive, key, city, location, self.source.cameras)
        staged = _Staged(self.folder.staging(key.unit))
        with writable(staged.root):
            log_path = f'{LOGS}/{key.split}/{key.log_name}.pkl'
            staged.write(log_path, log_bytes(frames))
            # Read back: what is selected is what a reader of the log will see.
            selection = select_scenes(read_log(staged.root / log_path), city)
            tokens = selection.tokens[:most]
            facts = {'tokens': list(tokens), 'human': list(selection.human[:most]),
                     'offered': len(selection.tokens), 'candidates': selection.candidates,
                     'easy': selection.easy, 'poor': selection.poor,
                     'unscored': selection.unscored}
            if not tokens:
                self.folder.discard(key.unit)
                return Record({}, facts)
            index_of = {frame['token']: index for index, frame in enumerate(frames)}
            steps = [STEPS_A_FRAME * index_of[token] for token in tokens]
            sensed = self.source.sensor_files(key, drive, steps)
            for token, files in zip(tokens, sensed, strict=True):
                if stop.value:
                    return None
                for name, content in files.items():
                    staged.write(f'{SENSORS}/{key.split}/{key.log_name}/'
                                 f'{name.format(token=token)}', content)
        return Record(staged.sums, facts)


def cut(record: Record, count: int, staged: Path) -> Record:
    """Drop all but the first ``count`` scenes of a drive that is written aside."""
    surplus = set(record.facts['tokens'][count:])
    files = {}
    for path, entry in record.files.items():
        if Path(path).stem in surplus:
            (staged / path).unlink()
        else:
            files[path] = entry
    return Record(files, {**record.facts, 'tokens': record.facts['tokens'][:count],
                          'human': record.facts['human'][:count]})


@lru_cache(maxsize=4)
def city_map(maps: Path, name: str) -> CityMap:
    """Return a city, read once per process."""
    return MapStore(maps).city(name)


class _Staged:
    """Files that are written aside, and their sums."""

    def __init__(self, root: Path):
        self.root = root
        self.sums: dict[str, tuple[int, str]] = {}

    def write(self, path: str, content: bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.sums[path] = len(content), hashlib.sha256(content).hexdigest()
