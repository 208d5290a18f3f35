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

"""How rows look, and what a split is compared with."""

import io

from pair_drive_training.doctor.report import fail, first_few, ok, print_rows, State
from pair_drive_training.doctor.splits import Split, split_rows
import pytest


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def rows_of(path):
    return list(split_rows(Split.load(path), True))


def test_colours_are_for_terminals_only():
    plain, coloured = io.StringIO(), Terminal()
    for out in (plain, coloured):
        counts = print_rows([ok('a', 'fine'), fail('b', 'broken', 'mend it')], out)
        assert (counts[State.OK], counts[State.FAIL], counts[State.WARN]) == (1, 1, 0)
    assert '\033[' not in plain.getvalue()
    assert '\033[32mOK' in coloured.getvalue()
    assert '\033[31mFAIL' in coloured.getvalue()


def test_rows_are_printed_one_by_one():
    out = io.StringIO()

    def rows():
        yield ok('a', 'first')
        assert 'first' in out.getvalue()
        yield ok('b', 'second')

    print_rows(rows(), out)
    assert out.getvalue().splitlines()[-1] == '2 checks: 2 OK, 0 WARN, 0 FAIL, 0 not checked'


def test_what_a_file_says_does_not_steer_the_terminal():
    out = io.StringIO()
    print_rows([fail('a', 'names \x1b[2J\nand\udcff more', 'mend\tit')], out)
    assert 'names ?[2J and? more' in out.getvalue()
    assert '-> mend it' in out.getvalue()


def test_long_lists_are_cut():
    assert first_few('abc') == 'a, b, c'
    assert first_few(range(5000)) == '0, 1, 2 and 4,997 more'


@pytest.mark.parametrize(('name', 'size', 'says'), [
    ('navmini', 396, 'lists 396 scenes, as the official one; scored by PDMS (NAVSIM devkit v1.1)'),
    ('navtest', 12_146, 'lists 12,146 scenes, as the official one; scored by PDMS'),
    ('navtrain', 103_288, 'lists 103,288 scenes, as the official one; for training')])
def test_official_splits_are_recognised(tmp_path, name, size, says):
    path = tmp_path / f'{name}.txt'
    path.write_text('\n'.join(map(str, range(size))))
    (row,) = rows_of(path)
    assert row.state is State.OK
    assert says in row.found


def navhard(real, synthetic):
    def listed(count, mark):
        return '[' + ', '.join(f'"{mark}{index}"' for index in range(count)) + ']'
    return (f'num_history_frames: 4\nnum_future_frames: 8\nframe_interval: 1\n'
            f'include_synthetic_scenes: true\ntokens: {listed(real, "r")}\n'
            f'reactive_synthetic_initial_tokens: {listed(synthetic, "s")}\n')


def test_two_stages_are_told_apart(tmp_path):
    path = tmp_path / 'navhard_two_stage.yaml'
    path.write_text(navhard(450, 5462))
    row, second = rows_of(path)
    assert row.state is State.OK
    assert 'lists 450 scenes and 5,462 of the second stage' in row.found
    assert 'in two stages by EPDMS (NAVSIM devkit v2.2)' in row.found
    assert second.state is State.NOT_CHECKED
    assert '--synthetic DIR' in second.remedy
    path.write_text(navhard(450, 5461))
    assert rows_of(path)[0].state is State.WARN


def test_a_part_of_an_official_split_under_its_name_is_a_warning(tmp_path):
    path = tmp_path / 'navtest.txt'
    path.write_text('\n'.join(map(str, range(5044))))
    (row,) = rows_of(path)
    assert row.state is State.WARN
    assert 'lists 5,044 scenes; the official one of that name has 12,146' in row.found
    path.rename(tmp_path / 'mine.txt')
    assert rows_of(tmp_path / 'mine.txt')[0].state is State.OK


def test_tokens_listed_twice_are_a_warning(tmp_path):
    path = tmp_path / 'mine.txt'
    path.write_text('a\nb\na\n')
    (row,) = rows_of(path)
    assert row.state is State.WARN
    assert 'lists 2 scenes; tokens: 1 listed more than once, for example a' in row.found
