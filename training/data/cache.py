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
A cache of scenes: one folder for each kind of record, holding shards.

``cache.json``, written first, says what the cache is made of; ``manifest.json``, rewritten at the
end of every run that builds, indexes its shards and says how the run ended. The shards themselves
are the truth: those made after the last manifest are found as well.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from pair_drive_training.data.shards import (
    mapped_count,
    open_arrays,
    read_card,
    ShardCard,
    ShardError,
    verify_shard,
)
from pair_drive_training.data.work_folder import write_json

SCHEMA_VERSION = 1
HEADER_FILE, MANIFEST_FILE = 'cache.json', 'manifest.json'
# Every mapped array holds a file descriptor, of which a process often has 1024.
MAX_MAPPED_ARRAYS = 256
MAX_OPEN_SHARDS = 128


class CacheError(ValueError):
    """A cache cannot be used as asked; the sentence says where, why and what to do."""


@dataclass(frozen=True)
class CacheHeader:
    """
    What a cache is made of.

    :param kinds: kind of record -> version of its arrays
    :param maps: city -> version of the map
    :param splits: names of the scene filters that filled it, in the order of the runs
    """

    kinds: Mapping[str, int]
    maps: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def grown(self, other: 'CacheHeader', path: Path) -> 'CacheHeader':
        """
        Return the header of this cache after a run described by ``other``.

        :raises CacheError: when the two are not made of the same things
        """
        for kind, version in other.kinds.items():
            if self.kinds.get(kind, version) != version:
                raise CacheError(f'{path}: holds {kind} of version {self.kinds[kind]}, this '
                                 f'program writes version {version}; remove the cache or name '
                                 f'another folder')
        for city, release in other.maps.items():
            if self.maps.get(city, release) != release:
                raise CacheError(f'{path}: was built with map {city} {self.maps[city]}, now '
                                 f'given {release}; use the same maps or name another folder')
        return CacheHeader({**self.kinds, **other.kinds}, {**self.maps, **other.maps},
                           tuple(dict.fromkeys([*self.splits, *other.splits])))


@dataclass(frozen=True)
class Damage:
    """A shard that cannot be used, and why."""

    kind: str
    shard: str
    reason: str


class Cache:
    """
    Read-only view of a cache; it can be pickled and works in forked processes.

    Make one with :meth:`open`.
    """

    def __init__(self, path: Path, header: CacheHeader, shards: Mapping[str, list[str]],
                 tokens: Mapping[str, tuple[str, ...]]):
        self.path = path
        self.header = header
        self._shards = shards
        self._places = {kind: {token: (name, index) for name in names
                               for index, token in enumerate(tokens[name])}
                        for kind, names in shards.items()}
        self._opened: OrderedDict[tuple[str, str], dict[str, np.ndarray]] = OrderedDict()
        self._mapped = 0

    @classmethod
    def open(cls, path: Path) -> 'Cache':  # noqa: A003
        """
        Open the cache in the folder ``path``.

        :raises CacheError: when there is none, or one of another schema version, or a card or the
            manifest is damaged
        """
        path = Path(path)
        header = read_header(path)
        if header is None:
            raise CacheError(f'{path}: there is no cache here (no {HEADER_FILE}); build one with '
                             f'the command "cache"')
        shards = {kind: shard_names(path, kind) for kind in header.kinds}
        known = {name: tuple(entry['tokens'])
                 for name, entry in read_manifest(path).get('shards', {}).items()}
        try:
            for kind, names in shards.items():
                for name in names:
                    if name not in known:
                        known[name] = read_card(path / kind / name).tokens
        except ShardError as error:
            raise CacheError(f'{error}; run the command "cache" again, which rebuilds what is '
                             f'damaged') from error
        return cls(path, header, shards, known)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of record this cache is made of."""
        return tuple(self.header.kinds)

    def tokens(self, kind: str) -> tuple[str, ...]:
        """
        Tokens of all scenes that have a record of this kind, in the order of the shards' names.

        :raises CacheError: when the cache is not made of this kind
        """
        return tuple(self._of_kind(kind))

    def has(self, kind: str, token: str) -> bool:
        """Whether there is a record of this kind for the scene."""
        return token in self._places.get(kind, {})

    def read(self, kind: str, token: str) -> dict[str, np.ndarray]:
        """
        Copy one scene's record of a kind of fixed shapes: each array [N, ...] of the shard at it.

        :raises CacheError: when there is no such record
        :raises ShardError: when the shard is damaged
        """
        arrays, index = self.shard_of(kind, token)
        # A copy: a view would hold the file open for as long as it lives.
        return {name: np.array(array[index]) for name, array in arrays.items()}

    def shard_of(self, kind: str, token: str) -> tuple[Mapping[str, np.ndarray], int]:
        """
        Arrays of the shard that holds the scene, mapped read-only, and the scene's index in it.

        Copy what you keep: a view holds a file open for as long as it lives.

        :raises CacheError: when there is no such record
        :raises ShardError: when the shard is damaged
        """
        try:
            name, index = self._of_kind(kind)[token]
        except KeyError:
            raise CacheError(f'{self.path}: no record {kind} of scene {token}; run the command '
                             f'"cache" with a split that has it') from None
        return self._arrays(kind, name), index

    def verify(self, threads: int = 4,
               progress: Callable[[], object] | None = None) -> list[Damage]:
        """
        Read every byte of every shard and compare with the checksums; return what is damaged.

        :param progress: called after each shard
        """
        return [item for kind in self.kinds
                for item in verify_kind(self.path, kind, self.header.kinds[kind], threads,
                                        progress)[1]]

    def __getstate__(self) -> dict[str, Any]:
        """Leave mapped arrays behind: pickling one would copy it whole."""
        return {**vars(self), '_opened': OrderedDict(), '_mapped': 0}

    def _of_kind(self, kind: str) -> dict[str, tuple[str, int]]:
        try:
            return self._places[kind]
        except KeyError:
            raise CacheError(f'{self.path}: not made of {kind} but of {", ".join(self.kinds)}; '
                             f'run the command "cache" so that it adds this kind') from None

    def _arrays(self, kind: str, name: str) -> dict[str, np.ndarray]:
        key = (kind, name)
        if key not in self._opened:
            path = self.path / kind / name
            self._opened[key] = open_arrays(path, read_card(path))
            self._mapped += mapped_count(self._opened[key])
            while len(self._opened) > MAX_OPEN_SHARDS or (
                    len(self._opened) > 1 and self._mapped > MAX_MAPPED_ARRAYS):
                _, closed = self._opened.popitem(last=False)
                self._mapped -= mapped_count(closed)
        self._opened.move_to_end(key)
        return self._opened[key]


def read_header(path: Path) -> CacheHeader | None:
    """
    Read ``cache.json``; None where there is none.

    :raises CacheError: when it is damaged or that of another schema version
    """
    fields = _read_json(path / HEADER_FILE)
    if fields is None:
        return None
    version = fields.get('schema_version')
    if version != SCHEMA_VERSION:
        raise CacheError(f'{path}: a cache of schema version {version}, this program reads '
                         f'version {SCHEMA_VERSION}; remove it or name another folder to build '
                         f'it anew, or use the program that made it')
    try:
        return CacheHeader(**{**fields, 'splits': tuple(fields['splits'])})
    except (KeyError, TypeError) as error:
        raise CacheError(f'{path / HEADER_FILE}: is damaged ({error}); copy it again or remove '
                         f'the cache') from error


def write_header(path: Path, header: CacheHeader) -> None:
    """Write ``cache.json`` into the cache's folder."""
    write_json(path / HEADER_FILE, asdict(header))


def read_manifest(path: Path) -> dict[str, Any]:
    """
    Read ``manifest.json``; empty where no run has ended yet.

    :raises CacheError: when it is damaged
    """
    return _read_json(path / MANIFEST_FILE) or {}


def write_manifest(path: Path, cards: Mapping[str, Iterable[ShardCard]],
                   last_run: Mapping[str, Any]) -> None:
    """
    Write ``manifest.json``: all shards, scenes by kind, and how the last run ended.

    :param cards: kind -> cards of its shards; shards of one name hold the same scenes
    """
    shards: dict[str, dict[str, Any]] = {}
    counts = {}
    for kind, of_kind in cards.items():
        counts[kind] = 0
        for card in of_kind:
            entry = shards.setdefault(card.name, {'tokens': card.tokens, 'kinds': {}})
            entry['kinds'][kind] = {'size': card.size,
                                    'sha256': hashlib.sha256(card.as_json()).hexdigest()}
            counts[kind] += len(card.tokens)
    write_json(path / MANIFEST_FILE, {'schema_version': SCHEMA_VERSION, 'scenes': counts,
                                      'last_run': last_run,
                                      'shards': dict(sorted(shards.items()))})


def shard_names(path: Path, kind: str) -> list[str]:
    """Names of all shards of a kind that are complete, sorted."""
    folder = path / kind
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(folder)
                  if entry.is_dir() and not entry.name.startswith('.'))


def verify_kind(path: Path, kind: str, version: int, threads: int,
                progress: Callable[[], object] | None = None,
                ) -> tuple[list[ShardCard], list[Damage]]:
    """
    Compare every shard of a kind with its checksums, in threads: hashing releases Python's lock.

    :param version: version of the records; shards of another one count as damaged
    :return: the cards of the whole shards, and the damaged ones
    """
    whole: list[ShardCard] = []
    damaged: list[Damage] = []

    def verified(name: str) -> ShardCard | Damage:
        try:
            card = verify_shard(path / kind / name)
            if (card.schema_version, card.kind_version) != (SCHEMA_VERSION, version):
                raise ShardError(f'{path / kind / name}: comes from another version of the cache')
        except ShardError as error:
            return Damage(kind, name, str(error))
        return card

    with ThreadPoolExecutor(threads) as pool:
        try:
            for result in pool.map(verified, shard_names(path, kind)):
                if isinstance(result, Damage):
                    damaged.append(result)
                else:
                    whole.append(result)
                if progress is not None:
                    progress()
        finally:
            pool.shutdown(cancel_futures=True)
    return whole, damaged


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        fields = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CacheError(f'{path}: cannot be read ({error}); copy it again, or remove the cache '
                         f'and build it anew') from error
    if not isinstance(fields, dict):
        raise CacheError(f'{path}: is not the file of a cache; remove it or name another folder')
    return fields
