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

"""A user's policy, as the documentation shows it, and one that does not work."""

from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
import torch


class Coast(ImitationPolicy):
    """Go straight on at the present speed."""

    feature_spec = {'status_feature': TensorSpec((8,))}

    def plan(self, features):
        """Poses [B, 8, 3] from the forward speed, the fifth number of the status."""
        x = features['status_feature'][:, 4:5] * 0.5 * torch.arange(1, 9)
        return torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], dim=-1)


class Broken(Coast):
    """A policy that raises what nobody expects."""

    def plan(self, features):
        """Raise."""
        raise TypeError('speed is not a number')
