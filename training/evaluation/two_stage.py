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
Two stages (version 2, navhard): follow-up scenes count by how near the first plan leads to them.

Source: the devkit's ``run_pdm_score.py``. Every entry of a split's mapping has two original
frames, now and the one before, and pairs of synthetic scenes that follow them. Both frames of a
pair get the pair's extended comfort.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scene_file import V2_COLUMNS
from pair_drive_ros.scoring.two_stage import follow_up_weights, group_score, two_stage_score
from pair_drive_training.evaluation.one_stage import (
    overlap_start,
    SceneHead,
    SceneSource,
    score_scenes,
    Scores,
)

# The columns that the devkit averages.
OFFICIAL_COLUMNS = ('NC', 'DAC', 'DDC', 'TLC', 'EP', 'TTC', 'LK', 'HC', 'EC', 'EPDMS')

_EC, _TOTAL, _WITHOUT_EC, _MULTIPLIER = (
    V2_COLUMNS.index(name) for name in ('EC', 'EPDMS', 'EPDMS_noEC', 'mult'))
_OFFICIAL = [V2_COLUMNS.index(name) for name in OFFICIAL_COLUMNS]


class TwoStageError(ValueError):
    """A mapping is not sound, or the scenes and plans do not fit it."""


@dataclass(frozen=True)
class Entry:
    """Tokens of a mapping entry; ``follow_ups`` are pairs of synthetic scenes, now and before."""

    now: str
    before: str
    follow_ups: tuple[tuple[str, str], ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All pairs of both stages, now and before."""
        return ((self.now, self.before), *self.follow_ups)


@dataclass(frozen=True)
class TwoStageScores:
    """
    Scores of E mapping entries in the order of ``OFFICIAL_COLUMNS``.

    ``groups`` [2, E, C] of now and before: first stage times the weighted second stage; ``first``
    and ``second`` [2, E, C] are those stages by themselves; ``weights`` by synthetic token.
    """

    entries: tuple[Entry, ...]
    groups: np.ndarray
    first: np.ndarray
    second: np.ndarray
    weights: Mapping[str, float]

    @property
    def combined(self) -> np.ndarray:
        """Average the groups into the final columns [C]; the last one is the two-stage EPDMS."""
        return two_stage_score(self.groups[0], self.groups[1])


def mapping_entries(mapping: Iterable[tuple[str, str, Sequence[tuple[str, str]]]]
                    ) -> tuple[Entry, ...]:
    """
    Take over the ``reactive_all_mapping`` of one of NAVSIM's splits.

    :raises TwoStageError: when a frame has no follow-up, or a scene is named twice
    """
    entries = tuple(Entry(now, before, tuple(pairs)) for now, before, pairs in mapping)
    seen: set[str] = set()
    for entry in entries:
        if not entry.follow_ups:
            raise TwoStageError(f'the mapping names no second stage of {entry.now}; correct the '
                                'split')
        for token in (token for pair in entry.pairs for token in pair):
            if token in seen:
                raise TwoStageError(f'the mapping names the scene {token} twice, so its weight is '
                                    'not defined; correct the split')
            seen.add(token)
    return entries


def check_scenes(entries: Sequence[Entry], heads: Mapping[str, SceneHead]) -> None:
    """
    Check that all scenes of the mapping are there, and that its pairs are consecutive frames.

    :raises TwoStageError: naming those that are not
    """
    tokens = [token for entry in entries for pair in entry.pairs for token in pair]
    missing = [token for token in tokens if token not in heads]
    if missing:
        raise TwoStageError(f'{len(missing)} of {len(tokens)} scenes of the mapping are not in '
                            f'the cache: {", ".join(missing[:5])}{", ..." if missing[5:] else ""};'
                            ' build it with the same split, synthetic scenes included')
    for now, before in (pair for entry in entries for pair in entry.pairs):
        if not overlap_start(heads[now], heads[before]):
            gap_s = (heads[now].time_us - heads[before].time_us) * 1e-6
            raise TwoStageError(f'the scenes {now} and {before} of the mapping are {gap_s:.2f} s '
                                'apart, but extended comfort needs the second less than 0.55 s '
                                'before the first; correct the split')


def evaluate_two_stage(entries: Sequence[Entry], heads: Mapping[str, SceneHead],
                       plans: Mapping[str, np.ndarray], failures: Mapping[str, str],
                       scoring_scenes: SceneSource) -> tuple[Scores, TwoStageScores]:
    """
    Score the plans of both stages and combine them over the mapping.

    A failed scene counts as 0 in every column, and so does the EC of its pair.

    :param plans: [1, 8, 3] by token
    :param failures: reasons of the tokens that have no plan
    :param scoring_scenes: scenes with the traffic that reacts to the plans
    :raises TwoStageError: when a scene of the mapping is not there, its pair is not consecutive,
        or a token has several plans
    """
    check_scenes(entries, heads)
    several = next((token for token, its_plans in plans.items() if len(its_plans) != 1), None)
    if several is not None:
        raise TwoStageError(f'{several}: {len(plans[several])} plans, but two stages follow one '
                            'plan of each scene; choose one')
    pairs = {now: before for entry in entries for now, before in entry.pairs}
    wanted = [token for pair in pairs.items() for token in pair]
    scores = score_scenes(heads, {token: plans[token] for token in wanted if token in plans},
                          pairs, scoring_scenes, Protocol.NAVSIM_V2,
                          {token: failures[token] for token in wanted if token in failures})
    tables = {token: table.copy() for token, table in scores.tables.items()}
    for now, before in pairs.items():
        whole = now in tables and before in tables
        comfort = scores.tables[now][:, _EC] if whole else np.zeros(1)
        for token in (now, before):
            if token in tables:
                tables[token] = with_extended_comfort(tables[token], comfort)
    endpoints = {token: compose(heads[token].pose, plan[0, -1])[:2]
                 for token, plan in plans.items() if token in tables}
    starts = {token: heads[token].pose[:2] for token in wanted}
    rows = {token: table[0, _OFFICIAL] for token, table in tables.items()}
    return (Scores(Protocol.NAVSIM_V2, heads, tables, scores.previous,
                   scores.failures),
            combine(entries, rows, endpoints, starts))


def with_extended_comfort(table: np.ndarray, comfort: np.ndarray) -> np.ndarray:
    """Put EC [K] into a table [K, columns] of version 2 and total it again."""
    table = table.copy()
    table[:, _EC] = comfort
    table[:, _TOTAL] = (14.0 * table[:, _WITHOUT_EC] + 2.0 * table[:, _MULTIPLIER] * comfort) / 16
    return table


def combine(entries: Sequence[Entry], rows: Mapping[str, np.ndarray],
            endpoints: Mapping[str, np.ndarray], starts: Mapping[str, np.ndarray]
            ) -> TwoStageScores:
    """
    Weigh the second stages by the planned endpoints of the first and multiply.

    :param rows: official columns [C] by token; a token without a row counts as 0
    :param endpoints: [2] last planned position of a plan in the map frame, m
    :param starts: [2] rear-axle position that a scene starts from in the map frame, m
    """
    zeros = np.zeros(len(OFFICIAL_COLUMNS))
    shape = (2, len(entries), len(OFFICIAL_COLUMNS))
    groups, first, second = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    weights: dict[str, float] = {}
    for number, entry in enumerate(entries):
        for side, token in enumerate((entry.now, entry.before)):
            following = [pair[side] for pair in entry.follow_ups]
            # Without a plan no scene is near its end: all weigh the same.
            end = endpoints.get(token, np.full(2, np.inf))
            share = follow_up_weights(end, np.stack([starts[other] for other in following]))
            weights.update(zip(following, share.tolist(), strict=True))
            later = np.stack([rows.get(other, zeros) for other in following])
            first[side, number] = rows.get(token, zeros)
            second[side, number] = share @ later
            groups[side, number] = group_score(first[side, number], later, share)
    return TwoStageScores(tuple(entries), groups, first, second, weights)
