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

"""One scene made ready for the kernels: packed, indexed, centred on the ego."""

from dataclasses import dataclass
import math

import numpy as np
from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.bearing import undefined_bearings
from pair_drive_ros.scoring.boxes import rectangles_touch
from pair_drive_ros.scoring.collision import STOPPED_SPEED
from pair_drive_ros.scoring.ego_areas import DRIVABLE, INTERSECTION, LANE, ON_ROUTE
from pair_drive_ros.scoring.extended_comfort import MAX_FRAME_GAP_S
from pair_drive_ros.scoring.history_comfort import sample_history
from pair_drive_ros.scoring.interpolation import (
    locate,
    plan_times_us,
    sample_path,
    sample_times_us,
)
from pair_drive_ros.scoring.kernels import (
    allocate_work,
    build_tables,
    COMFORT,
    DAC,
    DDC,
    EP,
    interpolate_plans,
    LK,
    NC,
    PROGRESS,
    score_paths,
    TLC,
    TTC,
    VALUE_SIZE,
)
from pair_drive_ros.scoring.lane_keeping import BLOCK, LIMIT_M
from pair_drive_ros.scoring.polygons import EDGES_PER_SLAB, MAX_SLABS, slab_index
from pair_drive_ros.scoring.protocol import POSES, Protocol, STEP_S
from pair_drive_ros.scoring.scene import (
    History,
    MapLayer,
    Objects,
    ObjectType,
    Polygons,
    Reference,
    Scene,
    SceneError,
)
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, HALF_LENGTH, HALF_WIDTH

# Index bounds are grown by a millimetre, so that rounding can only make them skip less.
MARGIN_M = 1e-3

USE_OF_LAYER = {MapLayer.LANE: LANE, MapLayer.LANE_CONNECTOR: LANE,
                MapLayer.INTERSECTION: DRIVABLE | INTERSECTION, MapLayer.ROADBLOCK: DRIVABLE,
                MapLayer.CARPARK_AREA: DRIVABLE, MapLayer.DRIVABLE_AREA: DRIVABLE}
STATIC_TYPES = (ObjectType.TRAFFIC_CONE, ObjectType.BARRIER, ObjectType.CZONE_SIGN,
                ObjectType.GENERIC_OBJECT)
# The sub-scores that gate a plan's progress.
GATES = {Protocol.NAVSIM_V1: [NC, DAC], Protocol.NAVSIM_V2: [NC, DAC, DDC, TLC]}


def prepare_arrays(scene: Scene, protocol: Protocol, dtype: type) -> SceneArrays:
    """
    Pack and index a scene and score the reference and the human's future in it.

    :raises SceneError: when the scene does not fit the protocol
    """
    steps = protocol.object_steps
    if len(scene.objects.boxes) != steps:
        raise SceneError(f'{scene.name}: objects cover {len(scene.objects.boxes)} steps, '
                         f'{protocol.value} needs {steps}')
    v2 = protocol is Protocol.NAVSIM_V2
    origin = scene.ego[:2]
    start = _start(scene.ego[2:])
    no_polygons = Polygons(0, np.zeros((0, 2)), np.zeros(1, np.int64), np.zeros(0, np.int64))
    red, red_on = no_polygons, np.zeros((0, POSES), bool)
    if v2 and scene.red is not None and scene.red_on is not None:
        red, red_on = scene.red, scene.red_on.T.astype(bool)
    history = scene.history if v2 else None
    samples = np.zeros((0, 3))
    if history is not None:
        motion = np.stack([_start(frame) for frame in history.motion])
        samples = sample_history(history.times_us, motion[:, [0, 3, 4]])
    segment, fraction = locate(sample_times_us(scene.time_us), plan_times_us(scene.time_us))
    objects = _drop_overlapping(scene.objects, scene.ego) if v2 else scene.objects
    arrays = SceneArrays(
        start=start[None], plan_segment=segment[None], plan_fraction=fraction[None],
        **_previous_frame(history, start, segment, fraction),
        **_pack_polygons(scene, red, origin, dtype),
        red_offset=np.array([0, red.count]), red_on=red_on,
        **_pack_objects(objects, scene.ego), **_pack_line(scene.centreline - origin),
        history_offset=np.array([0, len(samples)]), history=samples,
        reference_progress=np.zeros(1), human=np.ones((1, 8)))
    # One memory layout for all scenes, so that the kernels are compiled only once.
    arrays = SceneArrays(*(
        np.require(array, dtype if array.dtype.kind == 'f' else None, ['C', 'W'])
        for array in arrays))
    known = KnownPaths(scene.ego, scene.time_us, scene.reference, scene.human)
    return score_known_paths(arrays, known, protocol)


def _start(motion: np.ndarray) -> np.ndarray:
    """Heading and the float32 rates (sic) of a logged frame."""
    return np.concatenate([motion[:1], motion[1:].astype(np.float32).astype(np.float64)])


def _previous_frame(history: History | None, start: np.ndarray, segment: np.ndarray,
                    fraction: np.ndarray) -> dict[str, np.ndarray]:
    """State and clock of the frame before; this frame's own, unused, where there is none."""
    overlap = 0
    if history is not None:
        gap_s = (history.times_us[-1] - history.times_us[-2]) * 1e-6
        if gap_s < MAX_FRAME_GAP_S:
            overlap = round(gap_s / STEP_S)
            before = int(history.times_us[-2])
            start = _start(history.motion[-2])
            segment, fraction = locate(sample_times_us(before), plan_times_us(before))
    return {'previous_start': start[None], 'previous_segment': segment[None],
            'previous_fraction': fraction[None], 'overlap_start': np.array([overlap])}


def _drop_overlapping(objects: Objects, ego: np.ndarray) -> Objects:
    """Version 2's traffic policy forgets every object whose box touches the ego's at the start."""
    cos, sin = math.cos(ego[2]), math.sin(ego[2])
    centre = ego[:2] + AXLE_TO_CENTRE * np.array([cos, sin])
    offsets = objects.boxes[0, :, :2] - centre
    reach = math.hypot(HALF_LENGTH, HALF_WIDTH) + 0.5 * np.hypot(*objects.size.T) + MARGIN_M
    kept = np.ones(len(objects.kind), bool)
    for n in np.flatnonzero(objects.seen[0] & (np.hypot(*offsets.T) < reach)):
        heading = objects.boxes[0, n, 2]
        kept[n] = not rectangles_touch(
            offsets[n, 0], offsets[n, 1], cos, sin, HALF_LENGTH, HALF_WIDTH,
            math.cos(heading), math.sin(heading), *(0.5 * objects.size[n]))
    return Objects(objects.kind[kept], objects.size[kept], objects.boxes[:, kept],
                   objects.velocity[:, kept], objects.seen[:, kept])


def _pack_polygons(scene: Scene, red: Polygons, origin: np.ndarray,
                   dtype: type) -> dict[str, np.ndarray]:
    polygons = scene.polygons
    count = polygons.count + red.count
    try:
        use = np.array([USE_OF_LAYER[layer] for layer in scene.layers.tolist()], np.uint8)
    except KeyError as error:
        raise SceneError(f'{scene.name}: {error} is not a map layer of the score') from error
    use[scene.on_route & (use == LANE)] |= ON_ROUTE
    # The index must see the very numbers that the rules will compare.
    vertex = (np.concatenate([polygons.xy, red.xy]) - origin).astype(dtype)
    ring_end = np.concatenate([polygons.ring_offset[1:],
                               len(polygons.xy) + red.ring_offset[1:]])
    ring_polygon = np.concatenate([polygons.ring_polygon, polygons.count + red.ring_polygon])
    edge_start = np.ones(len(vertex), bool)
    edge_start[ring_end - 1] = False
    rings = np.searchsorted(ring_polygon, np.arange(count + 1))
    vertex_offset = np.concatenate([[0], ring_end])[rings]
    bounds = _bounds(vertex, vertex_offset)
    slabs = np.clip(np.diff(vertex_offset) // EDGES_PER_SLAB, 1, MAX_SLABS)
    height = bounds[:, 3] - bounds[:, 1]
    scale = np.divide(slabs, height, out=np.zeros(count, dtype), where=height > 0.0,
                      casting='same_kind')
    slab_offset = np.concatenate([[0], np.cumsum(slabs)])
    edge_offset, edge, reach = slab_index(vertex, vertex_offset, edge_start, bounds, slab_offset,
                                          scale)
    return {'polygon_offset': np.array([0, count]),
            'polygon_use': np.concatenate([use, np.zeros(red.count, np.uint8)]),
            'polygon_bounds': bounds, 'polygon_vertex_offset': vertex_offset,
            'polygon_slab_offset': slab_offset, 'polygon_slab_scale': scale,
            'slab_edge_offset': edge_offset, 'slab_edge': edge, 'slab_reach': reach,
            'vertex': vertex}


def _pack_objects(objects: Objects, ego: np.ndarray) -> dict[str, np.ndarray]:
    count, steps = len(objects.kind), len(objects.boxes)
    half = 0.5 * objects.size
    radius = np.hypot(half[:, 0], half[:, 1]) + MARGIN_M
    static = np.isin(objects.kind, STATIC_TYPES)
    seen = np.ascontiguousarray(objects.seen.T, bool)
    box = np.zeros((count, steps, 4))
    box[..., :2] = objects.boxes[..., :2].transpose(1, 0, 2) - ego[:2]
    box[..., 2] = np.cos(objects.boxes[..., 2].T)
    box[..., 3] = np.sin(objects.boxes[..., 2].T)
    box[~seen] = 0.0
    speed = np.hypot(objects.velocity[..., 0], objects.velocity[..., 1])
    first_speed = speed[np.argmax(objects.seen, axis=0), np.arange(count)]
    low = np.where(seen[..., None], box[..., :2], np.inf).min(axis=1) - radius[:, None]
    high = np.where(seen[..., None], box[..., :2], -np.inf).max(axis=1) + radius[:, None]
    return {'object_offset': np.array([0, count]), 'object_half_size': half,
            'object_radius': radius, 'object_static': static,
            'object_stopped': static | (first_speed <= STOPPED_SPEED), 'object_box': box,
            'object_seen': seen,
            'object_bearing_undefined': undefined_bearings(objects, ego[:3]),
            'object_bounds': np.concatenate([low, high], axis=1)}


def _pack_line(line: np.ndarray) -> dict[str, np.ndarray]:
    steps = np.hypot(*np.diff(line, axis=0).T)
    starts = range(0, len(line) - 1, BLOCK)
    reach = LIMIT_M + MARGIN_M
    bounds = np.array([[*(line[s:s + BLOCK + 1].min(axis=0) - reach),
                        *(line[s:s + BLOCK + 1].max(axis=0) + reach)] for s in starts])
    return {'line_offset': np.array([0, len(line)]), 'line': line,
            'line_arc': np.concatenate([[0.0], np.cumsum(steps)]),
            'line_block_offset': np.array([0, len(bounds)]), 'line_bounds': bounds}


def with_objects(arrays: SceneArrays, objects: Objects, known: 'KnownPaths',
                 protocol: Protocol) -> SceneArrays:
    """
    Put other objects into one packed scene, as they are, and score the known paths anew.

    For traffic that reacts to a plan, which therefore differs from plan to plan.
    """
    dtype = arrays.vertex.dtype
    packed = {name: np.require(array, dtype if array.dtype.kind == 'f' else None, ['C', 'W'])
              for name, array in _pack_objects(objects, known.ego).items()}
    return score_known_paths(arrays._replace(**packed), known, protocol)


@dataclass(frozen=True)
class KnownPaths:
    """What every plan of a scene is compared with; see :class:`Scene` for the fields."""

    ego: np.ndarray
    time_us: int
    reference: Reference | None
    human: np.ndarray | None


def score_known_paths(arrays: SceneArrays, known: KnownPaths, protocol: Protocol) -> SceneArrays:
    """Drive PDM-Closed's reference and, in version 2, the human's future in one packed scene."""
    human = known.human if protocol is Protocol.NAVSIM_V2 else None
    reference = known.reference
    paths = []
    if reference is not None:
        paths.append(sample_path(reference.poses - [*known.ego[:2], 0.0], reference.times_us,
                                 sample_times_us(known.time_us)))
    if human is not None:
        plan = human[None].astype(np.float64)
        work = allocate_work(np.empty((1, VALUE_SIZE)), 0, arrays.vertex.dtype)
        interpolate_plans(plan, arrays.start, arrays.plan_segment, arrays.plan_fraction, 1, 0,
                          work)
        paths.append(work.path[0])
    if not paths:
        return arrays
    values = drive_paths(arrays, np.stack(paths), protocol).values
    if reference is not None:
        progress = values[:1, PROGRESS] * values[0, GATES[protocol]].prod()
        arrays = arrays._replace(reference_progress=progress.astype(arrays.vertex.dtype))
    if human is not None:
        # Scored alone, the human's own progress is the norm; and it is given no history.
        scores = values[-1:, [NC, DAC, DDC, TLC, EP, TTC, LK, COMFORT]]
        scores[:, [4, 7]] = 1.0
        arrays = arrays._replace(human=scores.astype(arrays.vertex.dtype))
    return arrays


def drive_paths(arrays: SceneArrays, paths: np.ndarray, protocol: Protocol) -> Work:
    """
    Simulate and judge paths [S, 41, 3], ego-centred poses every 0.1 s, in one packed scene.

    EP in the result is normalised with the scene's reference alone.
    """
    dtype = arrays.vertex.dtype
    work = allocate_work(np.empty((len(paths), VALUE_SIZE)), int(arrays.history_offset[-1]),
                         dtype)
    work.path[:] = paths
    score_paths(arrays, build_tables(protocol, dtype), protocol.version, protocol.ttc_last_step,
                len(paths), 0, work)
    return work


def _bounds(vertex: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Bounds [P, 4] of the vertices of each polygon; inverted, so never met, without vertices."""
    bounds = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf], vertex.dtype),
                     (len(offset) - 1, 1))
    filled = np.flatnonzero(np.diff(offset))
    if len(filled):
        bounds[filled, :2] = np.minimum.reduceat(vertex, offset[filled])
        bounds[filled, 2:] = np.maximum.reduceat(vertex, offset[filled])
    return bounds
