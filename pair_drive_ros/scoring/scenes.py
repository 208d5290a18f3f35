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

"""
Scenes prepared for scoring: packed end to end, indexed, centred on the ego.

A batch of scenes is one set of arrays; ``*_offset`` arrays say where each scene, polygon or slab
begins. Everything is moved so that the ego's rear axle is the origin: UTM-size coordinates leave
float32 no digits for the geometry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pair_drive_ros.scoring.arrays import AXES, OFFSETS, SceneArrays
from pair_drive_ros.scoring.preparation import prepare_arrays
from pair_drive_ros.scoring.protocol import POSES, Protocol
from pair_drive_ros.scoring.scene import Scene, SceneError
from pair_drive_ros.scoring.time_to_collision import LOOK_AHEADS

if TYPE_CHECKING:
    from pair_drive_ros.scoring.gpu import GpuScenes


@dataclass(frozen=True, eq=False)
class ScoringScenes:
    """
    B scenes prepared for one protocol.

    Prepare each scene once, keep the result, and :meth:`concatenate` any selection into a batch:
    that only copies arrays.
    """

    protocol: Protocol
    names: tuple[str, ...]
    arrays: SceneArrays

    @classmethod
    def prepare(cls, scenes: Sequence[Scene], protocol: Protocol,
                dtype: type = np.float64) -> 'ScoringScenes':
        """
        Index scenes and score PDM-Closed's reference and the human's future in them.

        With ``dtype`` float32 the scenes, and the states simulated in them, are kept in single
        precision: half the memory, and scores that may differ where a plan is on a knife edge.

        :raises SceneError: when a scene does not fit the protocol
        """
        return cls.concatenate(
            [cls(protocol, (scene.name,), prepare_arrays(scene, protocol, dtype))
             for scene in scenes], protocol, dtype)

    @classmethod
    def concatenate(cls, parts: Sequence['ScoringScenes'], protocol: Protocol,
                    dtype: type = np.float64) -> 'ScoringScenes':
        """
        Batch prepared scenes in the given order.

        :raises SceneError: when a part was prepared for another protocol or precision
        """
        for part in parts:
            if part.protocol is not protocol or part.dtype != dtype:
                raise SceneError(f'{part.names}: prepared for {part.protocol.value} in '
                                 f'{part.dtype}, cannot be used for {protocol.value} in '
                                 f'{np.dtype(dtype)}')
        columns = zip(*[part.arrays for part in [_no_scenes(protocol, dtype), *parts]],
                      strict=True)
        arrays = SceneArrays(*(
            _concatenate_offsets(column) if name.endswith('_offset') else np.concatenate(column)
            for name, column in zip(SceneArrays._fields, columns, strict=True)))
        return cls(protocol, tuple(name for part in parts for name in part.names), arrays)

    def scene(self, index: int) -> 'ScoringScenes':
        """Take one scene out as views, so that of a mapped file only what is used is read."""
        ranges = {'scene': (index, index + 1)}
        cut = {}
        for name, (parent, child) in OFFSETS.items():
            first, last = ranges[parent]
            offsets = getattr(self.arrays, name)[first:last + 1]
            ranges[child] = int(offsets[0]), int(offsets[-1])
            cut[name] = offsets - offsets[0]
        cut |= {name: getattr(self.arrays, name)[slice(*ranges[axis])]
                for name, axis in AXES.items()}
        return ScoringScenes(self.protocol, self.names[index:index + 1], SceneArrays(**cut))

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.names)

    @property
    def longest_history(self) -> int:
        """Most past samples of any scene."""
        return int(np.diff(self.arrays.history_offset).max(initial=0))

    @cached_property
    def on_gpu(self) -> 'GpuScenes':
        """Upload the scenes to the current GPU, once."""
        from pair_drive_ros.scoring.gpu import GpuScenes
        return GpuScenes.upload(self)

    @property
    def dtype(self) -> np.dtype:
        """Precision of the scenes and of what is simulated in them."""
        return self.arrays.vertex.dtype


def _concatenate_offsets(columns: Sequence[np.ndarray]) -> np.ndarray:
    begins = np.cumsum([0] + [column[-1] for column in columns[:-1]])
    return np.concatenate([columns[0][:1]] + [column[1:] + begin for column, begin
                                              in zip(columns, begins, strict=True)])


def _no_scenes(protocol: Protocol, dtype: type) -> ScoringScenes:
    """Zero scenes: gives an empty batch its shapes and dtypes."""
    zero = np.zeros(1, np.int64)
    steps = protocol.object_steps
    floats = {'start': (5,), 'plan_fraction': (POSES,), 'previous_start': (5,),
              'previous_fraction': (POSES,), 'polygon_bounds': (4,), 'polygon_slab_scale': (),
              'slab_reach': (2,), 'vertex': (2,), 'object_half_size': (2,), 'object_radius': (),
              'object_box': (steps, 4), 'object_bounds': (4,), 'line': (2,), 'line_arc': (),
              'line_bounds': (4,), 'history': (3,), 'reference_progress': (), 'human': (8,)}
    others = {'plan_segment': ((POSES,), np.int32), 'previous_segment': ((POSES,), np.int32),
              'overlap_start': ((), np.int64), 'polygon_use': ((), np.uint8),
              'slab_edge': ((), np.int32), 'red_on': ((POSES,), bool),
              'object_static': ((), bool), 'object_stopped': ((), bool),
              'object_seen': ((steps,), bool),
              'object_bearing_undefined': ((LOOK_AHEADS,), bool)}
    arrays = {name: zero for name in SceneArrays._fields if name.endswith('_offset')}
    arrays |= {name: np.zeros((0, *shape), dtype) for name, shape in floats.items()}
    arrays |= {name: np.zeros((0, *shape), kind) for name, (shape, kind) in others.items()}
    return ScoringScenes(protocol, (), SceneArrays(**arrays))
