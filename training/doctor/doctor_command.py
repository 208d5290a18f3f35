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
Check this machine, the data and the cache before hours are spent on them.

One row a check; the exit code is 1 when one of them is a FAIL. Nothing is changed, nothing is
downloaded.
"""

import argparse
from itertools import chain
from pathlib import Path
import sys

from pair_drive_training.doctor.packages import package_rows
from pair_drive_training.doctor.report import not_checked, print_rows, State


class DoctorError(ValueError):
    """The arguments do not fit together; the sentence says what to give."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--logs', metavar='DIR', type=Path,
                        help="OpenScene's logs, or the folder above its splits")
    parser.add_argument('--maps', metavar='DIR', type=Path,
                        help="nuPlan's maps: the folder of nuplan-maps-v1.0.json")
    parser.add_argument('--sensors', metavar='DIR', type=Path,
                        help='sensor blobs; needs --logs, which name the files')
    parser.add_argument('--tokens', metavar='FILE', type=Path,
                        help="the devkit's scene filter or split (.yaml), or a list of tokens "
                             '(.txt, .json), to count the scenes against')
    parser.add_argument('--cache', metavar='CACHE', type=Path, help='folder of a cache')
    parser.add_argument('--quick', action='store_true',
                        help='open the first and the last log only, and no shard of the cache')


def run(options: argparse.Namespace) -> int:
    """
    Print the table; return 1 when a check failed, 0 otherwise.

    :raises DoctorError: when arguments need others
    :raises FilterError: when the scene filter cannot be used
    """
    if options.sensors is not None and options.logs is None:
        raise DoctorError('--sensors: the logs name the files; give --logs DIR too')
    if options.tokens is not None and options.logs is None and options.cache is None:
        raise DoctorError('--tokens: nothing to count; give --logs DIR or --cache CACHE too')
    rows = list(package_rows())
    if any(row.state is State.FAIL for row in rows):
        print_rows([*rows, not_checked('all else', 'needs these packages',
                                       'Install them, then run the doctor again.')], sys.stdout)
        return 1
    # Not before: these import the packages just found to be there.
    from pair_drive_training.doctor.checks import check_rows
    from pair_drive_training.doctor.splits import Split
    split = Split.load(options.tokens)
    counts = print_rows(chain(rows, check_rows(options, split)), sys.stdout)
    return 1 if counts[State.FAIL] else 0
