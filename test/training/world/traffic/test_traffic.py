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

"""Rules of the traffic, each in a situation set up for it on a straight road."""

import dataclasses

import numpy as np
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.town import Town
from pair_drive_training.world.towns.world_towns import simple_town
from pair_drive_training.world.traffic.driver import draw_ego_style
from pair_drive_training.world.traffic.fleet import empty_fleet, Fleet, HERE, NO_HOLD, Seen, Styles
from pair_drive_training.world.traffic.lane_network import lane_network, Network
from pair_drive_training.world.traffic.lane_walk import locate
from pair_drive_training.world.traffic.signals import GREEN, RED, signal_states, YELLOW
from pair_drive_training.world.traffic.traffic import advance, change_lanes, decide
import pytest

STYLE = {'length': 4.5, 'width': 1.9, 'factor': 1.0, 'top': 30.0, 'headway': 1.2, 'gap': 2.0,
         'accelerate': 1.6, 'brake': 2.0, 'bend': 2.0, 'margin': 1.0, 'hesitation': 0.0,
         'late': 0.2, 'yellow': 2.5, 'home': 0.0, 'clearance': 0.6}


@pytest.fixture(scope='module')
def town() -> Town:
    """One junction with signals."""
    return simple_town()


@pytest.fixture(scope='module')
def network(town) -> Network:
    """Its lanes."""
    return lane_network(town)


@pytest.fixture(scope='module')
def straight(network) -> Network:
    """Let the longest lane run straight on eastwards, with room to its left."""
    lane = longest(network)
    part = slice(network.first[lane], network.first[lane] + network.samples[lane])
    xy, heading, curvature, room = (values.copy() for values in (
        network.xy, network.heading, network.curvature, network.room))
    xy[part] = [[500.0 + network.spacing[lane] * k, 300.0] for k in range(network.samples[lane])]
    heading[part], curvature[part], room[part] = 0.0, 0.0, 3.6
    return network._replace(xy=xy, heading=heading, curvature=curvature, room=room)


def longest(network: Network) -> int:
    """Index of the longest lane."""
    lanes = np.flatnonzero(~network.is_connector)
    return int(lanes[np.argmax(network.length[lanes])])


class Street:
    """Vehicles in the lane that is longest, at places given by their distance to its end."""

    def __init__(self, network: Network, *vehicles: tuple[float, float, float], **style: float):
        self.network = network
        self.lane = longest(network)
        # Of the ego, too, there is one, far away and not driven.
        count = 1 + len(vehicles)
        self.fleet = empty_fleet(count, np.full((count, 4), 0.5))
        rows = [STYLE, *([STYLE | style] * len(vehicles))]
        self.style = Styles(*(np.array([row[name] for row in rows]) for name in Styles._fields))
        self.lights = np.zeros(len(network.ids), np.int64)
        for i, (to_end, d, speed) in enumerate(vehicles, 1):
            self.put(i, to_end, d, speed)
        self.objects: list[tuple[float, ...]] = []

    def put(self, i: int, to_end: float, d: float, speed: float) -> None:
        """Place a vehicle; one without speed is parked."""
        fleet = self.fleet
        fleet.path[i, HERE] = self.lane
        fleet.s[i], fleet.d[i] = self.network.length[self.lane] - to_end, d
        fleet.speed[i], fleet.driven[i], fleet.present[i] = speed, speed > 0.0, True
        fleet.pose[i] = locate(fleet, self.network, i, fleet.s[i], d)

    def stand(self, to_end: float, d: float, length: float, width: float, speed: float = 0.0,
              walker: bool = False) -> None:
        """Put something else there, moving to the left at ``speed``."""
        place = np.zeros(3)
        self.put(0, to_end, d, 0.0)
        place[:] = self.fleet.pose[0]
        self.fleet.present[0] = False
        self.objects.append((*place, length, width, speed, walker))

    def seen(self) -> Seen:
        """Everything, as everybody sees it."""
        fleet, style = self.fleet, self.style
        others = np.array(self.objects).reshape(-1, 7)
        box = np.concatenate([np.column_stack([fleet.pose, style.length, style.width]),
                              others[:, :5]])
        heading = np.append(fleet.pose[:, 2], others[:, 2])
        velocity = np.concatenate([
            fleet.speed[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])[
                :len(fleet.s)],
            others[:, 5:6] * np.column_stack([-np.sin(others[:, 2]), np.cos(others[:, 2])])])
        walker = np.append(np.zeros(len(fleet.s), bool), others[:, 6] > 0)
        box[walker, 2] += np.pi / 2.0
        return Seen(box, velocity, np.append(fleet.slide, np.zeros(len(others))),
                    np.append(fleet.present, np.ones(len(others), bool)),
                    np.append(~fleet.driven, ~(others[:, 6] > 0)), walker)

    def run(self, steps: int) -> Fleet:
        """Let everybody drive."""
        count, trace = len(self.fleet.s), np.zeros((60, 5))
        for step in range(steps):
            decide(1, count, step, self.fleet, self.style, self.network, self.seen(), self.lights,
                   trace)
            advance(1, count, self.fleet, self.style, self.network)
        return self.fleet


def to_end(street: Street, i: int) -> float:
    """Metres from the front of a vehicle to the end of its lane."""
    fleet = street.fleet
    assert fleet.path[i, HERE] == street.lane
    return street.network.length[street.lane] - fleet.s[i] - 0.5 * street.style.length[i]


def test_alone_one_drives_at_the_limit(straight):
    street = Street(straight, (300.0, 0.0, 5.0))
    speed = street.run(120).speed[1]
    assert speed == pytest.approx(straight.limit[street.lane], rel=0.1)


def test_a_bend_is_driven_slower_the_less_one_likes_to_be_pressed_sideways(network):
    fastest = []
    for bend in (0.8, 3.0):
        street = Street(network, (440.0, 0.0, 8.0), bend=bend)
        lateral = []
        for _ in range(170):
            fleet = street.run(1)
            at = network.first[fleet.path[1, HERE]] + int(
                fleet.s[1] / network.spacing[fleet.path[1, HERE]])
            lateral.append(abs(network.curvature[at]) * fleet.speed[1] ** 2)
        fastest.append(max(lateral))
    assert fastest[0] < 1.3 < fastest[1]


def test_one_stops_behind_what_blocks_the_lane(straight):
    street = Street(straight, (200.0, 0.0, 9.0))
    street.stand(120.0, 0.6, 4.5, 1.9)
    fleet = street.run(200)
    assert fleet.speed[1] == 0.0
    assert 120.0 + 2.25 < to_end(street, 1) < 120.0 + 2.25 + 10.0


def test_one_keeps_the_headway_to_a_slower_leader(straight):
    street = Street(straight, (250.0, 0.0, 9.0), (220.0, 0.0, 5.0))
    street.style.top[2] = 5.0
    fleet = street.run(200)
    gap = fleet.s[2] - fleet.s[1] - 4.5
    assert fleet.speed[1] == pytest.approx(5.0, abs=0.3)
    assert 5.0 < gap < 14.0


def test_a_walker_who_comes_is_waited_for(straight):
    street = Street(straight, (180.0, 0.0, 8.0))
    street.stand(140.0, -3.0, 0.6, 0.6, speed=1.4, walker=True)
    free = Street(straight, (180.0, 0.0, 8.0))
    assert street.run(20).speed[1] < free.run(20).speed[1] - 1.0


def test_one_swings_round_a_parked_car_only_when_nobody_comes(straight):
    street = Street(straight, (200.0, 0.0, 8.0))
    street.stand(150.0, -1.6, 4.5, 1.9)
    most = 0.0
    for _ in range(100):
        fleet = street.run(1)
        most = max(most, fleet.d[1])
    assert 0.6 < most < 2.5
    assert to_end(street, 1) < 140.0
    assert abs(fleet.d[1]) < 0.3

    street = Street(straight, (190.0, 0.0, 8.0), (110.0, 3.0, 8.0))
    street.stand(150.0, -1.3, 4.5, 1.9)
    # The second comes towards the first.
    street.fleet.driven[2] = False
    street.fleet.pose[2, 2] += np.pi
    trace = np.zeros((60, 5))
    seen = street.seen()._replace()
    seen.standing[2] = False
    seen.velocity[2] = 8.0 * np.array([np.cos(seen.box[2, 2]), np.sin(seen.box[2, 2])])
    decide(1, 2, 0, street.fleet, street.style, straight, seen, street.lights, trace)
    assert not street.fleet.passing[1]
    assert street.fleet.aim[1] == 0.0


def test_one_stops_at_red_and_goes_at_green(network):
    street = Street(network, (60.0, 0.0, 8.0))
    street.lights[:] = RED
    fleet = street.run(160)
    assert fleet.speed[1] == 0.0
    assert 0.3 < to_end(street, 1) < 3.0
    assert fleet.hold_at[1] != NO_HOLD
    street.lights[:] = GREEN
    assert street.run(30).speed[1] > 2.0


def test_yellow_stops_those_who_can(network):
    for distance, stops in ((40.0, True), (8.0, False)):
        street = Street(network, (distance, 0.0, 9.0))
        street.lights[:] = YELLOW
        street.run(2)
        assert (street.fleet.hold_at[1] != NO_HOLD) == stops


def test_who_yields_waits_for_who_goes_first(network):
    yielding = np.flatnonzero(network.rank == 1)
    row = int(yielding[0])
    mine = int(np.searchsorted(network.conflict_first, row, side='right') - 1)
    rival = int(network.rival[row])
    held = []
    for other_speed in (9.0, 0.0):
        street = Street(network, (20.0, 0.0, 6.0), (20.0, 0.0, 9.0))
        for i, connector in ((1, mine), (2, rival)):
            before = int(np.flatnonzero((network.following == connector).any(axis=1))[0])
            street.fleet.path[i] = -1
            street.fleet.path[i, HERE:HERE + 2] = before, connector
            street.fleet.s[i] = network.length[before] - (12.0 if i == 1 else 20.0)
            street.fleet.pose[i] = locate(street.fleet, network, i, street.fleet.s[i], 0.0)
        street.fleet.present[2] = street.fleet.driven[2] = other_speed > 0.0
        street.run(1)
        held.append(street.fleet.hold_at[1] == HERE + 1)
    assert held == [True, False]


def test_a_lane_is_changed_into_a_gap_only(network):
    lanes = np.flatnonzero(~network.is_connector)
    here, other = (int(lane) for lane in lanes[np.argsort(-network.length[lanes])][:2])
    # The second lane is laid beside the first.
    xy, heading = network.xy.copy(), network.heading.copy()
    count = min(network.samples[here], network.samples[other])
    beside = 3.3 * np.column_stack([-np.sin(network.heading), np.cos(network.heading)])
    a, b = network.first[here], network.first[other]
    xy[b:b + count], heading[b:b + count] = (xy + beside)[a:a + count], heading[a:a + count]
    left, length = network.left.copy(), network.length.copy()
    left[here] = other
    length[other] = network.spacing[here] * (count - 1)
    spacing = network.spacing.copy()
    spacing[other] = spacing[here]
    two = network._replace(xy=xy, heading=heading, left=left, length=length, spacing=spacing)
    changed = []
    for neighbour in (False, True):
        street = Street(two, (200.0, 0.0, 8.0), (200.0, 0.0, 8.0))
        street.lane = other
        street.put(2, length[other] - street.fleet.s[1] + 4.0, 0.0, 8.0)
        street.fleet.present[2] = street.fleet.driven[2] = neighbour
        street.fleet.lane_wish[1] = 1
        change_lanes(1, street.fleet, street.style, two, street.seen())
        changed.append(street.fleet.path[1, HERE] == other)
        if changed[-1]:
            assert street.fleet.d[1] == pytest.approx(-3.3, abs=0.1)
    assert changed == [True, False]


def test_signals_follow_their_programme(town, network):
    junction = next(iter(town.junctions.values()))
    cycle_s = sum(junction.phases) + len(junction.phases) * junction.clearance
    state, red = signal_states(town, network, round(10.0 * cycle_s), 0.0)
    of_phase = {town.lanes[lane].phase: column for column, lane
                in enumerate(network.ids.tolist()) if town.lanes[lane].phase is not None}
    columns = [of_phase[phase] for phase in range(len(junction.phases))]
    assert np.all((state[:, columns] != RED).sum(axis=1) <= 1)
    for column, green in zip(columns, junction.phases, strict=True):
        assert (state[:, column] != RED).sum() == pytest.approx(10.0 * green, abs=1)
        assert (state[:, column] == YELLOW).sum() == pytest.approx(30, abs=1)
        assert (red[:, column] & (state[:, column] == YELLOW)).sum() == pytest.approx(10, abs=1)
    free = ~np.isin(np.arange(len(network.ids)), list(np.flatnonzero(network.is_connector)))
    assert np.all(state[:, free] == GREEN) and not red[:, free].any()


def test_the_network_holds_the_town(town, network):
    for number, lane in enumerate(network.ids.tolist()):
        baseline = town.lanes[lane].baseline - network.origin
        first, count = network.first[number], network.samples[number]
        np.testing.assert_allclose(network.xy[first], baseline[0], atol=1e-5)
        np.testing.assert_allclose(network.xy[first + count - 1], baseline[-1], atol=1e-5)
        outgoing = [int(network.ids[lane]) for lane in network.following[number] if lane >= 0]
        assert outgoing == list(town.lanes[lane].outgoing)
    fewer = dataclasses.replace(town, lanes=dict(reversed(town.lanes.items())))
    for one, other in zip(network, lane_network(fewer), strict=True):
        np.testing.assert_array_equal(one, other)


def test_styles_of_the_ego_have_every_field():
    assert set(draw_ego_style(Dice(np.random.SeedSequence(1)))) == set(Styles._fields)
