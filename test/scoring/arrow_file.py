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

"""A reader of flat Arrow files (feather) of one record batch, enough for Argoverse 2."""

from pathlib import Path
import struct

import lz4.frame
import numpy as np

INT, FLOAT, TEXT = 2, 3, 5


class Table:
    """One flatbuffer table: fields by their number in the schema."""

    def __init__(self, data: bytes, position: int):
        self.data, self.position = data, position
        self.layout = position - self._number('<i', position)

    def _number(self, kind: str, position: int) -> int:
        return struct.unpack_from(kind, self.data, position)[0]

    def _field(self, number: int) -> int | None:
        if 4 + 2 * number >= self._number('<H', self.layout):
            return None
        offset = self._number('<H', self.layout + 4 + 2 * number)
        return self.position + offset if offset else None

    def number(self, number: int, kind: str, default: int = 0) -> int:
        """Scalar field."""
        position = self._field(number)
        return default if position is None else self._number(kind, position)

    def table(self, number: int) -> 'Table | None':
        """Nested table."""
        position = self._field(number)
        return None if position is None else Table(self.data,
                                                   position + self._number('<I', position))

    def vector(self, number: int) -> tuple[int, int]:
        """Position of the first element and number of elements of a vector or string."""
        position = self._field(number)
        start = position + self._number('<I', position)
        return start + 4, self._number('<I', start)

    def tables(self, number: int) -> list['Table']:
        """Elements of a vector of tables."""
        start, count = self.vector(number)
        return [Table(self.data, start + 4 * k + self._number('<I', start + 4 * k))
                for k in range(count)]

    def text(self, number: int) -> str:
        """Text of a string field."""
        start, count = self.vector(number)
        return self.data[start:start + count].decode()


def root(data: bytes, position: int) -> Table:
    """Return the outermost table of a flatbuffer."""
    return Table(data, position + struct.unpack_from('<I', data, position)[0])


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of int64, float64 and text (as objects) of a file with one record batch."""
    data = Path(path).read_bytes()
    footer = root(data, len(data) - 10 - struct.unpack_from('<i', data, len(data) - 10)[0])
    start, count = footer.vector(3)
    assert count == 1, f'{path}: {count} record batches'
    offset, metadata_length = struct.unpack_from('<qi', data, start)
    batch = root(data, offset + 8).table(2)
    body, rows = offset + metadata_length, batch.number(0, '<q')
    first_buffer, _ = batch.vector(2)
    compressed = batch.table(3) is not None
    buffers = iter(range(10 ** 6))

    def buffer() -> bytes:
        position, length = struct.unpack_from('<qq', data, first_buffer + 16 * next(buffers))
        raw = data[body + position:body + position + length]
        if not compressed or not raw:
            return raw
        size = struct.unpack_from('<q', raw)[0]
        return raw[8:] if size == -1 else lz4.frame.decompress(raw[8:])

    columns = {}
    for field in footer.table(1).tables(1):
        kind = field.number(2, '<B')
        buffer()
        if kind == TEXT:
            ends, letters = np.frombuffer(buffer(), '<i4')[:rows + 1], buffer()
            columns[field.text(0)] = np.array(
                [letters[a:b].decode() for a, b in zip(ends[:-1], ends[1:], strict=True)])
        else:
            dtype = {INT: '<i8', FLOAT: '<f8'}[kind]
            columns[field.text(0)] = np.frombuffer(buffer(), dtype)[:rows]
    return columns
