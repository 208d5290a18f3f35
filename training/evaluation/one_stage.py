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
Scores of plans in many scenes, one stage: every scene by itself, but for extended comfort.

EC compares a plan with the plan of the frame before. The devkit takes for that the token before
it in the same log, among those evaluated, when less than 0.55 s lie between them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pair_drive_ros.scoring.aggregation import human_penalty_filter
from pair_drive_ros.scoring.extended_comfort import MAX_FRAME_GAP_S
from pair_drive_ros.scoring.protocol import Protocol, STEP_S
from pair_drive_ros.scoring.scene_file import V1_COLUMNS, v1_table, V2_COLUMNS, v2_table
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_ros.scoring.score import pdm_score
from pair_drive_training.evaluation.batches import work_in_batches

# Scenes that are scored at a time.
BATCH = 256

COLUMNS = {Protocol.NAVSIM_V1: V1_COLUMNS, Protocol.NAVSIM_V2: V2_COLUMNS}
# The aggregate that is a protocol's score.
TOTAL = {Protocol.NAVSIM_V1: 'PDMS', Protocol.NAVSIM_V2: 'EPDMS'}

# From tokens to their scenes, prepared for the protocol of the evaluation.
SceneSource = Callable[[Sequence[str]], ScoringScenes]


@dataclass(frozen=True)
class SceneHead:
    """
    Where and when a scene is.

    ``time_us`` epoch; ``pose`` [3] x, y, heading of the rear axle in the map frame; ``synthetic``
    for the second-stage scenes of navhard.
    """

    token: str
    log_name: str
    time_us: int
    pose: np.ndarray
    synthetic: bool

    @classmethod
    def of_record(cls, record: Mapping[str, np.ndarray]) -> 'SceneHead':
        """Take them from a cached record of kind ``scenes``."""
        return cls(str(record['token']), str(record['log_name']), int(record['time_us']),
                   np.array(record['ego'][:3]), bool(record['synthetic']))


@dataclass(frozen=True)
class Scores:
    """
    What became of every scene.

    ``heads`` of the scenes that the cache knows; ``tables`` by token: [K, columns] in the order of
    ``COLUMNS``, for version 2 with the human penalty filter; ``previous`` by token: the token that
    EC compares with; ``failures`` by token: why it has no table.
    """

    protocol: Protocol
    heads: Mapping[str, SceneHead]
    tables: Mapping[str, np.ndarray]
    previous: Mapping[str, str]
    failures: Mapping[str, str]

    @property
    def total_column(self) -> int:
        """Column of the protocol's aggregate."""
        return COLUMNS[self.protocol].index(TOTAL[self.protocol])

    @property
    def tokens(self) -> list[str]:
        """All tokens asked for, scored and failed."""
        return [*self.tables, *self.failures]


def previous_tokens(heads: Iterable[SceneHead]) -> dict[str, str]:
    """
    Pair each original scene with the one before it in its log, if less than 0.55 s earlier.

    :param heads: the scenes that have a plan: as in the devkit a failed one is no predecessor
    """
    previous = {}
    ordered = sorted((head for head in heads if not head.synthetic),
                     key=lambda head: (head.log_name, head.time_us))
    for before, now in pairwise(ordered):
        if before.log_name == now.log_name and overlap_start(now, before):
            previous[now.token] = before.token
    return previous


def overlap_start(now: SceneHead, before: SceneHead) -> int:
    """Count the steps of 0.1 s between two scenes; 0 when EC is not defined for them."""
    gap_s = (now.time_us - before.time_us) * 1e-6
    return round(gap_s / STEP_S) if 0.0 < gap_s < MAX_FRAME_GAP_S else 0


def score_scenes(heads: Mapping[str, SceneHead], plans: Mapping[str, np.ndarray],
                 previous: Mapping[str, str], scoring_scenes: SceneSource,
                 protocol: Protocol, failures: Mapping[str, str]) -> Scores:
    """
    Score the plans [K, 8, 3] of each token in its scene.

    Plan k is compared with plan k of the scene before; where that has another number of plans, or
    none, EC is NaN and its weight is dropped. A scene that cannot be read is a failure of its
    token, added to those given: the reasons of tokens without a plan.
    """
    scorer = _Scorer(heads, plans, previous, scoring_scenes, protocol)
    by_count: dict[int, list[str]] = {}
    for token in sorted(plans, key=lambda token: (heads[token].log_name, heads[token].time_us)):
        by_count.setdefault(len(plans[token]), []).append(token)
    failures = dict(failures)
    for count, tokens in sorted(by_count.items()):
        failures.update(work_in_batches(tokens, BATCH, scorer.score,
                                        f'score {count} plans a scene'))
    return Scores(protocol, heads, scorer.tables, scorer.previous, failures)


class _Scorer:
    """Scores batches of scenes with equally many plans; keeps what later frames need for EC."""

    def __init__(self, heads: Mapping[str, SceneHead], plans: Mapping[str, np.ndarray],
                 previous: Mapping[str, str], scoring_scenes: SceneSource, protocol: Protocol):
        self.tables: dict[str, np.ndarray] = {}
        self._heads, self._plans = heads, plans
        self._scoring_scenes, self._protocol = scoring_scenes, protocol
        self.previous = {
            now: before for now, before in previous.items()
            if now in plans and before in plans and len(plans[now]) == len(plans[before])
        } if protocol is Protocol.NAVSIM_V2 else {}
        # Initial state and clock of scenes, by token.
        self._starts: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def score(self, tokens: Sequence[str]) -> None:
        scenes = self._scoring_scenes(tokens)
        self._keep_starts(tokens, scenes)
        plans = np.stack([self._plans[token] for token in tokens]).astype(np.float64)
        if self._protocol is Protocol.NAVSIM_V1:
            tables = v1_table(pdm_score(plans, scenes, self._protocol))
        else:
            scenes, before = self._with_frames_before(tokens, scenes, plans)
            unfiltered = pdm_score(plans, scenes, self._protocol, previous_plans=before,
                                   human_filter=False)
            filtered = human_penalty_filter(unfiltered, scenes.arrays.human)
            tables = v2_table(filtered, unfiltered)
        self.tables.update(zip(tokens, tables, strict=True))

    def _with_frames_before(self, tokens: Sequence[str], scenes: ScoringScenes,
                            plans: np.ndarray) -> tuple[ScoringScenes, np.ndarray]:
        """
        Let each scene's frame before be that of its predecessor, or none; and return its plans.

        The devkit drives the plan before from the scene that it was made in. In a synthetic scene
        that is not the scene's own history.
        """
        before_plans, overlap = np.zeros_like(plans), np.zeros(len(tokens), np.int64)
        rows = [array.copy() for array in (scenes.arrays.previous_start,
                                           scenes.arrays.previous_segment,
                                           scenes.arrays.previous_fraction)]
        for index, token in enumerate(tokens):
            if token in self.previous:
                before = self.previous[token]
                before_plans[index] = self._plans[before]
                overlap[index] = overlap_start(self._heads[token], self._heads[before])
                for row, value in zip(rows, self._start_of(before), strict=True):
                    row[index] = value
        arrays = scenes.arrays._replace(previous_start=rows[0], previous_segment=rows[1],
                                        previous_fraction=rows[2], overlap_start=overlap)
        return ScoringScenes(scenes.protocol, scenes.names, arrays), before_plans

    def _start_of(self, token: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if token not in self._starts:
            self._keep_starts([token], self._scoring_scenes([token]))
        return self._starts[token]

    def _keep_starts(self, tokens: Sequence[str], scenes: ScoringScenes) -> None:
        arrays = scenes.arrays
        self._starts.update(zip(tokens, zip(arrays.start, arrays.plan_segment,
                                            arrays.plan_fraction, strict=True), strict=True))
