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

"""DAC, drivable area compliance: 0 when any corner ever leaves the drivable area."""

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.ego_areas import NON_DRIVABLE
from pair_drive_ros.scoring.protocol import POSES


@device
def drivable_area(areas: np.ndarray, i: int) -> float:
    """DAC of plan ``i`` from its areas [41]."""
    for t in range(POSES):
        if areas[i, t] & NON_DRIVABLE:
            return 0.0
    return 1.0
