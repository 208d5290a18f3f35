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

"""What the RL branch must be better by, and whether it is; by the PDMS of NAVSIM v1."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pair_drive_training.experiment.rows import IMITATION
from pair_drive_training.experiment.scores import COLUMNS, intervals, RowScores

_KEPT = 0.8


@dataclass(frozen=True)
class Margin:
    """
    A requirement: ``column`` of ``row``, less that of the best of ``others``, is ``required``.

    ``name`` says it in words.
    """

    name: str
    required: float
    row: str
    others: tuple[str, ...] = ()
    column: int = 0


def requirements() -> list[Margin]:
    """Return what is required of the rows, but for the swapped imitation policy's share."""
    comfort = next(iter(COLUMNS.values())).index('C')
    found = []
    for name in IMITATION:
        pair = f'pair_{name}'
        found += [
            Margin(f'PaIR {name} over {name}', 3.0, pair, (name,)),
            Margin(f'PaIR {name} over flat or untrained tree, the better', 1.0, pair,
                   (f'{name}_flat', f'{name}_untrained')),
            Margin(f'PaIR {name} over sequential', 1.5, pair, (f'sequential_{name}',)),
            Margin(f'PaIR {name} over sequential + flat + selector', 0.5, pair,
                   (f'sequential_{name}_flat',)),
            Margin(f'comfort of PaIR {name}', 90.0, pair, column=comfort)]
    return [*found, Margin('human + PaIR over human', 0.8, 'pair_human', ('human',))]


def margins(rows: Mapping[str, RowScores]) -> list[dict]:
    """
    Measure every requirement whose rows are there.

    :param rows: by name, by navsim_v1, of all scenes
    :return: of each its name, mean, interval and what is required, and of which seeds
    """
    found = []
    for margin in requirements():
        if margin.row in rows and all(other in rows for other in margin.others):
            found.append(_measured(margin, rows))
    kept = _kept_share(rows)
    return [*found, kept] if kept else found


def verdict(margin: Mapping) -> str:
    """Say whether a requirement is reached."""
    if margin['low'] >= margin['required']:
        return 'reached'
    if margin['mean'] >= margin['required']:
        return 'reached on average; the interval holds less'
    return 'not reached'


def _measured(margin: Margin, rows: Mapping[str, RowScores]) -> dict:
    row = rows[margin.row]
    seeds = _common(row, *(rows[other] for other in margin.others))
    value = row.of_seeds(seeds)[:, margin.column]
    if margin.others:
        value = value - max((rows[other].of_seeds(seeds)[:, margin.column]
                             for other in margin.others), key=np.mean)
    return _described(margin.name, margin.required, value, row, seeds)


def _kept_share(rows: Mapping[str, RowScores]) -> dict | None:
    """Measure what the gain of the swapped policy is above a share of the first one's."""
    names = [name for policy in IMITATION for name in (f'pair_{policy}', policy)]
    if not all(name in rows for name in names):
        return None
    seeds = _common(*(rows[name] for name in names))
    pair, plain, pair_swapped, swapped = (rows[name].of_seeds(seeds)[:, 0] for name in names)
    gain, own = pair_swapped - swapped, pair - plain
    name = (f'swapped: gain of {IMITATION[1]} less {100.0 * _KEPT:.0f} % of that of '
            f'{IMITATION[0]}')
    if own.mean() <= 0.0:
        return _described(f'{name} (which gains nothing)', 0.0, own, rows[names[0]], seeds)
    return _described(f'{name} ({100.0 * gain.mean() / own.mean():.0f} % kept)', 0.0,
                      gain - _KEPT * own, rows[names[0]], seeds)


def _common(*rows: RowScores) -> tuple[int, ...]:
    """Return the seeds that are those of every row that has any."""
    seeds = [set(row.seeds) for row in rows if row.seeds]
    return tuple(sorted(set.intersection(*seeds))) if seeds else ()


def _described(name: str, required: float, values: np.ndarray, row: RowScores,
               seeds: tuple[int, ...]) -> dict:
    mean, low, high = intervals(values[:, None], row.logs)[:, 0]
    return {'name': name, 'mean': round(float(mean), 2), 'low': round(float(low), 2),
            'high': round(float(high), 2), 'required': required, 'seeds': list(seeds)}
