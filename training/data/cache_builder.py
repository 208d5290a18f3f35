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
Build a cache: find what is missing, make it in parallel, survive whatever ends the run.

What a cache holds is a :class:`Recipe`; nothing here looks inside a record.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
import shutil
import time
from typing import Any

from pair_drive_training.data.cache import (
    CacheError,
    CacheHeader,
    HEADER_FILE,
    MANIFEST_FILE,
    read_header,
    shard_names,
    verify_kind,
    write_header,
    write_manifest,
)
from pair_drive_training.data.chunks import ERRORS_FILE, make_chunk
from pair_drive_training.data.recipe import Chunk, ChunkResult, Recipe, Scan, Source
from pair_drive_training.data.shards import read_card, ShardCard, ShardError
from pair_drive_training.data.work_folder import locked
from pair_drive_training.data.workers import Workers
from tqdm import tqdm

CHUNK_SCENES = 64


@dataclass
class KindReport:
    """
    How far a cache has come with one kind of record.

    ``complete`` scenes asked for that have one; ``failures`` token -> reason; ``missing`` token
    -> reason for scenes that were not even tried; ``made`` records of this run; ``size`` bytes of
    all of them.
    """

    complete: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    made: int = 0
    size: int = 0


@dataclass
class BuildReport:
    """
    How a run ended.

    ``asked`` scenes of the split; ``seconds`` spent on making records; ``notes`` what went wrong
    with anything else than a scene, and which shards were damaged; ``unreadable`` files.
    """

    kinds: dict[str, KindReport]
    asked: tuple[str, ...] = ()
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    unreadable: int = 0

    @property
    def whole(self) -> bool:
        """Whether every file was read and every scene asked for has all its records."""
        return not self.unreadable and not any(kind.failures or kind.missing
                                               for kind in self.kinds.values())

    def as_json(self) -> dict[str, Any]:
        """Return what the manifest keeps of the run."""
        return {'asked': len(self.asked), 'seconds': round(self.seconds, 1), 'notes': self.notes,
                'unreadable': self.unreadable,
                'kinds': {name: {'complete': kind.complete, 'made': kind.made,
                                 'failures': kind.failures, 'missing': kind.missing}
                          for name, kind in self.kinds.items()}}


class CacheBuilder:
    """One run that fills the cache in the folder ``path`` by a recipe."""

    def __init__(self, path: Path, recipe: Recipe, processes: int):
        # Workers need not share the directory this process is in.
        self.path = path.absolute()
        self._recipe = recipe
        self._processes = processes
        self._versions = {kind: version for stage in recipe.stages
                          for kind, version in stage.kinds.items()}
        self._logged_only = {kind for stage in recipe.stages if not stage.of_synthetic
                             for kind in stage.kinds}
        self._present: dict[str, set[str]] = {}
        self._owner: dict[str, Source] = {}
        self.report = BuildReport({kind: KindReport() for kind in self._versions})

    def run(self) -> BuildReport:
        """
        Make what is missing and rewrite the manifest, also when the run is interrupted.

        :raises CacheError: when another process builds here, the folder holds something else or
            cannot be written, or no scene is found; complete shards are kept
        :raises WorkerError: when worker processes cannot even start
        """
        sources = self._recipe.sources()
        with _writable(self.path), locked(self.path, CacheError, 'building this cache'):
            header = self._header()
            self._clean()
            self._check()
            try:
                with Workers(self._processes, self._recipe,
                             self._recipe.preload) as workers:
                    self._fill(workers, sources, header)
            finally:
                if (self.path / HEADER_FILE).exists():
                    self._finish(header)
        return self.report

    def _fill(self, workers: Workers, sources: Sequence[Source], header: CacheHeader) -> None:
        try:
            chunks, maps = self._plan(workers, sources)
            write_header(self.path, header)
            start = time.monotonic()
            try:
                self._make(workers, chunks, maps)
            finally:
                self.report.seconds = time.monotonic() - start
        except KeyboardInterrupt:
            self._note('interrupted: the scenes under way are ended first, Ctrl-C again ends at '
                       'once; the same command goes on from here')
            raise

    def _header(self) -> CacheHeader:
        header = read_header(self.path)
        if header is not None:
            return header.grown(self._recipe.header, self.path)
        strangers = sorted(entry.name for entry in self.path.iterdir()
                           if not entry.name.startswith('.'))
        if strangers:
            raise CacheError(f'{self.path}: is not a cache, but holds {strangers[0]}; name an '
                             f'empty folder or a new one')
        return self._recipe.header

    def _clean(self) -> None:
        """Remove what a killed run left behind; the lock says that nobody writes it any more."""
        for name in (HEADER_FILE, MANIFEST_FILE):
            for file in self.path.glob(f'.{name}.*'):
                file.unlink()
        for kind in self._versions:
            for folder in (self.path / kind).glob('.*'):
                if folder.is_dir():
                    shutil.rmtree(folder)
        (self.path / ERRORS_FILE).unlink(missing_ok=True)

    def _check(self) -> None:
        """Verify the shards that are there and remove the damaged ones."""
        total = sum(len(shard_names(self.path, kind)) for kind in self._versions)
        with _progress('checking', total, 'shard') as bar:
            for kind, version in self._versions.items():
                cards, damaged = verify_kind(self.path, kind, version, self._processes, bar.update)
                self._present[kind] = {token for card in cards for token in card.tokens}
                for item in damaged:
                    shutil.rmtree(self.path / kind / item.shard)
                    self._note(f'removed, to be made again: {item.reason}')

    def _plan(self, workers: Workers, sources: Sequence[Source]) -> tuple[list[Chunk], list[str]]:
        """Look through the sources; return the jobs, and the maps they need."""
        scans = self._scan(workers, sources)
        limit = self._recipe.max_scenes
        chunks: list[Chunk] = []
        maps: set[str] = set()
        for source in sources:
            own: list[str] = []
            again: dict[str, list[str]] = {}
            for token in scans[source].tokens:
                if token in self._owner:
                    again.setdefault(self._owner[token].name, []).append(token)
                elif limit is None or len(self._owner) < limit:
                    self._owner[token] = source
                    own.append(token)
            for first, tokens in again.items():
                self._note(f'{len(tokens)} scenes of {first} are again in {source.name}, for '
                           f'example {tokens[0]}: the first are kept')
            jobs = list(self._chunks(source, own))
            chunks += jobs
            maps.update(scans[source].maps if jobs else ())
        self.report.asked = tuple(dict.fromkeys([*(self._recipe.asked or ()), *self._owner]))
        if not self._owner:
            raise CacheError(f'no scene that the filter asks for is in the {len(sources)} logs'
                             + (f' ({self.report.unreadable} of them cannot be read)'
                                if self.report.unreadable else '')
                             + '; check --tokens and --logs')
        return chunks, sorted(maps)

    def _scan(self, workers: Workers, sources: Sequence[Source]) -> dict[Source, Scan]:
        scans = {}
        with _progress('reading logs', len(sources), 'log') as bar:
            for outcome in workers.run(_scan, sources):
                scan = outcome.value
                if outcome.failure is not None:
                    scan = Scan((), unreadable=(f'{outcome.job.name}: {outcome.failure}',))
                    self._keep_error(outcome.details)
                for sentence in scan.unreadable:
                    self.report.unreadable += 1
                    self._note(f'not read: {sentence}')
                scans[outcome.job] = scan
                bar.update()
        return scans

    def _chunks(self, source: Source, tokens: Sequence[str]) -> Iterator[Chunk]:
        """
        Cut a source into jobs of scenes that lack the same kinds.

        The grid is laid over all its scenes, those present included: a run that goes on after an
        interruption makes the very shards that the interrupted one would have made.
        """
        wanted = [kind for kind in self._versions
                  if not (source.synthetic and kind in self._logged_only)]
        for start in range(0, len(tokens), CHUNK_SCENES):
            lacking: dict[tuple[str, ...], list[str]] = {}
            for token in tokens[start:start + CHUNK_SCENES]:
                kinds = tuple(kind for kind in wanted if token not in self._present[kind])
                lacking.setdefault(kinds, []).append(token)
            for kinds, group in lacking.items():
                if kinds:
                    yield Chunk(source, tuple(group), kinds)

    def _make(self, workers: Workers, chunks: Sequence[Chunk], maps: Sequence[str]) -> None:
        for outcome in workers.run(_prepare_map, maps):
            # Not the end: every scene of that city will say so for itself.
            if outcome.failure is not None:
                self._note(f'map {outcome.job}: {outcome.failure}')
        total = sum(len(chunk.tokens) for chunk in chunks)
        with _progress('scenes', total, 'scene') as bar:
            for outcome in workers.run(make_chunk, [(self.path, chunk) for chunk in chunks]):
                chunk, result = outcome.job[1], outcome.value
                if outcome.failure is not None:
                    result = ChunkResult()
                    result.fail(chunk.kinds, chunk.tokens, outcome.failure)
                    self._note(f'{chunk.source.name}, {len(chunk.tokens)} scenes from '
                               f'{chunk.tokens[0]} on: {outcome.failure}')
                for kind, reasons in result.failures.items():
                    self.report.kinds[kind].failures.update(reasons)
                for details in (*result.errors, outcome.details):
                    self._keep_error(details)
                bar.update(len(chunk.tokens))
                if result.stopped is not None:
                    raise CacheError(result.stopped)

    def _finish(self, header: CacheHeader) -> None:
        """Count what lies on the disk and write the manifest."""
        cards = {kind: self._cards(kind) for kind in header.kinds}
        for kind, report in self.report.kinds.items():
            have = {token for card in cards[kind] for token in card.tokens}
            report.made = len(have) - len(self._present[kind])
            report.size = sum(card.size for card in cards[kind])
            for token in self.report.asked:
                source = self._owner.get(token)
                if token in have:
                    report.complete += 1
                elif source is None:
                    report.missing[token] = 'in none of the logs'
                elif token not in report.failures and not (
                        source.synthetic and kind in self._logged_only):
                    report.missing[token] = 'not reached before the run ended'
        try:
            write_manifest(self.path, cards, self.report.as_json())
        except OSError as error:
            # The shards are the truth; what ended the run is the sentence that matters.
            self._note(f'{self.path / MANIFEST_FILE} cannot be written '
                       f'({error.strerror or error}); the next run writes it')

    def _cards(self, kind: str) -> list[ShardCard]:
        cards = []
        for name in shard_names(self.path, kind):
            try:
                cards.append(read_card(self.path / kind / name))
            except ShardError as error:
                self._note(f'left out of the manifest: {error}')
        return cards

    def _note(self, text: str) -> None:
        self.report.notes.append(text)
        tqdm.write(text)

    def _keep_error(self, details: str) -> None:
        if details:
            with (self.path / ERRORS_FILE).open('a') as file:
                file.write(details + '\n')


def _scan(recipe: Recipe, source: Source, _stop: Any) -> Scan:
    return recipe.scan(source)


def _prepare_map(recipe: Recipe, name: str, _stop: Any) -> None:
    recipe.prepare_map(name)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Make the folder; turn what the disk refuses into a sentence."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CacheError(f'{error.filename or path}: {error.strerror or error}; name a folder '
                         f'that can be written and has space') from error


def _progress(what: str, total: int, unit: str) -> 'tqdm[Any]':
    return tqdm(total=total, desc=what, unit=unit, mininterval=0.5)
