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

"""The command line: ``python -m pair_drive_ros COMMAND``."""

import argparse
import sys

from pair_drive_ros.nodes import bringup, demo, player
from pair_drive_ros.nodes import bench

_COMMANDS = {
    'bringup': (bringup, 'run the planner node'),
    'play': (player, 'publish a bag on its topics, with /clock'),
    'demo': (demo, 'run the planner on a bag and leave a report'),
    'bench': (bench, 'measure the planner\'s parts on this machine'),
}


def main() -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m pair_drive_ros', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, (module, summary) in _COMMANDS.items():
        module.add_arguments(commands.add_parser(
            name, help=summary, description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter))
    own, ros_arguments = _split(sys.argv[1:])
    arguments = parser.parse_args(own)
    return _COMMANDS[arguments.command][0].run(arguments, ros_arguments)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part our arguments from those of ROS, which begin with ``--ros-args``."""
    if '--ros-args' not in arguments:
        return arguments, []
    index = arguments.index('--ros-args')
    return arguments[:index], arguments[index:]


if __name__ == '__main__':
    sys.exit(main())
