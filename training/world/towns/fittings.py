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

"""What belongs to an approach of a junction: stop lines, crosswalks and signal heads."""

import numpy as np
from pair_drive_training.world.towns.curves import ahead_of, left_of, snap, snap_heading
from pair_drive_training.world.towns.draft import Draft, GUTTER_M
from pair_drive_training.world.towns.junction import Arm
from pair_drive_training.world.towns.town import Control, Crossing, Marking, SignalHead
import shapely

STOP_DEPTH_M = 1.5
CROSSWALK_FROM_M, CROSSWALK_TO_M = 1.0, 4.2
"""A crosswalk's place between the stop line and the junction."""
_KERB_TO_POST_M = 0.8
_NEAR_HEIGHT_M, _FAR_HEIGHT_M = 3.2, 4.6


def fit_approach(draft: Draft, junction: int, arm: Arm, crosswalk: bool) -> None:
    """Add the stop line, and signals or a crosswalk, of one arm of a junction that is built."""
    control = draft.junctions[junction].control
    connectors = tuple(connector.fid for connector in draft.lanes.values()
                       if connector.junction == junction
                       and connector.incoming[0] in arm.arriving)
    stops = control is Control.SIGNALS or any(
        connector in draft.junctions[junction].yields_to for connector in connectors)
    if stops:
        line = _across(arm, 0.2, arm.widths[0], 0.0)
        draft.markings.append(Marking(line, control is not Control.SIGNALS, False, 0.4))
        area = _band(arm, 0.0, STOP_DEPTH_M, arm.widths[0], 0.0)
        draft.stops[draft.new_id()] = (area, connectors)
    if crosswalk:
        _add_crosswalk(draft, junction, arm)
    if control is Control.SIGNALS:
        _add_signals(draft, arm, connectors)


def clear_of_roads(head: SignalHead, asphalt: shapely.Geometry) -> SignalHead:
    """Move a signal head off the asphalt, to the nearest kerb, where the roads meet askew."""
    place = shapely.Point(head.position[:2])
    if not asphalt.dwithin(place, _KERB_TO_POST_M / 2):
        return head
    kerb = shapely.buffer(asphalt, _KERB_TO_POST_M).boundary
    nearest = kerb.interpolate(kerb.project(place))
    return SignalHead(snap(np.array([nearest.x, nearest.y, head.position[2]])), head.heading,
                      head.connectors)


def _add_crosswalk(draft: Draft, junction: int, arm: Arm) -> None:
    left, right = arm.widths[0] + GUTTER_M, -arm.widths[1] - GUTTER_M
    area = _band(arm, -CROSSWALK_TO_M, -CROSSWALK_FROM_M, left, right)
    line = snap(_across(arm, -(CROSSWALK_FROM_M + CROSSWALK_TO_M) / 2, left, right))
    crossed = tuple(connector.fid for connector in draft.lanes.values()
                    if connector.junction == junction
                    and (connector.incoming[0] in arm.arriving
                         or connector.outgoing[0] in arm.leaving))
    crossing = draft.new_id()
    draft.crossings[crossing] = Crossing(crossing, area, line, crossed)


def _add_signals(draft: Draft, arm: Arm, connectors: tuple[int, ...]) -> None:
    """Hang a signal beside the stop line and one beyond the junction, both to face the arm."""
    # Seen from here the far side lies across the junction, on the right as one drives.
    ends = [draft.lanes[connector] for connector in connectors]
    farthest = max(float(-(lane.baseline[-1] - arm.pose[:2]) @ ahead_of(arm.pose[2]))
                   for lane in ends)
    beside = arm.widths[0] + GUTTER_M + _KERB_TO_POST_M
    for back, left, height in ((-0.5, beside, _NEAR_HEIGHT_M),
                               (-farthest - 2.0, beside, _FAR_HEIGHT_M)):
        place = arm.pose[:2] + back * ahead_of(arm.pose[2]) + left * left_of(arm.pose[2])
        draft.signal_heads.append(SignalHead(snap(np.append(place, height)),
                                             snap_heading(arm.pose[2]), connectors))


def _across(arm: Arm, back: float, left: float, right: float) -> np.ndarray:
    """Line [2, 2] across an arm, ``back`` metres away from the junction."""
    middle = arm.pose[:2] + back * ahead_of(arm.pose[2])
    return middle + np.array([[left], [right]]) * left_of(arm.pose[2])


def _band(arm: Arm, near: float, far: float, left: float, right: float) -> shapely.Polygon:
    """Return the area across an arm between two distances from its end."""
    corners = np.concatenate([_across(arm, near, left, right),
                              _across(arm, far, left, right)[::-1]])
    return shapely.Polygon(snap(corners))
