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

"""A policy with the RL branch behind it plans what the branch picks; blind, it sees nothing."""

import json

import numpy as np
from pair_drive_ros.models.features import STATUS_FEATURE, VALIDITY_FEATURE
from pair_drive_ros.models.refinement_branch import load_branch
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.transfuser_scene import as_features, read_features
from pair_drive_training.evaluation.evaluate_command import EvaluationError
from pair_drive_training.evaluation.policies import (
    constant_velocity,
    find_policy,
    PolicyError,
)
from pair_drive_training.evaluation.refined_policy import RefinedPolicy
import pytest
import torch

V1 = Protocol.NAVSIM_V1


@pytest.fixture
def branch(branch_files):
    """Load the tiny branch."""
    return load_branch(*branch_files)[0]


@pytest.fixture
def scenes(data_set):
    """Return the cache and its first log's tokens."""
    return Cache.open(data_set.cache), data_set.tokens['one']


def summary_of(folder):
    return json.loads((folder / 'summary.json').read_text())


@torch.no_grad()
def test_it_plans_what_the_branch_makes_of_the_plan(branch, scenes):
    cache, tokens = scenes
    policy = RefinedPolicy(constant_velocity, branch)
    spec = branch.feature_spec
    view = branch.encode(as_features(read_features(cache, tokens, spec), spec))
    root = torch.from_numpy(constant_velocity(cache, V1, tokens))
    expected = branch.refine(view, root)
    np.testing.assert_array_equal(policy(cache, V1, tokens), expected.plan.numpy())
    ranked = policy.ranked(cache, V1, tokens, policy.candidates)
    assert ranked.shape == (3, 6, 8, 3)
    np.testing.assert_array_equal(ranked[:, 0], expected.plan.numpy())
    for scene, order in enumerate(expected.order):
        np.testing.assert_array_equal(ranked[scene], expected.candidates[scene, order].numpy())


def test_how_many_candidates_there_are(branch):
    assert RefinedPolicy(constant_velocity, branch).candidates == 6
    branch.selector.config = branch.selector.config.__class__.mini(generator='flat')
    assert RefinedPolicy(constant_velocity, branch).candidates == 16


def test_blind_sees_the_status_alone_and_is_not_told(branch, scenes, monkeypatch):
    seen = []
    encode = branch.encode
    monkeypatch.setattr(branch, 'encode', lambda features: seen.append(features)
                        or encode(features))
    cache, tokens = scenes
    for blind in (False, True):
        RefinedPolicy(constant_velocity, branch, blind=blind)(cache, V1, tokens)
    seeing, blinded = seen
    assert seeing.keys() == blinded.keys()
    for name in seeing:
        if name in (STATUS_FEATURE, VALIDITY_FEATURE):
            torch.testing.assert_close(blinded[name], seeing[name])
        else:
            assert seeing[name].any() and not blinded[name].any()
    assert blinded[VALIDITY_FEATURE].all()


def test_a_blind_network_plans_by_the_status(checkpoint, scenes):
    cache, tokens = scenes
    path, network = checkpoint
    spec = network.feature_spec
    features = as_features(read_features(cache, tokens, spec), spec)
    for name in features.keys() - {STATUS_FEATURE, VALIDITY_FEATURE}:
        features[name].zero_()
    with torch.no_grad():
        expected = network.plan(features).numpy()
    plans = find_policy(str(path), blind=True)(cache, V1, tokens)
    np.testing.assert_array_equal(plans, expected)
    assert not np.array_equal(plans, find_policy(str(path))(cache, V1, tokens))


def test_evaluate_names_the_branch(evaluate_in, data_set, branch_files, checkpoint, capsys):
    refiner, selector = branch_files
    code, folder = evaluate_in(data_set.cache, V1, '--policy', checkpoint[0], '--refiner',
                               refiner, '--selector', selector, '--blind')
    assert code == 0
    summary = summary_of(folder)
    assert (summary['source'], summary['refiner'], summary['selector'], summary['blind']) == (
        str(checkpoint[0]), str(refiner), str(selector), True)
    subject = f'{checkpoint[0]} refined by {refiner} and {selector}, blind'
    assert subject in capsys.readouterr().out
    assert subject in (folder / 'report.html').read_text()


def test_evaluate_takes_a_sensor_from_both(evaluate_in, data_set, branch_files, checkpoint):
    branch = ['--refiner', branch_files[0], '--selector', branch_files[1]]
    totals = []
    for without in ([], ['--without', 'left', 'front']):
        code, folder = evaluate_in(data_set.cache, V1, '--policy', checkpoint[0], *branch,
                                   *without)
        assert code == 0
        totals.append(summary_of(folder)['without'])
    assert totals == [[], ['left', 'front']]


def test_a_file_of_plans_is_refined(evaluate_in, data_set, branch, branch_files, scenes, tmp_path):
    cache, tokens = scenes
    roots = constant_velocity(cache, V1, tokens)
    several = np.stack([roots[0], roots[0]])
    np.savez(tmp_path / 'plans.npz', **{tokens[0]: several, tokens[1]: roots[1:2],
                                        tokens[2]: roots[2:]})
    (tmp_path / 'tokens.txt').write_text('\n'.join(tokens))
    code, folder = evaluate_in(
        data_set.cache, V1, '--plans', tmp_path / 'plans.npz', '--refiner', branch_files[0],
        '--selector', branch_files[1], '--tokens', tmp_path / 'tokens.txt')
    assert code == 1
    assert summary_of(folder)['failures'] == {
        tokens[0]: 'plans.npz: has 2 plans for this token, where one is refined; leave one'}
    _, own = evaluate_in(data_set.cache, V1, '--policy', 'constant_velocity', '--refiner',
                         branch_files[0], '--selector', branch_files[1], out=tmp_path / 'own')
    with np.load(folder / 'scores.npz') as scores, np.load(own / 'scores.npz') as expected:
        for token in tokens[1:]:
            np.testing.assert_allclose(scores[token], expected[token], atol=1e-6)


def test_one_half_alone_is_refused(evaluate_in, data_set, branch_files):
    with pytest.raises(PolicyError, match='name both, or neither'):
        evaluate_in(data_set.cache, V1, '--policy', 'human', '--refiner', branch_files[0])


def test_blindness_needs_eyes(evaluate_in, data_set, tmp_path):
    with pytest.raises(EvaluationError, match='human: reads no sensor; leave --blind out'):
        evaluate_in(data_set.cache, V1, '--policy', 'human', '--blind')
    with pytest.raises(EvaluationError, match='--blind is about networks'):
        evaluate_in(data_set.cache, V1, '--plans', tmp_path / 'plans.npz', '--blind')
