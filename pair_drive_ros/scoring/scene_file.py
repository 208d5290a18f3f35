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

"""Scenes, plans and scores in npz files (the schema is described in docs/scoring.md)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
import zipfile
import zlib

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.scoring.aggregation import (
    epdms,
    epdms_without_extended_comfort,
    multiplier,
    pdms,
)
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scene import History, Objects, Polygons, Reference, Scene
from pair_drive_ros.scoring.sub_scores import SubScores

HISTORY_FRAMES = 4
V1_COLUMNS = ('NC', 'DAC', 'EP', 'TTC', 'C', 'DDC', 'PDMS')
V2_COLUMNS = ('NC', 'DAC', 'DDC', 'TLC', 'EP', 'TTC', 'LK', 'HC', 'mult', 'pdm_score', 'EC',
              'EPDMS', 'EPDMS_noEC')


class SceneFileError(ValueError):
    """A file of scenes is missing, is not an npz archive, or lacks a field."""


class SceneFile:
    """
    Read-only view of a file of scenes; fields are read when asked for, never unpickled.

    :raises SceneFileError: when the file cannot be read as an npz archive
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        try:
            if not zipfile.is_zipfile(self.path):
                self.path.open('rb').close()
                raise SceneFileError(f'{self.path}: not an npz archive, or one that was cut off; '
                                     'copy it again, or write it with numpy.savez')
            self._archive = np.load(self.path, allow_pickle=False)
            fields = self._archive.files
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise SceneFileError(f'{self.path}: cannot be read: {error}') from error
        self._fields = frozenset(fields)
        self.keys = sorted({field.split('/')[0] for field in fields if '/' in field})

    def __enter__(self) -> 'SceneFile':
        """Return the open file."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the archive."""
        self._archive.close()

    def has(self, key: str, field: str) -> bool:
        """Whether scene ``key`` has the field."""
        return f'{key}/{field}' in self._fields

    def read(self, key: str, field: str) -> np.ndarray:
        """
        Read one field of scene ``key``.

        :raises SceneFileError: when it is missing or would have to be unpickled
        """
        name = f'{key}/{field}'
        if name not in self._fields:
            raise SceneFileError(f'{self.path}: field {name} is missing')
        try:
            return self._archive[name]
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SceneFileError(f'{self.path}: field {name}: {error}') from error

    def plans(self, key: str) -> np.ndarray:
        """Plans [K, 8, 3] of scene ``key``."""
        return self.read(key, 'trajectories')

    def previous_plans(self, key: str) -> np.ndarray | None:
        """Plans [K, 8, 3] of the frame before, in its ego frame, where the file has them."""
        field = 'prev_trajectories'
        return self.read(key, field) if self.has(key, field) else None

    def scene(self, key: str, protocol: Protocol) -> Scene:
        """
        Build scene ``key`` as the protocol sees it.

        :raises SceneFileError: when a field is missing
        :raises SceneError: when a field has a wrong shape or is not finite
        """
        version = {Protocol.NAVSIM_V1: 'v1', Protocol.NAVSIM_V2: 'v2'}[protocol]

        def read(field: str) -> np.ndarray:
            return self.read(key, field)

        history, human, red, red_on = None, None, None, None
        if protocol is Protocol.NAVSIM_V2:
            if self.has(key, 'ego_frames'):
                frames = read('ego_frames')[:HISTORY_FRAMES]
                history = History(frames[:, 0].astype(np.int64), frames[:, 3:])
            human = read('human_traj') if self.has(key, 'human_traj') else None
            red, red_on = self._polygons(key, 'red'), read('red/on')
        return Scene(
            name=str(read('name')), ego=read('ego'), time_us=int(read('ego_time_us')),
            polygons=self._polygons(key, 'map'), layers=read('map/type'),
            on_route=np.isin(read('map/token'), read('route_lane_ids')),
            centreline=read('centerline')[:, :2],
            objects=Objects(
                kind=read(f'{version}/tracks/type'), size=read(f'{version}/tracks/dims')[:, :2],
                boxes=read(f'{version}/tracks/box'), velocity=read(f'{version}/tracks/vel'),
                seen=read(f'{version}/tracks/valid')),
            reference=Reference(read(f'{version}/ref_time_us'),
                                read(f'{version}/ref_states')[:, :3]),
            red=red, red_on=red_on, history=history, human=human)

    def _polygons(self, key: str, group: str) -> Polygons:
        return Polygons(int(self.read(key, f'{group}/n')), self.read(key, f'{group}/ring_xy'),
                        self.read(key, f'{group}/ring_offset'),
                        self.read(key, f'{group}/ring_poly'))


def v1_table(scores: SubScores) -> np.ndarray:
    """Scores [..., 7] in the order of ``V1_COLUMNS``."""
    return np.stack([scores.nc, scores.dac, scores.ep, scores.ttc, scores.comfort, scores.ddc,
                     pdms(scores)], axis=-1)


def v2_table(scores: SubScores, unfiltered: SubScores) -> np.ndarray:
    """
    Scores [..., 13] in the order of ``V2_COLUMNS``.

    Column ``pdm_score`` is what the devkit's scorer reports by itself: unfiltered, without EC.
    """
    return np.stack([scores.nc, scores.dac, scores.ddc, scores.tlc, scores.ep, scores.ttc,
                     scores.lk, scores.comfort, multiplier(scores),
                     epdms_without_extended_comfort(unfiltered), scores.ec, epdms(scores),
                     epdms_without_extended_comfort(scores)], axis=-1)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """
    Write an npz archive that appears under its name only when it is complete.

    :raises OSError: when the folder cannot be written to
    """
    with written_whole(Path(path)) as file:
        np.savez(file, **arrays)
