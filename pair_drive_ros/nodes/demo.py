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
Run the planner node on a bag and leave a report: a table, a picture, a page.

The planner runs in a process of its own, exactly as in a vehicle; the bag is played when every
input is connected. The exit code is 0 only if plans came. Without options it expects the topics
of ``python -m pair_drive_training make-world --bag``.
"""

import argparse
from pathlib import Path
import sys

from pair_drive_ros.evaluation.bag import BagError
from pair_drive_ros.evaluation.demo_report import (
    CAMERA_INFO_TOPIC,
    first_plans,
    IMAGE_TOPIC,
    ODOMETRY_TOPIC,
    POINTS_TOPIC,
    summarise,
    write_report,
)
from pair_drive_ros.nodes.player import PlayerError
from pair_drive_ros.nodes.replay import planner_command, replay
from pair_drive_ros.nodes.resources import config_file

# The planner's inputs and the topics of the sample drive that feed them.
SAMPLE_INPUTS = {
    **{f'camera_{name}/image/compressed': IMAGE_TOPIC.replace('front', name)
       for name in ('left', 'front', 'right')},
    **{f'camera_{name}/camera_info': CAMERA_INFO_TOPIC.replace('front', name)
       for name in ('left', 'front', 'right')},
    'points': POINTS_TOPIC, 'odometry': ODOMETRY_TOPIC, 'acceleration': '/acceleration',
    'command': '/command'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('bag', type=Path, help='bag with the topics of the sample drive')
    parser.add_argument('--out', type=Path, default=Path('out/demo'),
                        help='folder of the report (default out/demo)')
    parser.add_argument('--params-file', type=Path, metavar='YAML', default=None,
                        help='parameters of the planner, as of another policy '
                             '(default: config/planner.yaml)')
    parser.add_argument('--rate', type=float, default=1.0, help='speed of the replay (default 1)')


def run(arguments: argparse.Namespace, _: list[str]) -> int:
    """Replay, report; return 0 when plans came and the planner ended well."""
    params_file = arguments.params_file or config_file('planner.yaml')
    if not params_file.is_file():
        print(f'{params_file}: there is no such parameter file', file=sys.stderr)
        return 2
    command = planner_command([params_file, config_file('sample_rig.yaml')], SAMPLE_INPUTS)
    try:
        recording = replay(arguments.bag, command, IMAGE_TOPIC, arguments.rate)
        summary = summarise(recording)
        pages = write_report(arguments.out, arguments.bag, recording, summary)
    except (BagError, PlayerError) as error:
        print(error, file=sys.stderr)
        return 2
    print(summary.table())
    for page in pages:
        print(page)
    if not first_plans(recording) or recording.planner_exit != 0:
        print(f'no success: {summary.plans_out} plans came and the planner ended with exit '
              f'code {recording.planner_exit}', file=sys.stderr)
        return 1
    return 0
