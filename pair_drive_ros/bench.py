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
Measure this package on this machine.

network: the imitation policies, full-size and mini, and their input features on the CPU.
scorer: the PDM score of all plans of one scene, by both protocols.
node: the planner node under the load of a real rig: three 1600x900 JPEG cameras and 100,000 points
at 10 Hz, odometry at 50 Hz, from a player in another process.
"""

import argparse
import json
import os
from pathlib import Path
import sys

from pair_drive_ros.core.files import written_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('--what', choices=('network', 'scorer', 'node'), required=True,
                        help='what to measure')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures as well')
    parser.add_argument('--scenes', type=Path, metavar='NPZ',
                        help='scenes for the scorer (default: a built-in one)')
    parser.add_argument('--threads', type=int, default=os.cpu_count(),
                        help='CPU threads of the network (default: all)')
    parser.add_argument('--iterations', type=int, default=10,
                        help='timed passes of the network (default 10)')
    parser.add_argument('--seconds', type=float, default=12.0,
                        help='length of the load on the node (default 12)')


def run(arguments: argparse.Namespace, _: list[str]) -> int:
    """Measure, print and write; return the exit code."""
    try:
        if arguments.what == 'network':
            from pair_drive_ros.evaluation import network_benchmark as benchmark
            figures = benchmark.run(arguments.threads, arguments.iterations)
        elif arguments.what == 'scorer':
            from pair_drive_ros.scoring import benchmark
            figures = benchmark.run(arguments.scenes)
        else:
            from pair_drive_ros.nodes import load_test as benchmark
            figures = benchmark.run(arguments.seconds)
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(benchmark.report(figures))
    if arguments.json:
        with written_whole(arguments.json) as file:
            file.write(json.dumps(figures, indent=2).encode() + b'\n')
    return 0
