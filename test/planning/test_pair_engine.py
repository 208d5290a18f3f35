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

"""The two branches side by side: what is chosen, and what goes out when one does not come."""

from dataclasses import dataclass, replace

from fake_branch import BENT, FakeBranch, SLOWER
import numpy as np
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.features import transfuser_spec
from pair_drive_ros.models.policy import FeatureError, ImitationPolicy, TensorSpec
from pair_drive_ros.models.refinement_branch import load_branch
from pair_drive_ros.models.refiner import Refiner, RefinerConfig
from pair_drive_ros.models.selector import Selector, SelectorConfig
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.planning.engine import REFINEMENT_VALUES
from pair_drive_ros.planning.pair_engine import DEGRADED_AFTER, PairEngine, PairEngineError
from pair_drive_ros.planning.torch_engine import TorchEngine, TorchEngineError
import pytest
from tiny_network import noise_frame, TINY
import torch

IN_TIME_MS, AT_ONCE_MS = 30_000.0, 1.0
RECORD = TrainingRecord('noise', 0, 'abc1234')
COAST = f'{__name__}:Coast'
STATUS = {'status_feature': TensorSpec((8,))}
SEEING = transfuser_spec(32, 64, 64)
TOLERANT = transfuser_spec(32, 64, 64, validity=True)


class Coast(ImitationPolicy):
    """Go straight on at the present speed; ``answer`` of the class, when set, is raised."""

    feature_spec = STATUS
    answer = None

    def plan(self, features):
        """Poses from the forward speed."""
        if self.answer is not None:
            raise self.answer
        x = features['status_feature'][:, 4:5] * 0.5 * torch.arange(1, 9)
        return torch.stack([x, 0 * x, 0 * x], dim=-1)


class Sighted(Coast):
    """The same of a policy that looks at the cameras, all of which it needs."""

    feature_spec = transfuser_spec(32, 64, 64, lidar=False)


@dataclass
class Pair:
    """An engine, its branch, and what came of each frame."""

    engine: PairEngine
    branch: FakeBranch

    def plan(self, frame=None):
        self.timer = StageTimer()
        return self.engine.plan(noise_frame() if frame is None else frame, self.timer)

    def reason(self, frame=None):
        return self.engine.degraded_reason(noise_frame() if frame is None else frame)

    def health(self, name):
        return self.engine.health()[name]

    def finish(self):
        """Let the branch go on, and wait until it has come to the end of its job."""
        self.branch.proceed.set()
        self.engine._worker._under_way.exception(10.0)


@pytest.fixture
def make_pair():
    """Build pairs of a policy and a fake branch, and close them."""
    pairs = []

    def make(spec=STATUS, deadline_ms=IN_TIME_MS, policy=COAST, **options):
        branch = FakeBranch(spec)
        engine = PairEngine(TorchEngine(None, policy=policy), branch, 'aaaaaaaaaaaa',
                            'bbbbbbbbbbbb', deadline_ms, **options)
        pairs.append(Pair(engine, branch))
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.branch.proceed.set()
        pair.engine.close()


def test_the_candidates_come_in_the_selectors_order(make_pair):
    pair = make_pair()
    candidates = pair.plan()
    assert list(candidates) == ['refined_1', 'refined_2', COAST]
    assert [candidate.score for candidate in candidates.values()] == pytest.approx([0.9, 0.5, 0.1])
    own = candidates[COAST].trajectory
    np.testing.assert_allclose(own.poses[:, 0], 5.0 * own.times_s)
    slower = candidates['refined_1'].trajectory
    np.testing.assert_allclose(slower.poses, 0.8 * own.poses, rtol=1e-6)
    assert {candidate.trajectory.stamp_ns for candidate in candidates.values()} == {7}
    pair.branch.order = (0, BENT, SLOWER)
    assert list(pair.plan()) == [COAST, 'refined_2', 'refined_1']
    assert pair.reason() is None


def test_the_branch_runs_in_its_own_thread_and_its_stages_are_told(make_pair):
    pair = make_pair()
    pair.engine.warm_up()
    assert pair.health('rl_ms p50/p95/max') == 'n/a'
    pair.plan()
    assert set(pair.branch.threads) == {'refinement'}
    assert {'il', 'features', 'network', 'rl_encode', 'rl_refine'} == set(pair.timer.milliseconds)
    assert pair.health('rl_ms p50/p95/max').count('/') == 2


def test_the_tree_grows_from_the_policys_plan(make_pair):
    pair = make_pair()
    own = pair.plan()[COAST].trajectory
    root, = pair.branch.roots
    assert root.shape == (1, 8, 3) and root.dtype == torch.float32
    np.testing.assert_allclose(root[0].numpy(), own.poses)


@pytest.mark.parametrize(('spec', 'shared'), [(STATUS, True), (SEEING, False)])
def test_features_that_both_read_are_built_once(make_pair, monkeypatch, spec, shared):
    from pair_drive_ros.planning import pair_engine
    built = []
    monkeypatch.setattr(pair_engine, 'transfuser_features', lambda frame, spec: built.append(spec)
                        or pair_engine.zero_features(spec))
    pair = make_pair(spec)
    assert 'refined_1' in pair.plan()
    assert built == ([] if shared else [spec])
    assert set(pair.branch.encoded[0]) == set(spec)


def test_without_being_told_a_late_branch_is_not_waited_for(make_pair):
    pair = make_pair(deadline_ms=AT_ONCE_MS)
    pair.branch.proceed.clear()
    candidates = pair.plan()
    assert list(candidates) == [COAST] and candidates[COAST].score is None
    assert (pair.health('deadline_misses'), pair.health('rl_used_ratio')) == (1, '0.00')
    assert pair.health('refinement') == 'refinement is late (deadline 1 ms)'
    assert pair.reason() is None
    assert set(pair.timer.milliseconds) == {'il', 'features', 'network'}


def test_while_it_is_still_busy_the_next_frames_do_not_reach_it(make_pair):
    pair = make_pair(deadline_ms=AT_ONCE_MS)
    pair.branch.proceed.clear()
    for _ in range(3):
        assert list(pair.plan()) == [COAST]
    assert pair.branch.entered.acquire(timeout=10.0)
    assert len(pair.branch.encoded) == 1
    assert pair.health('deadline_misses') == 3


def test_a_late_result_is_thrown_away_and_the_branch_is_used_again(make_pair):
    pair = make_pair(deadline_ms=AT_ONCE_MS)
    pair.branch.proceed.clear()
    pair.plan()
    pair.finish()
    assert pair.health('rl_ms p50/p95/max') != 'n/a'
    pair.engine._deadline_ms = IN_TIME_MS
    candidates = pair.plan(noise_frame(stamp_ns=99))
    assert {candidate.trajectory.stamp_ns for candidate in candidates.values()} == {99}
    assert (pair.health('deadline_misses'), pair.health('rl_used_ratio')) == (1, '0.50')
    assert pair.health('refinement') == 'on'


def test_after_misses_in_a_row_plans_are_degraded_until_one_is_refined(make_pair):
    pair = make_pair(deadline_ms=AT_ONCE_MS)
    pair.branch.proceed.clear()
    for _ in range(DEGRADED_AFTER - 1):
        pair.plan()
        assert pair.reason() is None
    pair.plan()
    assert pair.reason() == 'refinement is late (deadline 1 ms)'
    pair.finish()
    pair.engine._deadline_ms = IN_TIME_MS
    pair.plan()
    assert pair.reason() is None


@pytest.mark.parametrize('place', ['error', 'refine_error'])
def test_a_branch_that_fails_is_counted_and_recovers(make_pair, place):
    pair = make_pair()
    setattr(pair.branch, place, RuntimeError('out of memory'))
    for _ in range(DEGRADED_AFTER):
        assert list(pair.plan()) == [COAST]
    assert (pair.health('refinement_failures'), pair.health('deadline_misses')) == (5, 0)
    assert pair.reason() == 'refinement failed: out of memory'
    setattr(pair.branch, place, None)
    assert 'refined_1' in pair.plan()
    assert pair.reason() is None


def test_an_error_that_says_nothing_is_named_by_its_type(make_pair):
    pair = make_pair()
    pair.branch.error = NotImplementedError()
    pair.plan()
    assert pair.health('refinement') == 'refinement failed: NotImplementedError'


def _nan_plan(answer):
    answer.candidates[0, 1, 3] = float('nan')
    return answer


@pytest.mark.parametrize(('spoil', 'text'), [
    (_nan_plan, 'candidates: not all are finite'),
    (lambda answer: answer._replace(scores=answer.scores / 0.0 * 0.0), 'scores: not all'),
    (lambda answer: answer._replace(candidates=answer.candidates[:, :2]), 'expected candidates'),
    (lambda answer: answer._replace(order=torch.tensor([[1, 1, 2]])), 'each of the 3 candidates')])
def test_an_answer_that_is_no_ranking_of_plans_is_a_failure(make_pair, spoil, text):
    pair = make_pair()
    refine = pair.branch.refine
    pair.branch.refine = lambda view, root: spoil(refine(view, root))
    assert list(pair.plan()) == [COAST]
    assert text in pair.health('refinement')
    with pytest.raises(PairEngineError, match='the branch cannot run on features'):
        pair.engine.warm_up()


def test_switched_off_it_is_not_asked_and_nothing_is_degraded(make_pair):
    pair = make_pair(enabled=False)
    for _ in range(DEGRADED_AFTER):
        assert list(pair.plan()) == [COAST]
    assert pair.reason() is None
    assert not pair.branch.encoded
    assert (pair.health('refinement'), pair.health('rl_used_ratio')) == ('switched off', 'n/a')
    assert pair.engine.switch_refinement(True)
    assert 'refined_1' in pair.plan()
    assert pair.engine.switch_refinement(False)
    assert list(pair.plan()) == [COAST]
    assert pair.health('rl_used_ratio') == '1.00'


def test_switching_forgets_the_misses_in_a_row_but_not_the_count(make_pair):
    pair = make_pair()
    pair.branch.error = RuntimeError('out of memory')
    for _ in range(DEGRADED_AFTER):
        pair.plan()
    pair.engine.switch_refinement(False)
    assert pair.reason() is None
    pair.engine.switch_refinement(True)
    assert pair.reason() is None
    assert pair.health('refinement_failures') == DEGRADED_AFTER


def test_without_a_sensor_that_only_the_branch_needs_the_policy_plans_alone(make_pair):
    pair = make_pair(SEEING)
    assert pair.engine.sensors == ('left', 'front', 'right', 'lidar')
    assert not pair.engine.needs_every_sensor
    frame = noise_frame(cameras=('front', 'left'), lidar=False)
    assert list(pair.plan(frame)) == [COAST]
    assert pair.reason(frame) == 'plans without refinement, which needs right, lidar'
    assert pair.health('refinement') == 'plans without refinement, which needs right, lidar'
    assert not pair.branch.encoded
    assert (pair.health('deadline_misses'), pair.health('refinement_failures')) == (0, 0)
    assert pair.health('rl_used_ratio') == '0.00'
    pair.engine.switch_refinement(False)
    assert pair.reason(frame) is None


def test_a_branch_that_can_miss_sensors_refines_without_and_says_so(make_pair):
    pair = make_pair(TOLERANT)
    frame = noise_frame(lidar=False)
    assert 'refined_1' in pair.plan(frame)
    assert pair.reason(frame) == 'refines without lidar'
    nothing = noise_frame(cameras=(), lidar=False)
    assert list(pair.plan(nothing)) == [COAST]
    assert 'which needs left, front, right, lidar' in pair.reason(nothing)


def test_what_the_policy_and_the_branch_lack_is_named_once(tmp_path):
    path = tmp_path / 'policy.safetensors'
    save_checkpoint(path, Transfuser(replace(TINY, sensor_validity=True)), RECORD)
    frame = noise_frame(lidar=False)
    for spec, reason in ((TOLERANT, 'plans without lidar'), (
            SEEING, 'plans without lidar; plans without refinement, which needs lidar')):
        engine = PairEngine(TorchEngine(path), FakeBranch(spec), 'a', 'b', IN_TIME_MS)
        engine.plan(frame, StageTimer())
        assert engine.degraded_reason(frame) == reason
        engine.close()


def test_the_engine_says_what_it_runs(make_pair):
    pair = make_pair(policy=f'{__name__}:Sighted', spec=Sighted.feature_spec)
    engine = pair.engine
    assert (engine.name, engine.model_hash, engine.trained_on, engine.device) == (
        f'{__name__}:Sighted', 'none', 'none', 'cpu')
    assert engine.sensors == ('left', 'front', 'right')
    assert engine.needs_every_sensor
    assert tuple(engine.health()) == REFINEMENT_VALUES
    assert pair.health('refiner_hash') == 'aaaaaaaaaaaa'
    assert pair.health('selector_hash') == 'bbbbbbbbbbbb'
    assert not make_pair(policy=f'{__name__}:Sighted', spec=SEEING).engine.needs_every_sensor


@pytest.mark.parametrize('spec', [STATUS, SEEING])
def test_where_the_policy_fails_there_is_no_plan_and_the_branch_does_not_wait(
        make_pair, monkeypatch, spec):
    pair = make_pair(spec)
    monkeypatch.setattr(Coast, 'answer', ValueError('no way'))
    with pytest.raises(ValueError, match='no way'):
        pair.plan()
    pair.finish()
    monkeypatch.setattr(Coast, 'answer', None)
    assert 'refined_1' in pair.plan()


def test_a_frame_that_the_policy_cannot_read_fails_as_without_the_branch(make_pair):
    pair = make_pair(policy=f'{__name__}:Sighted', spec=STATUS)
    with pytest.raises(FeatureError, match='left, right'):
        pair.plan(noise_frame(cameras=('front',)))
    pair.finish()
    assert not pair.branch.roots


def test_a_branch_or_a_policy_that_cannot_run_is_found_before_it_drives(make_pair, monkeypatch):
    pair = make_pair()
    pair.branch.error = RuntimeError('shapes differ')
    with pytest.raises(PairEngineError, match='RuntimeError: shapes differ'):
        pair.engine.warm_up()
    monkeypatch.setattr(Coast, 'answer', ValueError('no way'))
    with pytest.raises(TorchEngineError, match='no way'):
        pair.engine.warm_up()


def test_closing_ends_the_branchs_thread():
    branch = FakeBranch(STATUS)
    engine = PairEngine(TorchEngine(None, policy=COAST), branch, 'a', 'b', IN_TIME_MS)
    engine.plan(noise_frame(), StageTimer())
    engine.close()
    assert not engine._worker._thread.is_alive()


def test_a_branch_of_networks_refines_a_policy_of_another_kind(tmp_path):
    refiner, selector = tmp_path / 'refiner.safetensors', tmp_path / 'selector.safetensors'
    perception = replace(TINY, sensor_validity=True)
    save_checkpoint(refiner, Refiner(RefinerConfig(perception)), RECORD)
    save_checkpoint(selector, Selector(SelectorConfig(
        bev_width=TINY.bev_width, view_width=TINY.decoder_width, width=16)), RECORD)
    branch, *cards = load_branch(refiner, selector)
    engine = PairEngine(TorchEngine(None, policy=COAST), branch,
                        *(card.model_hash for card in cards), IN_TIME_MS)
    engine.warm_up()
    for frame in (noise_frame(), noise_frame(lidar=False)):
        candidates = engine.plan(frame, StageTimer())
        own = candidates[COAST].trajectory
        np.testing.assert_allclose(own.poses[:, 0], 5.0 * own.times_s)
        assert len(candidates) > 2
        assert all(np.isfinite(candidate.score) for candidate in candidates.values())
    assert (engine.health()['refinement'], engine.health()['rl_used_ratio']) == ('on', '1.00')
    engine.close()
