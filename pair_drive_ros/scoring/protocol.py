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

"""The two scoring protocols, their columns and their horizons."""

import enum

STEP_S = 0.1
STEPS = 40
POSES = STEPS + 1
PLAN_POSES = 8
PLAN_STEP_S = 0.5


class Protocol(enum.Enum):
    """Whose numbers: the score of one protocol must never be compared with the other's."""

    NAVSIM_V1 = 'navsim_v1'
    NAVSIM_V2 = 'navsim_v2'

    @property
    def title(self) -> str:
        """Name of the aggregate and the devkit it equals, to print next to every number."""
        return {'navsim_v1': 'PDMS (NAVSIM devkit v1.1)',
                'navsim_v2': 'EPDMS (NAVSIM devkit v2.2)'}[self.value]

    @property
    def version(self) -> int:
        """1 or 2, as the kernels know it."""
        return {'navsim_v1': 1, 'navsim_v2': 2}[self.value]

    @property
    def object_steps(self) -> int:
        """How many 10 Hz steps the scorer sees objects at: v1 looks up to 5 s ahead, v2 4 s."""
        return {'navsim_v1': 51, 'navsim_v2': 41}[self.value]

    @property
    def ttc_last_step(self) -> int:
        """Last step from which time-to-collision looks ahead (its look-ahead is 9 steps)."""
        return {'navsim_v1': 40, 'navsim_v2': 31}[self.value]
