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

"""What every training run is configured by."""

from dataclasses import dataclass
from pathlib import Path

from pair_drive_training.options import option


class TrainingRunError(ValueError):
    """A run cannot be made, or not gone on with; the sentence says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every run is made of; also its command line and its YAML."""

    cache: Path = option('cache with features and targets of the training split')
    out: Path = option('folder of the run, new or to go on with', may_change=True)
    tokens: Path | None = option('scene filter or list of tokens; without it the whole cache',
                                 None)
    val_cache: Path | None = option('cache to validate in; without it there is no validation',
                                    None)
    val_tokens: Path | None = option('scene filter of the validation', None)
    val_every: int = option('epochs from one validation to the next', 1)
    epochs: int = option('passes over the training split', 20)
    batch: int = option('scenes in a step, over all processes', 32)
    learning_rate: float = option('at its highest', 1e-3)
    warmup: float = option('share of the steps in which the learning rate rises; then it falls as '
                           'a cosine to zero', 0.1)
    weight_decay: float = option("AdamW's", 0.01)
    clip: float = option('largest norm of the gradient', 5.0)
    precision: str = option('bf16 (mixed) or fp32', 'bf16')
    seed: int = option('of weights, order and whatever else is random', 0)
    device: str = option('cpu or cuda', 'cpu', may_change=True)
    threads: int = option("CPU threads of the network; 0 leaves torch's own choice", 0,
                          may_change=True)
    readers: int = option('threads that read ahead', 2, may_change=True)
    save_minutes: float = option('time after which the state is saved within an epoch', 10.0,
                                 may_change=True)

    def __post_init__(self) -> None:
        self.check_least(1, 'val_every', 'epochs', 'batch', 'readers')
        self.check_least(0, 'weight_decay', 'seed', 'threads', 'save_minutes')
        self.check_positive('learning_rate', 'clip')
        self.check_among('precision', 'bf16', 'fp32')
        self.check_among('device', 'cpu', 'cuda')
        if not 0.0 <= self.warmup < 1.0:
            raise TrainingRunError('warmup: expected a share from 0 on below 1, got '
                                   f'{self.warmup}')

    def check_least(self, least: float, *names: str) -> None:
        """Make sure that options are not too small; raises TrainingRunError."""
        for name in names:
            if not getattr(self, name) >= least:
                raise TrainingRunError(f'{name}: expected {least} or more, got '
                                       f'{getattr(self, name)}')

    def check_positive(self, *names: str) -> None:
        """Make sure that options are above 0; raises TrainingRunError."""
        for name in names:
            if not getattr(self, name) > 0.0:
                raise TrainingRunError(f'{name}: expected more than 0, got {getattr(self, name)}')

    def check_among(self, name: str, *allowed: str) -> None:
        """Make sure that an option has one of some values; raises TrainingRunError."""
        if getattr(self, name) not in allowed:
            raise TrainingRunError(f'{name}: expected one of {", ".join(allowed)}, got '
                                   f'{getattr(self, name)!r}')
