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

"""Jobs run once, in order of what they need; a failing one is told with its command."""

import json
from pathlib import Path
import sys

from pair_drive_training.experiment.jobs import Job, Jobs
from pair_drive_training.experiment.rows import ExperimentError
import pytest

PROGRAM = """
import os, pathlib, sys
text, out, *read = sys.argv[1:]
assert os.environ['OMP_NUM_THREADS'] == '1'
print('begins')
if text == 'bad':
    print('the reason', file=sys.stderr)
    sys.exit(3)
made = text + ''.join(pathlib.Path(name).read_text() for name in read)
with open(pathlib.Path(out) / 'made.txt', 'w') as file:
    file.write(made)
with open(pathlib.Path(out).parents[0] / 'calls.txt', 'a') as file:
    file.write(pathlib.Path(out).name + '\\n')
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make jobs that write a text, and what the jobs before them wrote."""
    (tmp_path / 'code').mkdir()
    (tmp_path / 'code' / 'job_program.py').write_text(PROGRAM)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'code'))

    def call(*given, precious=False):
        jobs = Jobs(tmp_path / 'logs')
        for name, text, *needs in given:
            read = tuple(str(tmp_path / need) if need.endswith('.yaml')
                         else str(tmp_path / need / 'made.txt') for need in needs)
            folder = tmp_path / name
            jobs.add(Job(name, folder, 'job_program', (text, str(folder), *read),
                         tuple(map(Path, read)), precious))
        return jobs
    return call


def calls(folder):
    return (folder / 'calls.txt').read_text().split()


def test_what_is_needed_comes_first_and_nothing_twice(make, tmp_path, capsys):
    given = [('last', '3', 'middle', 'first'), ('middle', '2', 'first'), ('first', '1')]
    make(*given).run(processes=2)
    assert (tmp_path / 'last' / 'made.txt').read_text() == '3211'
    assert calls(tmp_path) == ['first', 'middle', 'last']
    assert 'last: done in ' in capsys.readouterr().err
    make(*given).run(processes=1)
    assert calls(tmp_path) == ['first', 'middle', 'last']
    record = json.loads((tmp_path / 'first' / 'done.json').read_text())
    assert record == {'command': ['job_program', '1', str(tmp_path / 'first')], 'inputs': {}}


def test_what_was_made_of_another_input_is_made_again(make, tmp_path):
    make(('first', '1'), ('last', '2', 'first')).run(2)
    make(('first', '9'), ('last', '2', 'first')).run(2)
    assert (tmp_path / 'last' / 'made.txt').read_text() == '29'
    assert calls(tmp_path) == ['first', 'last', 'first', 'last']


def test_what_is_precious_is_not(make, tmp_path, capsys):
    make(('run', '1'), precious=True).run(1)
    with pytest.raises(ExperimentError, match='run: failed'):
        make(('run', '2'), precious=True).run(1)
    assert (f'{tmp_path / "run"}: was made otherwise (command differ from done.json); remove the '
            'folder to make it again') in capsys.readouterr().err
    assert calls(tmp_path) == ['run']


def test_a_comment_in_a_recipe_is_nothing_new(make, tmp_path):
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text('epochs: 2')
    make(('run', '1', 'recipe.yaml'), precious=True).run(1)
    recipe.write_text('# said better\nepochs: 2')
    make(('run', '1', 'recipe.yaml'), precious=True).run(1)
    recipe.write_text('epochs: 3')
    with pytest.raises(ExperimentError):
        make(('run', '1', 'recipe.yaml'), precious=True).run(1)


def test_what_was_interrupted_goes_on_if_it_is_precious(make, tmp_path):
    for precious, kept in ((True, True), (False, False)):
        folder = tmp_path / f'run_{precious}'
        folder.mkdir()
        (folder / 'state').write_text('half')
        make((folder.name, '1'), precious=precious).run(1)
        assert (folder / 'state').exists() == kept


def test_a_failing_job_names_its_command(make, tmp_path, capsys):
    with pytest.raises(ExperimentError, match='^bad: failed, the reasons stand above, and 1 that '
                                              'need them were not run; mend them'):
        make(('bad', 'bad'), ('after', '2', 'bad'), ('other', '1')).run(1)
    assert calls(tmp_path) == ['other']
    assert not (tmp_path / 'bad' / 'done.json').exists()
    printed = capsys.readouterr().err
    assert 'bad: failed with exit code 3; its last lines:\n  | ' in printed
    assert '  | the reason' in printed
    assert (f'to repeat it: OMP_NUM_THREADS=1 {sys.executable} -m job_program bad '
            f'{tmp_path / "bad"}') in printed
