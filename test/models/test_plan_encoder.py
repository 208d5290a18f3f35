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

"""What a plan's encoding depends on, and what it does not."""

import math

from pair_drive_ros.models.plan_encoder import AGENTS_MET, PlanEncoder
import pytest
from tiny_view import bend, BEV_WIDTH, straight, tiny_view, WIDTH
import torch


@pytest.fixture(scope='module')
def encoder() -> PlanEncoder:
    torch.manual_seed(0)
    return PlanEncoder(BEV_WIDTH, WIDTH, 64).eval()


def encode(encoder, view, plans, root=None):
    root = straight(len(plans)) if root is None else root
    with torch.no_grad():
        return encoder(encoder.surroundings(view), plans, root)


def fan() -> torch.Tensor:
    """Return five plans of each of two scenes, [2, 5, 8, 3]."""
    return torch.stack([straight(), bend(), bend(radius=-30.0), straight(speed=2.0),
                        torch.zeros(2, 8, 3)], dim=1)


def test_neither_the_other_plans_nor_their_order_change_an_encoding(encoder):
    view, plans = tiny_view(), fan()
    together = encode(encoder, view, plans)
    assert together.shape == (2, 5, 64)
    order = [3, 1, 4, 0, 2]
    torch.testing.assert_close(encode(encoder, view, plans[:, order]), together[:, order])
    for place in range(5):
        torch.testing.assert_close(encode(encoder, view, plans[:, place:place + 1])[:, 0],
                                   together[:, place])


def test_different_plans_are_encoded_differently(encoder):
    encoded = encode(encoder, tiny_view(), fan())[0]
    away = torch.cdist(encoded, encoded) + torch.eye(5)
    assert away.min() > 1e-3


def test_another_scene_of_the_batch_changes_nothing(encoder):
    view, plans = tiny_view(), fan()
    together = encode(encoder, view, plans)
    alone = encode(encoder, type(view)(*(tensor[1:] for tensor in view)), plans[1:])
    torch.testing.assert_close(alone, together[1:])


def test_the_map_counts_where_the_car_drives_and_not_far_from_there(encoder):
    view, plans = tiny_view(), straight()[:, None]
    before = encode(encoder, view, plans)
    far = view.bev_map.clone()
    # Behind the car, and 12 m and more beside its path.
    far[:, :, :3], far[:, :, :, :2], far[:, :, :, 6:] = 9.0, 9.0, 9.0
    assert torch.equal(encode(encoder, view._replace(bev_map=far), plans), before)
    for row in (4, 6):
        near = view.bev_map.clone()
        near[:, :, row, 3:5] += 3.0
        changed = encode(encoder, view._replace(bev_map=near), plans)
        assert ((changed - before).abs().amax(dim=-1) > 1e-3).all()


def test_half_a_metre_to_the_side_is_another_encoding(encoder):
    plans = straight()[:, None].repeat(1, 2, 1, 1)
    plans[:, 1, :, 1] += 0.5
    view = tiny_view()
    level = encode(encoder, view._replace(bev_map=torch.zeros_like(view.bev_map)), plans)
    assert (level[:, 0] - level[:, 1]).abs().amax() > 1e-3


def test_vehicles_count_by_where_they_are_from_the_poses(encoder):
    view, plans = tiny_view(), straight()[:, None]
    logits = torch.full_like(view.agent_logits, -200.0)
    logits[:, 0] = 4.0

    def met(*place):
        states = view.agent_states.clone()
        states[:, 0, :2] = torch.tensor(place)
        return encode(encoder, view._replace(agent_states=states, agent_logits=logits), plans)

    for one, other in (((12.0, 0.5), (12.0, 2.5)), ((12.0, 0.5), (22.0, 0.5)),
                       ((12.0, 0.5), (-12.0, 0.5))):
        assert ((met(*one) - met(*other)).abs().amax(dim=-1) > 1e-4).all()


def moved(poses: torch.Tensor, x: float, y: float, angle: float) -> torch.Tensor:
    """Turn poses [..., 3] about the origin, then shift them."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([cos * poses[..., 0] - sin * poses[..., 1] + x,
                        sin * poses[..., 0] + cos * poses[..., 1] + y, poses[..., 2] + angle],
                       dim=-1)


def test_vehicles_are_seen_from_the_poses(encoder):
    plans, view = fan(), tiny_view()

    def met(plans, states):
        return encoder._met(encoder.surroundings(view._replace(agent_states=states)), plans,
                            plans[..., 2].cos(), plans[..., 2].sin())

    there = 7.0, -3.0, 0.8
    states = view.agent_states
    elsewhere = torch.cat([moved(states[..., :3], *there), states[..., 3:]], dim=-1)
    with torch.no_grad():
        found = met(plans, states)
        torch.testing.assert_close(met(moved(plans, *there), elsewhere), found)
        for one, other in ((moved(plans, *there), states), (plans, elsewhere)):
            assert (met(one, other) - found).abs().amax() > 1e-2


def test_the_map_is_looked_at_around_the_car_as_it_is_turned(encoder):
    # A map of its own coordinates tells where it was looked at.
    places = torch.arange(64.0) - 31.5
    coordinates = torch.stack(torch.meshgrid(places, places, indexing='ij'))[None]
    plans = torch.zeros(1, 1, 8, 3)
    plans[..., :] = torch.tensor([10.0, -5.0, math.pi / 2.0])
    found = encoder._seen(coordinates, plans, plans[..., 2].cos(), plans[..., 2].sin())
    expected = torch.tensor([[8.8, -1.0], [11.2, -1.0], [10.0, -3.5], [8.8, -6.1], [11.2, -6.1],
                             [10.0, 4.0]])
    torch.testing.assert_close(found.view(8, 6, 2), expected.expand(8, -1, -1), atol=1e-4,
                               rtol=0.0)


def test_a_vehicle_that_is_not_there_counts_for_nothing(encoder):
    view, plans = tiny_view(), fan()
    logits = view.agent_logits.clone()
    logits[:, 2] = -200.0
    states, queries = view.agent_states.clone(), view.agents.clone()
    states[:, 2], queries[:, 2] = 1.0, 9.0
    assert torch.equal(
        encode(encoder, view._replace(agent_logits=logits), plans),
        encode(encoder, view._replace(agent_logits=logits, agent_states=states, agents=queries),
               plans))


def test_vehicles_have_no_order_and_only_the_surest_are_looked_at(encoder):
    view, plans = tiny_view(), fan()
    order = [4, 2, 0, 1, 3]
    shuffled = view._replace(**{name: getattr(view, name)[:, order] for name in (
        'agents', 'agent_states', 'agent_logits')})
    torch.testing.assert_close(encode(encoder, shuffled, plans), encode(encoder, view, plans))

    many = [torch.cat([tensor, tensor, tensor], dim=1) for tensor in (
        view.agents, view.agent_states, view.agent_logits)]
    many[2] = torch.linspace(3.0, -3.0, 15).expand(2, -1)
    seen = view._replace(agents=many[0], agent_states=many[1], agent_logits=many[2])
    fewer = view._replace(agents=many[0][:, :AGENTS_MET], agent_states=many[1][:, :AGENTS_MET],
                          agent_logits=many[2][:, :AGENTS_MET])
    assert torch.equal(encode(encoder, seen, plans), encode(encoder, fewer, plans))


@pytest.mark.parametrize('field, place', [('status', 4), ('status', 1), ('ego', 0)])
def test_the_state_of_the_car_counts(encoder, field, place):
    view, plans = tiny_view(), fan()
    value = getattr(view, field).clone()
    value[:, place] += 2.0
    changed = encode(encoder, view._replace(**{field: value}), plans)
    assert ((changed - encode(encoder, view, plans)).abs().amax(dim=-1) > 1e-4).all()


def test_what_a_plan_is_an_alternative_to_counts(encoder):
    view, plans = tiny_view(), fan()
    to_straight, to_bend = (encode(encoder, view, plans, root) for root in (straight(), bend()))
    assert ((to_straight - to_bend).abs().amax(dim=-1) > 1e-4).all()


def test_repeated_surroundings_are_those_of_a_repeated_view(encoder):
    view, plans = tiny_view(), fan().repeat_interleave(3, dim=0)
    repeated = type(view)(*(tensor.repeat_interleave(3, dim=0) for tensor in view))
    with torch.no_grad():
        found = encoder(encoder.surroundings(view).repeated(3), plans, straight(6))
    torch.testing.assert_close(found, encode(encoder, repeated, plans))


def test_a_car_that_stands_is_encoded_with_a_finite_gradient(encoder):
    plans = torch.zeros(2, 1, 8, 3, requires_grad=True)
    encoder(encoder.surroundings(tiny_view()), plans, torch.zeros(2, 8, 3)).sum().backward()
    assert plans.grad.isfinite().all()
