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

"""The cities of a folder of nuPlan maps, with compact local copies that load fast."""

import hashlib
import json
from pathlib import Path

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_training.data.city_map import CityMap, MapError
from pair_drive_training.data.gpkg import read_layers
from pair_drive_training.data.map_layers import build_city, LayerArrays

INDEX = 'nuplan-maps-v1.0.json'
# Rises with every change of the arrays that a copy holds.
COPY_VERSION = 1
_VERSION_KEY = 'copy_version'


class MapStore:
    """
    Cities by name.

    A copy is named by the city, the map's version and a fingerprint of its file: path, size and
    time of change. A digest of the content would have to read some hundred megabytes, most of
    them layers that nobody needs, each time a process starts; a map that was merely copied or
    touched costs one reading more.

    :param maps_root: the folder that holds ``nuplan-maps-v1.0.json`` and a folder per city
    :param store_dir: where copies are kept; without it the map files are read every time
    """

    def __init__(self, maps_root: Path, store_dir: Path | None = None):
        self._root = maps_root
        self._store = store_dir
        self._versions = _versions(maps_root)
        self._cities: dict[str, CityMap] = {}

    def city(self, name: str) -> CityMap:
        """
        Return a city, read once per store.

        :raises MapError: when the index or the folder lacks the city, or its file is damaged
        """
        if name not in self._cities:
            self._cities[name] = build_city(name, self._layers(name))
        return self._cities[name]

    def _layers(self, name: str) -> LayerArrays:
        path = self._map_file(name)
        if self._store is None:
            return read_layers(path)
        copy = self._store / f'{name}-{self._versions[name]}-{_fingerprint(path)}.npz'
        arrays = _read_copy(copy)
        if arrays is None:
            arrays = read_layers(path)
            _write_copy(copy, arrays)
        return arrays

    def _map_file(self, name: str) -> Path:
        if name not in self._versions:
            raise MapError(f'{self._root / INDEX}: there is no city {name}, only '
                           f'{", ".join(sorted(self._versions))}; get the map of that city or '
                           'leave its logs out')
        version = self._versions[name]
        path = self._root / name / version / 'map.gpkg'
        if not path.is_file():
            present = sorted(other.parent.name
                             for other in (self._root / name).glob('*/map.gpkg'))
            raise MapError(f'{path}: map version mismatch: {INDEX} asks for {name} {version}, '
                           f'the folder has {", ".join(present) or "no map.gpkg of that city"}; '
                           f'download that city and {INDEX} together')
        return path


def _versions(root: Path) -> dict[str, str]:
    index = root / INDEX
    if not index.is_file():
        below = sorted(str(found.parent) for found in root.glob(f'*/{INDEX}'))
        raise MapError(f'{root}: there is no {INDEX} here; give the folder that holds it and a '
                       f'folder per city{", perhaps " + " or ".join(below) if below else ""}')
    try:
        return {city: str(entry['version'])
                for city, entry in json.loads(index.read_text()).items()}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise MapError(f'{index}: this is not an index of nuPlan maps ({error!r}); download it '
                       'again') from error


def _fingerprint(path: Path) -> str:
    state = path.stat()
    text = f'{path.resolve()}:{state.st_size}:{state.st_mtime_ns}'
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_copy(copy: Path) -> LayerArrays | None:
    """Read a copy; one that is absent, damaged or of another version is to be made anew."""
    try:
        with np.load(copy, allow_pickle=False) as file:
            # Reading verifies each array's checksum.
            arrays = dict(file)
    except Exception:  # Whatever a damaged archive makes its readers raise.
        return None
    return arrays if arrays.pop(_VERSION_KEY, None) == COPY_VERSION else None


def _write_copy(copy: Path, arrays: LayerArrays) -> None:
    try:
        with written_whole(copy) as file:
            np.savez(file, **arrays, **{_VERSION_KEY: np.array(COPY_VERSION)})
    except OSError as error:
        raise MapError(f'{copy}: the local copy of the map cannot be written ({error}); free '
                       'space there or name another folder') from error
