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

"""Junctions of streets: who may go where, on which line, and who goes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import itertools

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle
from pair_drive_training.world.towns.curves import connect, headings_of, lengths_of
from pair_drive_training.world.towns.draft import Draft, junction_strip, united
from pair_drive_training.world.towns.town import Control, Junction, TownError, Turn
import shapely

LEAD_M = 5.0
"""Straight piece of a connector at either end, wide enough for a crosswalk."""
SHARPEST_M = 7.5
"""Smallest radius of a connector."""
_STRAIGHT_ON = np.radians(50.0)
_LATERAL_COMFORT = 2.5
"""Lateral acceleration, m/s^2, at the speed limit of a turn."""
_SLOWEST_TURN = 4.0
_CONFLICT_AREA_M2 = 0.3


@dataclass(frozen=True, eq=False)
class Arm:
    """
    Where a street meets a junction.

    ``pose`` [3] of the street's middle there, looking away from the junction; ``arriving`` and
    ``leaving`` lanes from left to right; ``widths`` of the road to the left (arriving) and right
    (leaving) of the middle; ``main`` whether its traffic goes first where there are no signals.
    """

    pose: np.ndarray
    arriving: tuple[int, ...]
    leaving: tuple[int, ...]
    widths: tuple[float, float]
    main: bool


@dataclass(frozen=True, eq=False)
class _Move:
    """A way from an arm to another: pairs of positions of lanes, counted from the left."""

    source: int
    target: int
    turn: Turn
    lanes: tuple[tuple[int, int], ...]


def trim_distances(headings: Sequence[float], widths: Sequence[tuple[float, float]],
                   kerb_radius: float) -> list[float]:
    """
    How far from the middle of a junction its arms begin.

    Between neighbours there is room for a kerb of the given radius and the straight lead.

    :param headings: of the arms, looking outward
    :param widths: of each arm to its left and to its right
    """
    order = sorted(range(len(headings)), key=lambda arm: headings[arm] % (2.0 * np.pi))
    distances = [LEAD_M + kerb_radius] * len(headings)
    for this, other in zip(order, order[1:] + order[:1], strict=True):
        angle = (headings[other] - headings[this]) % (2.0 * np.pi)
        if angle > np.radians(150.0):
            continue
        # The left edge of this arm meets the right edge of the next one counter-clockwise.
        left, right = widths[this][0], widths[other][1]
        rounding = kerb_radius / np.tan(angle / 2.0) + LEAD_M
        for arm, own, across in ((this, left, right), (other, right, left)):
            corner = (across + own * np.cos(angle)) / np.sin(angle)
            distances[arm] = max(distances[arm], corner + rounding)
    return distances


def build_junction(draft: Draft, arms: Sequence[Arm], control: Control,
                   split_phases: bool = False, green: float = 15.0, offset: float = 0.0) -> int:
    """
    Join the arms by connectors, give them phases or priorities, and bound the junction.

    :param split_phases: let every arm have a green of its own instead of opposite arms together
    :param green: seconds of green of each phase
    :param offset: seconds by which the signals are ahead
    :return: id of the junction
    :raises TownError: when a way through it would be too sharp
    """
    junction = draft.new_id()
    moves = _moves(arms)
    phase_of_arm = _phases(arms, split_phases) if control is Control.SIGNALS else {}
    connectors: dict[int, _Move] = {}
    for move in moves:
        source, target = arms[move.source], arms[move.target]
        for left, right in move.lanes:
            connector = _connect(draft, source, target, source.arriving[left],
                                 target.leaving[right], junction, move.turn,
                                 phase_of_arm.get(move.source))
            connectors[connector] = move
    yields = _priorities(draft, arms, connectors, control)
    wide = [junction_strip(draft, connector,
                           (arms[move.source].pose[2] + np.pi, arms[move.target].pose[2]))
            for connector, move in connectors.items()]
    polygon = united(wide)
    draft.paved.append(polygon)
    greens = (green,) * len(set(phase_of_arm.values()))
    draft.close_junction(Junction(junction, polygon, control, greens, offset=offset,
                                  yields_to=yields), connectors)
    return junction


def _connect(draft: Draft, source: Arm, target: Arm, first: int, last: int, junction: int,
             turn: Turn, phase: int | None) -> int:
    ends = (float(source.pose[2] + np.pi), float(target.pose[2]))
    start, end = draft.lanes[first].baseline[-1], draft.lanes[last].baseline[0]
    line = connect(np.append(start, ends[0]), np.append(end, ends[1]), LEAD_M)
    bend = np.gradient(np.unwrap(headings_of(line)), lengths_of(line))
    if np.abs(bend).max() > 1.0 / SHARPEST_M:
        raise TownError(f'a way through junction {junction} would be sharper than {SHARPEST_M} m')
    limits = [limit for limit in (draft.lanes[first].speed_limit, draft.lanes[last].speed_limit)
              if limit is not None]
    limit = min(limits, default=None)
    if turn is not Turn.STRAIGHT and limit is not None:
        radius = (lengths_of(line)[-1] - 2.0 * LEAD_M) / abs(float(wrap_angle(ends[1] - ends[0])))
        comfortable = max(_SLOWEST_TURN, np.sqrt(_LATERAL_COMFORT * radius))
        limit = min(limit, round(float(comfortable), 1))
    return draft.add_connector(first, last, line, junction, turn, ends, limit, phase)


def _moves(arms: Sequence[Arm]) -> list[_Move]:
    moves = []
    for source, arm in enumerate(arms):
        turns = {target: float(wrap_angle(other.pose[2] - arm.pose[2] - np.pi))
                 for target, other in enumerate(arms) if target != source}
        ahead = min(turns, key=lambda target: abs(turns[target]))
        straight = ahead if abs(turns[ahead]) < _STRAIGHT_ON else None
        lanes: dict[int, list[tuple[int, int]]] = {target: [] for target in turns}
        count = len(arm.arriving)
        rights = [target for target in turns if target != straight and turns[target] < 0.0]
        lefts = [target for target in turns if target != straight and turns[target] > 0.0]
        for target in rights:
            lanes[target].append((count - 1, len(arms[target].leaving) - 1))
        for target in lefts:
            lanes[target].append((0, 0))
        if straight is not None:
            lanes[straight] += _straight_lanes(count, len(arms[straight].leaving), bool(rights),
                                               bool(lefts))
        used = {left for pairs in lanes.values() for left, _ in pairs}
        for left in range(count):
            if left not in used:
                # Only where nothing goes straight on: a middle lane turns with its neighbour.
                target = lefts[0] if lefts else rights[0]
                lanes[target].append((left, min(left, len(arms[target].leaving) - 1)))
        for target, pairs in lanes.items():
            turn = (Turn.STRAIGHT if target == straight else
                    Turn.LEFT if turns[target] > 0.0 else Turn.RIGHT)
            moves.append(_Move(source, target, turn, tuple(sorted(set(pairs)))))
    return _feed_all(arms, moves)


def _straight_lanes(arriving: int, leaving: int, right: bool,
                    left: bool) -> list[tuple[int, int]]:
    """Pair lanes that go straight on; surplus ones only turn, or join their neighbour."""
    if arriving <= leaving:
        pairs = [(lane, lane) for lane in range(arriving)]
        return pairs + [(arriving - 1, lane) for lane in range(arriving, leaving)]
    if right:
        return [(lane, lane) for lane in range(leaving)]
    surplus = arriving - leaving
    if left:
        return [(lane + surplus, lane) for lane in range(leaving)] + [
            (lane, 0) for lane in range(1, surplus)]
    return [(lane, min(lane, leaving - 1)) for lane in range(arriving)]


def _feed_all(arms: Sequence[Arm], moves: Sequence[_Move]) -> list[_Move]:
    """Let every lane that leaves be reached: the move that ends nearest to it fans out."""
    fed = list(moves)
    for target, arm in enumerate(arms):
        for lane in range(len(arm.leaving)):
            reaching = [(abs(right - lane), index, left)
                        for index, move in enumerate(fed) if move.target == target
                        for left, right in move.lanes]
            distance, index, left = min(reaching)
            if distance:
                move = fed[index]
                fed[index] = _Move(move.source, target, move.turn,
                                   tuple(sorted({*move.lanes, (left, lane)})))
    return fed


def _phases(arms: Sequence[Arm], split: bool) -> dict[int, int]:
    """Green phase of each arm."""
    if split:
        return {arm: arm for arm in range(len(arms))}
    first = arms[0].pose[2]
    along = [abs(np.cos(arm.pose[2] - first)) > np.cos(np.radians(45.0)) for arm in arms]
    if len(arms) == 3:
        # The two arms that are most nearly opposite share a phase, whichever comes first.
        pairs = list(itertools.combinations(range(3), 2))
        through = min(pairs, key=lambda pair: abs(abs(float(wrap_angle(
            arms[pair[0]].pose[2] - arms[pair[1]].pose[2]))) - np.pi))
        along = [arm in through for arm in range(3)]
    return {arm: 0 if same else 1 for arm, same in enumerate(along)}


def _priorities(draft: Draft, arms: Sequence[Arm], connectors: Mapping[int, _Move],
                control: Control) -> dict[int, tuple[int, ...]]:
    """Connector -> those that cross or join it and go first."""
    yields: dict[int, tuple[int, ...]] = {}
    for mine, move in connectors.items():
        firsts = []
        for other, against in connectors.items():
            if against.source == move.source or not _conflict(draft, mine, other):
                continue
            if control is Control.SIGNALS and draft.lanes[mine].phase != draft.lanes[other].phase:
                continue
            if _rank(arms, against, move) < _rank(arms, move, against):
                firsts.append(other)
        if firsts:
            yields[mine] = tuple(firsts)
    return yields


def _rank(arms: Sequence[Arm], move: _Move, other: _Move) -> tuple[int, int, int]:
    """Order of going: main street first, then straight, right, left, then who is on the right."""
    bearing = (arms[other.source].pose[2] - arms[move.source].pose[2]) % (2.0 * np.pi)
    order = {Turn.STRAIGHT: 0, Turn.RIGHT: 1, Turn.LEFT: 2}[move.turn]
    return (0 if arms[move.source].main else 1, order, 1 if bearing < np.pi else 0)


def _conflict(draft: Draft, mine: int, other: int) -> bool:
    first, second = draft.lane_polygons[mine], draft.lane_polygons[other]
    return shapely.intersection(first, second).area > _CONFLICT_AREA_M2
