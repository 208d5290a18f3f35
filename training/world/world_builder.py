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
Make a world: drive after drive until each split has its scenes, in parallel, resumable.

Drives are numbered, and count in the order of their numbers whichever is ready first; so the
files do not depend on the number of processes, nor on interruptions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import math
from pathlib import Path
import platform
import sys
from typing import Any

import cv2
import numba
import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_training.data.workers import Outcome, Workers
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.drive_maker import cut, DriveMaker, WorldSource
from pair_drive_training.world.world_folder import (
    ALL_MAPS,
    checksum_of,
    damage,
    Identity,
    Record,
    SPLITS,
    sum_of,
    Unit,
    WorldError,
    WorldFolder,
)
import pyproj
import shapely
from tqdm import tqdm

# So many drives in a row without a scene are no accident.
MAX_EMPTY_DRIVES = 40
# Scenes of a drive, before there is one.
FIRST_GUESS = 12.0

FILTER = """\
# Scenes of a procedural world, see its manifest.json.
_target_: navsim.common.dataclasses.SceneFilter
_convert_: 'all'

num_history_frames: 4
num_future_frames: 10
frame_interval: 1
has_route: true
max_scenes: null

log_names:
{logs}
tokens:
{tokens}
"""


@dataclass
class SplitReport:
    """
    What a split has.

    ``scenes`` and the ``drives`` they come from; of the frames of these drives ``candidates`` with
    history and future, ``easy`` ones that constant velocity masters, ``poor`` ones that the human
    fails in, and ``unscored`` ones; ``human`` mean PDMS (0 to 100) of the human in the scenes.
    """

    scenes: int = 0
    drives: int = 0
    candidates: int = 0
    easy: int = 0
    poor: int = 0
    unscored: int = 0
    human: float = 0.0


@dataclass
class WorldReport:
    """
    How a run ended.

    ``made`` scenes of this run; ``checksum`` over the content, None where a split is not whole.
    """

    splits: dict[str, SplitReport] = field(default_factory=dict)
    checksum: str | None = None
    made: int = 0
    notes: list[str] = field(default_factory=list)


def share(scenes: int, split: str | None = None) -> dict[str, int]:
    """
    Share scenes among the splits 80:10:10, or give all to one.

    :raises WorldError: when there are too few
    """
    if scenes <= 0:
        raise WorldError(f'scenes: expected 1 or more, got {scenes}')
    if split is not None:
        return {split: scenes}
    if scenes < len(SPLITS):
        raise WorldError(f'scenes: {scenes} are too few for the splits {", ".join(SPLITS)}; ask '
                         f'for {len(SPLITS)} or more, or for one split (--split)')
    tenth = max(1, scenes // 10)
    return dict(zip(SPLITS, (scenes - 2 * tenth, tenth, tenth), strict=True))


class WorldBuilder:
    """
    One run that fills the folder ``path``, as ``folder``.

    :param wanted: number of scenes by split
    """

    def __init__(self, path: Path, identity: Identity, source: WorldSource,
                 wanted: Mapping[str, int], processes: int):
        # Workers need not share the directory this process is in.
        self.folder = WorldFolder(path.absolute(), identity)
        self._source = source
        self._wanted = wanted
        self._processes = processes
        self.report = WorldReport()

    def run(self) -> WorldReport:
        """
        Make what is missing.

        :raises WorldError: when the folder cannot be used, a drive cannot be made, or too many
            have no scene; what is complete is kept
        :raises WorkerError: when worker processes cannot even start
        """
        with self.folder.opened():
            maker = DriveMaker(self._source, self.folder)
            try:
                with Workers(self._processes, maker, self._source.preload) as workers:
                    self._check(workers)
                    self._make(workers)
            except KeyboardInterrupt:
                self._note('interrupted: the same command goes on from here')
                raise
            self._finish()
        return self.report

    def _check(self, workers: Workers) -> None:
        """Compare what is there with its checksums and remove what is damaged."""
        units = self.folder.units()
        with _progress('checking', 'drive', len(units)) as bar:
            for outcome in workers.run(_damage, units):
                reason = outcome.failure or outcome.value
                if reason is not None:
                    self.folder.remove(outcome.job)
                    self._note(f'removed, to be made again: {reason}')
                bar.update()

    def _make(self, workers: Workers) -> None:
        by_name = {name: _Split(self.folder, name, wanted)
                   for name, wanted in self._wanted.items()}
        splits = by_name.values()
        if any(split.missing for split in splits):
            # Until all is done there is no whole world here.
            self.folder.write_manifest(checksum=None)
        if self.folder.record(ALL_MAPS) is None:
            for outcome in workers.run(_make_maps, [None]):
                self.folder.place(ALL_MAPS, _value(outcome, 'the maps'))
        before = sum(split.placed for split in splits)
        with _progress('scenes', 'scene', sum(self._wanted.values()), before) as bar:
            while jobs := [(key, split.missing) for split in splits
                           for key in split.next_drives()]:
                for outcome in workers.run(_make_drive, jobs):
                    key, _ = outcome.job
                    by_name[key.split].add(key, _value(outcome, key.log_name))
                    bar.update(sum(split.placed for split in splits) - bar.n)
        for split in splits:
            split.finish()
        self.report.made = sum(split.placed for split in splits) - before

    def _finish(self) -> None:
        """Write the manifest of all splits that are whole."""
        files = dict(self.folder.record(ALL_MAPS).files)
        whole = True
        for name in SPLITS:
            records = drives_of(self.folder, name)
            path = self.folder.filter_file(name)
            if path.exists():
                self.report.splits[name] = _report(records.values())
                files[path.relative_to(self.folder.path).as_posix()] = sum_of(path)
            whole &= path.exists() or not records
            for record in records.values():
                files.update(record.files)
        self.report.checksum = checksum_of(files) if whole else None
        self.folder.write_manifest(
            checksum=self.report.checksum, versions=_versions(), files=len(files),
            bytes=sum(size for size, _ in files.values()),
            splits={name: vars(split) for name, split in self.report.splits.items()})

    def _note(self, text: str) -> None:
        self.report.notes.append(text)
        tqdm.write(text, file=sys.stderr)


class _Split:
    """The drives of one split on their way to ``wanted`` scenes."""

    def __init__(self, folder: WorldFolder, name: str, wanted: int):
        self.name, self.wanted = name, wanted
        self._folder = folder
        self._ready: dict[int, Record] = {}
        self._placed: list[Record] = []
        there = drives_of(folder, name)
        held = _scenes(there.values())
        if held > wanted:
            raise WorldError(f'{folder.path}: holds {held} scenes of {name}, now asked for '
                             f'{wanted}; ask for as many or more, or name another folder')
        # The drive that was cut has more of what is missing now.
        self._there = {index: record for index, record in there.items()
                       if held == wanted or _scenes([record]) == record.facts['offered']}
        if held < wanted:
            folder.filter_file(name).unlink(missing_ok=True)
        self._settle()

    @property
    def placed(self) -> int:
        """Scenes that are in place and count."""
        return _scenes(self._placed)

    @property
    def missing(self) -> int:
        """Scenes that are still to be made."""
        return self.wanted - self.placed

    def next_drives(self) -> list[DriveKey]:
        """Return the drives to make next: as many as are probably needed."""
        typical = max(self.placed / len(self._placed), 1.0) if self.placed else FIRST_GUESS
        first = len(self._placed)
        return [self._key(index)
                for index in range(first, first + math.ceil(self.missing / typical))
                if index not in self._there]

    def add(self, key: DriveKey, record: Record) -> None:
        """Take a drive that is written aside; it is put in place once those before it are."""
        self._ready[key.index] = record
        self._settle()

    def finish(self) -> None:
        """Drop what was made in vain, and write the scene filter."""
        for index in self._ready:
            self._folder.discard(self._key(index).unit)
        logs = [self._key(index).log_name for index, record in enumerate(self._placed)
                if _scenes([record])]
        tokens = [token for record in self._placed for token in record.facts['tokens']]
        with written_whole(self._folder.filter_file(self.name)) as file:
            file.write(FILTER.format(logs=_yaml_list(logs), tokens=_yaml_list(tokens)).encode())

    def _settle(self) -> None:
        while self.missing:
            index = len(self._placed)
            if index in self._there:
                self._placed.append(self._there[index])
            elif index in self._ready:
                self._placed.append(self._place(self._key(index), self._ready.pop(index)))
            else:
                break
            if len(self._placed) >= MAX_EMPTY_DRIVES and not _scenes(
                    self._placed[-MAX_EMPTY_DRIVES:]):
                raise WorldError(f'{MAX_EMPTY_DRIVES} drives in a row, up to '
                                 f'{self._key(index).log_name}, have no scene that constant '
                                 f'velocity fails in and the human masters; try another --seed, '
                                 f'and report this one')

    def _place(self, key: DriveKey, record: Record) -> Record:
        if _scenes([record]) > self.missing:
            record = cut(record, self.missing, self._folder.staging(key.unit))
        self._folder.place(key.unit, record)
        return record

    def _key(self, index: int) -> DriveKey:
        return DriveKey(self._folder.identity.seed, self.name, index)


def drives_of(folder: WorldFolder, split: str) -> dict[int, Record]:
    """Return the drives of a split that are in place, by their index."""
    drives = {}
    for unit in folder.units():
        key = DriveKey.of_log(unit.name)
        record = folder.record(unit)
        if key is not None and key.split == split and record is not None:
            drives[key.index] = record
    return drives


def _scenes(records: Iterable[Record]) -> int:
    return sum(len(record.facts['tokens']) for record in records)


def _report(records: Iterable[Record]) -> SplitReport:
    facts = [record.facts for record in records]
    human = [score for drive in facts for score in drive['human']]
    return SplitReport(
        scenes=len(human), drives=len(facts),
        **{name: sum(drive[name] for drive in facts)
           for name in ('candidates', 'easy', 'poor', 'unscored')},
        human=round(100.0 * math.fsum(human) / len(human), 2))


def _yaml_list(texts: Sequence[str]) -> str:
    return '\n'.join(f"  - '{text}'" for text in texts)


def _value(outcome: Outcome, what: str) -> Any:
    """Return what a worker made; raise what it returned as an error, or was ended by."""
    if outcome.failure is not None:
        raise WorldError(f'{what}: {outcome.failure}' + (f'\n{outcome.details}'
                                                         if outcome.details else ''))
    if isinstance(outcome.value, WorldError):
        raise outcome.value
    return outcome.value


def _damage(maker: DriveMaker, unit: Unit, _stop: Any) -> str | None:
    record = maker.folder.record(unit)
    return None if record is None else damage(maker.folder.path, record.files)


def _make_maps(maker: DriveMaker, _job: None, _stop: Any) -> Record | WorldError:
    try:
        return maker.make_maps()
    except WorldError as error:
        return error


def _make_drive(maker: DriveMaker, job: tuple[DriveKey, int], stop: Any
                ) -> Record | WorldError | None:
    try:
        return maker.make(*job, stop)
    except WorldError as error:
        return error


def _versions() -> dict[str, str]:
    """Return what the bytes of the files depend on besides this package."""
    return {'python': platform.python_version(),
            **{package.__name__: package.__version__
               for package in (cv2, numba, np, pyproj, shapely)}}


def _progress(what: str, unit: str, total: int, done: int = 0) -> 'tqdm[Any]':
    return tqdm(total=total, initial=done, desc=what, unit=unit, mininterval=0.5)
