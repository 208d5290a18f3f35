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

"""The shape of the tree: which leaves it has, and what its nodes may do."""

from dataclasses import dataclass
import math

from pair_drive_ros.models.tree_geometry import driven, translated

# The path codes of the paper's released code for groups of 15 and of 5; 9 and 12 lie between.
GROUPS = {
    5: ('0000', '1111', '2222', '0011', '2211'),
    9: ('0000', '1111', '2222', '0011', '2211', '3333', '1133', '1100', '1122'),
    12: ('0000', '1111', '2222', '0011', '2211', '3333', '1133', '1100', '1122', '1001', '1222',
         '2221'),
    15: ('0000', '0001', '0011', '1001', '1100', '1111', '3333', '1133', '1222', '1122', '2211',
         '2221', '2222', '2201', '2210'),
}
GEOMETRIES = {'driven': driven, 'translated': translated}


class TreeError(ValueError):
    """A tree cannot be built as configured."""


@dataclass(frozen=True)
class TreeConfig:
    """
    The shape of the tree.

    :raises TreeError: when an entry is out of range
    """

    group: int = 15
    """Leaves: 5, 9, 12 or 15, by the path codes of :data:`GROUPS`."""
    geometry: str = 'driven'
    """How a node changes a plan, a function of ``tree_geometry``: ``driven`` or ``translated``."""
    largest_turn: float = 0.35
    """Of a node, rad."""
    spread: float = 0.7
    """Standard deviation of the offsets before they are squashed, in training."""
    offset_bias: float = -1.0
    """Where untrained offsets lie before they are squashed."""
    most_likely: bool = False
    """Whether the leaves are the likeliest of all 256 instead of the group's path codes."""
    flat: bool = False
    """Whether every leaf decides all of its offsets at the root: no tree, the paper's ablation."""
    width: int = 128
    """Of the encodings."""

    @classmethod
    def parity(cls, **changes: object) -> 'TreeConfig':
        """Return the tree of the paper's released code: translated tails, turns up to 1.2 rad."""
        return cls(**{'geometry': 'translated', 'largest_turn': 1.2, 'spread': 0.0,
                      'offset_bias': 0.0, **changes})

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise TreeError(f'group: expected one of {", ".join(map(str, GROUPS))}, got '
                            f'{self.group}')
        if self.geometry not in GEOMETRIES:
            raise TreeError(f'geometry: expected one of {", ".join(GEOMETRIES)}, got '
                            f'{self.geometry!r}')
        if not 0.0 < self.largest_turn <= math.pi:
            raise TreeError('largest_turn: expected more than 0 and at most pi, got '
                            f'{self.largest_turn}')
        if not self.spread >= 0.0:
            raise TreeError(f'spread: expected 0 or more, got {self.spread}')
        if self.flat and self.most_likely:
            raise TreeError('most_likely: without a tree (flat) there are no leaves but those of '
                            'the group')
        if self.width < 8 or self.width % 8:
            raise TreeError(f'width: expected a multiple of 8, got {self.width}')
