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

"""Rows of the doctor's table and how they are printed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
import enum
from typing import Any, TextIO

from tqdm import tqdm

CHECK_WIDTH, STATE_WIDTH = 26, 11
# Names that are written out where there may be thousands.
LISTED = 3


class State(enum.Enum):
    """How a check ended; of these only FAIL makes the command's exit code 1."""

    OK = 'OK'
    WARN = 'WARN'
    FAIL = 'FAIL'
    NOT_CHECKED = 'not checked'


COLOURS = {State.OK: 32, State.WARN: 33, State.FAIL: 31, State.NOT_CHECKED: 2}


@dataclass(frozen=True)
class Row:
    """One check: what was looked at, how it ended, what was found, one sentence what to do."""

    check: str
    state: State
    found: str
    remedy: str = ''


def ok(check: str, found: str) -> Row:
    """Make the row of a check that found nothing wrong."""
    return Row(check, State.OK, found)


def warn(check: str, found: str, remedy: str) -> Row:
    """Make the row of a check that found something unusual."""
    return Row(check, State.WARN, found, remedy)


def fail(check: str, found: str, remedy: str) -> Row:
    """Make the row of a check that found something wrong."""
    return Row(check, State.FAIL, found, remedy)


def not_checked(check: str, found: str, remedy: str) -> Row:
    """Make the row of a check that was not asked for, or cannot be made here."""
    return Row(check, State.NOT_CHECKED, found, remedy)


def print_rows(rows: Iterable[Row], out: TextIO) -> Counter[State]:
    """
    Print each row as soon as it is there, then a line with counts.

    :param rows: made one after the other, so that long checks show what came before them
    :return: how many rows ended in each state
    """
    coloured = out.isatty()
    counts: Counter[State] = Counter()
    print(f'{"check":<{CHECK_WIDTH}} {"state":<{STATE_WIDTH}} found', file=out)
    for row in rows:
        counts[row.state] += 1
        state = f'{row.state.value:<{STATE_WIDTH}}'
        if coloured:
            state = f'\033[{COLOURS[row.state]}m{state}\033[0m'
        print(f'{_plain(row.check):<{CHECK_WIDTH}} {state} {_plain(row.found)}', file=out)
        if row.remedy:
            print(f'{"":<{CHECK_WIDTH + STATE_WIDTH}}  -> {_plain(row.remedy)}', file=out)
        out.flush()
    print(f'{counts.total()} checks: '
          + ', '.join(f'{counts[state]} {state.value}' for state in State), file=out)
    return counts


def first_few(names: Iterable[object]) -> str:
    """Write out the first names and how many there are besides."""
    listed = [str(name) for name in names]
    more = f' and {len(listed) - LISTED:,} more' if len(listed) > LISTED else ''
    return ', '.join(listed[:LISTED]) + more


def progress(what: str, total: int, unit: str) -> 'tqdm[Any]':
    """Show a bar on stderr that vanishes before the next row is printed."""
    return tqdm(total=total, desc=what, unit=unit, leave=False, mininterval=0.5)


def _plain(text: str) -> str:
    """Put a text on one line; what damaged or hostile files hold must not steer a terminal."""
    return ''.join(letter if letter.isprintable() else '?' for letter in ' '.join(text.split()))
