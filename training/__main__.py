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

"""Command line of the training package: ``python -m pair_drive_training COMMAND``."""

import argparse
from collections.abc import Sequence
import sys

from pair_drive_training.world import sample_bag_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 2 refused, 130 interrupted."""
    parser = argparse.ArgumentParser(prog='python -m pair_drive_training', description=__doc__)
    commands = parser.add_subparsers(title='commands', required=True, metavar='COMMAND')
    for command in (sample_bag_command,):
        sub = commands.add_parser(command.NAME, help=command.SUMMARY,
                                  description=command.__doc__,
                                  formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f'{parser.prog}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'{parser.prog}: interrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
