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

"""Replays a bag through a planner in a process of its own and records what comes out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from pair_drive_ros.conversions.rotation import yaw
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.evaluation.bag import BagReader
from pair_drive_ros.evaluation.recording import RecordedPlan, Recording
from pair_drive_ros.nodes.player import BagPlayer
from pair_drive_ros.nodes.resources import use_shared_memory_profile
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import MultiDOFJointTrajectory

_DRAIN_S = 1.5
_EXIT_TIMEOUT_S = 15.0


def planner_command(params_files: Sequence[Path], remaps: dict[str, str]) -> list[str]:
    """
    Return the command that starts a planner on simulated time.

    ``ros2 launch`` where that command is, else our own bring-up.

    :param remaps: the planner's relative input ('odometry', 'camera_front/image/compressed')
        to the topic that feeds it
    """
    if shutil.which('ros2'):
        names = {_launch_argument(key): topic for key, topic in remaps.items()}
        return ['ros2', 'launch', 'pair_drive_ros', 'planner.launch.py', 'use_sim_time:=true',
                f'params_file:={params_files[0]}',
                *(f'rig_file:={path}' for path in params_files[1:]),
                *(f'{name}:={topic}' for name, topic in names.items())]
    return bringup_command(params_files, remaps)


def _launch_argument(planner_input: str) -> str:
    sensor, _, topic = planner_input.partition('/')
    return f'{sensor}_info_topic' if topic == 'camera_info' else f'{sensor}_topic'


def bringup_command(params_files: Sequence[Path], remaps: dict[str, str]) -> list[str]:
    """Return the command that starts a planner on simulated time by our own bring-up."""
    command = [sys.executable, '-m', 'pair_drive_ros', 'bringup', '--use-sim-time']
    for path in params_files:
        command += ['--params-file', str(path)]
    command.append('--ros-args')
    for key, topic in remaps.items():
        command += ['-r', f'~/input/{key}:={topic}']
    return command


def replay(bag: Path, command: Sequence[str], anchor_topic: str, rate: float = 1.0,
           wait_s: float = 60.0) -> Recording:
    """
    Start the planner, play the bag once when everything is connected, and record.

    :param anchor_topic: the bag's topic whose header stamps the plans must bear
    :raises BagError, PlayerError: when the bag cannot be read or nobody listens to it
    """
    use_shared_memory_profile()
    recording = Recording()
    published_s: dict[int, float] = {}

    def on_publish(topic: str, cdr: bytes) -> None:
        if topic == anchor_topic:
            stamp_ns = header_stamp_ns(cdr)
            published_s[stamp_ns] = time.monotonic()
            recording.anchors.add(stamp_ns)

    def on_plan(message: MultiDOFJointTrajectory) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        # Popped, because a plan that is held comes again with the same stamp.
        sent_s = published_s.pop(stamp_ns, None)
        latency_ms = (time.monotonic() - sent_s) * 1e3 if sent_s is not None else None
        first = message.points[1].time_from_start
        recording.plans.append(RecordedPlan(stamp_ns, _poses(message),
                                            first.sec + first.nanosec * 1e-9, latency_ms))

    def on_diagnostics(message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if 'plan_rate_hz' in values:
                recording.diagnostics = values
                entry = (values['state'], values['reason'])
                if not recording.states or recording.states[-1][0] != entry[0]:
                    recording.states.append(entry)

    with BagReader(bag) as reader, _graph():
        reader.require([anchor_topic])
        node = rclpy.create_node('replay')
        node.create_subscription(MultiDOFJointTrajectory, '/planner/output/trajectory', on_plan,
                                 QoSProfile(depth=50))
        node.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics,
                                 QoSProfile(depth=50))
        player = BagPlayer(node, reader, on_publish)
        with _running(command) as process, _spinning(node):
            player.wait_for_subscribers(wait_s, lambda: process.poll() is not None)
            busy_s, begun_s = _cpu_s(process.pid), time.monotonic()
            recording.sent = player.play(rate, lambda: process.poll() is not None)
            recording.wall_s = time.monotonic() - begun_s
            recording.planner_cpu_s = _cpu_s(process.pid) - busy_s
            # What the planner says of a rig that fell silent at the bag's end is not its story.
            states = list(recording.states)
            said = recording.diagnostics
            _await(lambda: not published_s and recording.diagnostics is not said, _DRAIN_S)
            plans = list(recording.plans)
        recording.plans, recording.states = plans, states
        recording.planner_exit = process.returncode
    return recording


def header_stamp_ns(cdr: bytes) -> int:
    """Return the stamp of a CDR message that begins with a std_msgs/Header."""
    order = '<' if cdr[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds


@contextmanager
def _graph() -> Iterator[None]:
    """Join the ROS graph; rclpy.init itself is no context manager before Kilted."""
    rclpy.init(args=[])
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen]:
    """Run a process; at the end ask it to stop, and insist when it does not."""
    process = subprocess.Popen(command, env=os.environ.copy(), start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _spinning(node) -> Iterator[None]:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()


def _await(done: Callable[[], bool], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline_s:
        time.sleep(0.01)


def _poses(message: MultiDOFJointTrajectory) -> np.ndarray:
    transforms = [point.transforms[0] for point in message.points]
    return np.array([
        [at.translation.x, at.translation.y,
         yaw((at.rotation.x, at.rotation.y, at.rotation.z, at.rotation.w))]
        for at in transforms])


def _cpu_s(pid: int) -> float:
    """CPU seconds, user and system, that a process and its reaped children have used."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    except FileNotFoundError:
        return float('nan')
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf('SC_CLK_TCK')
