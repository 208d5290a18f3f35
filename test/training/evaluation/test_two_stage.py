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

"""Two stages: the mapping, the weighted product by hand, pairs, failures."""

from dataclasses import replace
import math

import numpy as np
from pair_drive_ros.scoring import Protocol
from pair_drive_ros.scoring.scene_file import V2_COLUMNS
from pair_drive_training.evaluation.two_stage import (
    combine,
    Entry,
    evaluate_two_stage,
    mapping_entries,
    OFFICIAL_COLUMNS,
    TwoStageError,
    with_extended_comfort,
)
import pytest

V2 = Protocol.NAVSIM_V2
EC, EPDMS = (OFFICIAL_COLUMNS.index(name) for name in ('EC', 'EPDMS'))


def row(value):
    """Official columns that all have one value."""
    return np.full(len(OFFICIAL_COLUMNS), value)


def test_entries_of_a_mapping():
    entries = mapping_entries([('0000', '0001', (('s0', 's1'), ('s2', 's3')))])
    assert entries == (Entry('0000', '0001', (('s0', 's1'), ('s2', 's3'))),)
    assert entries[0].pairs == (('0000', '0001'), ('s0', 's1'), ('s2', 's3'))


@pytest.mark.parametrize(('mapping', 'says'), [
    ([('a', 'b', ())], 'no second stage of a'),
    ([('a', 'b', (('c', 'a'),))], 'names the scene a twice'),
    ([('a', 'b', (('c', 'd'),)), ('e', 'f', (('d', 'g'),))], 'names the scene d twice'),
])
def test_mapping_that_is_not_sound_is_refused(mapping, says):
    with pytest.raises(TwoStageError, match=says):
        mapping_entries(mapping)


def test_numbers_by_hand():
    """Two follow-ups 0 and sqrt(0.2 ln 3) m from the planned end weigh 3 : 1."""
    entry = Entry('now', 'before', (('s0', 's1'), ('s2', 's3')))
    away = math.sqrt(0.2 * math.log(3.0))
    starts = {'s0': np.array([10.0, 0.0]), 's2': np.array([10.0, away]),
              's1': np.array([8.0, 500.0]), 's3': np.array([8.0, 600.0])}
    rows = {'now': row(0.8), 'before': row(0.5), 's0': row(1.0), 's2': row(0.2), 's1': row(1.0),
            's3': row(0.0)}
    result = combine([entry], rows, {'now': np.array([10.0, 0.0]), 'before': np.zeros(2)}, starts)
    assert result.weights['s0'] == pytest.approx(0.75)
    assert result.weights['s2'] == pytest.approx(0.25)
    # Nothing is near the end of the plan of the frame before: both count the same.
    assert result.weights['s1'] == result.weights['s3'] == 0.5
    # Now: 0.8 (0.75 + 0.25 0.2) = 0.64. Before: 0.5 (0.5 + 0) = 0.25. Their mean: 0.445.
    np.testing.assert_allclose(result.second[:, 0, EPDMS], [0.8, 0.5])
    np.testing.assert_allclose(result.groups[:, 0, EPDMS], [0.64, 0.25])
    np.testing.assert_allclose(result.combined, row(0.445))


def test_entries_count_alike_however_many_follow_ups_they_have():
    entries = [Entry('a', 'b', (('s0', 's1'),)),
               Entry('c', 'd', (('s2', 's3'), ('s4', 's5'), ('s6', 's7')))]
    rows = {token: row(1.0) for token in ('a', 'b', 's0', 's1')}
    rows.update({token: row(0.5) for token in ('c', 'd', *(f's{n}' for n in range(2, 8)))})
    starts = {f's{n}': np.zeros(2) for n in range(8)}
    result = combine(entries, rows, {}, starts)
    np.testing.assert_allclose(result.combined, row((1.0 + 0.25) / 2.0))


def test_extended_comfort_enters_the_total():
    table = np.zeros((1, len(V2_COLUMNS)))
    table[0, [V2_COLUMNS.index(name) for name in ('mult', 'EPDMS_noEC')]] = 1.0, 0.9
    for comfort, total in ((1.0, (14 * 0.9 + 2) / 16), (0.0, 14 * 0.9 / 16)):
        changed = with_extended_comfort(table, np.array([comfort]))
        assert changed[0, V2_COLUMNS.index('EPDMS')] == pytest.approx(total)
        assert changed[0, V2_COLUMNS.index('EC')] == comfort
    assert not table[0, V2_COLUMNS.index('EPDMS')]


@pytest.fixture
def stages(make_drive, drive_at):
    """Make an entry with two follow-up pairs, its drive and steady plans."""
    drive = make_drive({'first': 2, 'after': 2, 'beside': 2}, V2)
    entry = Entry('first-1', 'first-0', (('after-1', 'after-0'), ('beside-1', 'beside-0')))
    return drive, entry, {token: drive_at() for token in drive.heads}


def evaluate(stages, failures=None):
    drive, entry, plans = stages
    return evaluate_two_stage([entry], drive.heads, plans, failures or {}, drive.scoring_scenes)


def test_both_scenes_of_a_pair_get_its_extended_comfort(stages, drive_at):
    stages[2]['after-1'] = drive_at(1.0)
    scores, result = evaluate(stages)
    column = V2_COLUMNS.index('EC')
    assert {token: table[0, column] for token, table in scores.tables.items()} == {
        'first-0': 1.0, 'first-1': 1.0, 'after-0': 0.0, 'after-1': 0.0, 'beside-0': 1.0,
        'beside-1': 1.0}
    assert result.first[:, 0, EC].tolist() == [1.0, 1.0]


def test_the_planned_end_chooses_the_follow_ups(stages):
    """The plan leads 32 m ahead of the first stage's pose, to where ``beside`` starts."""
    drive, _, _ = stages
    drive.heads['beside-1'] = replace(drive.heads['beside-1'], pose=np.array([36.0, 100.0, 0.3]))
    _, result = evaluate(stages)
    assert result.weights['beside-1'] == pytest.approx(1.0)
    assert result.weights['after-1'] == pytest.approx(0.0)


def test_failed_follow_up_counts_as_zero(stages):
    plans = stages[2]
    whole = evaluate(stages)[1].second
    del plans['after-0']
    scores, result = evaluate(stages, {'after-0': 'no plan', 'elsewhere': 'no plan'})
    assert scores.failures == {'after-0': 'no plan'}
    assert result.weights['after-0'] == pytest.approx(0.5)
    assert result.second[1, 0, EPDMS] == pytest.approx(0.5 * whole[1, 0, EPDMS])
    # The other scene of the pair loses its EC: 14 of 16 parts are left.
    assert result.second[0, 0, EPDMS] == pytest.approx(
        whole[0, 0, EPDMS] * (result.weights['beside-1'] + result.weights['after-1'] * 14 / 16))
    assert scores.tables['after-1'][0, V2_COLUMNS.index('EC')] == 0.0


def test_failed_first_stage_counts_as_zero(stages):
    stages[2].pop('first-1')
    _, result = evaluate(stages, {'first-1': 'no plan'})
    assert result.groups[0].sum() == 0.0
    assert result.groups[1, 0, EPDMS] > 0.0
    assert np.isfinite(list(result.weights.values())).all()


def test_scenes_that_are_not_there_are_named(stages):
    del stages[0].heads['after-0']
    with pytest.raises(TwoStageError, match=r'1 of 6 scenes of the mapping .* after-0'):
        evaluate(stages)


def test_pairs_that_are_not_consecutive_are_refused(stages):
    drive = stages[0]
    drive.heads['after-0'] = replace(drive.heads['after-0'], time_us=0)
    with pytest.raises(TwoStageError, match='after-1 and after-0'):
        evaluate(stages)


def test_several_plans_of_a_scene_are_refused(stages, drive_at):
    stages[2]['first-0'] = np.concatenate([drive_at()] * 2)
    with pytest.raises(TwoStageError, match='first-0: 2 plans'):
        evaluate(stages)
