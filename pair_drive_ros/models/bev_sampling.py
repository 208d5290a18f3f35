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

"""What a BEV map holds at given points."""

from pair_drive_ros.models.features import LIDAR_RANGE_M
import torch
from torch.nn import functional


def sample_bev(bev_map: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """
    Sample a BEV map bilinearly, [B, ..., C].

    :param bev_map: [B, C, rows, columns]: rows along x, columns along y, both from -32 m to 32 m;
        beyond that there is nothing but zero
    :param points: [B, ..., 2], x, y in m in ``base_link``
    """
    # grid_sample wants the column first: the place along y.
    places = (points.flip(-1) / LIDAR_RANGE_M).to(bev_map.dtype)
    sampled = functional.grid_sample(bev_map, places.flatten(1, -2)[:, None], align_corners=False)
    return sampled[:, :, 0].transpose(1, 2).unflatten(1, points.shape[1:-1])
