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
Unpickling by an allow-list: plain containers, numbers and numpy arrays, nothing that runs.

A pickle is a program: whoever wrote it chooses which functions are called while it is read.
NAVSIM's files are pickles, so every name in them is looked up here and nowhere else. numpy's own
classes are not handed out either: their ``__setstate__`` trusts what the file says about flags,
fields and reference counts. Arrays, dtypes and scalars are rebuilt from checked parts.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
import math
from pathlib import Path, PurePosixPath, PureWindowsPath
import pickle
import re
import struct
from typing import BinaryIO

import numpy as np
from pair_drive_training.data.frames import LogError

# Booleans, numbers, text and bytes of fixed width, and lists of Python objects.
_DTYPE = re.compile(r'[biufcSU]\d+|O8?')
_DAMAGE = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError,
           MemoryError, OverflowError, TypeError, ValueError, struct.error)


class UnpicklingRefusal(LogError):
    """A pickle names something outside the allow-list; it was not executed."""


def load_pickle(path: Path, stand_ins: Mapping[tuple[str, str], type] | None = None) -> object:
    """
    Read a pickle of containers, scalars, numpy arrays and paths; execute nothing it names.

    Files of numpy 1 and numpy 2 load under either, with pickle protocols 2 to 5. Arrays come as
    ``numpy.ndarray`` or a subclass of it, paths as pure paths. ``stand_ins`` gives inert classes
    for foreign ones by (module, name).

    :raises UnpicklingRefusal: when the file names anything else
    :raises LogError: when the file is truncated, damaged or no pickle
    """
    try:
        with path.open('rb') as file:
            return _Unpickler(file, path, stand_ins or {}).load()
    except UnpicklingRefusal:
        raise
    except _DAMAGE as error:
        what = 'is empty' if path.stat().st_size == 0 else 'is truncated, damaged or no pickle'
        raise LogError(f'{path}: the file {what} ({type(error).__name__}: {error}); copy it again '
                       'and compare its size and checksum with the source') from error


class _Unpickler(pickle.Unpickler):

    def __init__(self, file: BinaryIO, path: Path, stand_ins: Mapping[tuple[str, str], type]):
        super().__init__(file)
        self._path = path
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Callable:
        """Look a name up in the allow-list."""
        found = _ALLOWED.get((module, name)) or self._stand_ins.get((module, name))
        if found is None:
            raise UnpicklingRefusal(
                f'{self._path}: the pickle names {module}.{name}, which is not plain data; it was '
                "not executed. NAVSIM's own files hold no such name: get the file again from "
                'its source')
        return found


class _Dtype:
    """Takes the place of ``numpy.dtype``: kind and width, then the byte order as state."""

    def __init__(self, spec: str, align: bool = False, copy: bool = False):
        if not (isinstance(spec, str) and _DTYPE.fullmatch(spec)):
            raise ValueError(f'an array of dtype {spec!r}')
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        # Of the state only the byte order is news; the rest repeats, or contradicts, the name.
        self.dtype = self.dtype.newbyteorder(state[1])


class _NdarrayName:
    """What the name ``numpy.ndarray`` stands for: nothing but itself."""


class _Array(np.ndarray):
    """An array whose ``__setstate__`` takes dtypes of ours only."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        objects = dtype.dtype.hasobject
        if not isinstance(data, list if objects else bytes):
            raise ValueError(f'an array of {dtype.dtype} with data of {type(data).__name__}')
        # numpy takes a list that is too short for the shape, and memory comes apart.
        if not all(type(size) is int and size >= 0 for size in shape) or (
                len(data) != math.prod(shape) * (1 if objects else dtype.dtype.itemsize)):
            raise ValueError(f'an array of shape {shape} with {len(data)} items')
        super().__setstate__((1, shape, dtype.dtype, fortran is True, data))


def _empty_array(subtype: type, shape: tuple, typecode: bytes) -> np.ndarray:
    if subtype is not _NdarrayName:
        raise ValueError(f'an array of class {subtype!r}')
    return _Array((0,), np.int8)


def _array_of_buffer(buffer: bytes | bytearray, dtype: _Dtype, shape: tuple, order: str,
                     axes: tuple | None = None) -> np.ndarray:
    if not isinstance(buffer, bytes | bytearray):
        raise ValueError(f'an array over a buffer of {type(buffer).__name__}')
    flat = np.frombuffer(buffer, dtype.dtype)
    if order == 'K' and axes is not None:
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order=order)


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return np.frombuffer(data, dtype.dtype)[0]


def _no_bytes() -> bytes:
    # Protocol 2 spells empty bytes as a call; with a number it would be a request for memory.
    return b''


def _latin1(text: str, encoding: str) -> bytes:
    # How protocol 2 spells all other bytes.
    if encoding != 'latin1':
        raise ValueError(f'bytes in the encoding {encoding!r}')
    return text.encode('latin1')


_ALLOWED: dict[tuple[str, str], Callable] = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _latin1,
    ('numpy', 'dtype'): _Dtype,
    ('numpy', 'ndarray'): _NdarrayName,
    **{(module, kind.__name__): kind for module in ('builtins', '__builtin__')
       for kind in (complex, frozenset, set)},
    **{(module, 'bytes'): _no_bytes for module in ('builtins', '__builtin__')},
    **{(f'numpy.{core}.{module}', name): function for core in ('core', '_core')
       for module, name, function in (('multiarray', '_reconstruct', _empty_array),
                                      ('multiarray', 'scalar', _scalar),
                                      ('numeric', '_frombuffer', _array_of_buffer))},
    **{(module, name): kind for module in ('pathlib', 'pathlib._local')
       for name, kind in (('Path', PurePosixPath), ('PosixPath', PurePosixPath),
                          ('PurePosixPath', PurePosixPath), ('WindowsPath', PureWindowsPath),
                          ('PureWindowsPath', PureWindowsPath))},
}
