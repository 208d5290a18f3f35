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

"""
The folder of a world: what is in it, in whole units that are there or not, whatever ends a run.

A unit is one drive (its log and its sensor files) or all maps. It is written aside, moved to its
place, and recorded with the checksum of every file; what lies in a unit's place without a record
was left by a run that was killed, and is removed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import hashlib
import json
import os
from pathlib import Path
import shutil
from typing import Any

from pair_drive_training.data.work_folder import LOCK_FILE, locked, write_json

FORMAT = 1
SPLITS = ('train', 'val', 'test')
MANIFEST_FILE, STATE_FOLDER = 'manifest.json', '.units'
MAPS, LOGS, SENSORS, FILTERS = 'maps', 'navsim_logs', 'sensor_blobs', 'scene_filter'
CHUNK_BYTES = 1 << 20

FileSums = Mapping[str, tuple[int, str]]
"""By path relative to the world's folder: size in bytes and SHA-256 (hex)."""


class WorldError(ValueError):
    """A world cannot be made as asked; the sentence says where, why and what to do."""


@dataclass(frozen=True)
class Identity:
    """What all of a world shares; the files follow from it and from the number of scenes."""

    seed: int
    preset: str
    cameras: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """``parts`` of the folder that come and go together, under one ``name``."""

    name: str
    parts: tuple[str, ...]


ALL_MAPS = Unit(MAPS, (MAPS,))


@dataclass(frozen=True)
class Record:
    """What is known of a unit: its ``files``, and ``facts`` in terms of JSON."""

    files: FileSums
    facts: Mapping[str, Any]


class WorldFolder:
    """The folder ``path`` of a world; to be used inside :meth:`opened`, or by its workers."""

    def __init__(self, path: Path, identity: Identity):
        self.path = path
        self.identity = identity

    @contextmanager
    def opened(self) -> Iterator[None]:
        """
        Make or open the folder, alone, and remove what a killed run left in it.

        :raises WorldError: when it cannot be written, holds something else or another world, or
            another process writes there
        """
        with writable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with locked(self.path, WorldError, 'making this world'):
                self._check_identity()
                (self.path / STATE_FOLDER).mkdir(exist_ok=True)
                self._clean()
                try:
                    yield
                finally:
                    self._clean()

    def _check_identity(self) -> None:
        found = self.manifest()
        if found is None:
            strangers = sorted(entry.name for entry in self.path.iterdir()
                               if not entry.name.startswith((LOCK_FILE, STATE_FOLDER,
                                                             f'.{MANIFEST_FILE}')))
            if strangers:
                raise WorldError(f'{self.path}: is no world, but holds {strangers[0]}; name an '
                                 f'empty folder or a new one')
            return
        if found.get('format') != FORMAT:
            raise WorldError(f'{self.path}: a world of format {found.get("format")}, this program '
                             f'writes format {FORMAT}; name another folder')
        for name, value in json.loads(json.dumps(asdict(self.identity))).items():
            if found.get(name) != value:
                raise WorldError(f'{self.path}: holds a world of {name} {_text(found.get(name))}, '
                                 f'now asked for {name} {_text(value)}; two worlds do not mix, '
                                 f'name another folder')

    def _clean(self) -> None:
        """Remove what is written aside, and what lies in place without a record."""
        for entry in (self.path / STATE_FOLDER).iterdir():
            if entry.suffix != '.json' or entry.name.startswith('.'):
                _remove(entry)
        for unfinished in self.path.glob(f'.{MANIFEST_FILE}.*'):
            unfinished.unlink()
        recorded = {entry.stem for entry in (self.path / STATE_FOLDER).iterdir()}
        for top in (LOGS, SENSORS):
            for entry in (self.path / top).glob(f'*/world{self.identity.seed}_*'):
                if entry.stem not in recorded:
                    _remove(entry)
        if MAPS not in recorded:
            _remove(self.path / MAPS)

    def units(self) -> list[Unit]:
        """Return all units that are in their places."""
        found = ((path.stem, _read_json(path))
                 for path in sorted((self.path / STATE_FOLDER).glob('*.json')))
        return [Unit(name, tuple(fields['parts'])) for name, fields in found if fields]

    def record(self, unit: Unit) -> Record | None:
        """Read the record of a unit that is in its place, None if it is not."""
        found = _read_json(self._record_file(unit))
        if found is None:
            return None
        return Record({path: (size, digest) for path, (size, digest) in found['files'].items()},
                      found['facts'])

    def staging(self, unit: Unit) -> Path:
        """Return where a unit is written aside, as a tree like that of the world's folder."""
        return self.path / STATE_FOLDER / f'{unit.name}.unfinished'

    def discard(self, unit: Unit) -> None:
        """Remove what was written aside of a unit."""
        _remove(self.staging(unit))

    def place(self, unit: Unit, record: Record) -> None:
        """Move a unit that was written aside to its place, and record it."""
        self.remove(unit)
        for part in unit.parts:
            staged, place = self.staging(unit) / part, self.path / part
            if staged.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged, place)
        self.discard(unit)
        write_json(self._record_file(unit),
                   {'parts': unit.parts, 'files': record.files, 'facts': record.facts})

    def remove(self, unit: Unit) -> None:
        """Remove a unit from its place."""
        self._record_file(unit).unlink(missing_ok=True)
        for part in unit.parts:
            _remove(self.path / part)

    def _record_file(self, unit: Unit) -> Path:
        return self.path / STATE_FOLDER / f'{unit.name}.json'

    def filter_file(self, split: str) -> Path:
        """Return where the scene filter of a split lies."""
        return self.path / FILTERS / f'world_{split}.yaml'

    def manifest(self) -> dict[str, Any] | None:
        """Read ``manifest.json``, None where there is none."""
        return _read_json(self.path / MANIFEST_FILE)

    def write_manifest(self, **facts: Any) -> None:
        """Write ``manifest.json``: the world's identity, and facts in terms of JSON."""
        write_json(self.path / MANIFEST_FILE, {'format': FORMAT, **asdict(self.identity),
                                               **facts})


def checksum_of(files: FileSums) -> str:
    """
    Sum up the content of a world, in hex.

    It is the SHA-256 of what ``sha256sum`` prints of the files, sorted by path: lines of SHA-256,
    two spaces, path.
    """
    lines = ''.join(f'{digest}  {path}\n' for path, (_, digest) in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def sum_of(path: Path) -> tuple[int, str]:
    """Size and SHA-256 (hex) of a file."""
    sha256 = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
        return file.tell(), sha256.hexdigest()


def damage(root: Path, files: FileSums) -> str | None:
    """Say what is wrong with the first file that is not as recorded, None when all are."""
    for path, expected in files.items():
        try:
            if sum_of(root / path) != expected:
                return f'{root / path}: has changed (other size or checksum)'
        except OSError as error:
            return f'{root / path}: cannot be read ({error.strerror or error})'
    return None


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """
    Turn what the disk refuses into a sentence.

    :raises WorldError: instead of an OSError
    """
    try:
        yield
    except OSError as error:
        raise WorldError(f'{error.filename or path}: {error.strerror or error}; name a folder '
                         f'that can be written and has space, or make room and run the command '
                         f'again: it goes on where it was') from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise WorldError(f'{path}: is damaged ({error}); remove the folder of the world and '
                         f'make it anew, or name another') from error
    if not isinstance(found, dict):
        raise WorldError(f'{path}: is not a file of a world; name another folder')
    return found


def _text(value: object) -> str:
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)
