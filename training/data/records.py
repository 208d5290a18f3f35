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
What the cache holds of a scene, kind by kind, and how it is read back.

``scenes``: what a policy that sees no sensors needs, and the evaluation. ``navsim_v1`` and
``navsim_v2``: the scene prepared for the scorer, with PDM-Closed's reference. ``traffic``: what
version 2's reactive vehicles need besides. The names of the kinds of a protocol are its values.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.scoring import Objects, Protocol, Reference, ScoringScenes
from pair_drive_ros.scoring.arrays import SceneArrays
from pair_drive_ros.scoring.interpolation import plan_times_us, sample_path
from pair_drive_ros.scoring.protocol import PLAN_POSES
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.frames import human_future, SceneFrames
from pair_drive_training.data.idm_traffic import IdmTraffic
from pair_drive_training.data.metric_scene import MetricScene
from pair_drive_training.data.tracks import interpolate_tracks

SCENES, TRAFFIC = 'scenes', 'traffic'
RECORD_VERSIONS = {SCENES: 1, Protocol.NAVSIM_V1.value: 1, Protocol.NAVSIM_V2.value: 1,
                   TRAFFIC: 1}
REFERENCE_FIELDS = ('reference_times_us', 'reference_poses')
REPLAY = ('kind', 'size', 'boxes', 'velocity', 'seen')


def make_records(frames: SceneFrames, city: CityMap, kinds: Sequence[str]) -> dict[str, Any]:
    """
    Make the records of a scene; what several kinds need is computed once.

    :raises SceneError: when log and map do not allow a score
    :raises IdmTrafficError: when the devkit could not simulate the traffic either
    """
    metric = MetricScene(frames, city)
    records: dict[str, Any] = {}
    if SCENES in kinds:
        records[SCENES] = scene_record(frames)
    for protocol in Protocol:
        if protocol.value in kinds:
            scene = metric.scene(protocol)
            records[protocol.value] = ScoringScenes.prepare([scene], protocol), scene.reference
    if TRAFFIC in kinds:
        tracks = metric.tracks(Protocol.NAVSIM_V2)
        replay, tokens = interpolate_tracks(tracks)
        traffic = IdmTraffic.prepare(tracks[0], replay, tokens, metric.ego, city)
        records[TRAFFIC] = traffic.to_arrays() | {
            f'replay_{name}': getattr(replay, name) for name in REPLAY}
    return records


def log_name(cache: Cache, token: str) -> str:
    """Return the name of the log that a scene of a cache is from."""
    arrays, index = cache.shard_of(SCENES, token)
    return str(arrays['log_name'][index])


def scene_record(frames: SceneFrames) -> dict[str, np.ndarray]:
    """
    Describe a scene without map and objects.

    ``ego`` [7] x, y, heading, vx, vy, ax, ay now; of the four past frames ``pose`` [4, 3] seen
    from the current rear axle, ``velocity`` [4, 2], ``acceleration`` [4, 2], ``command`` [4, 4];
    ``human`` [8, 3], NaN where ``has_human`` is false.
    """
    now, past = frames.now, frames.history
    human = (np.full((PLAN_POSES, 3), np.nan) if frames.synthetic else human_future(frames))
    return {
        'token': np.array(frames.token), 'log_name': np.array(frames.log_name),
        'map_name': np.array(frames.map_name), 'time_us': np.array(now.time_us, np.int64),
        'ego': np.concatenate([now.pose, now.velocity, now.acceleration]).astype(np.float64),
        'pose': relative_to(now.pose, np.stack([frame.pose for frame in past])),
        'velocity': np.stack([frame.velocity for frame in past]).astype(np.float32),
        'acceleration': np.stack([frame.acceleration for frame in past]).astype(np.float32),
        'command': np.stack([frame.command for frame in past]).astype(np.float32),
        'human': human, 'has_human': np.array(not frames.synthetic),
        'synthetic': np.array(frames.synthetic)}


def pack_records(kind: str, records: Sequence[Any]) -> dict[str, np.ndarray]:
    """Turn the records of a shard into its arrays."""
    if kind == SCENES:
        return {name: np.stack([record[name] for record in records]) for name in records[0]}
    if kind == TRAFFIC:
        return _pack_ragged(records)
    scenes = ScoringScenes.concatenate([part for part, _ in records], Protocol(kind))
    references = [reference for _, reference in records]
    return scenes.arrays._asdict() | {
        'reference_times_us': np.stack([reference.times_us for reference in references]),
        'reference_poses': np.stack([reference.poses for reference in references])}


def scoring_scenes(cache: Cache, tokens: Sequence[str], protocol: Protocol) -> ScoringScenes:
    """
    Read scenes prepared for the scorer, as one batch in the order of the tokens.

    :raises CacheError: when a token is not in the cache
    """
    return ScoringScenes.concatenate(
        [scoring_scene(cache, token, protocol) for token in tokens], protocol)


def scoring_scene(cache: Cache, token: str, protocol: Protocol) -> ScoringScenes:
    """
    Read one scene prepared for the scorer.

    :raises CacheError: when the token is not in the cache
    """
    arrays, index = cache.shard_of(protocol.value, token)
    batch = ScoringScenes(protocol, (), SceneArrays(
        **{name: arrays[name] for name in SceneArrays._fields}))
    part = batch.scene(index)
    return ScoringScenes(protocol, (token,), part.arrays)


def reference_of(cache: Cache, token: str, protocol: Protocol) -> Reference:
    """
    PDM-Closed's trajectory over 5 s in the map frame.

    :raises CacheError: when the token is not in the cache
    """
    arrays, index = cache.shard_of(protocol.value, token)
    return Reference(*(np.asarray(arrays[name][index]) for name in REFERENCE_FIELDS))


def reference_plan(cache: Cache, token: str, protocol: Protocol) -> np.ndarray:
    """
    PDM-Closed's trajectory as a plan [8, 3] in the ego frame.

    :raises CacheError: when the token is not in the cache
    """
    record = cache.read(SCENES, token)
    reference = reference_of(cache, token, protocol)
    times = plan_times_us(int(record['time_us']))[1:]
    return relative_to(record['ego'][:3],
                       sample_path(reference.poses, reference.times_us, times))


def traffic_of(cache: Cache, token: str) -> IdmTraffic:
    """
    Read the reactive vehicles of a scene.

    :raises CacheError: when the token is not in the cache
    """
    arrays, index = cache.shard_of(TRAFFIC, token)
    record = _ragged_record(arrays, index)
    replay = Objects(*(record.pop(f'replay_{name}') for name in REPLAY))
    return IdmTraffic.from_arrays(record, replay)


def _pack_ragged(records: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Lay arrays of any shape end to end, with their shapes beside them."""
    packed = {}
    for name in records[0]:
        values = [np.asarray(record[name]) for record in records]
        packed[name] = np.concatenate([value.reshape(-1) for value in values])
        packed[f'{name}.shape'] = np.array([value.shape for value in values], np.int64)
    return packed


def _ragged_record(arrays: Mapping[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    record = {}
    for name in arrays:
        if name.endswith('.shape'):
            continue
        shapes = np.asarray(arrays[f'{name}.shape'])
        ends = np.cumsum(shapes.prod(axis=1))
        begin = ends[index] - shapes[index].prod()
        record[name] = np.asarray(arrays[name][begin:ends[index]]).reshape(shapes[index])
    return record
