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

"""What is done is gathered whoever did it; tables come from the JSON alone."""

import json

import numpy as np
from pair_drive_training.experiment.results import (
    as_text,
    gathered,
    put_into,
    read_results,
    tables,
)
from pair_drive_training.experiment.rows import ExperimentError
import pytest

CAPTION = ('Totals: mean over seeds, with the 95 % interval by bootstrap over the logs of the '
           'test split of the mean over seeds of each scene; the total of each seed; sub-scores: '
           'mean (their intervals are in the JSON). The imitation policies are the same '
           'checkpoints in all seeds: a seed is that of the RL branch, the selectors and the '
           'sequential baseline. Intervals do not hold what other seeds would change.')
GOLDEN = f"""{CAPTION}

| PDMS (NAVSIM devkit v1.1), 24 scenes | PDMS | by seed | NC | DAC | EP | TTC | C |
|---|---|---|---|---|---|---|---|
| human | 90.0 [90.0, 90.0] |  | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 |
| PaIR transfuser | 81.5 [81.5, 81.5] | 81.0, 82.0 | 81.5 | 81.5 | 81.5 | 81.5 | 81.5 |
| PaIR transfuser, oracle of 6 | 95.5 [95.5, 95.5] | 95.0, 96.0 | 95.5 | 95.5 | 95.5 | 95.5 | 95.5 |

| EPDMS (NAVSIM devkit v2.2), 24 scenes | EPDMS | by seed | NC | DAC | DDC | TLC | EP | TTC | LK | HC | EC |
|---|---|---|---|---|---|---|---|---|---|---|---|
| human | 90.0 [90.0, 90.0] |  | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 | 90.0 |
| PaIR transfuser | 81.5 [81.5, 81.5] | 81.0, 82.0 | 81.5 | 81.5 | 81.5 | 81.5 | 81.5 | 81.5 | 81.5 | 81.5 | 81.5 |
| PaIR transfuser, oracle of 6 | 95.5 [95.5, 95.5] | 95.0, 96.0 | 95.5 | 95.5 | 95.5 | 95.5 | 95.5 | 95.5 | 95.5 | 95.5 | 95.5 |

| must reach, PDMS (NAVSIM devkit v1.1) | measured | at least | |
|---|---|---|---|
| comfort of PaIR transfuser | 81.5 [81.5, 81.5] | 90.0 | not reached |

| refiner, seed 0, PDMS (NAVSIM devkit v1.1) | best candidate | mean leaf | likeliest leaf | selected |
|---|---|---|---|---|
| 5 leaves | 95.5 | 50.2 | 81.0 | 83.0 [83.0, 83.0] |
"""  # noqa: E501


@pytest.fixture
def results(folder, level):
    """Gather an experiment of two seeds of which little is done; the runs were removed."""
    folder.write_row('human', level(90))
    for seed in (0, 1):
        folder.write_row('pair_transfuser', np.stack(
            [level(81 + seed), level(20), level(95 + seed)], axis=1), seed)
    folder.write_row('blind_transfuser', level(50), seed=7)
    folder.write_variant('group_5', level(83))
    return gathered(folder.path, folder.path / 'nowhere', range(2), {})


def test_tables(results):
    assert tables(json.loads(as_text(results))) == GOLDEN


def test_a_line_of_json_is_a_row(results):
    lines = as_text(results).splitlines()
    row = next(json.loads(line.strip().rstrip(',')) for line in lines if 'oracle' in line)
    assert row['seeds'] == {'0': 95.0, '1': 96.0}
    assert row['columns']['EP'] == [95.5, 95.5, 95.5]
    assert row['columns_by_seed']['EP'] == [95.0, 96.0]


def test_where_the_human_drives_poorly(folder, level):
    human = level(90)
    human[:3] = 40.0, 84.9, 85.0
    folder.write_row('human', human)
    folder.write_row('pair_human', level(92))
    results = gathered(folder.path, folder.path / 'nowhere', range(1), {})
    rows = {(row['row'], row['protocol']): row for row in results['rows']}
    assert rows['human_poor', 'navsim_v1']['scenes'] == 2
    assert rows['human_poor', 'navsim_v1']['columns']['PDMS'][0] == 62.45
    assert rows['pair_human_poor', 'navsim_v2']['columns']['EPDMS'][0] == 92.0
    assert '(2 scenes)' in tables(results)


def test_rows_of_other_scenes_are_no_table(folder, level):
    folder.write_row('human', level(90))
    folder.write_row('pdm_closed', level(80)[:5])
    with pytest.raises(ExperimentError, match='rows were scored in different scenes'):
        gathered(folder.path, folder.path / 'nowhere', range(1), {})


def test_the_page_keeps_what_is_around_the_tables(results, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('before\n<!-- experiment: begin -->\nold\n<!-- experiment: end -->\nafter\n')
    for _ in range(2):
        put_into(page, results)
        assert page.read_text() == (f'before\n<!-- experiment: begin -->\n\n{GOLDEN}\n'
                                    '<!-- experiment: end -->\nafter\n')
    page.write_text('nothing')
    with pytest.raises(ExperimentError, match='has no place for the tables; put the lines'):
        put_into(page, results)


def test_no_results_yet(tmp_path):
    with pytest.raises(ExperimentError, match='results.json: cannot be read'):
        read_results(tmp_path / 'results.json')
