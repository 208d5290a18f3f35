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

"""What the training commands share."""

import argparse

from pair_drive_training.data.work_folder import locked
from pair_drive_training.run_command import add_run_arguments, run_training
from pair_drive_training.run_config import RunConfig, TrainingRunError
import pytest


class Counted:
    """A run that only says what it was asked for."""

    step, steps_per_epoch = 0, 1

    def __init__(self, config):
        self.config = config

    def run(self, epochs):
        self.step = epochs


def call(folder, monkeypatch, rank='0'):
    parser = argparse.ArgumentParser()
    add_run_arguments(parser, RunConfig)
    options = parser.parse_args(['--cache', str(folder), '--out', str(folder / 'run'), '--epochs',
                                 '5', '--stop-after', '2'])
    monkeypatch.setenv('RANK', rank)
    return run_training(options, Counted, RunConfig)


def test_a_run_goes_as_far_as_asked(tmp_path, monkeypatch, capsys):
    assert call(tmp_path, monkeypatch) == 0
    assert '2 of 5 epochs' in capsys.readouterr().out


def test_two_runs_do_not_share_a_folder(tmp_path, monkeypatch):
    (tmp_path / 'run').mkdir()
    with locked(tmp_path / 'run', ValueError, 'here'):
        with pytest.raises(TrainingRunError, match='run: another process is training in it; wait'):
            call(tmp_path, monkeypatch)
    assert call(tmp_path, monkeypatch) == 0


def test_the_processes_of_one_run_share_its_folder(tmp_path, monkeypatch):
    (tmp_path / 'run').mkdir()
    with locked(tmp_path / 'run', ValueError, 'the first of them'):
        assert call(tmp_path, monkeypatch, rank='1') == 0
