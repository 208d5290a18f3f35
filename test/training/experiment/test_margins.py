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

"""Differences and their intervals, on numbers that are known by hand."""

import numpy as np
from pair_drive_ros.scoring import Protocol
from pair_drive_training.experiment.margins import margins, requirements, verdict
from pair_drive_training.experiment.rows import main_rows
from pair_drive_training.experiment.scores import COLUMNS, intervals, RowScores
import pytest

V1 = Protocol.NAVSIM_V1
LOGS = tuple(f'log{scene % 12}' for scene in range(24))


def row(*totals, seeds=()):
    """Make a row of 24 scenes in 12 logs, of one total [24] or one number for each seed."""
    values = np.stack([np.broadcast_to(np.asarray(total, float), 24) for total in totals])
    return RowScores(V1, tuple(seeds), tuple(map(str, range(24))), LOGS,
                     np.repeat(values[..., None], len(COLUMNS[V1]), axis=2))


def only(found, name):
    return next(each for each in found if each['name'] == name)


def test_rows_of_requirements_are_rows():
    names = {each.name for each in main_rows()}
    for margin in requirements():
        assert {margin.row, *margin.others} <= names


def test_a_difference_that_is_the_same_everywhere_has_no_doubt():
    """Scenes differ much, but both rows alike: pairing leaves the difference alone."""
    scenes = np.linspace(0.0, 90.0, 24)
    found = margins({'transfuser': row(scenes),
                     'pair_transfuser': row(scenes + 2.0, scenes + 5.0, seeds=(0, 1))})
    margin = only(found, 'PaIR transfuser over transfuser')
    assert margin == {'name': 'PaIR transfuser over transfuser', 'mean': 3.5, 'low': 3.5,
                      'high': 3.5, 'required': 3.0, 'seeds': [0, 1]}
    assert verdict(margin) == 'reached'


def test_the_better_control_counts_and_the_common_seeds():
    found = margins({'transfuser_flat': row(70.0, 90.0, seeds=(0, 1)),
                     'transfuser_untrained': row(75.0, 0.0, seeds=(0, 1)),
                     'pair_transfuser': row(75.5, 99.0, seeds=(0, 2))})
    margin = only(found, 'PaIR transfuser over flat or untrained tree, the better')
    assert (margin['mean'], margin['seeds']) == (0.5, [0])
    assert verdict(margin) == 'not reached'


def test_the_interval_is_over_logs():
    """In half of the logs 4 more, in the others none: 12 fair coins."""
    gain = np.where(np.arange(24) % 12 < 6, 4.0, 0.0)
    found = margins({'human': row(90.0), 'pair_human': row(90.0 + gain, seeds=(0,))})
    margin = only(found, 'human + PaIR over human')
    assert margin['mean'] == 2.0
    # Standard deviation of the mean of 12 coins of 0 or 4: 4 / 2 / sqrt(12) = 0.58.
    assert margin['low'] == pytest.approx(2.0 - 1.96 * 0.577, abs=0.25)
    assert margin['high'] == pytest.approx(2.0 + 1.96 * 0.577, abs=0.25)
    assert verdict(margin) == 'reached'
    assert verdict({**margin, 'required': 1.5}) == (
        'reached on average; the interval holds less')


def test_the_share_that_the_swapped_policy_keeps():
    found = margins({'transfuser': row(80.0), 'pair_transfuser': row(85.0, seeds=(0,)),
                     'diffusion_drive': row(82.0), 'pair_diffusion_drive': row(86.5, seeds=(0,))})
    margin = found[-1]
    assert '(90 % kept)' in margin['name']
    assert margin['mean'] == pytest.approx(4.5 - 0.8 * 5.0)
    assert verdict(margin) == 'reached'


def test_where_nothing_is_gained_nothing_is_kept():
    found = margins({'transfuser': row(80.0), 'pair_transfuser': row(79.0, seeds=(0,)),
                     'diffusion_drive': row(82.0), 'pair_diffusion_drive': row(82.0, seeds=(0,))})
    assert found[-1]['name'].endswith('(which gains nothing)')
    assert verdict(found[-1]) == 'not reached'


def test_comfort_is_that_of_the_row():
    scores = row(80.0, seeds=(0,))
    scores.values[..., COLUMNS[V1].index('C')] = 99.0
    found = margins({'pair_transfuser': scores})
    assert [(each['name'], each['mean']) for each in found] == [
        ('comfort of PaIR transfuser', 99.0)]


def test_undefined_scores_count_nowhere():
    scenes = np.full((24, 1), 50.0)
    scenes[::2] = np.nan
    np.testing.assert_allclose(intervals(scenes, LOGS), 50.0)
