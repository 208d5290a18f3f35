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

"""One look through the logs: their scenes, cities, and which sensor files are there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pair_drive_training.data.frames import LogError
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.data.sensors import missing_files, SensorError
from pair_drive_training.data.transfuser_scene import SCENE_CAMERAS
from pair_drive_training.doctor.report import progress

FILES_A_SCENE = len(SCENE_CAMERAS) + 1


@dataclass(frozen=True)
class SurveyedLog:
    """
    What a log holds of what is asked for.

    ``tokens`` of its scenes; ``missing`` token -> sensor files of its current frame that are
    absent or empty, for incomplete scenes only; ``unnamed`` token -> why the log itself does not
    name them.
    """

    name: str
    city: str
    frames: int
    tokens: tuple[str, ...]
    missing: Mapping[str, tuple[Path, ...]]
    unnamed: Mapping[str, str]


@dataclass
class Survey:
    """
    What a folder of logs holds.

    ``present`` counts the logs that may hold scenes that are asked for, ``opened`` those of them
    that were read or tried; ``absent`` are names that the filter has and the folder has not;
    ``unreadable`` is a sentence for each log that could not be read.
    """

    present: int
    absent: tuple[str, ...]
    opened: int
    logs: list[SurveyedLog] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every log was opened."""
        return self.opened == self.present

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens of all scenes, each once."""
        return tuple(dict.fromkeys(token for log in self.logs for token in log.tokens))

    @property
    def cities(self) -> tuple[str, ...]:
        """Cities that the scenes lie in."""
        return tuple(sorted({log.city for log in self.logs if log.tokens}))


def survey(folder: Path, scene_filter: SceneFilter, sensors: Path | None, quick: bool) -> Survey:
    """
    Read the logs that may hold scenes that are asked for; keep no frames.

    :param sensors: folder of the sensor blobs, None to look for no files
    :param quick: read the first and the last log only
    :raises LogError: when there is no such folder, or no log in it
    """
    paths = find_logs(folder)
    wanted = [path for path in paths if scene_filter.wants_log(path.stem)]
    absent = set(scene_filter.log_names or ()) - {path.stem for path in paths}
    opened = wanted[:1] + wanted[1:][-1:] if quick else wanted
    found = Survey(len(wanted), tuple(sorted(absent)), len(opened))
    room = scene_filter.max_scenes
    with progress('reading logs', len(opened), 'log') as bar:
        for path in opened:
            try:
                log = _read(path, scene_filter, sensors, room)
            except (LogError, OSError) as error:
                found.unreadable.append(str(error))
            else:
                found.logs.append(log)
                room = None if room is None else room - len(log.tokens)
            bar.update()
    return found


def _read(path: Path, scene_filter: SceneFilter, sensors: Path | None,
          room: int | None) -> SurveyedLog:
    log = read_log(path)
    scenes = scenes_of_log(log, scene_filter)[:room]
    missing: dict[str, tuple[Path, ...]] = {}
    unnamed: dict[str, str] = {}
    if sensors is not None:
        for scene in scenes:
            try:
                lacking = missing_files(sensors, scene, SCENE_CAMERAS, lidar=True)
            except SensorError as error:
                unnamed[scene.token] = str(error)
            else:
                if lacking:
                    missing[scene.token] = tuple(lacking)
    return SurveyedLog(path.stem, log.map_name, len(log.frames),
                       tuple(scene.token for scene in scenes), missing, unnamed)
