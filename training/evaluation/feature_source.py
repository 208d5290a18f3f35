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

"""What a network plans from, read from a cache; sensors may be taken away from it, or blinded."""

from collections.abc import Sequence

from pair_drive_ros.models.features import sensors_of, STATUS_FEATURE, VALIDITY_FEATURE
from pair_drive_ros.models.policy import FeatureSpec
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.transfuser_scene import as_features, features_kind, read_features
import torch


class PolicyError(ValueError):
    """There is no such policy, or it cannot plan in a scene."""


class FeatureSource:
    """
    Reads the features of a network.

    ``kind`` is the kind of record that is read, ``without`` the sensors that are taken away.

    :param without: sensors whose place is zero, and marked invalid
    :param blind: every sensor's place is zero but not marked: the status alone tells something
    :raises PolicyError: when the network cannot do without these sensors, or never reads them
    :raises CacheError: when no cache holds features of the network's sizes
    """

    def __init__(self, spec: FeatureSpec, without: Sequence[str] = (), blind: bool = False):
        self.kind = features_kind(spec)
        self.sensors = sensors_of(spec)
        self.without = tuple(name for name in self.sensors if name in without)
        self._spec = spec
        self._blind = blind
        unread = [name for name in without if name not in self.sensors]
        if unread:
            raise PolicyError(f'without {", ".join(unread)}: the policy never reads it, but '
                              f'{", ".join(self.sensors) or "no sensor"}; leave it out of '
                              '--without')
        if without and VALIDITY_FEATURE not in spec:
            raise PolicyError(f'without {", ".join(without)}: the policy needs every one of its '
                              f'sensors ({", ".join(self.sensors)}), for nothing tells it '
                              f'that one is missing (no {VALIDITY_FEATURE}); evaluate one with '
                              'sensor_validity')
        if without and self.without == self.sensors:
            raise PolicyError(f'without {", ".join(without)}: no sensor would be left; the policy '
                              'needs one at least')

    def read(self, cache: Cache, tokens: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the features of N scenes, [N, ...]."""
        features = as_features(read_features(cache, tokens, self._spec), self._spec, self.without)
        if self._blind:
            for name in features.keys() - {STATUS_FEATURE, VALIDITY_FEATURE}:
                features[name].zero_()
        return features
