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

"""A cache of noise to learn from: features of the mini networks, targets and status."""

from pathlib import Path

import numpy as np
from pair_drive_training.data.cache import CacheHeader, write_header
from pair_drive_training.data.shards import ShardCard, write_shard
from pair_drive_training.data.transfuser_scene import FEATURE_SPECS, FEATURES_MINI


def token(index: int) -> str:
    """Token of a scene."""
    return f'{index:016x}'


def noise_features(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Return what is stored of scenes for the mini networks, of noise."""
    arrays: dict[str, np.ndarray] = {}
    for name, spec in FEATURE_SPECS[FEATURES_MINI].items():
        if name == 'status_feature':
            arrays[name] = rng.normal(size=(count, *spec.shape)).astype(np.float32)
        else:
            levels = 6 if name == 'lidar_feature' else 256
            arrays[name] = rng.integers(0, levels, (count, *spec.shape), np.uint8)
    return arrays


def write_cache(path: Path, scenes: int, logs: int = 1, name: str = 'noise') -> Path:
    """
    Write scenes whose human drives on at the velocity that the status gives.

    :param logs: over how many logs, and so shards, the scenes are spread
    :param name: what the names of the logs begin with
    """
    write_header(path, CacheHeader({'features_mini': 1, 'targets': 1, 'scenes': 1},
                                   splits=('noise',)))
    rng = np.random.default_rng(0)
    for log, indices in enumerate(np.array_split(np.arange(scenes), logs)):
        tokens = tuple(token(index) for index in indices)
        for kind, arrays in _arrays(rng, tokens, f'{name}_{log}').items():
            write_shard(path / kind, ShardCard(1, kind, 1, f'{name}_{log}', tokens, {}), arrays)
    return path


def _arrays(rng: np.random.Generator, tokens: tuple[str, ...],
            log: str) -> dict[str, dict[str, np.ndarray]]:
    count = len(tokens)
    status = rng.normal(size=(count, 8)).astype(np.float32)
    status[:, :4] = np.eye(4)[rng.integers(4, size=count)]
    speed = status[:, 4] = rng.uniform(1.0, 10.0, count).astype(np.float32)
    trajectory = np.zeros((count, 8, 3))
    trajectory[..., 0] = 0.5 * np.arange(1, 9) * speed[:, None]
    history = np.repeat(status[:, None], 4, axis=1)
    return {
        'features_mini': {**noise_features(rng, count), 'status_feature': status},
        'targets': {
            'trajectory': trajectory,
            'agent_states': rng.normal(0.0, 9.0, (count, 30, 5)).astype(np.float32),
            'agent_labels': rng.random((count, 30)) < 0.3,
            'bev_semantic_map': rng.integers(0, 7, (count, 128, 256), np.uint8)},
        'scenes': {
            'token': np.array(tokens), 'log_name': np.array([log] * count),
            'velocity': history[..., 4:6], 'acceleration': history[..., 6:],
            'command': history[..., :4].astype(np.int64)}}
