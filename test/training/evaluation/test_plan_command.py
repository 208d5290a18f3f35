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

"""Plans written to a file: whose, how many, and what reads them."""

import argparse

import numpy as np
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.evaluation import plan_command
from pair_drive_training.evaluation.plan_command import PlanError
from pair_drive_training.evaluation.plans_file import PlansFile
from pair_drive_training.evaluation.policies import constant_velocity, human
from pair_drive_training.roots import Roots
import pytest
import torch

V1 = Protocol.NAVSIM_V1


@pytest.fixture
def tokens(data_set, tmp_path):
    """List the scenes of the first log; return the file and the tokens."""
    path = tmp_path / 'tokens.txt'
    path.write_text('\n'.join(data_set.tokens['one']))
    return path, data_set.tokens['one']


@pytest.fixture
def plan(data_set, tokens, tmp_path):
    """Run the command over the small cache; return exit code and file."""
    def call(*arguments):
        parser = argparse.ArgumentParser()
        plan_command.add_arguments(parser)
        out = tmp_path / 'made' / 'plans.npz'
        options = ['--cache', data_set.cache, '--tokens', tokens[0], '--out', out, *arguments]
        return plan_command.run(parser.parse_args([str(option) for option in options])), out
    return call


def test_a_plan_of_each_policy(plan, data_set, tokens):
    code, path = plan('--policy', 'human', '--policy', 'constant_velocity')
    assert code == 0
    cache = Cache.open(data_set.cache)
    with PlansFile(path) as file:
        assert file.tokens == set(tokens[1])
        for place, policy in enumerate((human, constant_velocity)):
            for token, expected in zip(tokens[1], policy(cache, V1, tokens[1]), strict=True):
                assert file.plans(token).dtype == np.float32
                np.testing.assert_allclose(file.plans(token)[place], expected, atol=1e-5)


def test_the_best_candidates_of_one(plan, evaluate_in, data_set, tokens, branch_files):
    branch = ['--refiner', branch_files[0], '--selector', branch_files[1]]
    _, path = plan('--policy', 'human', *branch)
    with PlansFile(path) as file:
        first = {token: file.plans(token) for token in tokens[1]}
    code, path = plan('--policy', 'human', *branch, '--top', '6')
    assert code == 0
    with PlansFile(path) as file:
        for token in tokens[1]:
            assert file.plans(token).shape == (6, 8, 3)
            np.testing.assert_array_equal(file.plans(token)[:1], first[token])
    code, _ = evaluate_in(data_set.cache, V1, '--plans', path, '--tokens', tokens[0])
    assert code == 0


def test_training_takes_them_as_roots(plan, tokens):
    _, path = plan('--policy', 'constant_velocity')
    roots = Roots('policy', path, tokens[1])
    with PlansFile(path) as file:
        expected = torch.from_numpy(np.concatenate([file.plans(t) for t in tokens[1]]))
    torch.testing.assert_close(roots.of(tokens[1], torch.zeros(3, 8, 3)), expected)


def test_a_scene_without_a_plan_is_told(plan, tokens, capsys):
    tokens[0].write_text('\n'.join([*tokens[1], 'nowhere']))
    code, path = plan('--policy', 'human')
    assert code == 1
    with PlansFile(path) as file:
        assert file.tokens == set(tokens[1])
    printed = capsys.readouterr()
    assert 'plans of 3 scenes, 1 failed' in printed.out
    assert 'failed: nowhere: ' in printed.err


@pytest.mark.parametrize(('top', 'text'), [
    ('7', 'top: the branch ranks 6 candidates; expected 1 to 6, got 7'),
    ('0', 'top: the branch ranks 6 candidates; expected 1 to 6, got 0')])
def test_more_than_there_are(plan, branch_files, top, text):
    with pytest.raises(PlanError, match=text):
        plan('--policy', 'human', '--refiner', branch_files[0], '--selector', branch_files[1],
             '--top', top)


def test_candidates_are_those_of_one_refined_policy(plan, branch_files):
    with pytest.raises(PlanError, match='top: ranks the candidates of one policy'):
        plan('--policy', 'human', '--top', '2')
    with pytest.raises(PlanError, match='top: ranks the candidates of one policy'):
        plan('--policy', 'human', '--policy', 'pdm_closed', '--refiner', branch_files[0],
             '--selector', branch_files[1], '--top', '2')
