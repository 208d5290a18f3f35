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

"""What a replay of a bag through the planner brought."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class RecordedPlan:
    """
    One published trajectory.

    ``poses`` [T, 3] every ``step_s`` in the plan's frame, the first at the stamp.
    ``latency_ms`` runs from the moment the anchor message went out to the arrival of the plan; it
    is None for a plan that was held or whose stamp is no anchor's.
    """

    stamp_ns: int
    poses: np.ndarray
    step_s: float
    latency_ms: float | None


@dataclass
class Recording:
    """What a replay brought: messages out by topic, plans, states, the planner's own words."""

    sent: dict[str, int] = field(default_factory=dict)
    anchors: set[int] = field(default_factory=set)
    plans: list[RecordedPlan] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    diagnostics: dict[str, str] = field(default_factory=dict)
    planner_exit: int = 0
    planner_cpu_s: float = 0.0
    wall_s: float = 0.0
