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

"""The rows are those that the comparison needs, under names that folders may have."""

import re

from pair_drive_training.experiment.rows import chosen, ExperimentError, main_rows, variants
import pytest

POLICIES = ('transfuser', 'diffusion_drive')


def test_every_row_is_there():
    assert [row.name for row in main_rows()] == [
        'human', 'pdm_closed', 'constant_velocity', 'ego_status',
        *(f'{before}{policy}{after}' for policy in POLICIES for before, after in (
            ('', ''), ('', '_flat'), ('', '_untrained'), ('sequential_', ''),
            ('sequential_', '_flat'), ('pair_', ''), ('oracle_', ''), ('blind_', ''))),
        'pair_human', 'human_poor', 'pair_human_poor', 'crossed_human']
    assert [variant.name for variant in variants()] == [
        'base', 'frozen', 'own_selector', 'likeliest', 'group_5', 'group_9', 'group_12', 'parity',
        'flat_offsets', 'clipped', 'offsets_best', 'offsets_group', 'offsets_path',
        'offsets_regression', 'offsets_none', 'roots_human', 'roots_perturbed']


def test_names_are_folders_and_titles_differ():
    for each in (main_rows(), variants()):
        assert all(re.fullmatch('[a-z0-9_]+', row.name) for row in each)
        assert len({row.title for row in each}) == len(each)


def test_what_depends_on_a_seed():
    seeded = {row.name for row in main_rows() if row.seeded}
    assert not seeded & {'human', 'ego_status', *POLICIES, 'human_poor'}
    assert {'transfuser_flat', 'sequential_diffusion_drive', 'pair_human_poor'} <= seeded


def test_some_rows():
    rows, others = chosen(['human', 'parity'])
    assert [row.name for row in rows] == ['human']
    assert [variant.name for variant in others] == ['parity']
    rows, others = chosen(['main', 'human'])
    assert (rows, others) == (main_rows(), [])
    with pytest.raises(ExperimentError, match="there is no row 'humans'; name some of main, "):
        chosen(['humans'])
