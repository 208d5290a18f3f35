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

"""Validation of a training run: loss and score in scenes that are not trained on."""

from collections.abc import Mapping, Sequence
import math

import numpy as np
from pair_drive_ros.models.policy import FeatureSpec, ImitationPolicy
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import scoring_scenes
from pair_drive_training.data.training_batches import (
    check_scenes,
    listed_tokens,
    TrainingBatches,
)
from pair_drive_training.run_config import RunConfig
import torch

# Of what is random in a loss, as the noise of a diffusion: the same in every validation.
_SEED = 0


class Validation:
    """
    Measures a policy in some scenes of a cache.

    :param protocol: of the score; None measures the loss alone
    :param batch: scenes at a time
    :param readers: threads that read ahead
    :raises CacheError: when the cache misses scenes or a kind of record
    """

    def __init__(self, cache: Cache, tokens: Sequence[str], spec: FeatureSpec,
                 protocol: Protocol | None, batch: int, readers: int):
        self._batches = TrainingBatches(cache, tokens, spec, readers)
        self._batch = batch
        self._spec = spec
        self._protocol = protocol
        if protocol is not None:
            check_scenes(cache, tokens, (protocol.value,))
            self._scenes = scoring_scenes(cache, tokens, protocol)

    @classmethod
    def of_run(cls, config: RunConfig, spec: FeatureSpec,
               protocol: Protocol | None) -> 'Validation | None':
        """Make what a run's configuration asks for; None where it names no cache for it."""
        if config.val_cache is None:
            return None
        cache = Cache.open(config.val_cache)
        return cls(cache, listed_tokens(cache, config.val_tokens), spec, protocol, config.batch,
                   config.readers)

    @torch.no_grad()
    def measure(self, policy: ImitationPolicy, device: torch.device) -> dict[str, float]:
        """Return the mean terms of the loss, and the mean score (0 to 100) of the plans."""
        scenes = len(self._batches.tokens)
        plans, sums = [], {}
        policy.eval()
        torch.manual_seed(_SEED)
        for batch in self._batches.stream(np.array_split(np.arange(scenes),
                                                         math.ceil(scenes / self._batch))):
            features, targets = batch.on(device, self._spec)
            for name, value in policy.loss(features, targets).items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(batch.tokens)
            if self._protocol is not None:
                plans.append(policy.plan(features).double().cpu())
        row = {f'val/{name}': value / scenes for name, value in sums.items()}
        if self._protocol is not None:
            total = pdm_score(torch.cat(plans)[:, None], self._scenes, self._protocol).total
            row[f'val/{self._protocol.value}'] = 100.0 * float(torch.as_tensor(total).mean())
        return row

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Return what the best checkpoint has most of, None where it was not measured."""
        if self._protocol is not None:
            return row.get(f'val/{self._protocol.value}')
        terms = [value for name, value in row.items() if name.startswith('val/')]
        return -sum(terms) if terms else None
