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
import importlib
import sys

# A command's module is imported only when it is called: most need ROS, some must not.
_COMMANDS = {
    'bringup': ('pair_drive_ros.nodes.bringup', 'run the planner node'),
    'play': ('pair_drive_ros.nodes.player', 'publish a bag on its topics, with /clock'),
    'demo': ('pair_drive_ros.nodes.demo', 'run the planner on a bag and leave a report'),
    'score': ('pair_drive_ros.scoring.command', "score plans by NAVSIM's PDM score"),
    'bench': ('pair_drive_ros.bench', 'measure parts of this package on this machine'),
}


def main() -> int:
    """Run one command; return its exit code."""
    own, ros_arguments = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(prog='python -m pair_drive_ros', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    chosen = own[0] if own and own[0] in _COMMANDS else None
    for name, (module_name, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == chosen:
            module = importlib.import_module(module_name)
            command.description = module.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(command)
    arguments = parser.parse_args(own)
    return module.run(arguments, ros_arguments)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part our arguments from those of ROS, which begin with ``--ros-args``."""
    if '--ros-args' not in arguments:
        return arguments, []
    index = arguments.index('--ros-args')
    return arguments[:index], arguments[index:]


if __name__ == '__main__':
    sys.exit(main())
