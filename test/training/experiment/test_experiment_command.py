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

"""The command: what it refuses, and how results come into the documents."""

import argparse
import shutil

from pair_drive_ros.scoring import Protocol
from pair_drive_training.experiment import experiment_command
from pair_drive_training.experiment.experiment_command import add_arguments
from pair_drive_training.experiment.jobs import Jobs
from pair_drive_training.experiment.results import BEGIN, END
from pair_drive_training.experiment.rows import ExperimentError
import pytest


@pytest.fixture
def experiment(checkout, monkeypatch):
    """Run the command in the checkout."""
    monkeypatch.chdir(checkout)

    def call(*arguments):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return experiment_command.run(parser.parse_args([str(each) for each in arguments]))
    return call


@pytest.fixture
def world(tmp_path):
    """Return what looks like a world."""
    for split in ('train', 'val', 'test'):
        (tmp_path / 'world' / f'cache_{split}').mkdir(parents=True)
        path = tmp_path / 'world' / 'scene_filter' / f'world_{split}.yaml'
        path.parent.mkdir(exist_ok=True)
        path.write_text('')
    return tmp_path / 'world'


def test_results_of_what_is_done_then_tables_from_them(experiment, world, folder, level,
                                                       monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Jobs, 'run', lambda _jobs, _processes: None)
    folder.write_row('human', level(90))
    assert experiment('--world', world, '--out', folder.path, '--rows', 'human') == 0
    row = '| human | 90.0 [90.0, 90.0] |'
    assert row in capsys.readouterr().out
    assert row in (folder.path / 'results.md').read_text()
    results, page = tmp_path / 'docs' / 'experiment.json', tmp_path / 'page.md'
    monkeypatch.setattr(experiment_command, 'RESULTS', results)
    monkeypatch.setattr(experiment_command, 'PAGE', page)
    page.write_text(f'{BEGIN}{END}')
    assert experiment('--table-only', '--out', folder.path) == 0
    assert results.read_text() == (folder.path / 'results.json').read_text()
    written = page.read_text()
    assert row in written
    page.write_text(f'{BEGIN}{END}')
    assert experiment('--table-only') == 0
    assert page.read_text() == written


def test_the_table_is_that_of_the_checkout_in_which_the_command_runs(experiment, monkeypatch,
                                                                     checkout, tmp_path):
    docs = tmp_path / 'docs'
    shutil.copytree(checkout / 'docs', docs, ignore=shutil.ignore_patterns('images'))
    page = (docs / 'results.md').read_text()
    before, rest = page.split(BEGIN)
    (docs / 'results.md').write_text(before + BEGIN + END + rest.split(END)[1])
    monkeypatch.chdir(tmp_path)
    assert experiment('--table-only') == 0
    assert (docs / 'results.md').read_text() == page


def test_results_of_a_run_that_failed(experiment, world, folder, level, monkeypatch):
    def fail(_jobs, _processes):
        raise ExperimentError('one failed')

    monkeypatch.setattr(Jobs, 'run', fail)
    folder.write_row('human', level(90))
    with pytest.raises(ExperimentError, match='one failed'):
        experiment('--world', world, '--out', folder.path)
    assert Protocol.NAVSIM_V2.value in (folder.path / 'results.json').read_text()


@pytest.mark.parametrize(('arguments', 'text'), [
    (['--out', 'x'], 'give --world and --out, or --table-only'),
    (['--world', 'nowhere', '--out', 'x'], 'cache_train: is not there; make the world'),
    (['--world', 'nowhere', '--out', 'x', '--seeds', '0'], 'seeds, processes: expected 1'),
    (['--world', 'nowhere', '--out', 'x', '--rows', 'best'], "there is no row 'best'")])
def test_refusals(experiment, arguments, text):
    with pytest.raises(ExperimentError, match=text):
        experiment(*arguments)


@pytest.mark.parametrize(('given', 'text'), [
    ('ltf=a.safetensors', "expected NAME=FILE with a name of transfuser, .*got 'ltf'"),
    ('transfuser=nowhere.safetensors', 'transfuser: there is no file')])
def test_imitation_policies(experiment, world, tmp_path, given, text):
    with pytest.raises(ExperimentError, match=text):
        experiment('--world', world, '--out', tmp_path / 'out', '--imitation', given)
