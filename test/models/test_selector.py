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

"""The selector: what it predicts from, how it ranks, and that a checkpoint keeps it."""

from pair_drive_ros.models.candidates import Candidates
from pair_drive_ros.models.checkpoint import (
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
    TrainingRecord,
)
from pair_drive_ros.models.policy import FeatureError
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.selector import HEADS, Selector, SelectorConfig, SelectorError, total
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.scoring.aggregation import epdms_without_extended_comfort, pdms
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.sub_scores import SubScores
import pytest
from tiny_branch import tiny_perception, tiny_selector
from tiny_network import random_features
from tiny_view import bend, straight, tiny_view
import torch

RECORD = TrainingRecord('noise', 0, 'none', 'navsim_v1', {'margin': 0.05})
V1, V2 = Protocol.NAVSIM_V1, Protocol.NAVSIM_V2


def candidates() -> Candidates:
    """Return four candidates in each of two scenes."""
    plans = torch.stack([straight(), bend(), straight(speed=4.0), bend(radius=-30.0)], dim=1)
    return Candidates(plans, torch.tensor([[0.0, -0.5, -1.5, -3.0]]).expand(2, -1).clone())


def predicting(monkeypatch, **predicted):
    """Let every selector predict these sub-scores [K] in one scene, 1 for all others."""
    count = len(next(iter(predicted.values())))

    def forward(self, view, candidates):
        return {name: torch.tensor([predicted.get(name, [1.0] * count)]).logit(eps=1e-6)
                for name in HEADS[self.protocol]}

    monkeypatch.setattr(Selector, 'forward', forward)


@pytest.mark.parametrize('protocol', Protocol)
def test_every_sub_score_of_the_protocol_is_predicted(protocol):
    selector = tiny_selector(protocol=protocol.value)
    logits = selector(tiny_view(), candidates())
    assert tuple(logits) == HEADS[protocol]
    assert all(values.shape == (2, 4) and values.isfinite().all() for values in logits.values())


def test_the_total_is_the_first_versions():
    sub_scores = {name: torch.tensor([[value, 1.0]]) for name, value in (
        ('nc', 0.8), ('dac', 0.5), ('ep', 0.6), ('ttc', 0.9), ('comfort', 0.25))}
    # 0.8 * 0.5 * (5 * 0.6 + 5 * 0.9 + 2 * 0.25) / 12
    torch.testing.assert_close(total(sub_scores, V1), torch.tensor([[0.4 * 8.0 / 12.0, 1.0]]))
    scores = SubScores(protocol=V1, ddc=None, tlc=None, lk=None, ec=None, total=None, valid=None,
                       **sub_scores)
    assert torch.equal(total(sub_scores, V1), pdms(scores))


def test_the_total_is_the_second_versions():
    sub_scores = {name: torch.tensor([[value, 1.0]]) for name, value in (
        ('nc', 0.8), ('dac', 0.5), ('ddc', 0.5), ('tlc', 0.75), ('ep', 0.6), ('ttc', 0.9),
        ('lk', 0.5), ('comfort', 0.25))}
    # 0.8 * 0.5 * 0.5 * 0.75 * (5 * 0.6 + 5 * 0.9 + 2 * 0.5 + 2 * 0.25) / 14
    torch.testing.assert_close(total(sub_scores, V2), torch.tensor([[0.15 * 9.0 / 14.0, 1.0]]))
    scores = SubScores(protocol=V2, ec=None, total=None, valid=None, **sub_scores)
    assert torch.equal(total(sub_scores, V2), epdms_without_extended_comfort(scores))


@pytest.mark.parametrize('protocol', Protocol)
def test_candidates_are_ranked_by_the_predicted_total(protocol):
    selector, view = tiny_selector(protocol=protocol.value), tiny_view()
    # So that none is predicted to be uncomfortable.
    torch.nn.init.constant_(selector.heads.bias[-1:].detach(), 9.0)
    with torch.no_grad():
        logits = selector(view, candidates())
        ranking = selector.rank(view, candidates())
    for name, values in logits.items():
        torch.testing.assert_close(ranking.sub_scores[name], values.sigmoid())
    torch.testing.assert_close(ranking.scores, total(ranking.sub_scores, protocol))
    ranked = ranking.scores.gather(1, ranking.order)
    assert (ranked.diff(dim=1) <= 0.0).all() and ranked.diff(dim=1).any()
    assert all(sorted(order) == [0, 1, 2, 3] for order in ranking.order.tolist())


@pytest.mark.parametrize('margin, order', [(0.0, [2, 1, 0]), (0.1, [2, 0, 1]), (0.3, [0, 2, 1])])
def test_the_plan_stays_unless_another_is_better_by_the_margin(monkeypatch, margin, order):
    predicting(monkeypatch, nc=[0.5, 0.55, 0.75])
    ranking = tiny_selector(margin=margin).rank(tiny_view(1), None)
    assert ranking.order.tolist() == [order]
    torch.testing.assert_close(ranking.scores, torch.tensor([[0.5 + margin, 0.55, 0.75]]),
                               atol=1e-4, rtol=0.0)


def test_of_equally_good_candidates_the_plan_is_first(monkeypatch):
    predicting(monkeypatch, nc=[0.5] * 20)
    assert tiny_selector().rank(tiny_view(1), None).order.tolist() == [list(range(20))]


@pytest.mark.parametrize('protocol', Protocol)
def test_an_uncomfortable_candidate_never_replaces_the_plan(monkeypatch, protocol):
    # The plan itself may be uncomfortable: to brake hard is better than to collide in comfort.
    predicting(monkeypatch, comfort=[0.45, 0.55, 0.4, 0.9], nc=[0.8, 0.2, 1.0, 0.1])
    selector = tiny_selector(protocol=protocol.value)
    assert selector.rank(tiny_view(1), None).order.tolist() == [[0, 1, 3, 2]]


def test_no_gradient_reaches_the_candidates():
    selector, view = tiny_selector(), tiny_view()
    view.bev_map.requires_grad_()
    given = candidates()
    given.plans.requires_grad_()
    given.log_probs.requires_grad_()
    sum(values.sum() for values in selector(view, given).values()).backward()
    assert given.plans.grad is None and given.log_probs.grad is None
    assert view.bev_map.grad.abs().sum() > 0.0
    assert all(parameter.grad is not None for parameter in selector.parameters())


def test_what_the_tree_thinks_of_its_leaves_is_told():
    selector, view, given = tiny_selector(), tiny_view(), candidates()
    log_probs = given.log_probs.clone()
    log_probs[:, 2] = -0.1
    with torch.no_grad():
        one = selector(view, given)
        other = selector(view, given._replace(log_probs=log_probs))
    assert all((one[name] - other[name])[:, 2].abs().min() > 1e-4 for name in one)


def test_the_order_of_the_alternatives_does_not_matter_but_which_is_the_plan_does():
    selector, view, given = tiny_selector(), tiny_view(), candidates()

    def predicted(order):
        with torch.no_grad():
            return selector(view, Candidates(given.plans[:, order], given.log_probs[:, order]))

    one, other = predicted([0, 1, 2, 3]), predicted([0, 3, 1, 2])
    for name in one:
        torch.testing.assert_close(other[name], one[name][:, [0, 3, 1, 2]])
    changed = predicted([1, 0, 2, 3])
    assert all((one[name][:, 2] - changed[name][:, 2]).abs().min() > 1e-5 for name in one)


def test_candidates_are_compared_with_one_another():
    selector, view, given = tiny_selector(), tiny_view(), candidates()
    plans = given.plans.clone()
    plans[:, 3] = straight(speed=12.0)
    with torch.no_grad():
        one = selector(view, given)
        other = selector(view, given._replace(plans=plans))
    assert all((one[name] - other[name])[:, 0].abs().min() > 1e-6 for name in one)


def test_by_itself_it_reads_no_features():
    selector = tiny_selector()
    assert selector.perception is None and selector.feature_spec == {}


def test_one_with_encoders_of_its_own_looks_with_them():
    selector = tiny_selector(perception=tiny_perception())
    assert selector.feature_spec == tiny_perception().feature_spec
    features = random_features(selector, batch=2)
    with torch.no_grad():
        ranking = selector.rank(selector.perception.view(features), candidates())
    assert ranking.scores.shape == (2, 4) and ranking.scores.isfinite().all()
    features.popitem()
    with pytest.raises(FeatureError, match='missing'):
        selector.perception.view(features)


@pytest.mark.parametrize('perception', [None, tiny_perception(stage_blocks=(1, 2, 1, 1))])
def test_a_checkpoint_keeps_it(tmp_path, perception):
    path = tmp_path / 'selector.safetensors'
    selector = tiny_selector(perception=perception, protocol='navsim_v2', generator='flat',
                             margin=0.07)
    save_checkpoint(path, selector, RECORD)
    loaded, card = load_checkpoint(path, Selector)
    assert loaded.config == selector.config and isinstance(loaded.config, SelectorConfig)
    assert loaded.config.perception == perception and not loaded.training
    assert card.architecture == 'pair_drive_selector' and card.training == RECORD
    with torch.no_grad():
        one, other = (each.rank(tiny_view(), candidates()) for each in (selector, loaded))
    assert torch.equal(one.scores, other.scores)


def test_a_selector_is_no_refiner(tmp_path):
    path = tmp_path / 'selector.safetensors'
    save_checkpoint(path, tiny_selector(), RECORD)
    with pytest.raises(CheckpointError, match="'pair_drive_selector', not 'pair_drive_refiner'"):
        load_checkpoint(path, Refiner)


def test_the_small_one_goes_with_the_small_perception():
    config, perception = SelectorConfig.mini(margin=0.1), TransfuserConfig.mini()
    assert (config.bev_width, config.view_width) == (perception.bev_width,
                                                     perception.decoder_width)
    assert config.margin == 0.1


@pytest.mark.parametrize('changes, sentence', [
    ({'width': 20}, 'width: expected a multiple of 8, got 20'),
    ({'width': 0}, 'width: expected a multiple of 8'),
    ({'generator': 'forest'}, 'generator: expected one of tree, likeliest, untrained, flat, got '
                              "'forest'"),
    ({'protocol': 'navsim_v3'}, "protocol: expected navsim_v1 or navsim_v2, got 'navsim_v3'"),
    ({'margin': -0.1}, 'margin: expected 0 to 1, got -0.1'),
    ({'margin': 1.1}, 'margin: expected 0 to 1'),
    ({'margin': float('nan')}, 'margin: expected 0 to 1')])
def test_bad_entries_are_sentences(changes, sentence):
    with pytest.raises(SelectorError, match=sentence):
        SelectorConfig(**changes)
