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

"""The RL branch beside the imitation branch, in the node."""

from types import SimpleNamespace

from fake_branch import BENT, FakeBranch, SLOWER
from nodes.user_policy import Coast
import numpy as np
from pair_drive_ros.models import refinement_branch
from pair_drive_ros.planning.pair_engine import DEGRADED_AFTER
import pytest
from std_msgs.msg import Float32MultiArray
from std_srvs.srv import SetBool
from visualization_msgs.msg import MarkerArray

COAST = 'nodes.user_policy:Coast'
BOTH = {'refinement.refiner': 'mine.safetensors', 'refinement.selector': 'other.safetensors'}
# Deadlines of a branch that is never late, and of one that always is while it is held.
IN_TIME, AT_ONCE = ({'refinement.deadline_ms': 1000.0, 'output.timeout_ms': 2000.0},
                    {'refinement.deadline_ms': 1.0, 'output.timeout_ms': 2000.0})


@pytest.fixture
def branch(monkeypatch):
    """Load a fake branch whatever files are named."""
    branch = FakeBranch(Coast.feature_spec)

    def load(refiner, selector):
        return branch, SimpleNamespace(model_hash=refiner.stem), SimpleNamespace(
            model_hash=selector.stem)

    monkeypatch.setattr(refinement_branch, 'load_branch', load)
    yield branch
    branch.proceed.set()


def now(rig, **expected):
    def check():
        status = rig.statuses[-1] if rig.statuses else {}
        return {name: status.get(name) for name in expected} == expected
    return check


def reaches(rig, metres):
    """Whether the newest plan ends so far ahead of its beginning: Coast's 20 m, the slower 16."""
    def check():
        first, *_, last = rig.plans[-1].points
        return (last.transforms[0].translation.x - first.transforms[0].translation.x
                == pytest.approx(metres, abs=0.1))
    return check


def switch(rig, on):
    return rig.call(SetBool, '/planner/set_refinement_enabled', SetBool.Request(data=on))


def test_the_selectors_choice_goes_out_and_the_diagnostics_tell_of_it(make_rig, branch):
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME)
    assert rig.drive(now(rig, state='NORMAL', reason='', refinement='on', refiner_hash='mine',
                         selector_hash='other'))
    assert rig.statuses[-1]['engine'] == COAST
    assert rig.drive(reaches(rig, 16.0))
    assert set(rig.plan_stamps()) <= set(rig.anchors)
    assert rig.drive(lambda: {f'{stage}_ms p50/p95/max' for stage in (
        'plan', 'il', 'rl_encode', 'rl_refine')} <= set(rig.statuses[-1]))
    assert rig.statuses[-1]['rl_ms p50/p95/max'].count('/') == 2
    assert float(rig.statuses[-1]['rl_used_ratio']) > 0.0


def test_the_candidates_are_shown_in_the_order_of_preference(make_rig, branch):
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME)
    markers, candidates = [], []
    rig.vehicle.create_subscription(MarkerArray, '/planner/debug/markers', markers.append, 10)
    rig.vehicle.create_subscription(Float32MultiArray, '/planner/debug/candidates',
                                    candidates.append, 10)
    assert rig.drive(lambda: markers and candidates)
    assert candidates[0].layout.dim[0].label == f'refined_1,refined_2,{COAST}'
    poses = np.reshape(candidates[0].data, [dim.size for dim in candidates[0].layout.dim])
    np.testing.assert_allclose(poses[:, -1, 0], [16.0, 20.0, 20.0], atol=1e-4)
    assert [marker.ns for marker in markers[0].markers] == [
        'selected', 'refined_1', 'refined_2', COAST]


def test_a_late_branch_leaves_the_imitation_plan_and_degrades_until_it_is_back(make_rig, branch):
    rig = make_rig(policy=COAST, **BOTH, **AT_ONCE)
    branch.proceed.clear()
    assert rig.drive(now(rig, state='DEGRADED', reason='refinement is late (deadline 1 ms)'))
    assert rig.drive(reaches(rig, 20.0))
    assert rig.drive(lambda: int(rig.statuses[-1]['deadline_misses']) >= DEGRADED_AFTER)
    assert 'STOP' not in rig.states()


def test_a_branch_that_fails_leaves_the_imitation_plan_and_is_used_again(make_rig, branch):
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME)
    assert rig.drive(now(rig, state='NORMAL', refinement='on'))
    branch.error = RuntimeError('out of memory')
    assert rig.drive(now(rig, state='DEGRADED', reason='refinement failed: out of memory'))
    assert rig.drive(reaches(rig, 20.0))
    branch.error = None
    assert rig.drive(now(rig, state='NORMAL', reason=''))
    assert rig.drive(reaches(rig, 16.0))


def test_the_service_switches_refinement_while_the_planner_runs(make_rig, branch):
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME)
    assert rig.drive(now(rig, refinement='on'))
    answer = switch(rig, False)
    assert (answer.success, answer.message) == (True, 'refinement is switched off')
    assert rig.drive(now(rig, refinement='switched off', state='NORMAL', reason=''))
    assert rig.drive(reaches(rig, 20.0))
    assert switch(rig, True).message == 'refinement is switched on'
    assert rig.drive(now(rig, refinement='on'))
    assert rig.drive(reaches(rig, 16.0))


def test_it_may_start_switched_off(make_rig, branch):
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME, **{'refinement.enabled': False})
    assert rig.drive(now(rig, refinement='switched off', rl_used_ratio='n/a'))
    assert switch(rig, True).success
    assert rig.drive(now(rig, refinement='on'))


def test_where_the_choice_cannot_be_driven_the_next_one_goes_out(make_rig, branch):
    branch.order = (BENT, SLOWER, 0)
    refine = branch.refine

    def swerve(view, root):
        refinement = refine(view, root)
        refinement.candidates[:, BENT, :, 1] *= 1e4
        return refinement

    branch.refine = swerve
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME)
    assert rig.drive(now(rig, state='NORMAL', invalid_count='0'))
    assert rig.drive(lambda: int(rig.statuses[-1]['passed_over']) > 0)
    assert rig.drive(reaches(rig, 16.0))


def test_before_it_is_configured_there_is_nothing_to_switch(make_rig):
    answer = switch(make_rig(start=False), True)
    assert (answer.success, answer.message) == (False, 'the planner is not configured')


@pytest.mark.parametrize(('parameters', 'text'), [
    ({'refinement.refiner': 'mine.safetensors'}, 'refinement.selector: is empty'),
    ({**BOTH, 'refinement.deadline_ms': 300.0}, 'must lie below output.timeout_ms'),
    ({**BOTH, 'refinement.refiner': 'gardener'}, "there is no part 'gardener' of the RL branch"),
    (BOTH, 'mine.safetensors')])
def test_what_is_wrong_with_the_refinement_is_said(make_rig, parameters, text):
    rig = make_rig(**{'policy': COAST, **parameters})
    assert not rig.started
    assert rig.wait(rig.saw('reason', text))


def test_a_branch_that_cannot_run_keeps_the_planner_from_starting(make_rig, branch):
    branch.error = RuntimeError('shapes differ')
    rig = make_rig(policy=COAST, **BOTH, **IN_TIME)
    assert not rig.started
    assert rig.wait(rig.saw('reason', 'the branch cannot run on features as its feature_spec '
                                      'describes them (RuntimeError: shapes differ)'))
