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
The selector: predicts the sub-scores of candidate plans and ranks them.

PaIR-Drive's reward model (arXiv 2603.13842) with the lessons of DrivoR (one head for each
sub-score, a decoder of its own on detached trajectories). It never sees what is scored with: no
map, no tracks, no human plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from pair_drive_ros.models.candidates import Candidates, GENERATORS
from pair_drive_ros.models.plan_encoder import PlanEncoder
from pair_drive_ros.models.policy import Network
from pair_drive_ros.models.refiner import ScenePerception
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.scoring.aggregation import epdms_without_extended_comfort, pdms
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.sub_scores import SubScores
import torch
from torch import nn

HEADS = {Protocol.NAVSIM_V1: ('nc', 'dac', 'ep', 'ttc', 'comfort'),
         Protocol.NAVSIM_V2: ('nc', 'dac', 'ddc', 'tlc', 'ep', 'ttc', 'lk', 'comfort')}
_ATTENTION_HEADS = 4
_UNCOMFORTABLE = 0.5
# More than any total and any margin.
_LAST = 2.0


class SelectorError(ValueError):
    """A selector cannot be built as configured."""


@dataclass(frozen=True)
class SelectorConfig:
    """
    What the selector looks with, what it predicts and how it picks.

    :raises SelectorError, TransfuserError: when an entry is out of range
    """

    bev_width: int = 64
    """Channels of the view's BEV map."""
    view_width: int = 256
    """Width of the view's queries."""
    width: int = 128
    """Of the encodings; a multiple of 8."""
    protocol: str = Protocol.NAVSIM_V1.value
    """Whose sub-scores are predicted."""
    generator: str = 'tree'
    """Of the candidates it was trained on, see ``candidates.GENERATORS``."""
    margin: float = 0.0
    """By how much a candidate must be better than the plan to replace it, 0 to 1."""
    perception: TransfuserConfig | None = None
    """Of encoders of its own, the paper's choice; None: it looks with those of the tree."""

    @classmethod
    def mini(cls, **changes: Any) -> 'SelectorConfig':
        """Return the selector that goes with :meth:`TransfuserConfig.mini`."""
        return cls(**{'view_width': 128, **changes})

    def __post_init__(self) -> None:
        if isinstance(self.perception, Mapping):
            object.__setattr__(self, 'perception', TransfuserConfig(**self.perception))
        if self.width < 8 or self.width % 8:
            raise SelectorError(f'width: expected a multiple of 8, got {self.width}')
        if self.generator not in GENERATORS:
            raise SelectorError(f'generator: expected one of {", ".join(GENERATORS)}, got '
                                f'{self.generator!r}')
        if self.protocol not in {protocol.value for protocol in Protocol}:
            raise SelectorError(f'protocol: expected navsim_v1 or navsim_v2, got '
                                f'{self.protocol!r}')
        if not 0.0 <= self.margin <= 1.0:
            raise SelectorError(f'margin: expected 0 to 1, got {self.margin}')


class Ranking(NamedTuple):
    """What the selector says of K candidates in each of B scenes."""

    scores: torch.Tensor
    """What they are ranked by, [B, K]: the predicted total; raised for the plan by the margin."""
    order: torch.Tensor
    """From the best to the worst, int64 [B, K]."""
    sub_scores: Mapping[str, torch.Tensor]
    """Predicted, each [B, K], 0 to 1."""


class Selector(Network):
    """
    Predicts every sub-score of every candidate, and ranks by the protocol's own formula.

    :raises SelectorError: when its own perception shows another view than it looks at
    """

    architecture: ClassVar[str] = 'pair_drive_selector'
    config_class: ClassVar[type] = SelectorConfig

    def __init__(self, config: SelectorConfig | None = None):
        super().__init__(config)
        config = self.config
        self.perception = (ScenePerception(config.perception) if config.perception is not None
                           else None)
        self.feature_spec = self.perception.feature_spec if self.perception is not None else {}
        eyes = config.perception
        if eyes is not None and (eyes.bev_width, eyes.decoder_width) != (config.bev_width,
                                                                         config.view_width):
            raise SelectorError(
                f'perception: shows a view of {eyes.bev_width} and {eyes.decoder_width}, but '
                f'bev_width and view_width are {config.bev_width} and {config.view_width}')
        self.protocol = Protocol(config.protocol)
        self.encoder = PlanEncoder(config.bev_width, config.view_width, config.width)
        self.place_proj = nn.Linear(2, config.width)
        self.comparison = nn.TransformerEncoderLayer(
            config.width, _ATTENTION_HEADS, 2 * config.width, dropout=0.0, batch_first=True)
        self.heads = nn.Linear(config.width, len(HEADS[self.protocol]))

    def forward(self, view: SceneView, candidates: Candidates) -> dict[str, torch.Tensor]:
        """
        Predict the logits of the sub-scores, each [B, K]; no gradient reaches the candidates.

        :param view: of the tree's perception, or of its own where it has one
        """
        plans = candidates.plans.detach()
        encoded = self.encoder(self.encoder.surroundings(view), plans, plans[:, 0])
        place = torch.zeros_like(candidates.log_probs)
        place[:, 0] = 1.0
        told = torch.stack([place, candidates.log_probs.detach().clamp_min(-10.0)], dim=-1)
        compared = self.comparison(encoded + self.place_proj(told))
        logits = self.heads(compared).float()
        return dict(zip(HEADS[self.protocol], logits.unbind(-1), strict=True))

    def rank(self, view: SceneView, candidates: Candidates) -> Ranking:
        """
        Rank the candidates by the predicted total.

        The first, the plan itself, stays unless another is better by the margin. One that is
        predicted to be uncomfortable never replaces it, and comes after all others.
        """
        sub_scores = {name: logits.sigmoid() for name, logits in self(view, candidates).items()}
        scores = total(sub_scores, self.protocol)
        scores[:, 0] += self.config.margin
        scores[:, 1:] -= _LAST * (sub_scores['comfort'][:, 1:] < _UNCOMFORTABLE).float()
        return Ranking(scores, scores.argsort(dim=1, descending=True, stable=True), sub_scores)


def total(sub_scores: Mapping[str, torch.Tensor], protocol: Protocol) -> torch.Tensor:
    """Aggregate sub-scores as the protocol does, without extended comfort: [B, K]."""
    some = sub_scores['nc']
    scores = SubScores(protocol=protocol, nc=some, dac=sub_scores['dac'],
                       ddc=sub_scores.get('ddc', torch.ones_like(some)), ep=sub_scores['ep'],
                       ttc=sub_scores['ttc'], comfort=sub_scores['comfort'],
                       tlc=sub_scores.get('tlc'), lk=sub_scores.get('lk'),
                       ec=None, total=None, valid=None)
    if protocol is Protocol.NAVSIM_V1:
        return pdms(scores)
    return epdms_without_extended_comfort(scores)
