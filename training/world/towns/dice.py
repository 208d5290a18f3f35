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

"""Random choices that are the same with every version of numpy."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_Item = TypeVar('_Item')


class Dice:
    """
    Choices drawn from a seed.

    All go through ``Generator.random``: its stream is the bit generator's, while other methods may
    change between numpy's releases.
    """

    def __init__(self, seed: np.random.SeedSequence):
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def between(self, low: float, high: float) -> float:
        """Return a number from ``low`` up to ``high``."""
        return low + (high - low) * float(self._generator.random())

    def chance(self, share: float) -> bool:
        """Return true in the given share of all cases."""
        return float(self._generator.random()) < share

    def count(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both possible."""
        return min(high, low + int(float(self._generator.random()) * (high - low + 1)))

    def pick(self, items: Sequence[_Item]) -> _Item:
        """Return one of the items."""
        return items[self.count(0, len(items) - 1)]

    def shuffled(self, items: Sequence[_Item]) -> list[_Item]:
        """Return the items in random order."""
        keys = self._generator.random(len(items))
        return [items[int(index)] for index in np.argsort(keys, kind='stable')]
