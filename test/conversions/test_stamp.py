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

"""Stamps keep every nanosecond."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.stamp import duration_message, stamp_to_ns, time_message
import pytest


@given(st.integers(-2**31 * 10**9, 2**31 * 10**9 - 1))
def test_round_trip_is_exact(kit, nanoseconds):
    """Every representable instant survives, the ones before 1970 too."""
    assert stamp_to_ns(time_message(kit.types, nanoseconds)) == nanoseconds
    assert stamp_to_ns(duration_message(kit.types, nanoseconds)) == nanoseconds


def test_message_classes(kit):
    """Instants and durations are different messages."""
    assert type(time_message(kit.types, 1)) is kit.types['builtin_interfaces/msg/Time']
    assert type(duration_message(kit.types, 1)) is kit.types['builtin_interfaces/msg/Duration']


@pytest.mark.parametrize('nanosec', [10**9, 2**32 - 1, -1])
def test_nanosec_outside_a_second(nanosec):
    """A stamp that carries seconds in its nanoseconds is refused."""
    with pytest.raises(ConversionError, match=f'nanosec is {nanosec}'):
        stamp_to_ns(SimpleNamespace(sec=1, nanosec=nanosec))


@pytest.mark.parametrize('nanoseconds', [2**31 * 10**9, -2**31 * 10**9 - 1])
def test_seconds_beyond_32_bits(kit, nanoseconds):
    """An instant that no message can hold is refused instead of wrapped."""
    with pytest.raises(ConversionError, match='32 bits'):
        time_message(kit.types, nanoseconds)
