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
Publish a bag on its topics, byte for byte, with /clock.

It starts when somebody listens to every camera, LiDAR and odometry topic, so that no frame is
lost to discovery. Remap topics with ``--ros-args -r /recorded:=/wanted``.
"""

import argparse
from collections.abc import Callable
import signal
import sys
import time

from pair_drive_ros.conversions.message_types import MessageTypes
from pair_drive_ros.evaluation.bag import BagError, BagReader
from pair_drive_ros.nodes.resources import use_shared_memory_profile
import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

SENSOR_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage',
                'sensor_msgs/msg/PointCloud2', 'nav_msgs/msg/Odometry')
_CLOCK_PERIOD_NS = 10_000_000
_ACKNOWLEDGE_S = 2.0
_SETTLE_S = 0.5


class PlayerError(RuntimeError):
    """The bag cannot be played: nobody listens, or a message type is not installed."""


class BagPlayer:
    """
    Publishes the messages of a bag from a node, in the bag's rhythm.

    :param node: an rclpy node; its remappings apply to the bag's topics
    :param reader: an open bag
    :param on_publish: called with topic and CDR bytes just before each message goes out
    """

    def __init__(self, node: Node, reader: BagReader,
                 on_publish: Callable[[str, bytes], None] = lambda topic, cdr: None):
        self._reader = reader
        self._on_publish = on_publish
        self._clock = node.create_publisher(Clock, '/clock', 10)
        self._publishers = {}
        self._awaited = []
        latched, types = reader.latched_topics(), MessageTypes.installed()
        for topic, type_name in reader.topics().items():
            if type_name not in types:
                node.get_logger().warning(
                    f'{topic}: not played, because {type_name} is not installed')
                continue
            qos = QoSProfile(depth=10)
            if topic in latched:
                qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
            self._publishers[topic] = node.create_publisher(types[type_name], topic, qos)
            if type_name in SENSOR_TYPES:
                self._awaited.append(topic)

    def wait_for_subscribers(self, timeout_s: float,
                             stopped: Callable[[], bool] = lambda: False) -> None:
        """
        Wait until every sensor topic has a subscriber.

        :param stopped: whether the one that is waited for has ended, which ends the wait
        :raises PlayerError: naming the topics nobody listens to
        """
        begun_s = time.monotonic()
        while True:
            lonely = [topic for topic in self._awaited
                      if not self._publishers[topic].get_subscription_count()]
            if not lonely:
                # The other side may learn of the match a moment later than this one.
                time.sleep(_SETTLE_S)
                return
            waited_s = time.monotonic() - begun_s
            if waited_s > timeout_s or stopped():
                raise PlayerError(f'nobody listens to {", ".join(lonely)} after {waited_s:.0f} s;'
                                  ' is the planner active, and are the topics remapped to its '
                                  'inputs?')
            time.sleep(0.02)

    def play(self, rate: float, stopped: Callable[[], bool] = lambda: False) -> dict[str, int]:
        """
        Publish every message at ``rate`` times the recorded speed; return counts by topic.

        :param stopped: looked at between messages; True ends the replay
        """
        counts = dict.fromkeys(self._publishers, 0)
        start_ns = clock_ns = self._reader.start_ns
        begun_s = time.monotonic()
        with tqdm(total=round(self._reader.duration_s, 1), desc='replay', mininterval=0.5,
                  bar_format='{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s') as bar:
            for topic, _, stamp_ns, cdr in self._reader.raw_messages(self._publishers):
                while clock_ns <= stamp_ns:
                    _sleep_until(begun_s + (clock_ns - start_ns) * 1e-9 / rate)
                    self._publish_clock(clock_ns)
                    clock_ns += _CLOCK_PERIOD_NS
                _sleep_until(begun_s + (stamp_ns - start_ns) * 1e-9 / rate)
                if stopped():
                    break
                self._on_publish(topic, cdr)
                self._publishers[topic].publish(cdr)
                counts[topic] += 1
                bar.update((stamp_ns - start_ns) * 1e-9 - bar.n)
        return counts

    def wait_until_delivered(self) -> None:
        """Wait until reliable subscribers have acknowledged what was published."""
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))

    def _publish_clock(self, now_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(now_ns, 1_000_000_000)
        self._clock.publish(message)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('bag', help='rosbag2 folder, .mcap or .db3 file')
    parser.add_argument('--rate', type=float, default=1.0, help='speed of the replay (default 1)')
    parser.add_argument('--wait', type=float, default=30.0, metavar='SECONDS',
                        help='how long to wait for subscribers (default 30)')


def run(arguments: argparse.Namespace, ros_arguments: list[str]) -> int:
    """Play the bag once; return the exit code."""
    if arguments.rate <= 0.0:
        print(f'--rate: expected a positive number, got {arguments.rate}', file=sys.stderr)
        return 2
    use_shared_memory_profile()
    rclpy.init(args=ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    interrupted: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))
    signal.signal(signal.SIGTERM, lambda number, _: interrupted.append(number))
    try:
        with BagReader(arguments.bag) as reader:
            player = BagPlayer(rclpy.create_node('player'), reader)
            player.wait_for_subscribers(arguments.wait)
            counts = player.play(arguments.rate, lambda: bool(interrupted))
            player.wait_until_delivered()
    except (BagError, PlayerError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    for topic, count in counts.items():
        print(f'{count:6d}  {topic}')
    return 0


def _sleep_until(instant_s: float) -> None:
    time.sleep(max(0.0, instant_s - time.monotonic()))
