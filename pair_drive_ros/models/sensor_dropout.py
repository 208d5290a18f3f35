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

"""Training without some of the sensors, so that a network learns to drive without them."""

import torch
from torch import nn

LOSS_RATE = 0.35


class SensorDropout(nn.Module):
    """
    In training, marks sensors of some scenes as missing; in evaluation, nothing.

    :param share: share of scenes that may lose sensors; each sensor is then lost with probability
        0.35, but never the last one
    """

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, validity: torch.Tensor) -> torch.Tensor:
        """Return which sensors [B, S] are left of those that are there."""
        if not self.training or not self.share:
            return validity
        lossy = torch.rand(len(validity), 1, device=validity.device) < self.share
        lost = lossy & (torch.rand_like(validity) < LOSS_RATE)
        left = validity * ~lost
        return torch.where(left.any(dim=1, keepdim=True), left, validity)
