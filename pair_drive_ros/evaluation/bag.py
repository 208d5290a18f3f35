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

"""Read a rosbag2 recording in time order, without ROS."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability
from rosbags.typesys import get_typestore, Stores

Message = Any

STORAGE_SUFFIXES = ('.mcap', '.db3')
REINDEX_HINT = ('record or copy it again, or repair it with `ros2 bag reindex` (sqlite3) or '
                '`mcap recover` (mcap)')


class BagError(ValueError):
    """A recording is missing, damaged, empty or lacks a topic."""


class BagReader:
    """
    The messages of one rosbag2 recording: a folder, or a bare ``.mcap`` or ``.db3`` file.

    Message definitions come from the recording; one without definitions is read as ROS 2 Jazzy.
    Use it as a context manager. Times are the recorder's receive times, integer nanoseconds.

    :raises BagError: with a sentence that says what is wrong with the recording and what to do
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise BagError(f'{self.path}: there is no such file or folder')
        if self.path.is_dir():
            _check_folder(self.path)
        elif self.path.suffix not in STORAGE_SUFFIXES:
            raise BagError(f'{self.path}: not a rosbag2 recording; expected a folder with '
                           f'metadata.yaml, a .mcap or a .db3 file')
        with self._reading():
            self._reader = AnyReader([self.path],
                                     default_typestore=get_typestore(Stores.ROS2_JAZZY))

    def __enter__(self) -> 'BagReader':
        with self._reading():
            self._reader.open()
        if self._reader.message_count == 0:
            self._reader.close()
            raise BagError(f'{self.path}: the recording is empty (0 messages); record it again')
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def start_ns(self) -> int:
        """Receive time of the first message."""
        return self._reader.start_time

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last message."""
        # rosbags counts to the nanosecond after the last message
        return (self._reader.duration - 1) * 1e-9

    def topics(self) -> dict[str, str]:
        """Message type by topic, of the topics that carry at least one message."""
        return {connection.topic: connection.msgtype
                for connection in sorted(self._reader.connections, key=lambda c: c.topic)
                if connection.msgcount}

    def message_counts(self) -> dict[str, int]:
        """Count messages by topic."""
        counts = dict.fromkeys(self.topics(), 0)
        for connection in self._reader.connections:
            if connection.msgcount:
                counts[connection.topic] += connection.msgcount
        return counts

    def latched_topics(self) -> set[str]:
        """Topics that a late subscriber must still receive: transient local ones, /tf_static."""
        latched = {connection.topic for connection in self._reader.connections
                   if isinstance(connection.ext, ConnectionExtRosbag2)
                   and any(profile.durability == QosDurability.TRANSIENT_LOCAL
                           for profile in connection.ext.offered_qos_profiles)}
        return (latched | {'/tf_static'}) & set(self.topics())

    def require(self, topics: Collection[str]) -> None:
        """
        Check that every topic carries messages.

        :raises BagError: naming the missing topics and those present
        """
        present = self.topics()
        missing = sorted(set(topics) - set(present))
        if missing:
            raise BagError(f'{self.path}: no messages on {", ".join(missing)}; the recording has '
                           f'{", ".join(present)}; remap the inputs or record these topics')

    def raw_messages(self, topics: Collection[str]) -> Iterator[tuple[str, str, int, bytes]]:
        """
        Yield (topic, type, receive time ns, CDR bytes) in time order.

        :raises BagError: on a missing topic or a damaged recording
        """
        for connection, stamp_ns, data in self._records(topics):
            yield connection.topic, connection.msgtype, stamp_ns, data

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, Message]]:
        """
        Yield (topic, receive time ns, decoded message) in time order.

        :raises BagError: on a missing topic, an unknown message type or a damaged recording
        """
        known, types = self._reader.typestore.fielddefs, self.topics()
        self.require(topics)
        for topic in topics:
            if types[topic] not in known:
                raise BagError(f'{self.path}: {topic} has the unknown message type '
                               f'{types[topic]}, which the recording does not define; record it '
                               f'as mcap, which stores the definitions')
        for connection, stamp_ns, data in self._records(topics):
            with self._reading(f' at {stamp_ns} ns on {connection.topic}'):
                message = self._reader.deserialize(data, connection.msgtype)
            yield connection.topic, stamp_ns, message

    def _records(self, topics: Collection[str]) -> Iterator[tuple[Connection, int, bytes]]:
        self.require(topics)
        connections = [c for c in self._reader.connections if c.topic in set(topics)]
        if not connections:
            return
        records = self._reader.messages(connections)
        left = sum(connection.msgcount for connection in connections)
        while True:
            with self._reading():
                record = next(records, None)
                if record is None and left:
                    raise EOFError(f'{left} of the announced messages are missing')
            if record is None:
                return
            left -= 1
            yield record

    @contextmanager
    def _reading(self, where: str = '') -> Iterator[None]:
        try:
            yield
        # A damaged file surfaces as whatever the parser tripped over: struct, unicode, index,
        # yaml, sqlite, zstd and assertion errors have all been seen.
        except Exception as error:
            raise BagError(f'{self.path}: the recording is damaged or incomplete{where} '
                           f'({type(error).__name__}: {error}); {REINDEX_HINT}') from error


def _check_folder(path: Path) -> None:
    if (path / 'metadata.yaml').is_file():
        return
    storage = sorted(p.name for suffix in STORAGE_SUFFIXES for p in path.glob(f'*{suffix}'))
    if storage:
        raise BagError(f'{path}: metadata.yaml is missing (the recorder was interrupted); run '
                       f'`ros2 bag reindex {path}` or open {storage[0]} itself')
    raise BagError(f'{path}: not a rosbag2 recording; expected metadata.yaml and a .mcap or .db3 '
                   f'file in the folder')
