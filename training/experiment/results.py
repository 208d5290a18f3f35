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

"""The results of the experiment: gathered from its folder, as JSON, and from that as tables."""

from collections.abc import Iterable, Mapping, Sequence
import json
from pathlib import Path
from typing import Any

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.checkpoint import CheckpointError, load_card
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.experiment.jobs import recorded
from pair_drive_training.experiment.margins import margins, verdict
from pair_drive_training.experiment.rows import (
    ExperimentError,
    main_rows,
    POOR_BELOW,
    Row,
    Variant,
    VARIANT_SEED,
    variants,
)
from pair_drive_training.experiment.scores import COLUMNS, intervals, read_scores, RowScores
from pair_drive_training.experiment.tree_scores import TREE_FILE
from pair_drive_training.experiment.workbench import score_name, variant_score_name
from pair_drive_training.learning_curves import METRICS_FILE, read_rows
from pair_drive_training.run_state import read_progress
from pair_drive_training.training_run import STATE_FILE

BEGIN, END = '<!-- experiment: begin -->', '<!-- experiment: end -->'
# Of a run, what says nothing about what it learnt.
_NO_OPTIONS = ('out', 'cache', 'val_cache', 'device', 'threads', 'readers', 'save_minutes')
_VARIANT_COLUMNS = ('coverage', 'leaf', 'likeliest')


def gathered(out: Path, world: Path, seeds: Sequence[int], imitation: Mapping[str, Path]) -> dict:
    """
    Gather what is done of the experiment, whichever call did it.

    :raises ExperimentError: when rows were scored in different scenes
    """
    rows: list[dict] = []
    measured: list[dict] = []
    for protocol in Protocol:
        found = _row_scores(out, seeds, protocol)
        rows += [_described(row, found[row.name]) for row in main_rows() if row.name in found]
        if protocol is Protocol.NAVSIM_V1:
            measured = margins(found)
    return {'world': _world(world), 'imitation': {
        name: load_card(path).weights_sha256 for name, path in imitation.items()},
        'rows': rows, 'margins': measured, 'variants': _variants(out),
        'runs': [_run(path) for path in sorted((out / 'runs').glob('*')) if recorded(path)]}


def tables(results: Mapping[str, Any]) -> str:
    """Write the tables in Markdown."""
    lines = [*_caption(results)]
    for protocol, columns in COLUMNS.items():
        rows = [row for row in results['rows'] if row['protocol'] == protocol.value]
        if not rows:
            continue
        lines += ['', f'| {protocol.title}, {rows[0]["scenes"]} scenes | {columns[0]} | by seed | '
                  f'{" | ".join(columns[1:])} |', f'|---|{"---|" * (len(columns) + 1)}']
        for row in rows:
            poor = (f' ({row["scenes"]} scenes)' if row['scenes'] != rows[0]['scenes'] else '')
            cells = [_interval(row['columns'][columns[0]]),
                     ', '.join(f'{value:.1f}' for value in row['seeds'].values()),
                     *(_number(row['columns'][name][0]) for name in columns[1:])]
            lines.append(f'| {row["title"]}{poor} | {" | ".join(cells)} |')
    if results['margins']:
        lines += ['', '| must reach, PDMS (NAVSIM devkit v1.1) | measured | at least | |',
                  '|---|---|---|---|']
        for margin in results['margins']:
            value = _interval((margin['mean'], margin['low'], margin['high']))
            lines.append(f'| {margin["name"]} | {value} | {margin["required"]:.1f} | '
                         f'{verdict(margin)} |')
    if results['variants']:
        lines += ['', f'| refiner, seed {VARIANT_SEED}, PDMS (NAVSIM devkit v1.1) | best '
                  'candidate | mean leaf | likeliest leaf | selected |', '|---|---|---|---|---|']
        for variant in results['variants']:
            cells = [_number(variant[name]) for name in _VARIANT_COLUMNS]
            lines.append(f'| {variant["title"]} | {" | ".join(cells)} | '
                         f'{_interval(variant["selected"])} |')
    return '\n'.join(lines) + '\n'


def as_text(results: Mapping[str, Any]) -> str:
    """Write results as JSON, compactly: a line for each row."""
    lines = []
    for name, value in results.items():
        if isinstance(value, list) and value:
            entries = ',\n'.join(f'  {json.dumps(entry)}' for entry in value)
            lines.append(f' {json.dumps(name)}: [\n{entries}\n ]')
        else:
            lines.append(f' {json.dumps(name)}: {json.dumps(value)}')
    return '{\n' + ',\n'.join(lines) + '\n}\n'


def read_results(path: Path) -> dict:
    """Read what :func:`as_text` wrote; raises ExperimentError."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ExperimentError(f'{path}: cannot be read ({error}); run the experiment, which '
                              'writes it') from error


def put_into(page: Path, results: Mapping[str, Any]) -> None:
    """
    Replace what stands between the marks of a page by the tables.

    :raises ExperimentError: when the page lacks the marks
    """
    text = page.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ExperimentError(f'{page}: has no place for the tables; put the lines {BEGIN} and '
                              f'{END} where they belong')
    with written_whole(page) as file:
        file.write(f'{head}{BEGIN}\n\n{tables(results)}\n{END}{tail}'.encode())


def _row_scores(out: Path, seeds: Sequence[int], protocol: Protocol) -> dict[str, RowScores]:
    """Read the rows that are done, by the seeds that are."""
    found: dict[str, RowScores] = {}
    for row in main_rows():
        own = [seed for seed in seeds if recorded(out / 'scores' / score_name(row, seed, protocol))
               ] if row.seeded else []
        folders = [out / 'scores' / score_name(row, seed, protocol) for seed in own or [0]]
        if recorded(folders[0]):
            found[row.name] = read_scores(folders, own, protocol, row.oracle)
    if len({scores.tokens for scores in found.values()}) > 1:
        raise ExperimentError(f'{out / "scores"}: rows were scored in different scenes; give the '
                              'command with all of its rows again')
    poor = _poor(out)
    for row in main_rows():
        if row.poor and row.name in found:
            if poor is None or not poor.any():
                del found[row.name]
            else:
                found[row.name] = found[row.name].within(poor)
    return found


def _poor(out: Path) -> np.ndarray | None:
    """Return in which scenes the human drives poorly, by version 1, bool [N]."""
    human = main_rows()[0]
    folder = out / 'scores' / score_name(human, 0, Protocol.NAVSIM_V1)
    if not recorded(folder):
        return None
    return read_scores([folder], [], Protocol.NAVSIM_V1, False).values[0, :, 0] < POOR_BELOW


def _described(row: Row, scores: RowScores) -> dict:
    """Return a row for the JSON: columns as mean, low and high."""
    columns = COLUMNS[scores.protocol]
    ends = intervals(scores.of_seeds(scores.seeds), scores.logs)
    by_seed = {name: [_mean(values[:, place]) for values in scores.values]
               for place, name in enumerate(columns)}
    return {'row': row.name, 'title': row.title, 'protocol': scores.protocol.value,
            'scenes': len(scores.tokens),
            'seeds': {str(seed): by_seed[columns[0]][place]
                      for place, seed in enumerate(scores.seeds)},
            'columns': {name: [_rounded(value) for value in ends[:, place]]
                        for place, name in enumerate(columns)},
            'columns_by_seed': by_seed}


def _variants(out: Path) -> list[dict]:
    return [entry for variant in variants() if (entry := _variant(out, variant)) is not None]


def _variant(out: Path, variant: Variant) -> dict | None:
    folder, trees = out / 'scores' / variant_score_name(variant), out / 'trees' / variant.name
    if not (recorded(folder) and recorded(trees)):
        return None
    scores = read_scores([folder], [], Protocol.NAVSIM_V1, False)
    found = json.loads((trees / TREE_FILE).read_text())
    return {'variant': variant.name, 'title': variant.title, 'scenes': len(scores.tokens),
            **{name: _rounded(value) for name, value in found.items()},
            'selected': [_rounded(value)
                         for value in intervals(scores.values[0, :, :1], scores.logs)[:, 0]]}


def _world(folder: Path) -> dict:
    """Say what a world is made of, as its manifest has it."""
    path = folder / 'manifest.json'
    if not path.exists():
        return {}
    manifest = json.loads(path.read_text())
    return {'seed': manifest['seed'], 'preset': manifest['preset'],
            'scenes': {name: split['scenes'] for name, split in manifest['splits'].items()},
            'drives': {name: split['drives'] for name, split in manifest['splits'].items()}}


def _run(folder: Path) -> dict:
    """Say what a run was made of and how long it took."""
    progress = read_progress(folder / STATE_FILE)
    entries = progress.entries if progress else {}
    try:
        training = load_card(folder / 'best.safetensors').training
        told = {'data': training.data, 'revision': training.git_revision}
    except CheckpointError:
        told = {}
    return {'run': folder.name, **told, 'seconds': read_rows(folder / METRICS_FILE)[-1]['seconds'],
            'options': {name: _without_path(value) for name, value in entries.items()
                        if name not in _NO_OPTIONS and value not in (None, {}, '')}}


def _without_path(value: Any) -> Any:
    """Of a file keep the name, and of a checkpoint's or plans' the folder it lies in."""
    return '/'.join(Path(value).parts[-2:]) if isinstance(value, str) and '/' in value else value


def _caption(results: Mapping[str, Any]) -> Iterable[str]:
    world = results['world']
    if world:
        scenes = ', '.join(f'{count} {name}' for name, count in world['scenes'].items())
        yield (f'Our procedural world, preset {world["preset"]}, seed {world["seed"]}; scenes: '
               f'{scenes}. Percent.')
    yield ('Totals: mean over seeds, with the 95 % interval by bootstrap over the logs of the '
           'test split of the mean over seeds of each scene; the total of each seed; sub-scores: '
           'mean (their intervals are in the JSON). The imitation policies are the same '
           'checkpoints in all seeds: a seed is that of the RL branch, the selectors and the '
           'sequential baseline. Intervals do not hold what other seeds would change.')


def _interval(values: Sequence[float | None]) -> str:
    mean, low, high = values
    return f'{_number(mean)} [{_number(low)}, {_number(high)}]'


def _number(value: float | None) -> str:
    # No minus before what rounds to nothing.
    return '-' if value is None else f'{round(value, 1) + 0.0:.1f}'


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return _rounded(known.mean()) if known.size else None


def _rounded(value: float) -> float | None:
    """JSON knows no NaN."""
    return round(float(value), 2) if np.isfinite(value) else None
