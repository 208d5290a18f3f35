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

"""The commands of a row, and that all rows together name each job once."""

import shlex

from pair_drive_ros.scoring import Protocol
from pair_drive_training.experiment.rows import ExperimentError, main_rows, variants
from pair_drive_training.experiment.workbench import Workbench, World
import pytest

V1 = Protocol.NAVSIM_V1
ROWS = {row.name: row for row in main_rows()}
VARIANTS = {variant.name: variant for variant in variants()}


@pytest.fixture
def commands(tmp_path):
    """Name jobs of rows and variants; return command lines by the jobs' names."""
    recipes = tmp_path / 'recipes'
    recipes.mkdir()
    for name in ('refiner', 'selector', 'refiner_human', 'selector_human',
                 'sequential_transfuser', 'sequential_diffusion_drive'):
        (recipes / f'train_{name}_mini.yaml').write_text('tree: {width: 64, group: 9}')

    def call(*names, seeds=(0,)):
        added = []
        workbench = Workbench(World(tmp_path / 'W'), tmp_path / 'O', {
            name: tmp_path / f'{name}.safetensors'
            for name in ('transfuser', 'diffusion_drive')}, recipes)
        workbench.jobs.add = lambda job: added.append(job) or job.folder
        for seed in seeds:
            for name in names:
                if name in ROWS:
                    for protocol in Protocol:
                        workbench.scores(ROWS[name], seed, protocol)
                else:
                    workbench.variant(VARIANTS[name])
        found = {}
        for job in added:
            line = shlex.join([job.module, *job.arguments]).replace(f'{tmp_path}/', '')
            assert found.setdefault(job.name, line) == line
        return found
    return call


def test_the_commands_of_a_row(commands):
    made = commands('pair_diffusion_drive')
    world = ('--cache W/cache_train --tokens W/scene_filter/world_train.yaml --val-cache '
             'W/cache_val --val-tokens W/scene_filter/world_val.yaml --seed 0 --threads 1 '
             '--readers 1')
    test = '--cache W/cache_test --tokens W/scene_filter/world_test.yaml'
    package = 'pair_drive_training'
    assert made == {
        'plans/transfuser_train':
            f'{package} plan --policy transfuser.safetensors --cache W/cache_train --tokens '
            'W/scene_filter/world_train.yaml --out O/plans/transfuser_train/plans.npz',
        'runs/refiner_0':
            f'{package} reinforce --config recipes/train_refiner_mini.yaml {world} --init '
            'transfuser.safetensors --val-policy transfuser.safetensors --root-plans '
            'O/plans/transfuser_train/plans.npz --out O/runs/refiner_0',
        'runs/selector_0':
            f'{package} select --config recipes/train_selector_mini.yaml {world} --refiner '
            'O/runs/refiner_0/best.safetensors --generator tree --val-policy '
            'transfuser.safetensors --root-plans O/plans/transfuser_train/plans.npz --out '
            'O/runs/selector_0',
        'plans/pair_diffusion_drive_0_test':
            f'{package} plan --policy diffusion_drive.safetensors {test} --refiner '
            'O/runs/refiner_0/best.safetensors --selector O/runs/selector_0/best.safetensors '
            '--top 6 --out O/plans/pair_diffusion_drive_0_test/plans.npz',
        **{f'scores/pair_diffusion_drive_0_{version}':
           f'{package} evaluate {test} --protocol {version} --plans '
           'O/plans/pair_diffusion_drive_0_test/plans.npz --out '
           f'O/scores/pair_diffusion_drive_0_{version}' for version in ('navsim_v1', 'navsim_v2')}}


def test_a_selector_of_sequential_plans(commands):
    made = commands('sequential_transfuser_flat', seeds=(1,))
    run = made['runs/selector_sequential_transfuser_1']
    assert '--refiner O/runs/refiner_1/best.safetensors --generator flat' in run
    assert '--val-policy O/runs/sequential_transfuser_1/best.safetensors' in run
    assert '--root-plans O/plans/sequential_transfuser_1_train/plans.npz' in run
    assert '--seed 1' in run
    assert 'sequential_transfuser_1_navsim' not in str(made)


def test_all_rows(commands):
    made = commands(*ROWS, seeds=range(3))
    runs = [name for name in made if name.startswith('runs/')]
    assert len(runs) == 3 * 10
    for name, recipe in (('refiner', 'refiner_human'), ('selector', 'selector_human')):
        run = made[f'runs/{name}_human_1']
        assert f'--config recipes/train_{recipe}_mini.yaml' in run
        assert '--root-plans' not in run and '--val-policy' not in run
    scores = [name for name in made if name.startswith('scores/')]
    # Six rows that no seed made, and fourteen that one did; three read the scores of others.
    assert len(scores) == 2 * (6 + 3 * 14)
    blind = made['scores/blind_transfuser_2_navsim_v2']
    assert blind.endswith('--blind --out O/scores/blind_transfuser_2_navsim_v2')


def test_variants(commands):
    made = commands('base', 'group_5', 'roots_human', 'own_selector', 'flat_offsets', 'likeliest')
    assert '--generator likeliest' in made['runs/selector_likeliest_0']
    assert made['trees/likeliest'].endswith('best.safetensors --generator likeliest --out '
                                            'O/trees/likeliest')
    assert '--generator' not in made['trees/own_selector']
    assert ' flat=True' in made['runs/refiner_flat_offsets_0']
    assert '--own-perception' in made['runs/selector_own_selector_0']
    assert 'O/runs/refiner_frozen_0/best' in made['runs/selector_own_selector_0']
    assert '--no-learn-perception' in made['runs/refiner_group_5_0']
    assert '--tree width=64 group=5' in made['runs/refiner_group_5_0']
    assert '--root-plans' not in made['runs/refiner_roots_human_0']
    assert '--roots human' in made['runs/refiner_roots_human_0']
    assert '--root-plans' in made['runs/selector_roots_human_0']
    assert made['trees/base'] == (
        'pair_drive_training.experiment.tree_scores --cache W/cache_test --tokens '
        'W/scene_filter/world_test.yaml --policy transfuser.safetensors --refiner '
        'O/runs/refiner_0/best.safetensors --out O/trees/base')
    assert 'scores/variant_base_0_navsim_v1' in made


@pytest.mark.parametrize('name', [each.name for each in VARIANTS.values() if each.other])
def test_a_variant_makes_the_refiner_that_it_takes_over_as_its_owner_would(commands, name):
    owner = VARIANTS[name].other.name
    made, by_itself = commands(name), commands(owner)
    assert made[f'runs/refiner_{owner}_0'] == by_itself[f'runs/refiner_{owner}_0']
    assert f'runs/refiner_{name}_0' not in made


def test_a_recipe_that_is_not_there(tmp_path):
    bench = Workbench(World(tmp_path), tmp_path, dict.fromkeys(ROWS, tmp_path), tmp_path)
    with pytest.raises(ExperimentError, match='train_refiner_mini.yaml: there is no such recipe'):
        bench.scores(ROWS['pair_transfuser'], 0, V1)
