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

"""Stamps and durations: builtin_interfaces messages and integer nanoseconds."""

from pair_drive_ros.conversions.errors import ConversionError, Message
from pair_drive_ros.conversions.message_types import MessageTypes

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Message) -> int:
    """
    Return a builtin_interfaces/Time (or Duration) as nanoseconds, exactly.

    :raises ConversionError: when ``nanosec`` is a second or more
    """
    nanosec = int(stamp.nanosec)
    if not 0 <= nanosec < NS_PER_S:
        raise ConversionError(f'stamp: nanosec is {nanosec}, outside [0, 1e9); '
                              'the publisher must carry whole seconds into sec')
    return int(stamp.sec) * NS_PER_S + nanosec


def time_message(types: MessageTypes, nanoseconds: int) -> Message:
    """Build a builtin_interfaces/Time."""
    return _split(types, 'builtin_interfaces/msg/Time', nanoseconds)


def duration_message(types: MessageTypes, nanoseconds: int) -> Message:
    """Build a builtin_interfaces/Duration."""
    return _split(types, 'builtin_interfaces/msg/Duration', nanoseconds)


def _split(types: MessageTypes, name: str, nanoseconds: int) -> Message:
    sec, nanosec = divmod(int(nanoseconds), NS_PER_S)
    if not -2**31 <= sec < 2**31:
        raise ConversionError(f'{name}: {sec} s does not fit the 32 bits of sec; '
                              'are the nanoseconds in another unit?')
    return types[name](sec=sec, nanosec=nanosec)
