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
A shard: arrays of up to 64 scenes of one log, complete under its name or not there at all.

A shard is a folder ``<log>-<8 hex of its tokens>`` with one ``.npy`` for each array and
``shard.json``, its card: what it holds, in which version, and the checksum of every file. The
same scenes give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
import hashlib
import json
import math
import mmap
import os
from pathlib import Path
import shutil

import numpy as np

CARD_FILE = 'shard.json'
CHUNK_BYTES = 1 << 20
# Below this reading is cheaper than mapping, and no file stays open.
MAPPED_BYTES = 1 << 16


class ShardError(ValueError):
    """A shard is damaged or does not fit its name; the sentence says where and what to do."""


@dataclass(frozen=True)
class ArrayFile:
    """
    One array's file: ``size`` in bytes and SHA-256 (hex).

    ``dtype`` and ``shape`` repeat the file's own header, which takes longer to parse than a scene
    takes to read.
    """

    size: int
    sha256: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ShardCard:
    """
    What a shard holds.

    :param kind: kind of the records, ``kind_version`` the version of their arrays
    :param log: name of the log the scenes were cut from
    :param tokens: scenes in the order of the arrays
    :param files: by the name of each array, its ``.npy`` file
    """

    schema_version: int
    kind: str
    kind_version: int
    log: str
    tokens: tuple[str, ...]
    files: Mapping[str, ArrayFile]

    @property
    def name(self) -> str:
        """Name of the shard's folder."""
        return shard_name(self.log, self.tokens)

    @property
    def size(self) -> int:
        """Size of all arrays' files in bytes."""
        return sum(file.size for file in self.files.values())

    def as_json(self) -> bytes:
        """Return the card as it lies in the shard; equal cards give equal bytes."""
        return (json.dumps(asdict(self), indent=1) + '\n').encode()


def shard_name(log: str, tokens: Sequence[str]) -> str:
    """Name the shard of these tokens of a log."""
    return f'{log}-{hashlib.sha256(chr(10).join(tokens).encode()).hexdigest()[:8]}'


def stack_records(records: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """
    Stack records of fixed shapes: array ``name`` [...] of N records becomes [N, ...].

    :raises ShardError: when the records differ in their names, shapes or kinds of number
    """
    first = records[0]
    for index, record in enumerate(records):
        if {name: (np.shape(value), np.asarray(value).dtype.kind)
                for name, value in record.items()} != {
                name: (np.shape(value), np.asarray(value).dtype.kind)
                for name, value in first.items()}:
            raise ShardError(f'record {index} of the shard has other arrays or shapes than the '
                             f'first; records of a kind with a fixed shape must agree')
    return {name: np.stack([record[name] for record in records]) for name in first}


def write_shard(folder: Path, card: ShardCard, arrays: Mapping[str, np.ndarray]) -> ShardCard:
    """
    Write a shard into ``folder``, through a folder with a temporary name.

    :param card: the card; its ``files`` are filled in here
    :return: the card as written
    :raises OSError: when the disk is full or the folder cannot be written; nothing is left behind
    """
    path = folder / card.name
    unfinished = folder / f'.{card.name}.{os.getpid()}'
    unfinished.mkdir(parents=True)
    try:
        card = ShardCard(**{**vars(card), 'files': {
            name: _write_array(unfinished / f'{name}.npy', array)
            for name, array in sorted(arrays.items())}})
        _write(unfinished / CARD_FILE, card.as_json())
        _sync_folder(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _sync_folder(folder)
    return card


def read_card(path: Path) -> ShardCard:
    """
    Read the card of the shard at ``path``.

    :raises ShardError: when it is missing, damaged, or that of another shard
    """
    try:
        fields = json.loads((path / CARD_FILE).read_bytes())
        files = {name: ArrayFile(**{**file, 'shape': tuple(file['shape'])})
                 for name, file in fields.pop('files').items()}
        card = ShardCard(files=files, **{**fields, 'tokens': tuple(fields['tokens'])})
    except OSError as error:
        raise ShardError(f'{path}: {CARD_FILE} cannot be read ({error.strerror})') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardError(f'{path}: {CARD_FILE} is damaged ({error})') from error
    if (card.kind, card.name) != (path.parent.name, path.name):
        raise ShardError(f'{path}: {CARD_FILE} describes {card.kind}/{card.name}')
    return card


def verify_shard(path: Path) -> ShardCard:
    """
    Read a whole shard and compare every file with its card.

    :return: the card
    :raises ShardError: when a file is missing, has another size or another checksum
    """
    card = read_card(path)
    for name, expected in card.files.items():
        file = path / f'{name}.npy'
        try:
            if file.stat().st_size != expected.size:
                raise ShardError(f'{path}: {file.name} has {file.stat().st_size} bytes instead '
                                 f'of {expected.size}')
            if _checksum(file) != expected.sha256:
                raise ShardError(f'{path}: {file.name} has changed (other checksum)')
            array = np.load(file, mmap_mode='r', allow_pickle=False)
            if (array.dtype.str, array.shape) != (expected.dtype, expected.shape):
                raise ShardError(f'{path}: {CARD_FILE} gives {file.name} another dtype or shape')
        except OSError as error:
            raise ShardError(f'{path}: {file.name} cannot be read ({error.strerror})') from error
    return card


def open_arrays(path: Path, card: ShardCard) -> dict[str, np.ndarray]:
    """
    Open the arrays of a shard, read-only: large ones are mapped into memory, small ones read.

    :raises ShardError: when a file is missing or has another size
    """
    arrays = {}
    for name, file in card.files.items():
        try:
            arrays[name] = _open_array(f'{path}/{name}.npy', file)
        except (OSError, ValueError) as error:
            raise ShardError(f'{path}: {name}.npy cannot be read ({error}); run the command '
                             f'"cache" again, which rebuilds what is damaged') from error
    return arrays


def mapped_count(arrays: Mapping[str, np.ndarray]) -> int:
    """Count the arrays of :func:`open_arrays` that are mapped, each of which holds a file open."""
    return sum(array.nbytes >= MAPPED_BYTES for array in arrays.values())


def _open_array(path: str, file: ArrayFile) -> np.ndarray:
    dtype = np.dtype(file.dtype)
    with open(path, 'rb', buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        if size != file.size:
            raise ValueError(f'{size} bytes instead of {file.size}')
        count = math.prod(file.shape)
        length = count * dtype.itemsize
        content = opened.read() if length < MAPPED_BYTES else mmap.mmap(
            opened.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(content, dtype, count, size - length).reshape(file.shape)


class _SummedFile:
    """A file that is hashed while it is written."""

    def __init__(self, path: Path):
        # Plain writes: numpy's own to a real file loses the reason when the disk is full.
        self._file = path.open('xb', buffering=0)
        self._sha256 = hashlib.sha256()
        self._bytes = 0

    def write(self, data: bytes) -> int:
        """Append all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view):]
        self._sha256.update(data)
        self._bytes += len(data)
        return len(data)

    def sync(self) -> tuple[int, str]:
        """Bring the file to the disk and return its size and checksum."""
        os.fsync(self._file.fileno())
        return self._bytes, self._sha256.hexdigest()

    def __enter__(self) -> '_SummedFile':
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()


def _write_array(path: Path, array: np.ndarray) -> ArrayFile:
    array = np.asarray(array, order='C')
    with _SummedFile(path) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)
        return ArrayFile(*file.sync(), array.dtype.str, array.shape)


def _write(path: Path, data: bytes) -> None:
    with _SummedFile(path) as file:
        file.write(data)
        file.sync()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
    return sha256.hexdigest()
