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

"""One drive through a town: everybody moves in steps of 0.1 s, first unseen to warm up."""

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle
from pair_drive_ros.scoring import ObjectType
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.town import Town, Turn
from pair_drive_training.world.traffic.car_following import TRACE_COLUMNS, TRACE_POINTS
from pair_drive_training.world.traffic.drive import Drive, STEP_S
from pair_drive_training.world.traffic.driver import car_at, Human, RouteChoice
from pair_drive_training.world.traffic.fleet import BEHIND, EGO, HERE, NEXT, Seen
from pair_drive_training.world.traffic.incidents import Incidents
from pair_drive_training.world.traffic.lane_network import lane_network
from pair_drive_training.world.traffic.pedestrians import populate
from pair_drive_training.world.traffic.roadworks import obstruct
from pair_drive_training.world.traffic.signals import is_signalled, RED, signal_states
from pair_drive_training.world.traffic.spawning import draw_person, fill_streets, token
from pair_drive_training.world.traffic.traffic import advance, change_lanes, decide, move_ego

WARM_UP_S = 12.0
ROUTE_BEYOND_M = 150.0
BLINK_AHEAD_M = 35.0
YEAR_US = 31_536_000_000_000
EPOCH_2021_US = 1_609_459_200_000_000


def simulate(town: Town, seed: np.random.SeedSequence, seconds: float = 35.0) -> Drive:
    """Let a driver that the seed draws drive through a town, in traffic that it draws, too."""
    return _Simulation(town, seed, round(seconds / STEP_S) + 1).drive()


class _Simulation:
    """State of everything; ``steps`` are kept after the warm-up."""

    def __init__(self, town: Town, seed: np.random.SeedSequence, steps: int):
        dice = Dice(seed)
        self._town, self._steps, self._dice = town, steps, dice
        self._warm_up = round(WARM_UP_S / STEP_S)
        self._net = net = lane_network(town)
        self._driver_seed = dice.count(0, 2 ** 31 - 1)
        self._human = Human.drawn(dice)
        self._start_us = EPOCH_2021_US + int(dice.between(0.0, 1.0) * YEAR_US)
        self._cast = cast = fill_streets(town, net, dice)
        self._fleet, self._style = cast.fleet, cast.style
        self._route = RouteChoice(cast.fleet, net, dice)
        self._route.update()
        obstruct(cast, net, dice)
        self._people = populate(town, net.origin, cast.fleet.pose[EGO, :2], dice.count(14, 40),
                                dice)
        self._person_bodies = [draw_person(dice) for _ in self._people]
        self._incidents = Incidents(cast.fleet, cast.style, net, self._people, dice)
        total = self._warm_up + steps
        self._lights, self._red = signal_states(town, net, total, dice.between(0.0, 600.0))
        self._car = car_at(cast.fleet.pose[EGO])
        columns = {lane: column for column, lane in enumerate(net.ids.tolist())}
        self._crossed = {
            crossing.fid: [columns[lane] for lane in crossing.connectors
                           if town.lanes[lane].turn is Turn.STRAIGHT and is_signalled(town, lane)]
            for crossing in town.crossings.values()}
        self._seen = self._first_sight(total)

    def _first_sight(self, total: int) -> Seen:
        """Make the present boxes; those of every step are kept for the log and slow eyes."""
        fleet, cast = self._fleet, self._cast
        vehicles, people = len(fleet.s), len(self._people)
        count = vehicles + people + len(cast.obstacles)
        box = np.zeros((count, 5))
        box[:vehicles, 3], box[:vehicles, 4] = self._style.length, self._style.width
        for row, body in enumerate(self._person_bodies + cast.obstacles, vehicles):
            box[row, 3:] = body.size[:2]
        if cast.places:
            box[vehicles + people:, :3] = cast.places
        walker = np.zeros(count, bool)
        walker[vehicles:vehicles + people] = True
        standing = np.zeros(count, bool)
        standing[vehicles + people:] = True
        self._cyclist = np.array([False] + [body.kind is ObjectType.BICYCLE
                                            for body in cast.bodies])
        self._boxes = np.zeros((total, count, 3))
        self._velocities = np.zeros((total, count, 2))
        self._presence = np.ones((total, count), bool)
        self._brakes = np.zeros((total, vehicles), bool)
        self._blinks = np.zeros((total, vehicles), np.int8)
        self._ego = np.zeros((total, 7))
        self._groups = np.zeros(total, np.int64)
        return Seen(box, np.zeros((count, 2)), np.zeros(count), np.ones(count, bool), standing,
                    walker)

    def drive(self) -> Drive:
        """Run all steps."""
        fleet, style, net, seen = self._fleet, self._style, self._net, self._seen
        trace = np.zeros((TRACE_POINTS, TRACE_COLUMNS))
        count = len(fleet.s)
        home = float(style.home[EGO])
        for step in range(self._warm_up + self._steps):
            self._look(step)
            self._note(step)
            style.home[EGO] = home + self._human.offset(step, fleet, net)
            lights = self._lights[step]
            decide(1, count, step, fleet, style, net, seen, lights, trace)
            late = max(0, step - self._human.delay)
            decide(EGO, EGO + 1, step, fleet, style, net, self._late_sight(step, late),
                   self._lights[late], trace)
            change_lanes(step, fleet, style, net, seen)
            move_ego(self._car, self._human.jerk, self._human.preview, fleet, net)
            self._route.update()
            advance(1, count, fleet, style, net)
            for person in self._people:
                person.walk(fleet, style, person.crossing is not None
                            and all(lights[column] == RED for column in
                                    self._crossed[person.crossing.fid]))
            if step > 30:
                self._incidents.update(step)
        return self._result()

    def _look(self, step: int) -> None:
        """Bring the boxes up to date."""
        fleet, seen, count = self._fleet, self._seen, len(self._fleet.s)
        box, velocity = seen.box, seen.velocity
        box[:count, :3] = fleet.pose
        velocity[:count, 0] = fleet.speed * np.cos(fleet.pose[:, 2])
        velocity[:count, 1] = fleet.speed * np.sin(fleet.pose[:, 2])
        for row, person in enumerate(self._people, count):
            box[row, :3] = person.pose
            velocity[row] = person.velocity
        seen.drift[:count] = fleet.slide
        seen.present[:count] = fleet.present
        seen.standing[:count] = ~fleet.driven | self._cyclist
        self._boxes[step], self._velocities[step] = box[:, :3], velocity
        self._presence[step] = seen.present

    def _late_sight(self, step: int, late: int) -> Seen:
        """Return what the driver is aware of: how things moved just before, carried on to now."""
        box = self._seen.box.copy()
        velocity = self._velocities[late]
        box[:, :2] = self._boxes[late, :, :2] + STEP_S * (step - late) * velocity
        box[:, 2] = self._boxes[late, :, 2]
        return self._seen._replace(box=box, velocity=velocity)

    def _note(self, step: int) -> None:
        """Write down lamps, the ego's motion and the roadblock that it is in."""
        fleet, net = self._fleet, self._net
        self._brakes[step] = fleet.driven & ((fleet.accel < -0.5) | (fleet.speed < 0.3))
        ahead = fleet.path[:, NEXT]
        near = net.length[fleet.path[:, HERE]] - fleet.s < BLINK_AHEAD_M
        turn = np.where(net.is_connector[fleet.path[:, HERE]], net.turn[fleet.path[:, HERE]],
                        np.where((ahead >= 0) & near, net.turn[ahead], 0))
        aside = fleet.aim - fleet.d
        self._blinks[step] = np.where(fleet.driven & (np.abs(aside) > 1.0),
                                      np.sign(aside), turn * fleet.driven)
        speed, yaw_rate = fleet.speed[EGO], self._car[4]
        self._ego[step] = (*self._car[:3], speed, 0.0, fleet.accel[EGO], speed * yaw_rate)
        behind = fleet.path[EGO, BEHIND]
        not_yet = fleet.s[EGO] < AXLE_TO_CENTRE and behind >= 0
        self._groups[step] = net.group[behind if not_yet else fleet.path[EGO, HERE]]

    def _result(self) -> Drive:
        net, begin = self._net, self._warm_up
        # The ego is in its own log, not among the actors.
        bodies = self._cast.bodies + self._person_bodies + self._cast.obstacles
        boxes = self._boxes[begin:, 1:].copy()
        boxes[..., :2] += net.origin
        boxes[..., 2] = wrap_angle(boxes[..., 2])
        ego = self._ego[begin:].copy()
        ego[:, :2] += net.origin
        ego[:, 2] = wrap_angle(ego[:, 2])
        count, vehicles = len(bodies), len(self._cast.bodies)
        braking = np.zeros((self._steps, count), bool)
        blinking = np.zeros((self._steps, count), np.int8)
        braking[:, :vehicles] = self._brakes[begin:, 1:]
        blinking[:, :vehicles] = self._blinks[begin:, 1:]
        return Drive(
            self._town.seed, self._driver_seed, self._start_us, ego, self._whole_route(),
            tuple(body.actor(token(self._dice)) for body in bodies), boxes,
            self._velocities[begin:, 1:], self._presence[begin:, 1:], braking, blinking,
            {int(lane): self._red[begin:, column] for column, lane in enumerate(net.ids)
             if is_signalled(self._town, int(lane))})

    def _whole_route(self) -> tuple[int, ...]:
        """Roadblocks driven through, and on along the path that the ego was to take."""
        fleet, net = self._fleet, self._net
        groups = self._groups[self._warm_up:]
        route = groups[np.append(True, groups[1:] != groups[:-1])].tolist()
        path = fleet.path[EGO, HERE:]
        path = path[path >= 0].tolist()
        beyond = -fleet.s[EGO]
        for lane in path:
            beyond += net.length[lane]
        while beyond < ROUTE_BEYOND_M:
            following = self._route.follower(path[-1], np.array(path))
            if following < 0:
                break
            path.append(following)
            beyond += net.length[following]
        for lane in path:
            if int(net.group[lane]) != route[-1]:
                route.append(int(net.group[lane]))
        return tuple(route)
