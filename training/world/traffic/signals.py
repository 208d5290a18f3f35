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

"""Traffic lights: fixed-time programmes with yellow inside the end of green."""

import numpy as np
from pair_drive_training.world.towns.town import Control, Town
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.lane_network import Network

GREEN, YELLOW, RED = 0, 1, 2
YELLOW_S = 3.0
YELLOW_SEEN_AS_RED_S = 1.0


def signal_states(town: Town, network: Network, steps: int, start_s: float
                  ) -> tuple[np.ndarray, np.ndarray]:
    """
    Run the programmes of all junctions.

    :param start_s: time of the first step in the programmes
    :return: ``state`` [T, L] of ``GREEN``, ``YELLOW``, ``RED`` (lanes without a signal are always
        green) and ``red`` [T, L], in which the last second of yellow counts as red
    """
    state = np.full((steps, len(network.ids)), GREEN, np.int64)
    red = np.zeros((steps, len(network.ids)), bool)
    time = start_s + STEP_S * np.arange(steps)
    for column, lane in enumerate(town.lanes[lane] for lane in network.ids.tolist()):
        if lane.phase is None or lane.junction is None or not is_signalled(town, lane.fid):
            continue
        junction = town.junctions[lane.junction]
        spans = np.array(junction.phases) + junction.clearance
        begin = spans[:lane.phase].sum()
        since = (time + junction.offset - begin) % spans.sum()
        left = junction.phases[lane.phase] - since
        state[:, column] = np.where(left <= 0.0, RED, np.where(left < YELLOW_S, YELLOW, GREEN))
        red[:, column] = left <= YELLOW_SEEN_AS_RED_S
    return state, red


def is_signalled(town: Town, lane_id: int) -> bool:
    """Tell whether a lane is a connector with a traffic light."""
    lane = town.lanes[lane_id]
    return (lane.phase is not None and lane.junction is not None
            and town.junctions[lane.junction].control is Control.SIGNALS)
