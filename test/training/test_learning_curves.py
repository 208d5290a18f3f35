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

"""What a run logs of its epochs."""

import json

import cv2
from pair_drive_training.learning_curves import draw_curves, log_epoch
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def row(epoch, **values):
    return {'epoch': epoch, 'learning_rate': 0.1,
            **{name.replace('_', '/', 1): value for name, value in values.items()}}


def rows(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def test_epochs_are_logged_one_after_the_other(tmp_path):
    for epoch in (1, 2, 3):
        log_epoch(tmp_path, row(epoch, train_loss=1.0 / epoch, val_loss=2.0 / epoch))
    assert [entry['epoch'] for entry in rows(tmp_path)] == [1, 2, 3]
    assert rows(tmp_path)[1] == row(2, train_loss=0.5, val_loss=1.0)
    events = EventAccumulator(str(tmp_path / 'tensorboard')).Reload()
    assert [(event.step, event.value) for event in events.Scalars('val/loss')] == [
        (1, 2.0), (2, 1.0), (3, pytest.approx(2.0 / 3.0))]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'curves.png', 'metrics.jsonl', 'tensorboard']


def test_an_epoch_that_is_done_again_replaces_its_row_and_later_ones(tmp_path):
    for epoch in (1, 2, 3):
        log_epoch(tmp_path, row(epoch, train_loss=1.0))
    log_epoch(tmp_path, row(2, train_loss=5.0))
    assert rows(tmp_path) == [row(1, train_loss=1.0), row(2, train_loss=5.0)]


def test_there_is_a_panel_for_each_name_of_training_and_validation_together(tmp_path):
    def width(*entries):
        draw_curves(tmp_path / 'curves.png', entries)
        return cv2.imread(str(tmp_path / 'curves.png')).shape[1]

    one = width(row(1, train_loss=1.0))
    assert width(row(1, train_loss=1.0, val_loss=2.0), row(2, val_loss=1.0)) == one
    assert width(row(1, train_loss=1.0, val_pdms=2.0)) == 2 * one


def test_the_curves_are_of_the_numbers(tmp_path):
    pictures = []
    for values in ((1.0, 2.0), (2.0, 1.0)):
        draw_curves(tmp_path / 'curves.png', [row(epoch, train_loss=value)
                                              for epoch, value in enumerate(values)])
        pictures.append((tmp_path / 'curves.png').read_bytes())
    assert pictures[0] != pictures[1]
