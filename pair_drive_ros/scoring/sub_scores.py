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

"""What the scorer returns: named sub-scores and their total, with the protocol's name."""

from dataclasses import dataclass
from typing import Any

from pair_drive_ros.scoring.protocol import Protocol

# A numpy array or a torch tensor, whichever the plans came as.
Array = Any


@dataclass(frozen=True)
class SubScores:
    """
    Scores [B, K] of K plans in each of B scenes; NaN where ``valid`` is false.

    ``nc`` no at-fault collision, ``dac`` drivable area compliance, ``ddc`` driving direction
    compliance, ``ep`` ego progress, ``ttc`` time to collision within bound, ``comfort`` C of
    version 1 or HC of version 2. Version 2 only, else None: ``tlc`` traffic light compliance,
    ``lk`` lane keeping, ``ec`` extended comfort (NaN where there is no plan of the frame before).
    ``total`` is the protocol's aggregate: PDMS or EPDMS.
    """

    protocol: Protocol
    nc: Array
    dac: Array
    ddc: Array
    ep: Array
    ttc: Array
    comfort: Array
    tlc: Array
    lk: Array
    ec: Array
    total: Array
    valid: Array
