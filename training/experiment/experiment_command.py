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
Train and score every row of the comparison of both branches; goes on where it was.

The world has caches and scene filters as "make-world" and "cache" make them: cache_train (with
features, targets and navsim_v1), cache_val (the same) and cache_test (both protocols),
scene_filter/world_{train,val,test}.yaml. OUT gets runs/, plans/, scores/, trees/ and logs/, and
from all that is done results.json and results.md.

--table-only writes the section of docs/results.md, in the checkout in which it runs, from
docs/refinement_experiment.json alone; with --out it first puts results.json there.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
import signal

from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.architectures import checkpoint_file
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.data.work_folder import locked
from pair_drive_training.experiment.results import (
    as_text,
    gathered,
    put_into,
    read_results,
    tables,
)
from pair_drive_training.experiment.rows import chosen, ExperimentError, GROUPS, IMITATION
from pair_drive_training.experiment.workbench import Workbench, World

# Of the checkout, in which the command runs: an installed package has no documents.
RESULTS, PAGE = Path('docs/refinement_experiment.json'), Path('docs/results.md')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--world', type=Path, metavar='DIR', help='world with its caches')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder of the experiment')
    parser.add_argument('--seeds', type=int, metavar='N', default=3,
                        help='how many of the RL branch, the selectors and the baseline')
    parser.add_argument('--rows', nargs='+', metavar='NAME', default=[GROUPS[0]],
                        help=f'rows to make: {", ".join(GROUPS)}, or some by their names')
    parser.add_argument('--processes', type=int, metavar='N', default=2,
                        help='commands that run side by side, one thread each')
    parser.add_argument('--train-tokens', type=Path, metavar='FILE',
                        help='scenes to train on instead of all of the split')
    parser.add_argument('--imitation', nargs='+', metavar='NAME=FILE', default=(),
                        help=f'checkpoints instead of those that ship as {", ".join(IMITATION)}')
    parser.add_argument('--recipes', type=Path, metavar='DIR', default=Path('config'),
                        help='folder of train_refiner_mini.yaml, train_selector_mini.yaml and '
                             'train_sequential_*_mini.yaml')
    parser.add_argument('--table-only', action='store_true', help='run nothing, see above')


def run(options: argparse.Namespace) -> int:
    """Run what is missing and write the results; return 0."""
    if options.table_only:
        if options.out is not None:
            _write(RESULTS, as_text(read_results(options.out / 'results.json')))
        put_into(PAGE, read_results(RESULTS))
        print(f'{PAGE}: written from {RESULTS}')
        return 0
    if options.world is None or options.out is None:
        raise ExperimentError('give --world and --out, or --table-only')
    if options.seeds < 1 or options.processes < 1:
        raise ExperimentError('seeds, processes: expected 1 or more')
    rows, others = chosen(options.rows)
    tokens = options.train_tokens.resolve() if options.train_tokens else None
    world = World(options.world.resolve(), tokens)
    world.check()
    out, imitation = options.out.resolve(), _imitation(options.imitation)
    workbench = Workbench(world, out, imitation, options.recipes.resolve())
    seeds = range(options.seeds)
    for seed in seeds:
        for row in rows:
            for protocol in Protocol:
                workbench.scores(row, seed, protocol)
    for variant in others:
        workbench.variant(variant)
    out.mkdir(parents=True, exist_ok=True)
    # Ended like this too, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with locked(out, ExperimentError, 'at this experiment'):
        try:
            workbench.jobs.run(options.processes)
        finally:
            results = gathered(out, world.folder, seeds, imitation)
            _write(out / 'results.json', as_text(results))
            _write(out / 'results.md', tables(results))
    print(tables(results), end='')
    return 0


def _imitation(given: Sequence[str]) -> dict[str, Path]:
    """Return the checkpoint of each imitation policy."""
    named = dict(entry.partition('=')[::2] for entry in given)
    unknown = [name for name in named if name not in IMITATION]
    if unknown:
        raise ExperimentError(f'imitation: expected NAME=FILE with a name of '
                              f'{", ".join(IMITATION)}, got {unknown[0]!r}')
    found = {name: checkpoint_file(named.get(name, name)).resolve() for name in IMITATION}
    for name, path in found.items():
        if not path.exists():
            raise ExperimentError(f'imitation: {name}: there is no file {path}')
    return found


def _write(path: Path, text: str) -> None:
    with written_whole(path) as file:
        file.write(text.encode())
