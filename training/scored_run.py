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

"""Runs that score what they plan while they learn."""

from collections.abc import Mapping
from dataclasses import dataclass
import time

from pair_drive_ros.scoring import pdm_score, Protocol, ScoringScenes, SubScores
from pair_drive_training.options import option
from pair_drive_training.run_config import RunConfig
from pair_drive_training.training_run import TrainingRun
import torch


@dataclass(frozen=True, kw_only=True)
class ScoredConfig(RunConfig):
    """What such a run is made of besides what every run is."""

    protocol: str = option('whose score it learns from and is validated by: navsim_v1 or '
                           'navsim_v2', Protocol.NAVSIM_V1.value)
    epochs: int = option('passes over the training split', 1)
    clip: float = option('largest norm of the gradient', 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_among('protocol', *(protocol.value for protocol in Protocol))


@dataclass(frozen=True, kw_only=True)
class BranchConfig(ScoredConfig):
    """What the runs of the RL branch's two halves are made of besides."""

    val_policy: str = option('policy whose plans are refined in the validation: a checkpoint that '
                             'ships, or a file', 'transfuser')


class ScoredRun(TrainingRun):
    """A run whose batches carry scenes prepared for the scorer, see :class:`TrainingRun`."""

    config: ScoredConfig
    _scoring_s = 0.0

    @property
    def scene_protocol(self) -> Protocol:
        """Return the protocol of the score."""
        return Protocol(self.config.protocol)

    @property
    def val_protocol(self) -> Protocol | None:
        """Return the protocol of the score where there is a validation."""
        return self.scene_protocol if self.config.val_cache is not None else None

    def score(self, plans: torch.Tensor, scenes: ScoringScenes | None) -> SubScores:
        """
        Score plans [B, K, 8, 3] of a batch's scenes; once a step, whose scoring time it is.

        A plan that is not finite gets NaN: the loss is not finite then, and the run names the
        batch.
        """
        assert scenes is not None
        begun_s = self._time_s()
        scores = pdm_score(plans.double(), scenes, self.scene_protocol, lenient=True,
                           threads=self.config.threads or None)
        self._scoring_s = self._time_s() - begun_s
        return scores

    def after_step(self, measured: Mapping[str, float]) -> Mapping[str, float]:
        """Log the gradient and the scorer's share of the step's time."""
        return {'gradient': measured['gradient'],
                'scoring_share': self._scoring_s / measured['seconds']}

    def _time_s(self) -> float:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        return time.monotonic()
