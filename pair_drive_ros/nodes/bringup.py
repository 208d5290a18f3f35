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
Run the planner node.

``ros2 launch pair_drive_ros planner.launch.py`` does the same on a machine with a ROS
distribution; this works wherever rclpy does. Arguments of ROS go after ``--ros-args``.
"""

import argparse
import gc
from pathlib import Path
import signal
import sys
import threading

from pair_drive_ros.nodes.planner_node import PlannerNode
from pair_drive_ros.nodes.resources import config_file, use_shared_memory_profile
import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('--params-file', action='append', type=Path, metavar='YAML', default=None,
                        help='parameter file; may be repeated, later ones win '
                             '(default: config/planner.yaml)')
    parser.add_argument('--use-sim-time', action='store_true',
                        help='follow /clock, as a replayed bag needs')


def run(arguments: argparse.Namespace, ros_arguments: list[str]) -> int:
    """Spin the planner until it is told to stop; return the exit code."""
    params_files = arguments.params_file or [config_file('planner.yaml')]
    missing = [path for path in params_files if not path.is_file()]
    if missing:
        print(f'{missing[0]}: there is no such parameter file', file=sys.stderr)
        return 2
    own = ['--ros-args']
    for path in params_files:
        own += ['--params-file', str(path)]
    if arguments.use_sim_time:
        own += ['-p', 'use_sim_time:=true']
    return spin_planner([*own, *ros_arguments])


def main() -> int:
    """Entry point of ``ros2 run pair_drive_ros planner``: every argument is ROS's."""
    return spin_planner(sys.argv[1:])


def spin_planner(ros_arguments: list[str]) -> int:
    """Create, start and spin the planner node with ROS arguments; return the exit code."""
    use_shared_memory_profile()
    # rclpy's own handlers would end the graph before the way to a halt is published.
    rclpy.init(args=ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = PlannerNode()
        executor.add_node(node)
        if not node.autostart():
            return 1
        # What start-up has allocated stays; scanning it again and again for garbage took
        # 40 % of the executor's time.
        gc.collect()
        gc.freeze()
        while not stopping.is_set():
            executor.spin_once(timeout_sec=0.1)
        return 0
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f'planner: {error}', file=sys.stderr)
        return 2
    finally:
        if node is not None:
            node.stand_down()
            node.destroy_node()
        rclpy.try_shutdown()
