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

"""Carry a town to its place in the map."""

import dataclasses
from typing import Any

import numpy as np
from pair_drive_training.world.towns.town import Town
import shapely

# The arrays whose first two columns are coordinates.
_PLACES = frozenset({'baseline', 'line', 'footprint', 'position', 'pose', 'walks', 'poles',
                     'centre'})


def moved(town: Town, shift: np.ndarray) -> Town:
    """Return the town with ``shift`` [2] added to everything that has a place."""
    return _move(town, np.asarray(shift, np.float64), '')


def _move(value: Any, shift: np.ndarray, name: str) -> Any:
    if isinstance(value, shapely.Geometry):
        return shapely.transform(value, lambda xy: xy + shift)
    if isinstance(value, np.ndarray):
        if name not in _PLACES:
            return value
        copy = value.copy()
        copy[..., :2] += shift
        return copy
    if isinstance(value, dict):
        return {key: _move(item, shift, name) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_move(item, shift, name) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{
            field.name: _move(getattr(value, field.name), shift, field.name)
            for field in dataclasses.fields(value)})
    return value
