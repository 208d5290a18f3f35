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

"""What the RL branch sees of a scene, encoded once and looked at by every candidate."""

from typing import NamedTuple

import torch


class SceneView(NamedTuple):
    """What perception hands to the tree and to the selector, of B scenes."""

    bev_map: torch.Tensor
    """[B, C, rows, columns]: rows along x, columns along y, from -32 m to 32 m."""
    ego: torch.Tensor
    """The ego's query, [B, width]."""
    status: torch.Tensor
    """Command (4), velocity (2, m/s), acceleration (2, m/s^2), [B, 8]."""
    agents: torch.Tensor
    """Queries of the other vehicles, [B, 30, width]."""
    agent_states: torch.Tensor
    """x, y (m), heading (rad), length, width (m) of these, [B, 30, 5]."""
    agent_logits: torch.Tensor
    """Whether a query holds a vehicle, [B, 30]."""

    def single(self) -> 'SceneView':
        """Return the view in single precision: geometry has no digits to give away."""
        return SceneView(*(tensor.float() for tensor in self))
