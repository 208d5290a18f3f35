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

"""The plans from which trees grow: which of them, and with which errors."""

import math

import numpy as np
from pair_drive_ros.models.tree_geometry import arc_lengths
from pair_drive_training.evaluation.plans_file import PlansFileError
from pair_drive_training.roots import perturbed, Roots, RootsError
import pytest
from tiny_view import bend, straight
import torch

TOKENS = ('a', 'b', 'c')


@pytest.fixture
def plans(tmp_path):
    """Write a file of plans: one of a, three of b that can be told apart, one of c."""
    path = tmp_path / 'plans.npz'
    np.savez(path, a=np.full((1, 8, 3), 1.0), b=np.arange(10.0, 13.0)[:, None, None]
             * np.ones((1, 8, 3)), c=np.full((1, 8, 3), 2.0, np.float32))
    return path


def drawn(roots: Roots, times: int = 60) -> list[list[float]]:
    """Return which plans were taken of each scene, where the human's is 0."""
    torch.manual_seed(0)
    taken = torch.stack([roots.of(TOKENS, torch.zeros(3, 8, 3)) for _ in range(times)])
    assert torch.equal(taken, taken[..., :1, :1].expand_as(taken))
    return [sorted(set(taken[:, scene, 0, 0].tolist())) for scene in range(3)]


def test_the_humans_plans_are_as_they_are():
    human = bend(3)
    assert Roots('human', None, TOKENS).of(TOKENS, human) is human


def test_a_policys_plans_are_those_of_the_scenes(plans):
    assert drawn(Roots('policy', plans, TOKENS)) == [[1.0], [10.0, 11.0, 12.0], [2.0]]
    found = Roots('policy', plans, TOKENS).of(('c', 'a'), torch.zeros(2, 8, 3).double())
    assert found[:, 0, 0].tolist() == [2.0, 1.0] and found.dtype == torch.float64


def test_mixed_are_the_humans_and_a_policys(plans):
    assert drawn(Roots('mixed', plans, TOKENS)) == [[0.0, 1.0], [0.0, 10.0, 11.0, 12.0],
                                                    [0.0, 2.0]]
    roots = Roots('mixed', plans, ('a',))
    torch.manual_seed(0)
    taken = roots.of(('a',) * 400, torch.zeros(400, 8, 3))[:, 0, 0]
    assert 0.4 < taken.mean() < 0.6


@pytest.mark.parametrize('kind', ['policy', 'mixed', 'perturbed'])
def test_the_same_random_numbers_give_the_same_roots(kind, plans):
    roots = Roots(kind, None if kind == 'perturbed' else plans, TOKENS)
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(torch.stack([roots.of(TOKENS, bend(3)) for _ in range(4)]))
    assert torch.equal(*found)
    assert not torch.equal(found[0][0], found[0][1])


@pytest.mark.parametrize('kind', ['policy', 'mixed'])
def test_plans_that_are_needed_are_asked_for(kind):
    with pytest.raises(RootsError, match=f'{kind} needs root_plans, a file that the command'):
        Roots(kind, None, TOKENS)


@pytest.mark.parametrize('kind', ['human', 'perturbed'])
def test_plans_that_are_not_needed_are_refused(kind, plans):
    with pytest.raises(RootsError, match=f'{kind} asks for no plans; leave root_plans out'):
        Roots(kind, plans, TOKENS)


def test_a_scene_without_plans_is_named_at_once(plans):
    with pytest.raises(PlansFileError, match='root_plans: z: .*plans.npz has no plan of this sc'):
        Roots('policy', plans, (*TOKENS, 'z'))


def test_a_folder_gives_each_scene_what_any_of_its_files_has(tmp_path):
    for name, scenes in (('fold_0', {'a': 1.0, 'b': 2.0}), ('fold_1', {'b': 3.0, 'c': 4.0})):
        np.savez(tmp_path / f'{name}.npz', **{token: np.full((1, 8, 3), value)
                                              for token, value in scenes.items()})
    assert drawn(Roots('policy', tmp_path, TOKENS)) == [[1.0], [2.0, 3.0], [4.0]]
    with pytest.raises(PlansFileError, match='root_plans: d: .*has no plan of this scene; write'):
        Roots('policy', tmp_path, (*TOKENS, 'd'))
    (tmp_path / 'none').mkdir()
    with pytest.raises(PlansFileError, match='root_plans: a: .* has no plan of this scene'):
        Roots('policy', tmp_path / 'none', ('a',))


def test_a_plan_that_is_not_finite_names_its_scene(tmp_path):
    np.savez(tmp_path / 'plans.npz', a=np.full((1, 8, 3), np.nan))
    with pytest.raises(PlansFileError, match='root_plans: a: plans.npz: plan 0 is not finite'):
        Roots('policy', tmp_path / 'plans.npz', ('a',))


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(PlansFileError, match='cannot be read'):
        Roots('policy', tmp_path / 'none.npz', TOKENS)


def test_an_imitators_errors_are_as_large_as_they_were_measured():
    torch.manual_seed(0)
    human = straight(20000, speed=10.0)
    away = perturbed(human) - human
    end, sixth = away[:, 7], away[:, 5]
    passing = 4.0 * (0.75 ** 2 - 0.75 ** 3)
    assert end[:, 0].std() == pytest.approx(3.1, rel=0.03)
    assert end[:, 1].std() == pytest.approx(0.8, rel=0.03)
    assert sixth[:, 0].std() == pytest.approx(math.hypot(3.1 * 0.75 ** 2, 0.8 * passing), rel=0.04)
    assert sixth[:, 1].std() == pytest.approx(math.hypot(0.8 * 0.75 ** 2, 0.3 * passing), rel=0.04)
    assert end[:, :2].mean(dim=0).abs().max() < 0.1
    # Their tails are longer than a Gaussian's, of which 0.3 % lie beyond three deviations.
    assert 0.009 < (end[:, 0].abs() > 3.0 * 3.1).double().mean() < 0.02


@pytest.mark.parametrize('speed', [0.0, 0.5, 3.0, 10.0])
def test_no_error_drives_backwards(speed):
    torch.manual_seed(0)
    found = perturbed(straight(2000, speed=speed))
    assert (found[..., 0] >= -1e-5).all() and (found[..., 0].diff(dim=1) >= -1e-5).all()


def test_the_car_is_faster_or_slower_along_its_own_path():
    torch.manual_seed(0)
    human = bend(500, radius=20.0)
    found = perturbed(human)
    beside = torch.hypot(found[..., 0], found[..., 1] - 20.0) - 20.0
    # Chords of four metres, and past its end the path goes on straight.
    within = arc_lengths(found)[:, 7] < arc_lengths(human)[:, 7]
    assert 100 < within.sum() < 400
    assert beside[within].std() < 0.8 < (found - human)[within][:, 7, :2].norm(dim=-1).std()


def test_the_heading_follows_the_drift():
    torch.manual_seed(0)
    found = perturbed(straight(500, speed=10.0))
    slope = found[..., 1].diff(dim=1)
    clear = slope.abs() > 0.1
    assert torch.equal(found[:, 1:, 2][clear].sign(), slope[clear].sign())
    assert (found[..., 2].abs() < 0.8).all()


def test_a_car_that_stands_may_set_off_but_not_aside():
    torch.manual_seed(0)
    found = perturbed(torch.zeros(500, 8, 3))
    assert found.isfinite().all() and not found[..., 1:].any()
    assert found[:, 7, 0].max() > 1.0
