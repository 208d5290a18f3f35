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

"""A small data set with its cache, made once and copied for every test that breaks something."""

import argparse
from pathlib import Path
import shutil
from typing import NamedTuple

from pair_drive_training.data import cache_command
from pair_drive_training.doctor import doctor_command
import pytest
import tiny_navsim
import yaml

LOGS, FRAMES = ('one', 'two'), 16
# A scene has 4 frames up to now and 10 after: now is one of these.
CURRENT = range(3, 6)


class Result(NamedTuple):
    """What the doctor said: exit code, rows (check, state, found, remedy), the last line."""

    code: int
    rows: list[tuple[str, str, str, str]]
    last: str

    def of(self, check: str) -> tuple[str, str, str]:
        """State, finding and remedy of the only row of a check."""
        (row,) = [row[1:] for row in self.rows if row[0] == check]
        return row

    @property
    def failed(self) -> set[str]:
        """Checks that failed."""
        return {row[0] for row in self.rows if row[1] == 'FAIL'}


def parsed(code: int, text: str) -> Result:
    """Read the printed table."""
    head, *lines, last = text.splitlines()
    assert head.split() == ['check', 'state', 'found']
    rows = []
    for line in lines:
        if line.startswith(' '):
            mark, remedy = line.split(maxsplit=1)
            assert mark == '->'
            rows[-1] = (*rows[-1][:3], remedy)
        else:
            rows.append((line[:26].strip(), line[27:38].strip(), line[39:], ''))
    return Result(code, rows, last)


@pytest.fixture
def call(capsys):
    """Run the doctor with arguments."""
    def doctor(*arguments: object) -> Result:
        parser = argparse.ArgumentParser()
        doctor_command.add_arguments(parser)
        code = doctor_command.run(parser.parse_args([str(word) for word in arguments]))
        return parsed(code, capsys.readouterr().out)
    return doctor


class Data(NamedTuple):
    """Where the small data set lies."""

    root: Path

    @property
    def arguments(self) -> list[object]:
        """All folders of the data set, as the doctor takes them."""
        return ['--logs', self.root / 'logs', '--maps', self.root / 'maps', '--sensors',
                self.root / 'blobs', '--tokens', self.root / 'mine.yaml', '--cache',
                self.root / 'cache']


@pytest.fixture(scope='session')
def whole(tmp_path_factory):
    """Write logs, map, sensors and filter, and build the cache."""
    data = Data(tmp_path_factory.mktemp('whole'))
    tiny_navsim.write_city(data.root / 'maps')
    for log in LOGS:
        tiny_navsim.write_log(data.root / 'logs', log, FRAMES)
        tiny_navsim.write_sensors(data.root / 'blobs', log, CURRENT, points=50)
    (data.root / 'mine.yaml').write_text(yaml.safe_dump({
        'num_history_frames': 4, 'num_future_frames': 10, 'frame_interval': 1, 'has_route': True,
        'log_names': list(LOGS),
        'tokens': [tiny_navsim.frame_token(log, frame) for log in LOGS for frame in CURRENT]}))
    parser = argparse.ArgumentParser()
    cache_command.add_arguments(parser)
    arguments = [*data.arguments[:-2], '--out', data.root / 'cache', '--processes', 1]
    assert cache_command.run(parser.parse_args([str(word) for word in arguments])) == 0
    return data


@pytest.fixture
def data(whole, tmp_path):
    """Copy the data set."""
    return Data(Path(shutil.copytree(whole.root, tmp_path / 'data')))
