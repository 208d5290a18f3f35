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

"""What an evaluation says in the end: means with intervals, counts, and the files with it all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scene_file import write_arrays
from pair_drive_training.evaluation.bootstrap import (
    clusters_of,
    COVERAGE_PERCENT,
    DRAWS,
    mean_intervals,
    SEED,
)
from pair_drive_training.evaluation.one_stage import COLUMNS, Scores, TOTAL
from pair_drive_training.evaluation.two_stage import OFFICIAL_COLUMNS, TwoStageScores

FAILURES_SHOWN = 10
# Columns that only the files hold: they are no sub-scores, or not by the protocol.
AUXILIARY = ('mult', 'pdm_score', 'EPDMS_noEC')


@dataclass(frozen=True)
class View:
    """
    Means of one way to look at the scores.

    ``intervals`` [3, C]: mean, and the ends of its interval, a failed scene counting as 0;
    ``over_valid`` [C]: the devkit's mean, which leaves failed scenes out (NaN where it has none).
    """

    name: str
    columns: tuple[str, ...]
    intervals: np.ndarray
    over_valid: np.ndarray


@dataclass(frozen=True)
class Subject:
    """
    What was evaluated.

    ``source`` names policy or plans, ``refiner`` and ``selector`` the RL branch behind it, if
    any; ``without`` are the sensors that were taken away, ``blind`` says that all were zero.
    """

    source: str
    without: tuple[str, ...] = ()
    refiner: str = ''
    selector: str = ''
    blind: bool = False

    def __str__(self) -> str:
        """Name all of it in one line."""
        return ''.join((
            self.source,
            f' refined by {self.refiner} and {self.selector}' if self.refiner else '',
            f' without {", ".join(self.without)}' if self.without else '',
            ', blind' if self.blind else ''))


@dataclass(frozen=True)
class Summary:
    """
    The result of an evaluation; ``views[0]`` holds the headline.

    ``setting`` names the stages and the traffic; ``resampled`` what the intervals come from;
    ``unknown`` are tokens with plans that the cache has no scene of.
    """

    protocol: Protocol
    subject: Subject
    setting: str
    asked: int
    failures: Mapping[str, str]
    unknown: tuple[str, ...]
    plans_per_scene: tuple[int, int]
    resampled: str
    views: tuple[View, ...]

    @property
    def total(self) -> tuple[float, float, float]:
        """Return the headline: mean of the total and its interval."""
        view = self.views[0]
        mean, low, high = view.intervals[:, view.columns.index(TOTAL[self.protocol])]
        return float(mean), float(low), float(high)

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values; what is not defined is null."""
        return {
            'protocol': self.protocol.value, 'title': self.protocol.title,
            'setting': self.setting, **asdict(self.subject),
            'scenes': {'asked': self.asked, 'scored': self.asked - len(self.failures),
                       'failed': len(self.failures)},
            'plans_per_scene': dict(zip(('least', 'most'), self.plans_per_scene, strict=True)),
            'intervals': self.resampled,
            'views': {view.name: _view_json(view) for view in self.views},
            'failures': dict(self.failures), 'plans_without_scene': list(self.unknown)}

    def table(self) -> str:
        """Lay the headline view and the totals of the others out for a terminal."""
        lines = [f'{self.protocol.title}, {self.setting}: {self.subject}', f'  {self.counts}',
                 f'  {self.views[0].name}; intervals: {self.resampled}',
                 '  column          mean      95 % interval    over valid']
        view = self.views[0]
        lines += [f'  {name:<12}{_interval(view, column)}'
                  for column, name in enumerate(view.columns) if name not in AUXILIARY]
        total = TOTAL[self.protocol]
        for view in self.views[1:]:
            lines.append(f'  {total}, {view.name}: '
                         f'{_interval(view, view.columns.index(total)).strip()}')
        lines += [f'  failed: {token}: {reason}'
                  for token, reason in list(self.failures.items())[:FAILURES_SHOWN]]
        if len(self.failures) > FAILURES_SHOWN:
            lines.append(f'  ... and {len(self.failures) - FAILURES_SHOWN} more in summary.json')
        if self.unknown:
            lines.append(f'  {len(self.unknown)} plans without a scene in the cache were left '
                         f'out, first {self.unknown[0]}')
        return '\n'.join(lines)

    @property
    def counts(self) -> str:
        """Asked, scored and failed in one line."""
        return (f'{self.asked} scenes asked, {self.asked - len(self.failures)} scored, '
                f'{len(self.failures)} failed (a failed scene counts as 0)')


def summarise(scores: Scores, subject: Subject, unknown: Sequence[str]) -> Summary:
    """Average a one-stage evaluation; with several plans a scene in three ways."""
    columns = COLUMNS[scores.protocol]
    tokens = scores.tokens
    clusters = clusters_of([scores.heads[token].log_name if token in scores.heads else ''
                            for token in tokens])
    rows = {'one plan a scene': [table[0] for table in scores.tables.values()]}
    least, most = _plans_per_scene(scores)
    if most > 1:
        total = scores.total_column
        rows = {'first plan of each scene': rows['one plan a scene'],
                'mean over the plans of each scene': [
                    table.mean(axis=0) for table in scores.tables.values()],
                'oracle: best plan of each scene': [
                    table[np.argmax(table[:, total])] for table in scores.tables.values()]}
    failed = np.zeros((len(scores.failures), len(columns)))
    if 'EC' in columns:
        failed[:, columns.index('EC')] = np.nan
    views = []
    for name, scored in rows.items():
        valid = np.reshape(scored, (-1, len(columns)))
        views.append(View(name, columns, mean_intervals(np.concatenate([valid, failed]), clusters),
                          _mean_of_known(valid)))
    return Summary(scores.protocol, subject, 'one stage, logged traffic', len(tokens),
                   scores.failures, tuple(unknown), (least, most),
                   _resampling(clusters.unit, clusters.count), tuple(views))


def summarise_two_stage(scores: Scores, result: TwoStageScores, subject: Subject,
                        unknown: Sequence[str]) -> Summary:
    """
    Average a two-stage evaluation over the entries of its mapping.

    The devkit gives no two-stage number when a scene failed, so then there is none over the valid
    ones either.
    """
    clusters = clusters_of([scores.heads[entry.now].log_name for entry in result.entries])
    nothing = np.full(len(OFFICIAL_COLUMNS), np.nan)
    views = []
    for name, stage in (('both stages combined', result.groups), ('first stage', result.first),
                        ('second stage', result.second)):
        intervals = mean_intervals(stage.mean(axis=0), clusters)
        views.append(View(name, OFFICIAL_COLUMNS, intervals,
                          nothing if scores.failures else intervals[0]))
    return Summary(scores.protocol, subject, 'two stages, reactive traffic', len(scores.tokens),
                   scores.failures, tuple(unknown), _plans_per_scene(scores),
                   _resampling(clusters.unit if clusters.unit == 'logs' else 'mapping entries',
                               clusters.count), tuple(views))


def write_scores(folder: Path, scores: Scores, summary: Summary,
                 weights: Mapping[str, float] | None = None) -> None:
    """
    Write scores.npz, per_token.jsonl and summary.json.

    :param weights: of the second-stage scenes, by token
    :raises OSError: when the folder cannot be written to
    """
    write_arrays(folder / 'scores.npz', {
        'protocol': np.array(scores.protocol.value),
        'cols': np.array(COLUMNS[scores.protocol]), **scores.tables})
    with written_whole(folder / 'per_token.jsonl') as file:
        for token in scores.tokens:
            file.write(json.dumps(_line(token, scores, weights)).encode() + b'\n')
    with written_whole(folder / 'summary.json') as file:
        file.write(json.dumps(summary.as_json(), indent=2).encode() + b'\n')


def _line(token: str, scores: Scores, weights: Mapping[str, float] | None) -> dict[str, Any]:
    head = scores.heads.get(token)
    line: dict[str, Any] = {
        'token': token, 'log': None if head is None else head.log_name,
        'previous_token': scores.previous.get(token), 'failure': scores.failures.get(token)}
    if weights is not None:
        line['weight'] = weights.get(token)
    table = scores.tables.get(token)
    for index, name in enumerate(COLUMNS[scores.protocol]):
        values = None if table is None else [_number(value) for value in table[:, index]]
        line[name] = values[0] if values is not None and len(values) == 1 else values
    return line


def _view_json(view: View) -> dict[str, Any]:
    return {name: {'mean': _number(mean), 'low': _number(low), 'high': _number(high),
                   'over_valid': _number(valid)}
            for name, mean, low, high, valid in zip(view.columns, *view.intervals,
                                                    view.over_valid, strict=True)}


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None


def _interval(view: View, column: int) -> str:
    mean, low, high = view.intervals[:, column]
    return (f'{_text(mean)}   [{_text(low)}, {_text(high)}]   {_text(view.over_valid[column])}')


def _text(value: float) -> str:
    return f'{value:8.4f}' if np.isfinite(value) else '       -'


def _plans_per_scene(scores: Scores) -> tuple[int, int]:
    counts = [len(table) for table in scores.tables.values()] or [0]
    return min(counts), max(counts)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.divide(np.where(known, values, 0.0).sum(axis=0), count,
                     out=np.full(values.shape[1], np.nan), where=count > 0)


def _resampling(unit: str, count: int) -> str:
    return (f'{COVERAGE_PERCENT:g} % percentile bootstrap over {count} {unit}, {DRAWS} draws, '
            f'seed {SEED}')
