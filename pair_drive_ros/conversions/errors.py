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

"""The error of this package and the checks that every reader shares."""

from collections.abc import Sequence
import math
from operator import attrgetter
from typing import Any

import numpy as np

Message = Any
"""A ROS message of rclpy, of rosbags, or anything else with the same attributes."""


class ConversionError(ValueError):
    """A message holds what cannot be true, or cannot be read or written on this machine."""


def finite_fields(message: Message, name: str, fields: Sequence[str]) -> np.ndarray:
    """
    Read numeric fields given by their dotted paths.

    :param name: what the message is, for the error
    :return: float64 [len(fields)]
    :raises ConversionError: naming the first field that is NaN or infinite
    """
    values = [float(attrgetter(field)(message)) for field in fields]
    for field, value in zip(fields, values, strict=True):
        if not math.isfinite(value):
            raise ConversionError(f'{name}: {field} is {value}; the publisher must hold the '
                                  'message back until the value is known')
    return np.array(values)
