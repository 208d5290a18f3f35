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

"""Scores by scene, seed and protocol as the command "evaluate" left them, and their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.evaluation.bootstrap import clusters_of, mean_intervals
from pair_drive_training.evaluation.one_stage import TOTAL

COLUMNS = {Protocol.NAVSIM_V1: ('PDMS', 'NC', 'DAC', 'EP', 'TTC', 'C'),
           Protocol.NAVSIM_V2: ('EPDMS', 'NC', 'DAC', 'DDC', 'TLC', 'EP', 'TTC', 'LK', 'HC', 'EC')}
"""What the tables show, the total first."""


@dataclass(frozen=True)
class RowScores:
    """
    Scores of a row in N scenes by S seeds, 0 to 100; what is not defined is NaN.

    ``values`` [S, N, C] in the order of ``COLUMNS``; a row that nothing of was trained has no
    ``seeds``, and S is 1. ``logs`` and ``tokens`` of the scenes, in the order of the tokens.
    """

    protocol: Protocol
    seeds: tuple[int, ...]
    tokens: tuple[str, ...]
    logs: tuple[str, ...]
    values: np.ndarray

    def of_seeds(self, seeds: Sequence[int]) -> np.ndarray:
        """Return the mean over some seeds of each scene, [N, C]."""
        if not self.seeds:
            return self.values[0]
        return self.values[[self.seeds.index(seed) for seed in seeds]].mean(axis=0)

    def within(self, wanted: np.ndarray) -> 'RowScores':
        """Return the scores of some scenes, bool [N]."""
        kept = np.flatnonzero(wanted)
        return RowScores(self.protocol, self.seeds, tuple(self.tokens[i] for i in kept),
                         tuple(self.logs[i] for i in kept), self.values[:, kept])


def read_scores(folders: Sequence[Path], seeds: Sequence[int], protocol: Protocol,
                oracle: bool) -> RowScores:
    """
    Read a row's scores, those of each seed from its folder.

    :param seeds: of the folders; none for one folder that no seed made
    :param oracle: take of several plans in a scene the best by its total, not the first
    """
    names = COLUMNS[protocol]
    values = []
    for folder in folders:
        lines = sorted((json.loads(line) for line in
                        (folder / 'per_token.jsonl').read_text().splitlines()),
                       key=lambda line: line['token'])
        # [N, C, K]: a number for one plan, a list for several.
        table = [[np.atleast_1d(np.array(line[name], dtype=np.float64)) for name in names]
                 for line in lines]
        picks = [int(np.argmax(row[names.index(TOTAL[protocol])])) if oracle else 0
                 for row in table]
        values.append([[column[pick] for column in row]
                       for row, pick in zip(table, picks, strict=True)])
    return RowScores(protocol, tuple(seeds), tuple(line['token'] for line in lines),
                     tuple(line['log'] for line in lines), 100.0 * np.array(values))


def intervals(scenes: np.ndarray, logs: Sequence[str]) -> np.ndarray:
    """
    Return mean, low and high of each column, [3, C]: 95 %, by bootstrap over logs.

    :param scenes: [N, C], the mean over seeds of each scene
    """
    return mean_intervals(scenes, clusters_of(logs))
