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
from pair_drive_training.learning_curves import draw_curves, log_epoch, read_rows, StepLog
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


def test_the_panels_stand_in_lines_of_six(tmp_path):
    draw_curves(tmp_path / 'curves.png', [row(1, **{f'train_{name}': 1.0 for name in 'abcdefg'})])
    seven = cv2.imread(str(tmp_path / 'curves.png')).shape
    draw_curves(tmp_path / 'curves.png', [row(1, **{f'train_{name}': 1.0 for name in 'abcdef'})])
    six = cv2.imread(str(tmp_path / 'curves.png')).shape
    assert seven[:2] == (2 * six[0], six[1])


def test_steps_are_logged_by_their_means_and_to_the_end_of_the_epoch(tmp_path):
    log = StepLog(tmp_path, 0, steps_per_epoch=30)
    for step in range(1, 31):
        log.add(step, {'loss': step, **({'late': 2.0} if step > 24 else {})})
    assert read_rows(tmp_path / 'steps.jsonl') == [
        {'step': 25, 'epoch': pytest.approx(25 / 30), 'train/loss': 13.0, 'train/late': 2.0},
        {'step': 30, 'epoch': 1.0, 'train/loss': 28.0, 'train/late': 2.0}]


def test_steps_that_are_taken_again_are_not_logged_twice(tmp_path):
    path = tmp_path / 'steps.jsonl'
    log = StepLog(tmp_path, 0, steps_per_epoch=100)
    for step in range(1, 101):
        log.add(step, {'loss': 1.0})
    with path.open('a') as file:
        file.write('{"step": 125, "cut o')
    log = StepLog(tmp_path, 60, steps_per_epoch=100)
    assert [entry['step'] for entry in read_rows(path)] == [25, 50]
    for step in range(61, 76):
        log.add(step, {'loss': 3.0})
    assert read_rows(path)[-1] == {'step': 75, 'epoch': 0.75, 'train/loss': 3.0}


def test_curves_within_epochs_are_drawn_instead_of_their_means(tmp_path):
    pictures = []
    for steps in ((), [row(0.5, train_loss=3.0), row(1.0, train_loss=1.0)]):
        draw_curves(tmp_path / 'curves.png', [row(1, train_loss=2.0)], steps)
        pictures.append((tmp_path / 'curves.png').read_bytes())
    assert pictures[0] != pictures[1]


def test_the_curves_are_of_the_numbers(tmp_path):
    pictures = []
    for values in ((1.0, 2.0), (2.0, 1.0)):
        draw_curves(tmp_path / 'curves.png', [row(epoch, train_loss=value)
                                              for epoch, value in enumerate(values)])
        pictures.append((tmp_path / 'curves.png').read_bytes())
    assert pictures[0] != pictures[1]
