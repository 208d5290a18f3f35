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

"""Batches of a cache for training, read ahead of the step that needs them."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
import copy
from dataclasses import dataclass
from pathlib import Path
import threading

import numpy as np
from pair_drive_ros.models.policy import FeatureSpec
from pair_drive_ros.scoring import Protocol, ScoringScenes
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.navsim_recipe import TARGETS
from pair_drive_training.data.records import log_name, scoring_scenes
from pair_drive_training.data.scene_filter import load_filter
from pair_drive_training.data.transfuser_scene import as_features, features_kind, read_features
import torch

CPU = torch.device('cpu')


@dataclass(frozen=True)
class Batch:
    """
    Scenes as they are stored.

    ``stored`` features, still to be scaled, and ``targets``, each [B, ...] in the order of
    ``tokens``; ``scenes`` prepared for the scorer in that order, where they were asked for.
    """

    tokens: tuple[str, ...]
    stored: Mapping[str, torch.Tensor]
    targets: Mapping[str, torch.Tensor]
    scenes: ScoringScenes | None = None

    def on(self, device: torch.device, spec: FeatureSpec
           ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return features and targets on a device: small as stored, scaled when they are there."""
        stored = {name: tensor.to(device, non_blocking=True)
                  for name, tensor in self.stored.items()}
        targets = {name: tensor.to(device, non_blocking=True)
                   for name, tensor in self.targets.items()}
        return as_features(stored, spec), targets


class TrainingBatches:
    """
    What a policy learns from: its features and the targets of some scenes of a cache.

    :param threads: how many read ahead
    :param device: where the batches will be needed; those for a GPU lie in pinned memory
    :param protocol: that every batch's ``scenes`` are prepared for; None leaves them out
    :raises CacheError: when the cache misses scenes or a kind of record
    """

    def __init__(self, cache: Cache, tokens: Sequence[str], spec: FeatureSpec, threads: int,
                 device: torch.device = CPU, protocol: Protocol | None = None):
        scored = () if protocol is None else (protocol.value,)
        check_scenes(cache, tokens, (features_kind(spec), TARGETS, *scored))
        self.tokens = tuple(tokens)
        # A cache keeps shards open and is not made for several threads: each has its own view.
        self._views = threading.local()
        self._cache = cache
        self._spec = spec
        self._threads = threads
        self._device = device
        self._protocol = protocol

    def read(self, tokens: Sequence[str]) -> Batch:
        """Read one batch."""
        if not hasattr(self._views, 'cache'):
            self._views.cache = copy.copy(self._cache)
        cache = self._views.cache
        targets: dict[str, np.ndarray] = {}
        for row, token in enumerate(tokens):
            arrays, index = cache.shard_of(TARGETS, token)
            for name, array in arrays.items():
                rows = targets.setdefault(
                    name, np.empty((len(tokens), *array.shape[1:]), array.dtype))
                rows[row] = array[index]
        stored = read_features(cache, tokens, self._spec)
        scenes = (None if self._protocol is None
                  else scoring_scenes(cache, tokens, self._protocol))
        return Batch(tuple(tokens), self._tensors(stored), self._tensors(targets), scenes)

    def stream(self, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Yield the batches of these indices into ``tokens``, read ahead in threads."""
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self._threads, initializer=self._enter_thread) as pool:
            try:
                for indices in batches:
                    waiting.append(pool.submit(self.read, [self.tokens[i] for i in indices]))
                    if len(waiting) > 2 * self._threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _enter_thread(self) -> None:
        # Pinned memory belongs to a thread's current GPU, which by itself is the first one.
        if self._device.type == 'cuda':
            torch.cuda.set_device(self._device)

    def _tensors(self, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return ({name: tensor.pin_memory() for name, tensor in tensors.items()}
                if self._device.type == 'cuda' else tensors)


def listed_tokens(cache: Cache, path: Path | None) -> Sequence[str]:
    """
    Return the tokens that a scene filter lists, else all that have targets, of the logs it lists.

    :param path: scene filter or list of tokens; None for all that have targets
    :raises FilterError: when the file cannot be used
    """
    wanted = load_filter(path)
    if wanted.tokens is not None:
        return wanted.tokens
    tokens = cache.tokens(TARGETS)
    if wanted.log_names is None:
        return tokens
    return [token for token in tokens if wanted.wants_log(log_name(cache, token))]


def check_scenes(cache: Cache, tokens: Sequence[str], kinds: Sequence[str]) -> None:
    """
    Make sure that a cache has all records of these scenes.

    :raises CacheError: when it does not, or there is no scene; the sentence says how many are
        missing
    """
    if not tokens:
        raise CacheError(f'{cache.path}: holds none of the scenes that are asked for; build it '
                         'for them, or name others')
    for kind in kinds:
        held = set(cache.tokens(kind))
        missing = [token for token in tokens if token not in held]
        if missing:
            raise CacheError(f'{cache.path}: misses {kind} of {len(missing)} of {len(tokens)} '
                             f'scenes, for example {missing[0]}; run the command "cache" for '
                             'them, or leave them out of the split')
