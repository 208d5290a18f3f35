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

"""What a run has reached, step by step and by epochs: rows of JSON, TensorBoard, a picture."""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path

from matplotlib.figure import Figure
from pair_drive_ros.core.files import written_whole
from torch.utils.tensorboard import SummaryWriter

METRICS_FILE, STEPS_FILE = 'metrics.jsonl', 'steps.jsonl'
STEPS_A_ROW = 25
_COLUMNS = 6


class StepLog:
    """
    Adds the means of every 25 steps to ``steps.jsonl`` of a run's folder.

    Rows after the step from which the run goes on are dropped: it takes those steps again.

    :param step: how many the run has taken
    """

    def __init__(self, folder: Path, step: int, steps_per_epoch: int):
        self._path, self._steps_per_epoch = folder / STEPS_FILE, steps_per_epoch
        self._sums: dict[str, tuple[float, int]] = {}
        kept = [row for row in read_rows(self._path) if row['step'] <= step]
        if self._path.exists():
            _write_rows(self._path, kept)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Count in what a step has measured; ``step`` is how many the run has taken with it."""
        add_up(self._sums, values)
        if step % STEPS_A_ROW == 0 or step % self._steps_per_epoch == 0:
            row = {'step': step, 'epoch': step / self._steps_per_epoch, **mean_terms(self._sums)}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open('a') as file:
                file.write(f'{json.dumps(row)}\n')
            self._sums = {}


def add_up(sums: dict[str, tuple[float, int]], values: Mapping[str, float]) -> None:
    """Add values to sums, each with the count of what it is the sum of."""
    for name, value in values.items():
        total, count = sums.get(name, (0.0, 0))
        sums[name] = total + value, count + 1


def mean_terms(sums: Mapping[str, tuple[float, int]]) -> dict[str, float]:
    """Return the mean of each sum, as ``train/NAME``."""
    return {f'train/{name}': total / count for name, (total, count) in sums.items()}


def read_rows(path: Path) -> list[dict[str, float]]:
    """Read rows of JSON; none where there is no file, and not the last one if it is cut off."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith('\n')]


def log_epoch(folder: Path, row: Mapping[str, float]) -> None:
    """
    Add an epoch to ``metrics.jsonl``, ``tensorboard/`` and ``curves.png`` of a run's folder.

    Rows of this epoch and later ones are replaced: a run that was killed before it saved its state
    does the epoch again.

    :param row: ``epoch`` and what was measured, see :func:`draw_curves`
    """
    path = folder / METRICS_FILE
    rows = [*(old for old in read_rows(path) if old['epoch'] < row['epoch']), dict(row)]
    _write_rows(path, rows)
    with SummaryWriter(str(folder / 'tensorboard')) as writer:
        for name, value in row.items():
            writer.add_scalar(name, value, row['epoch'])
    draw_curves(folder / 'curves.png', rows, read_rows(folder / STEPS_FILE))


def draw_curves(path: Path, rows: Sequence[Mapping[str, float]],
                steps: Sequence[Mapping[str, float]] = ()) -> None:
    """
    Draw every term over the epochs, training and validation together.

    :param rows: one for each epoch: ``epoch`` and ``train/NAME`` or ``val/NAME``
    :param steps: rows within the epochs, of training alone, drawn instead of its means
    """
    names = sorted({name.split('/', 1)[1] for row in rows for name in row if '/' in name})
    columns = min(len(names), _COLUMNS)
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * lines), layout='constrained')
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes in panels[len(names):]:
        axes.set_axis_off()
    for axes, name in zip(panels, names, strict=False):
        for part, told in (('train', steps or rows), ('val', rows)):
            points = [(row['epoch'], row[f'{part}/{name}']) for row in told
                      if f'{part}/{name}' in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker='.', label=part)
        axes.set_title(name)
        axes.set_xlabel('epoch')
        axes.legend()
    with written_whole(path) as file:
        figure.savefig(file, format='png', dpi=110)


def _write_rows(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    with written_whole(path) as file:
        file.write(''.join(f'{json.dumps(row)}\n' for row in rows).encode())
