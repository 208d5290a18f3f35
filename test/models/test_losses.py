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

"""The auxiliary losses against numbers worked out by hand and a matching by brute force."""

import itertools
import math

from pair_drive_ros.models.losses import auxiliary_terms, AuxiliaryWeights, LossError
import pytest
from tiny_network import random_features, tiny_transfuser
import torch
from torch.nn import functional

WEIGHTS = AuxiliaryWeights(agent_labels=10.0, agent_states=1.0, bev_semantic_map=14.0)
LN2 = math.log(2.0)


def outputs_of(states, logits, bev=None):
    return {'agent_states': torch.tensor(states, dtype=torch.float32),
            'agent_labels': torch.tensor(logits, dtype=torch.float32),
            'bev_semantic_map': torch.zeros(len(states), 7, 32, 64) if bev is None else bev}


def targets_of(states, labels, bev=None):
    return {'agent_states': torch.tensor(states, dtype=torch.float32),
            'agent_labels': torch.tensor(labels),
            'bev_semantic_map': torch.zeros(len(states), 128, 256, dtype=torch.uint8)
            if bev is None else bev}


def terms_of(outputs, targets, lidar=True):
    return {name: term.item()
            for name, term in auxiliary_terms(outputs, targets, WEIGHTS, lidar).items()}


def test_one_agent_by_hand():
    terms = terms_of(outputs_of([[[1.0, 2.0, 0.1, 4.0, 2.0]]], [[0.0]]),
                     targets_of([[[1.5, 2.0, 0.0, 4.0, 1.5]]], [[True]]))
    assert terms == pytest.approx({'agent_labels': 10.0 * LN2, 'agent_states': 1.1,
                                   'bev_semantic_map': 14.0 * math.log(7.0)})


def test_the_nearer_query_takes_the_agent_and_the_other_none():
    near, far = [9.0, 1.0, 0.0, 4.0, 2.0], [-20.0, 5.0, 0.0, 4.0, 2.0]
    agent, none = [10.0, 1.0, 0.5, 4.0, 2.0], [0.0] * 5
    terms = terms_of(outputs_of([[far, near]], [[0.0, 0.0]]),
                     targets_of([[agent, none]], [[True, False]]))
    assert terms['agent_states'] == pytest.approx(1.5)
    assert terms['agent_labels'] == pytest.approx(10.0 * LN2)


def test_near_is_meant_in_l1():
    # In L1 (5, 0) is nearer to the origin than (3, 3), in L2 it is not.
    none = [0.0] * 5
    terms = terms_of(outputs_of([[[3.0, 3.0, 0.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0, 0.0]]],
                                [[0.0, 0.0]]), targets_of([[none, none]], [[True, False]]))
    assert terms['agent_states'] == pytest.approx(5.0)


def test_a_sure_query_takes_the_agent_from_a_slightly_nearer_one():
    # Costs of the query that takes the agent: 10 * softplus(-logit) + distance, and the other's
    # 10 * softplus(logit): the sure one (3 m off) 3.5 + 6.9, the nearer one 6.9 + 1 + 30.5.
    sure, near = [3.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]
    none = [0.0] * 5
    terms = terms_of(outputs_of([[near, sure]], [[0.0, 3.0]]),
                     targets_of([[none, none]], [[True, False]]))
    assert terms['agent_states'] == pytest.approx(3.0)
    assert terms['agent_labels'] == pytest.approx(
        10.0 * (math.log1p(math.exp(-3.0)) + LN2) / 2.0)


def test_states_are_averaged_over_the_agents_of_all_scenes():
    at = [[[0.0] * 5, [0.0] * 5], [[0.0] * 5, [0.0] * 5]]
    true = [[[1.0, 0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0, 0.0]],
            [[6.0, 0.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0, 9.0]]]
    terms = terms_of(outputs_of(at, [[0.0, 0.0]] * 2),
                     targets_of(true, [[True, True], [True, False]]))
    assert terms['agent_states'] == pytest.approx((1.0 + 2.0 + 6.0) / 3.0)


@pytest.mark.parametrize('seed', range(8))
def test_matching_is_that_of_all_permutations(seed):
    torch.manual_seed(seed)
    states, true_states = 4.0 * torch.randn(3, 5), 4.0 * torch.randn(3, 5)
    logits, labels = 2.0 * torch.randn(3), torch.rand(3) < 0.7
    found = []
    for order in map(list, itertools.permutations(range(3))):
        truth = labels[order].float()
        entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction='none')
        distance = (states - true_states[order]).abs() * truth[:, None]
        cost = (10.0 * entropy.sum() + distance[:, :2].sum()).item()
        found.append((cost, 10.0 * entropy.mean().item(),
                      distance.sum().item() / max(labels.sum().item(), 1)))
    terms = terms_of(outputs_of([states.tolist()], [logits.tolist()]),
                     targets_of([true_states.tolist()], [labels.tolist()]))
    # In L1 two crossing pairs may cost what they cost uncrossed: several may be the best.
    best = min(cost for cost, *_ in found)
    assert any((terms['agent_labels'], terms['agent_states']) == pytest.approx(pair, rel=1e-4)
               for cost, *pair in found if cost < best + 1e-4)


def test_no_agents_at_all_leave_the_states_alone():
    outputs = outputs_of([[[3.0] * 5] * 2], [[0.0, 0.0]])
    outputs['agent_states'].requires_grad_()
    terms = auxiliary_terms(outputs, targets_of([[[0.0] * 5] * 2], [[False, False]]), WEIGHTS,
                            True)
    assert terms['agent_states'].item() == 0.0
    assert terms['agent_labels'].item() == pytest.approx(10.0 * LN2)
    sum(terms.values()).backward()
    assert outputs['agent_states'].grad.abs().max() == 0.0


@pytest.mark.parametrize('degrees, seen', [(79.0, True), (-79.0, True), (81.0, False),
                                           (-81.0, False), (180.0, False)])
def test_without_lidar_only_agents_within_80_degrees_are_targets(degrees, seen):
    angle = math.radians(degrees)
    outputs = outputs_of([[[0.0] * 5]], [[2.0]])
    targets = targets_of([[[5.0 * math.cos(angle), 5.0 * math.sin(angle), 0.0, 4.0, 2.0]]],
                         [[True]])
    nobody = targets_of([[[0.0] * 5]], [[False]])
    assert terms_of(outputs, targets, lidar=True)['agent_states'] > 10.0
    assert terms_of(outputs, targets, lidar=False) == terms_of(
        outputs, targets if seen else nobody, lidar=True)


@pytest.mark.parametrize('step', [1, 2, 4])
def test_of_the_map_a_smaller_network_takes_every_nth_cell(step):
    target = torch.full((1, 128, 256), 5, dtype=torch.uint8)
    target[:, ::step, ::step] = 3
    logits = torch.zeros(1, 7, 128 // step, 256 // step)
    logits[:, 3] = 50.0
    single = [[[0.0] * 5]], [[0.0]]
    targets = targets_of([[[0.0] * 5]], [[False]], target)
    assert terms_of(outputs_of(*single, bev=logits), targets)['bev_semantic_map'] == 0.0
    target[0, step, 2 * step] = 6
    assert terms_of(outputs_of(*single, bev=logits), targets)['bev_semantic_map'] == (
        pytest.approx(14.0 * 50.0 / (128 // step * 256 // step)))


@pytest.mark.parametrize('cells', [(256, 512), (128, 128), (48, 96)])
def test_a_map_that_is_no_multiple_is_a_sentence(cells):
    outputs = outputs_of([[[0.0] * 5]], [[0.0]], torch.zeros(1, 7, *cells))
    with pytest.raises(LossError, match=rf'bev_semantic_map: .*\[{cells[0]}, {cells[1]}\]; set'):
        terms_of(outputs, targets_of([[[0.0] * 5]], [[False]]))


def test_gradients_reach_matched_states_all_logits_and_the_map():
    outputs = outputs_of([[[1.0] * 5, [8.0] * 5]], [[0.3, -0.2]])
    for tensor in outputs.values():
        tensor.requires_grad_()
    targets = targets_of([[[0.0] * 5, [7.0] * 5]], [[False, True]])
    sum(auxiliary_terms(outputs, targets, WEIGHTS, True).values()).backward()
    assert outputs['agent_states'].grad.abs().sum(dim=-1).tolist() == [[0.0, 5.0]]
    assert (outputs['agent_labels'].grad != 0.0).all()
    assert outputs['bev_semantic_map'].grad.abs().sum() > 0.0


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_a_network_that_says_nan_has_a_loss_and_no_exception(bad):
    terms = terms_of(outputs_of([[[bad] * 5, [0.0] * 5]], [[bad, 0.0]]),
                     targets_of([[[0.0] * 5, [1.0] * 5]], [[True, True]]))
    assert not math.isfinite(terms['agent_labels'] + terms['agent_states'])


def test_transfuser_weighs_its_terms_as_the_devkit():
    network = tiny_transfuser()
    features = random_features(network, batch=2)
    targets = {'trajectory': torch.rand(2, 8, 3, dtype=torch.float64),
               'agent_states': torch.rand(2, 30, 5), 'agent_labels': torch.rand(2, 30) < 0.5,
               'bev_semantic_map': torch.randint(7, (2, 128, 256), dtype=torch.uint8)}
    terms = network.loss(features, targets)
    outputs = network(features)
    plain = auxiliary_terms(outputs, targets, AuxiliaryWeights(10.0, 1.0, 1.0), True)
    assert terms['trajectory'].item() == pytest.approx(
        10.0 * (outputs['trajectory'] - targets['trajectory']).abs().mean().item(), rel=1e-5)
    assert terms['bev_semantic_map'].item() == pytest.approx(
        10.0 * plain['bev_semantic_map'].item(), rel=1e-5)
    for name in ('agent_labels', 'agent_states'):
        assert terms[name].item() == pytest.approx(plain[name].item(), rel=1e-5)
