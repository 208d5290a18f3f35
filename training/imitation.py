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
Imitation: train one policy to plan as the human drove.

What a policy learns is its own affair (``ImitationPolicy.loss``); the loop is that of every run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.training_batches import Batch
from pair_drive_training.fresh_policy import fresh_policy
from pair_drive_training.options import option
from pair_drive_training.run_config import RunConfig
from pair_drive_training.training_run import Figures, Terms, TrainingRun
from pair_drive_training.validation import Validation
import torch

NO_SCORE = 'none'


@dataclass(frozen=True, kw_only=True)
class ImitationConfig(RunConfig):
    """What a run of imitation is made of; also its command line and its YAML."""

    policy: str = option("transfuser, diffusion_drive, ego_status, or your own class's import "
                         'path package.module:Class', 'transfuser')
    preset: str = option("the policy's configuration to begin with: full, or mini where it has "
                         'one', 'mini')
    model: dict[str, Any] = option("entries of the policy's configuration that differ", {})
    val_score: str = option('score that picks the best checkpoint: navsim_v1, navsim_v2, or none: '
                            'the loss', Protocol.NAVSIM_V1.value)
    anchors: Path | None = option('anchors of diffusion_drive, see make-anchors', None)
    image_weights: Path | None = option('ImageNet weights of a ResNet-34 to begin with (.pth, '
                                        '.safetensors)', None)
    init: Path | None = option('checkpoint to begin with, where names and shapes of its weights '
                               'agree', None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_among('val_score', *(protocol.value for protocol in Protocol), NO_SCORE)
        self.check_among('preset', 'mini', 'full')


class Imitation(TrainingRun):
    """
    A run of imitation, see :class:`TrainingRun`.

    :raises ArchitectureError, FreshPolicyError: besides, when the policy cannot be built
    """

    config: ImitationConfig
    policy: ImitationPolicy

    def build(self) -> ImitationPolicy:
        """Build the policy, fresh or from the checkpoint that it begins with."""
        config = self.config
        self.policy = fresh_policy(config.policy, config.preset, config.model,
                                   anchors=config.anchors, init=config.init,
                                   image_weights=config.image_weights)
        return self.policy

    @property
    def checkpoint(self) -> ImitationPolicy:
        """Return the policy."""
        return self.policy

    @property
    def val_protocol(self) -> Protocol | None:
        """Protocol of the validation's score, None where nothing is scored."""
        config = self.config
        scored = config.val_cache is not None and config.val_score != NO_SCORE
        return Protocol(config.val_score) if scored else None

    def prepare(self) -> dict[str, Any]:
        """Make the validation."""
        self._validation = (Validation.of_run(self.config, self.feature_spec, self.val_protocol)
                            if self.rank == 0 else None)
        return {}

    def loss(self, batch: Batch, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> tuple[Terms, Figures]:
        """Ask the policy for the terms of its loss."""
        return self.policy.loss(features, targets), {}

    def validate(self) -> Mapping[str, float]:
        """Measure the loss and the score in the scenes of the validation."""
        return self._validation.measure(self.policy, self.device) if self._validation else {}

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Prefer the score, or the smaller loss where nothing is scored."""
        return self._validation.quality(row) if self._validation else None
