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
Scoring in traffic that reacts to the plan (version 2's reactive policy).

Every plan meets objects of its own, so every plan is scored in a scene of its own; the reference
is driven in the plan's traffic (sic) and the human in the human's.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import pdm_score, pdm_trace, Protocol, ScoringScenes, SubScores
from pair_drive_ros.scoring.arrays import SceneArrays
from pair_drive_ros.scoring.preparation import KnownPaths, with_objects
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.idm_traffic import IdmTraffic
from pair_drive_training.data.records import (
    reference_of,
    SCENES,
    scoring_scene,
    traffic_of,
)

V2 = Protocol.NAVSIM_V2


class ReactiveScene:
    """
    One scene whose vehicles react.

    :param prepared: the scene with the log replayed
    :param traffic: its vehicles
    :param known: the reference and, unless the scene is synthetic, the human's future
    """

    def __init__(self, prepared: ScoringScenes, traffic: IdmTraffic, known: KnownPaths):
        self._prepared = prepared
        self._traffic = traffic
        self._known = known
        self._human = prepared.arrays.human
        if known.human is not None:
            self._human = self._among_traffic(known.human, known).human

    @classmethod
    def read(cls, cache: Cache, token: str) -> 'ReactiveScene':
        """
        Read a scene from a cache that was made with its traffic.

        :raises CacheError: when the scene or its traffic is not in the cache
        """
        record = cache.read(SCENES, token)
        human = record['human'] if record['has_human'] else None
        known = KnownPaths(record['ego'], int(record['time_us']),
                           reference_of(cache, token, V2), human)
        return cls(scoring_scene(cache, token, V2), traffic_of(cache, token), known)

    def scenes(self, plans: np.ndarray) -> ScoringScenes:
        """Make a batch of K scenes for plans [K, 8, 3], each with the traffic of its plan."""
        alone = replace(self._known, human=None)
        parts = []
        for plan in plans:
            arrays = self._among_traffic(plan, alone)._replace(human=self._human)
            parts.append(ScoringScenes(V2, self._prepared.names, arrays))
        return ScoringScenes.concatenate(parts, V2)

    def score(self, plans: np.ndarray, previous_plans: np.ndarray | None = None,
              human_filter: bool = True) -> SubScores:
        """
        Score plans [K, 8, 3], each in its own traffic; the sub-scores are [K, 1].

        :raises PlanError: when a plan is not finite
        """
        previous = None if previous_plans is None else previous_plans[:, None]
        return pdm_score(plans[:, None], self.scenes(plans), V2, previous_plans=previous,
                         human_filter=human_filter)

    def _among_traffic(self, plan: np.ndarray, known: KnownPaths) -> SceneArrays:
        states = pdm_trace(plan[None, None], self._prepared, V2).states[0, 0]
        states[:, :2] += known.ego[:2]
        return with_objects(self._prepared.arrays, self._traffic.run(states), known, V2)


def reactive_scenes(cache: Cache, tokens: Sequence[str], plans: np.ndarray) -> ScoringScenes:
    """
    Make a batch of scenes, each with the traffic of its one plan.

    :param plans: [B, 8, 3]
    :raises CacheError: when a scene or its traffic is not in the cache
    """
    return ScoringScenes.concatenate(
        [ReactiveScene.read(cache, token).scenes(plan[None])
         for token, plan in zip(tokens, plans, strict=True)], V2)
