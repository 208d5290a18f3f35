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

"""What a run has reached, epoch by epoch: rows of JSON, TensorBoard and a picture."""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path

from matplotlib.figure import Figure
from pair_drive_ros.core.files import written_whole
from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = 'metrics.jsonl'


def log_epoch(folder: Path, row: Mapping[str, float]) -> None:
    """
    Add an epoch to ``metrics.jsonl``, ``tensorboard/`` and ``curves.png`` of a run's folder.

    Rows of this epoch and later ones are replaced: a run that was killed before it saved its state
    does the epoch again.

    :param row: ``epoch`` and what was measured, see :func:`draw_curves`
    """
    path = folder / METRICS_FILE
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [*(old for old in map(json.loads, lines) if old['epoch'] < row['epoch']), dict(row)]
    with written_whole(path) as file:
        file.write(''.join(f'{json.dumps(each)}\n' for each in rows).encode())
    with SummaryWriter(str(folder / 'tensorboard')) as writer:
        for name, value in row.items():
            writer.add_scalar(name, value, row['epoch'])
    draw_curves(folder / 'curves.png', rows)


def draw_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """
    Draw every term over the epochs, training and validation together.

    :param rows: one for each epoch: ``epoch`` and ``train/NAME`` or ``val/NAME``
    """
    names = sorted({name.split('/', 1)[1] for row in rows for name in row if '/' in name})
    figure = Figure(figsize=(3.2 * len(names), 2.8), layout='constrained')
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for part in ('train', 'val'):
            points = [(row['epoch'], row[f'{part}/{name}']) for row in rows
                      if f'{part}/{name}' in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker='.', label=part)
        axes.set_title(name)
        axes.set_xlabel('epoch')
        axes.legend()
    with written_whole(path) as file:
        figure.savefig(file, format='png', dpi=110)
