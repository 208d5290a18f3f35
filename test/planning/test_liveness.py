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

"""The watch tells a dead sensor from a late one and does not waver."""

from pair_drive_ros.planning.liveness import SensorWatch, START_UP_NS
import pytest

MS = 1_000_000
PERIOD_MS = 100
SILENCE_MS = 250


class Show:
    """A watch that looks every 10 ms at sensors whose messages come as scripted."""

    def __init__(self, *names):
        self.watch = SensorWatch(names, SILENCE_MS * MS)
        self.names = names
        self.now_ms = 1_000_000
        self.newest = dict.fromkeys(names)
        self.verdicts = []

    def run(self, milliseconds, look_ms=10, **arrivals):
        """
        Pass time.

        ``arrivals``: for each sensor that sends a function from the number of a period to the
        delay in ms of the message stamped at its beginning; None for a message that is lost.
        """
        start_ms = self.now_ms
        due = sorted((start_ms + number * PERIOD_MS + delay, start_ms + number * PERIOD_MS, name)
                     for name, delay_of in arrivals.items()
                     for number in range(milliseconds // PERIOD_MS)
                     if (delay := delay_of(number)) is not None)
        for self.now_ms in range(start_ms, start_ms + milliseconds, look_ms):
            while due and due[0][0] <= self.now_ms:
                _, stamp_ms, name = due.pop(0)
                self.newest[name] = stamp_ms * MS
            self.verdicts.append(self.watch.live(self.newest, self.now_ms * MS))
        self.now_ms = start_ms + milliseconds
        return self.verdicts[-1]

    def changes(self):
        """Return the verdicts without repetitions."""
        return [verdict for index, verdict in enumerate(self.verdicts)
                if index == 0 or verdict != self.verdicts[index - 1]]


def steadily(_number):
    return 30


def test_before_the_first_message_all_are_awaited():
    show = Show('camera', 'lidar')
    assert show.run(10_000) == ('camera', 'lidar')


def test_jitter_changes_nothing():
    show = Show('camera', 'lidar')
    show.run(5_000, camera=lambda number: (5, 90, 30, 70)[number % 4], lidar=steadily)
    assert show.changes() == [('camera', 'lidar')]


@pytest.mark.parametrize('delay_ms', [30, 120, 190])
def test_a_message_that_is_lost_and_a_long_delay_are_no_death(delay_ms):
    show = Show('camera', 'lidar')
    show.run(5_000, camera=lambda number: None if number % 7 == 3 else delay_ms, lidar=steadily)
    assert show.changes() == [('camera', 'lidar')]


def test_rare_looks_are_no_silence():
    show = Show('camera', 'lidar')
    show.run(5_000, look_ms=700, camera=steadily, lidar=steadily)
    assert show.changes() == [('camera', 'lidar')]
    assert show.run(2_000, look_ms=700, lidar=steadily) == ('lidar',)


def test_one_that_dies_is_missing_soon_and_back_after_a_steady_second():
    show = Show('camera', 'lidar')
    show.run(1_000, camera=steadily, lidar=steadily)
    # The last message came 70 ms before.
    assert show.run(180, lidar=steadily) == ('camera', 'lidar')
    assert show.run(20, lidar=steadily) == ('lidar',)
    show.run(4_800, lidar=steadily)
    assert show.run(900, camera=steadily, lidar=steadily) == ('lidar',)
    assert show.run(300, camera=steadily, lidar=steadily) == ('camera', 'lidar')
    assert len(show.changes()) == 3


def test_a_loose_plug_does_not_make_the_verdict_waver():
    show = Show('camera', 'lidar')
    show.run(10_000, camera=lambda number: 30 if number % 10 < 5 else None, lidar=steadily)
    assert show.changes() == [('camera', 'lidar'), ('lidar',)]


def test_one_that_never_spoke_is_awaited_for_the_start_up_only():
    show = Show('camera', 'lidar')
    show.run(500)
    assert show.run(START_UP_NS // MS, camera=steadily) == ('camera', 'lidar')
    assert show.run(100, camera=steadily) == ('camera',)
    assert len(show.changes()) == 2


def test_one_that_starts_within_the_start_up_belongs_from_its_first_message():
    show = Show('camera', 'lidar')
    show.run(2_500, camera=steadily)
    show.run(2_500, camera=steadily, lidar=steadily)
    assert show.changes() == [('camera', 'lidar')]


@pytest.mark.parametrize('offset_ms', [-3_000, 3_000])
def test_a_clock_that_is_wrong_is_a_missing_sensor(offset_ms):
    show = Show('camera', 'lidar')
    for _ in range(40):
        show.newest['lidar'] = (show.now_ms + offset_ms) * MS
        show.run(PERIOD_MS, camera=steadily)
    assert show.changes() == [('camera', 'lidar'), ('camera',)]


def test_when_all_stop_and_go_on_nobody_is_blamed():
    show = Show('camera', 'lidar')
    show.run(1_000, camera=steadily, lidar=steadily)
    show.run(3_000)
    show.run(2_000, camera=steadily, lidar=lambda number: 60)
    assert show.changes() == [('camera', 'lidar')]


def test_when_all_stop_and_one_goes_on_alone_the_others_are_missing():
    show = Show('camera', 'lidar')
    show.run(1_000, camera=steadily, lidar=steadily)
    show.run(3_000)
    assert show.run(600, lidar=steadily) == ('lidar',)


def test_the_last_one_needs_no_probation():
    show = Show('camera', 'lidar')
    show.run(1_000, camera=steadily, lidar=steadily)
    show.run(1_000, lidar=steadily)
    assert show.run(500, camera=steadily) == ('camera',)


def test_a_reset_starts_anew():
    show = Show('camera', 'lidar')
    show.run(4_000, camera=steadily)
    show.watch.reset()
    assert show.run(2_000, camera=steadily) == ('camera', 'lidar')
