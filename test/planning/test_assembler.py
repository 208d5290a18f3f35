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

"""The assembler pairs what belongs together and names what is missing."""

import numpy as np
from numpy.testing import assert_allclose
from pair_drive_ros.core.frames import (
    CameraImage,
    DrivingCommand,
    EgoState,
    LidarSweep,
    PlannerInput,
)
from pair_drive_ros.planning.assembler import FrameAssembler, NotReady, SyncLimits
import pytest

MS = 1_000_000
START = 1_000_000 * MS


def image(name, stamp_ns):
    return lambda: CameraImage(name, stamp_ns, np.zeros((2, 2, 3), np.uint8))


def sweep(stamp_ns):
    return lambda: LidarSweep(stamp_ns, np.zeros((1, 4), np.float32))


def odometry(stamp_ns, speed=5.0):
    seconds = (stamp_ns - START) * 1e-9
    return lambda: EgoState(stamp_ns, np.array([speed * seconds, 0.0, 0.0]),
                            np.array([speed, 0.0]))


class Rig:
    """An assembler of two cameras and a LiDAR, fed by hand."""

    def __init__(self):
        self.assembler = FrameAssembler(['camera_left', 'camera_front', 'lidar'], 'camera_front',
                                        SyncLimits())

    def feed(self, stamp_ns, left=0, lidar=0, front=True):
        """Offsets in ms; None leaves the sensor out."""
        if left is not None:
            at = stamp_ns + left * MS
            self.assembler.add_sensor('camera_left', at, image('left', at))
        if lidar is not None:
            at = stamp_ns + lidar * MS
            self.assembler.add_sensor('lidar', at, sweep(at))
        if front:
            self.assembler.add_sensor('camera_front', stamp_ns, image('front', stamp_ns))

    def feed_odometry(self, *offsets_ms, speed=5.0):
        for offset in offsets_ms:
            at = START + offset * MS
            self.assembler.add_odometry(at, odometry(at, speed))


@pytest.fixture
def rig():
    return Rig()


def test_before_anything_came_every_source_is_named(rig):
    result = rig.assembler.assemble(START)
    assert result == NotReady('nothing received yet from: camera_left, camera_front, lidar, '
                              'odometry')


def test_a_complete_frame_bears_the_anchors_stamp(rig):
    rig.feed_odometry(-20, 20)
    rig.feed(START, left=12, lidar=-30)
    frame = rig.assembler.assemble(START + 10 * MS)
    assert isinstance(frame, PlannerInput)
    assert frame.stamp_ns == START
    assert frame.cameras['left'].stamp_ns == START + 12 * MS
    assert list(frame.cameras) == ['left', 'front']
    assert frame.lidar.stamp_ns == START - 30 * MS
    assert frame.command is DrivingCommand.UNKNOWN


def test_the_ego_is_interpolated_to_the_anchor(rig):
    rig.feed_odometry(-20, 20)
    rig.feed(START)
    ego = rig.assembler.assemble(START).ego
    assert ego.stamp_ns == START
    assert_allclose(ego.pose, [0.0, 0.0, 0.0], atol=1e-9)


def test_the_ego_is_carried_forward_at_most_the_limit(rig):
    rig.feed_odometry(-100)
    rig.feed(START)
    assert_allclose(rig.assembler.assemble(START).ego.pose, [0.0, 0.0, 0.0], atol=1e-9)
    rig.feed(START + 10 * MS)
    result = rig.assembler.assemble(START + 10 * MS)
    assert isinstance(result, NotReady)
    assert 'odometry: none around the anchor camera_front' in result.reason


def test_acceleration_is_measured_where_it_comes_else_derived(rig):
    rig.feed_odometry(-100, -80)
    rig.assembler.add_odometry(START, odometry(START, speed=5.8))
    rig.feed(START)
    assert rig.assembler.assemble(START).ego.acceleration[0] > 5.0
    rig.assembler.add_acceleration(START + 99 * MS, lambda: np.array([1.5, 0.2]))
    rig.feed_odometry(100)
    rig.feed(START + 100 * MS)
    assert_allclose(rig.assembler.assemble(START + 100 * MS).ego.acceleration, [1.5, 0.2])


def test_an_anchor_is_used_once(rig):
    rig.feed_odometry(0)
    rig.feed(START)
    assert isinstance(rig.assembler.assemble(START), PlannerInput)
    again = rig.assembler.assemble(START)
    assert again == NotReady('waiting for the next camera_front', waiting=True)


def test_a_sensor_outside_the_tolerance_is_waited_for_then_named(rig):
    rig.feed_odometry(0)
    rig.feed(START, left=-51)
    assert rig.assembler.assemble(START + 20 * MS).waiting
    late = rig.assembler.assemble(START + 60 * MS)
    assert not late.waiting
    assert late.reason == ('camera_left: no message within 50 ms of the anchor camera_front; its '
                           'newest is 0.11 s old')


def test_an_older_anchor_that_is_complete_wins_over_a_newer_one_that_is_not(rig):
    rig.feed_odometry(0, 100)
    rig.feed(START, left=None)
    rig.feed(START + 100 * MS, left=None, lidar=None)
    rig.assembler.add_sensor('camera_left', START, image('left', START))
    assert rig.assembler.assemble(START + 110 * MS).stamp_ns == START


def test_newest_wins_and_the_overtaken_are_counted(rig):
    rig.feed_odometry(0, 100, 150)
    for offset in (0, 50, 100, 150):
        rig.feed(START + offset * MS)
    assert rig.assembler.assemble(START + 150 * MS).stamp_ns == START + 150 * MS
    assert rig.assembler.skipped_anchors == 3


def test_old_stamps_are_refused_with_a_remedy(rig):
    rig.feed_odometry(0)
    rig.feed(START)
    reason = rig.assembler.assemble(START + 10_000 * MS).reason
    assert 'camera_front: the newest stamp is 10.00 s old (limit 0.20 s)' in reason
    assert 'use_sim_time' in reason


def test_stamps_from_the_future_are_refused(rig):
    rig.feed_odometry(0)
    rig.feed(START)
    assert '3.00 s in the future' in rig.assembler.assemble(START - 3_000 * MS).reason


def test_a_jump_back_forgets_everything(rig):
    rig.feed_odometry(0)
    rig.feed(START)
    assert isinstance(rig.assembler.assemble(START), PlannerInput)
    rig.feed(START - 5_000 * MS, left=None, lidar=None)
    result = rig.assembler.assemble(START - 5_000 * MS)
    assert result.reason == 'nothing received yet from: camera_left, lidar, odometry'
    assert rig.assembler.resets == 1


def test_after_a_loop_of_the_bag_the_same_stamps_are_planned_on_again(rig):
    for _ in range(2):
        rig.feed_odometry(0, 2000)
        rig.feed(START)
        rig.feed(START + 2_000 * MS)
        assert isinstance(rig.assembler.assemble(START + 2_000 * MS), PlannerInput)
    assert rig.assembler.resets == 1


def test_a_message_slightly_out_of_order_is_dropped(rig):
    rig.feed_odometry(0)
    rig.feed(START)
    rig.feed(START - 30 * MS)
    assert rig.assembler.assemble(START).stamp_ns == START
    assert rig.assembler.resets == 0


def test_a_message_that_cannot_be_decoded_spends_its_anchor(rig):
    def broken():
        raise ValueError('camera_left: encoding foo')
    rig.feed_odometry(0)
    rig.assembler.add_sensor('camera_left', START, broken)
    rig.feed(START, left=None)
    with pytest.raises(ValueError, match='encoding foo'):
        rig.assembler.assemble(START)
    assert rig.assembler.assemble(START).waiting


def test_the_command_is_the_last_one_set(rig):
    rig.feed_odometry(0)
    rig.assembler.set_command(DrivingCommand.LEFT)
    rig.feed(START)
    assert rig.assembler.assemble(START).command is DrivingCommand.LEFT


def test_ages_are_those_of_the_newest_messages(rig):
    rig.feed(START, left=None)
    ages = rig.assembler.input_ages_ns(START + 40 * MS)
    assert ages == {'camera_left': None, 'camera_front': 40 * MS, 'lidar': 40 * MS,
                    'odometry': None}


def test_the_anchor_must_be_a_sensor_of_the_rig():
    with pytest.raises(ValueError, match="'camera_rear' is none"):
        FrameAssembler(['camera_front'], 'camera_rear', SyncLimits())


class Drive:
    """
    An assembler fed at 10 Hz and asked every 10 ms, as the planner thread does.

    Every message comes 30 ms after its stamp; ``delays`` of a sensor replace that.
    """

    SENSORS = ('camera_left', 'camera_front', 'lidar')

    def __init__(self, **options):
        options = {'anchor': 'camera_front', 'limits': SyncLimits(), 'needs_all': False,
                   **options}
        self.assembler = FrameAssembler(self.SENSORS, **options)
        self.now_ms = 0
        self.results = []

    def run(self, milliseconds, *sensors, delays=None):
        """Drive with the named sensors alive; return anchor and sensors of the frames it gave."""
        frames, begun_ms = [], self.now_ms
        due = []
        for stamp_ms in range(begun_ms, begun_ms + milliseconds, 100):
            for name in sensors:
                delay_ms = (delays or {}).get(name, lambda _: 30)(stamp_ms // 100)
                if delay_ms is not None:
                    due.append((stamp_ms + delay_ms, stamp_ms, name))
        due.sort()
        for self.now_ms in range(begun_ms, begun_ms + milliseconds, 10):
            if self.now_ms % 20 == 0:
                at = START + self.now_ms * MS
                self.assembler.add_odometry(at, odometry(at))
            while due and due[0][0] <= self.now_ms:
                _, stamp_ms, name = due.pop(0)
                at = START + stamp_ms * MS
                decode = sweep(at) if name == 'lidar' else image(name.removeprefix('camera_'), at)
                self.assembler.add_sensor(name, at, decode)
            result = self.assembler.assemble(START + self.now_ms * MS)
            self.results.append(result)
            if isinstance(result, PlannerInput):
                frames.append((self.assembler.anchor, contents(result)))
        self.now_ms = begun_ms + milliseconds
        return frames

    def silences_ms(self):
        """Return the longest time without a frame after the first one."""
        at = [index * 10 for index, result in enumerate(self.results)
              if isinstance(result, PlannerInput)]
        return max(np.diff(at))


def contents(frame):
    return ' '.join([*frame.cameras, *(['lidar'] if frame.lidar is not None else [])])


def test_a_camera_that_jitters_or_loses_a_message_is_never_left_out():
    drive = Drive()
    frames = drive.run(5_000, *Drive.SENSORS, delays={
        'camera_left': lambda number: (80, 40, 10, 50, None)[number % 5]})
    assert {frame for _, frame in frames} == {'left front lidar'}
    assert len(frames) == 40


def test_a_message_that_is_late_is_waited_for():
    drive = Drive()
    frames = drive.run(2_000, *Drive.SENSORS, delays={'lidar': lambda _: 120})
    assert {frame for _, frame in frames} == {'left front lidar'}
    assert len(frames) >= 18
    waiting = [result for result in drive.results[100:] if isinstance(result, NotReady)]
    assert any(result.waiting for result in waiting)


def test_a_camera_that_dies_is_left_out_until_it_is_steadily_back():
    drive = Drive()
    drive.run(2_000, *Drive.SENSORS)
    without = [frame for _, frame in drive.run(2_000, 'camera_front', 'lidar')]
    assert set(without) == {'front lidar'}
    assert len(without) >= 17
    back = [frame for _, frame in drive.run(2_000, *Drive.SENSORS)]
    assert back == sorted(back)
    assert set(back) == {'front lidar', 'left front lidar'}
    # What the wait for the dead camera costs: little more than it takes to call it missing.
    assert drive.silences_ms() <= 300


def test_a_lidar_that_is_dead_from_the_start_is_waited_for_three_seconds():
    drive = Drive()
    assert drive.run(2_900, 'camera_left', 'camera_front') == []
    assert drive.results[-1] == NotReady('nothing received yet from: lidar')
    frames = drive.run(1_000, 'camera_left', 'camera_front')
    assert set(frames) == {('camera_front', 'left front')}
    assert len(frames) >= 9


def test_while_the_anchor_is_dead_the_first_live_sensor_anchors():
    drive = Drive()
    drive.run(1_000, *Drive.SENSORS)
    assert set(drive.run(1_000, 'camera_left', 'lidar')) == {('camera_left', 'left lidar')}
    assert set(drive.run(1_000, 'lidar')) == {('lidar', 'lidar')}
    frames = drive.run(2_000, *Drive.SENSORS)
    assert frames[0] == ('lidar', 'lidar')
    assert frames[-1] == ('camera_front', 'left front lidar')
    stamps = [frame.stamp_ns for frame in drive.results if isinstance(frame, PlannerInput)]
    assert stamps == sorted(set(stamps))


def test_when_every_sensor_is_dead_the_last_anchor_is_named():
    drive = Drive()
    drive.run(1_000, *Drive.SENSORS)
    assert drive.run(2_000) == []
    assert 'is the sensor alive' in drive.results[-1].reason
    # After the silence nothing is left out.
    assert set(drive.run(1_000, *Drive.SENSORS)) == {('camera_front', 'left front lidar')}


def test_a_reset_takes_every_sensor_for_alive():
    drive = Drive()
    drive.run(1_000, *Drive.SENSORS)
    drive.run(1_000, 'camera_front', 'lidar')
    drive.assembler.reset()
    assert set(drive.run(500, *Drive.SENSORS)) == {('camera_front', 'left front lidar')}


def test_without_odometry_there_is_never_a_plan():
    assembler = FrameAssembler(Drive.SENSORS, 'camera_front', SyncLimits(), needs_all=False)
    for name in Drive.SENSORS[1:]:
        assembler.add_sensor(name, START, sweep(START))
    assert assembler.assemble(START + 10 * MS) == NotReady(
        'nothing received yet from: camera_left, odometry')


def test_an_engine_that_needs_all_gets_nothing_less():
    drive = Drive(needs_all=True)
    drive.run(1_000, *Drive.SENSORS)
    assert drive.run(5_000, 'camera_front', 'lidar') == []
    assert drive.results[-1].reason.startswith('camera_left: no message within 50 ms')
    assert drive.run(200, *Drive.SENSORS)[0] == ('camera_front', 'left front lidar')


@pytest.mark.parametrize('needs_all', [True, False])
def test_a_sensor_that_is_not_read_is_neither_awaited_nor_decoded(needs_all):
    drive = Drive(read=['camera_front'], needs_all=needs_all)

    def broken():
        raise ValueError('camera_left: encoding foo')

    drive.assembler.add_sensor('camera_left', START, broken)
    frames = drive.run(1_000, 'camera_front')
    assert set(frames) == {('camera_front', 'front')}
    assert len(frames) == 10


@pytest.mark.parametrize('needs_all', [True, False])
def test_an_engine_that_reads_no_sensor_plans_on_the_anchors_stamps(needs_all):
    drive = Drive(read=[], needs_all=needs_all)
    assert set(drive.run(1_000, 'camera_front', 'lidar')) == {('camera_front', '')}
    frames = drive.run(2_000, 'lidar')
    assert set(frames) == {('lidar', '')}
    assert len(frames) >= 17


def test_an_anchor_that_is_not_read_is_replaced_even_where_all_that_is_read_is_needed():
    drive = Drive(anchor='lidar', read=['camera_left', 'camera_front'], needs_all=True)
    assert set(drive.run(1_000, *Drive.SENSORS)) == {('lidar', 'left front')}
    assert set(drive.run(1_000, 'camera_left', 'camera_front')) == {('camera_left', 'left front')}
    assert drive.run(1_000, 'lidar', 'camera_left') == []


def test_a_sensor_that_is_not_read_does_not_become_the_anchor():
    drive = Drive(read=['camera_front', 'lidar'])
    drive.run(1_000, *Drive.SENSORS)
    assert drive.run(1_000, 'camera_left') == []
    assert set(drive.run(1_000, *Drive.SENSORS)) == {('camera_front', 'front lidar')}


def test_the_stamps_of_an_unread_anchor_alone_make_no_input():
    drive = Drive(anchor='lidar', read=['camera_left', 'camera_front'])
    drive.run(1_000, *Drive.SENSORS)
    assert drive.run(2_000, 'lidar') == []
    assert 'camera_left: no message' in drive.results[-1].reason
    assert 'camera_front: no message' in drive.results[-1].reason
