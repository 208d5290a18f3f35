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


"""The human futures of a cache, and the typical ones among them: DiffusionDrive's anchors."""

from collections.abc import Sequence

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import SCENES
from scipy.cluster.vq import ClusterError, kmeans2
from tqdm import tqdm

RESTARTS, ITERATIONS = 10, 100
# Futures whose distances are held in memory at a time.
BATCH = 4096


class AnchorMakingError(ValueError):
    """Anchors cannot be made as asked; the sentence says why and what to do."""


def human_futures(cache: Cache, tokens: Sequence[str]) -> np.ndarray:
    """
    Points [N, 8, 2] (x m, y m, every 0.5 s) that humans drove, of those scenes that have them.

    :raises CacheError: when a scene is not in the cache
    """
    futures = np.empty((len(tokens), PLAN_POSES, 2))
    count = 0
    for token in tokens:
        arrays, index = cache.shard_of(SCENES, token)
        if arrays['has_human'][index]:
            futures[count] = arrays['human'][index][:, :2]
            count += 1
    return futures[:count]


def make_anchors(futures: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, float]:
    """
    Find ``count`` anchors by k-means over the futures' points, as DiffusionDrive's were found.

    Of several runs, each started by k-means++, the one with the least distortion counts. The same
    futures, in any order, and seed give the same anchors, sorted by where they end.

    :param futures: float64 [N, 8, 2]
    :return: anchors float32 [count, 8, 2] and their distortion, see :func:`distortion`
    :raises AnchorMakingError: when there are fewer different futures than anchors
    """
    flat = futures.reshape(len(futures), 2 * PLAN_POSES)
    flat = flat[np.lexsort(flat.T)]
    different = len(np.unique(flat, axis=0))
    if different < count:
        raise AnchorMakingError(
            f'there are {different} different human futures, too few for {count} anchors; name '
            'more scenes (--tokens) or ask for fewer (--count)')
    found = []
    for stream in tqdm(np.random.default_rng(seed).spawn(RESTARTS), desc='k-means', unit='run'):
        try:
            centres, _ = kmeans2(flat, count, ITERATIONS, minit='++', missing='raise', rng=stream)
        except ClusterError:
            # An anchor lost all its futures to the others.
            continue
        # By the last point, then the one before it.
        centres = sorted(centres.reshape(count, -1, 2).tolist(), key=lambda points: points[::-1])
        anchors = np.array(centres, np.float32)
        found.append((distortion(futures, anchors), anchors))
    if not found:
        raise AnchorMakingError(
            f'in none of {RESTARTS} runs could the {len(futures)} futures be told apart into '
            f'{count} groups; ask for fewer anchors (--count)')
    least, anchors = min(found, key=lambda run: run[0])
    return anchors, least


def nearest_anchors(futures: np.ndarray, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Find for each future [N, 8, 2] the anchor [M, 8, 2] with the least mean distance of points.

    :return: indices [N] of the anchors, and the distances [N] in m
    """
    nearest = np.empty(len(futures), np.int64)
    distances = np.empty(len(futures))
    for first in range(0, len(futures), BATCH):
        part = slice(first, first + BATCH)
        apart = np.linalg.norm(futures[part, None] - anchors, axis=-1).mean(axis=-1)
        nearest[part], distances[part] = apart.argmin(axis=1), apart.min(axis=1)
    return nearest, distances


def distortion(futures: np.ndarray, anchors: np.ndarray) -> float:
    """Mean distance in m of the futures' points to those of the nearest anchor."""
    return float(nearest_anchors(futures, anchors)[1].mean())
