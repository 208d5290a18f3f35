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
Train and score the imitation baselines on a procedural world: the tables of docs/results.md.

``python benchmarks/imitation_baselines.py WORLD RUNS`` caches the splits of WORLD, trains each
recipe of config/ with three seeds in RUNS, scores all of it on ``world_test`` and writes
docs/imitation_baselines.json and, from it, the tables. It can be interrupted: what is done is
not done again. ``--tables`` writes the tables from the JSON alone, ``--ship`` puts the seed that
validates best into the package, in half precision.
"""

import argparse
from collections.abc import Mapping, Sequence
import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.architectures import CHECKPOINTS, load_policy
from pair_drive_ros.models.checkpoint import load_card, save_checkpoint
from pair_drive_ros.scoring import Protocol
from pair_drive_training.__main__ import main as run_command

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / 'docs' / 'imitation_baselines.json', ROOT / 'docs' / 'results.md'
SEEDS = (0, 1, 2)
CONTROLS = ('human', 'pdm_closed', 'constant_velocity')
RECIPES = ('ego_status', 'transfuser', 'ltf', 'diffusion_drive')
LOSSES = {'transfuser': (('left', 'right'), ('front',), ('lidar',), ('left', 'right', 'lidar')),
          'diffusion_drive': (('left', 'right'), ('front',), ('lidar',),
                              ('left', 'right', 'lidar'))}
COLUMNS = {Protocol.NAVSIM_V1: ('PDMS', 'NC', 'DAC', 'EP', 'TTC', 'C'),
           Protocol.NAVSIM_V2: ('EPDMS', 'NC', 'DAC', 'DDC', 'TLC', 'EP', 'TTC', 'LK', 'HC', 'EC')}
BEGIN, END = '<!-- imitation baselines: begin -->', '<!-- imitation baselines: end -->'


def main() -> None:
    """Cache, train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('world', type=Path, nargs='?')
    parser.add_argument('runs', type=Path, nargs='?')
    parser.add_argument('--recipes', nargs='+', choices=RECIPES, default=RECIPES)
    parser.add_argument('--seeds', nargs='+', type=int, default=SEEDS)
    parser.add_argument('--train-only', action='store_true', help='leave the scores for later')
    parser.add_argument('--ship', action='store_true', help='replace the checkpoints that ship')
    parser.add_argument('--tables', action='store_true', help='write the tables from the JSON')
    options = parser.parse_args()
    if not options.tables:
        caches = {split: cached(options.world, split) for split in ('train', 'val', 'test')}
        for seed in options.seeds:
            for recipe in options.recipes:
                train(recipe, seed, caches, options.world, options.runs)
        if options.ship:
            for recipe in options.recipes:
                ship(recipe, options.seeds, options.runs)
        if options.train_only:
            return
        rows = score_all(options.runs, caches['test'], options.recipes, options.seeds)
        with written_whole(RESULTS) as file:
            file.write(json.dumps(rows, indent=1).encode() + b'\n')
    write_tables(json.loads(RESULTS.read_text()))


def cached(world: Path, split: str) -> Path:
    """Cache what training or scoring need of a split; only the test is scored by both versions."""
    out = world / f'cache_{split}'
    protocol = 'both' if split == 'test' else Protocol.NAVSIM_V1.value
    run_command(['cache', '--logs', str(world / 'navsim_logs' / split), '--maps',
                 str(world / 'maps'), '--tokens', str(filter_of(world, split)), '--sensors',
                 str(world / 'sensor_blobs' / split), '--features', 'mini', '--protocol', protocol,
                 '--out', str(out)])
    return out


def filter_of(world: Path, split: str) -> Path:
    """Return the scene filter of a split."""
    return world / 'scene_filter' / f'world_{split}.yaml'


def train(recipe: str, seed: int, caches: Mapping[str, Path], world: Path, runs: Path) -> None:
    """Train a recipe, or go on with it: one process of one thread on each core."""
    anchors = runs / 'anchors.npy'
    if not anchors.exists():
        run_command(['make-anchors', '--cache', str(caches['train']), '--tokens',
                     str(filter_of(world, 'train')), '--out', str(anchors)])
    begun_with = ['--anchors', str(anchors), '--init',
                  str(runs / f'transfuser_{seed}' / 'best.safetensors')]
    subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone',
                    '--nproc_per_node', str(len(os.sched_getaffinity(0))),
                    '-m', 'pair_drive_training', 'train',
                    '--config', str(ROOT / 'config' / f'train_{recipe}_mini.yaml'),
                    '--cache', str(caches['train']), '--tokens', str(filter_of(world, 'train')),
                    '--val-cache', str(caches['val']), '--val-tokens',
                    str(filter_of(world, 'val')), '--seed', str(seed), '--threads', '1',
                    '--readers', '1', '--out', str(runs / f'{recipe}_{seed}'),
                    *(begun_with if recipe == 'diffusion_drive' else [])],
                   check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})


def ship(recipe: str, seeds: Sequence[int], runs: Path) -> None:
    """Save the seed that validates best as the checkpoint that ships."""
    best = max((runs / f'{recipe}_{seed}' / 'best.safetensors' for seed in seeds),
               key=lambda path: load_card(path).training.metrics['val/navsim_v1'])
    policy, card = load_policy(best)
    save_checkpoint(CHECKPOINTS / f'{recipe}.safetensors', policy, card.training, half=True)
    print(f'{recipe}: {best}')


def score_all(runs: Path, cache: Path, recipes: Sequence[str],
              seeds: Sequence[int]) -> list[dict]:
    """
    Return a row for each policy: its name, missing sensors, protocol and columns.

    Missing sensors are scored by version 1 alone.
    """
    rows = []
    for protocol in Protocol:
        for name in CONTROLS:
            rows.append(row(name, protocol, (), [score(runs, cache, protocol, name, name)]))
        for name in recipes:
            losses = LOSSES.get(name, ()) if protocol is Protocol.NAVSIM_V1 else ()
            for without in ((), *losses):
                summaries = [score(runs, cache, protocol, str(
                    runs / f'{name}_{seed}' / 'best.safetensors'), f'{name}_{seed}', without)
                    for seed in seeds]
                rows.append(row(name, protocol, without, summaries))
    return rows


def score(runs: Path, cache: Path, protocol: Protocol, policy: str, name: str,
          without: Sequence[str] = ()) -> dict:
    """Run the command ``evaluate``, unless it has, and return its summary."""
    out = runs / 'scores' / '_'.join((name, protocol.value, *without))
    summary = out / 'summary.json'
    weights = Path(policy)
    # Weights that were trained on since have other scores.
    if not summary.exists() or (weights.exists()
                                and weights.stat().st_mtime > summary.stat().st_mtime):
        run_command(['evaluate', '--cache', str(cache), '--protocol', protocol.value, '--policy',
                     policy, '--out', str(out),
                     *(['--without', *without] if without else [])])
    return json.loads(summary.read_text())


def row(name: str, protocol: Protocol, without: Sequence[str], summaries: list[dict]) -> dict:
    """Put the summaries of one policy's seeds together, in percent."""
    views = [summary['views']['one plan a scene'] for summary in summaries]
    return {'policy': name, 'protocol': protocol.value, 'without': list(without),
            'columns': {column: [[None if view[column][part] is None else
                                  round(100.0 * view[column][part], 2)
                                  for part in ('mean', 'low', 'high')] for view in views]
                        for column in COLUMNS[protocol]}}


def write_tables(rows: Sequence[dict]) -> None:
    """Write the tables into docs/results.md, between their marks."""
    lines = []
    for protocol, columns in COLUMNS.items():
        lines += ['', f'| {protocol.title} | {" | ".join(columns)} |',
                  f'|---|{"---|" * len(columns)}']
        for entry in rows:
            if entry['protocol'] == protocol.value:
                lost = f' without {", ".join(entry["without"])}' if entry['without'] else ''
                cells = [cell(entry['columns'][column]) for column in columns]
                lines.append(f'| {entry["policy"]}{lost} | {" | ".join(cells)} |')
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with written_whole(PAGE) as file:
        file.write('\n'.join([head + BEGIN, *lines, '', END + tail]).encode())


def cell(seeds: Sequence[Sequence[float | None]]) -> str:
    """Write mean and spread of several seeds, or one mean with its 95 % interval."""
    means = [values[0] for values in seeds if values[0] is not None]
    if not means:
        return '-'
    if len(means) > 1:
        return f'{np.mean(means):.1f} +- {np.std(means, ddof=1):.1f}'
    return f'{means[0]:.1f} [{seeds[0][1]:.1f}, {seeds[0][2]:.1f}]'


if __name__ == '__main__':
    main()
