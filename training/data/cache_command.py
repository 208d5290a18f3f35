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
Prepare scenes for training and evaluation: what takes long is done once, in parallel.

Can be interrupted at any time: the same command goes on where it was. A cache grows: by another
split, by --sensors, by the other protocol. Scenes that failed are tried again each time.
"""

import argparse
from collections.abc import Iterator, Mapping
import os
from pathlib import Path
import re

from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import CacheError
from pair_drive_training.data.cache_builder import BuildReport, CacheBuilder
from pair_drive_training.data.chunks import ERRORS_FILE
from pair_drive_training.data.navsim_recipe import Maps, NavsimRecipe
from pair_drive_training.data.scene_filter import load_filter
from pair_drive_training.data.transfuser_scene import FEATURE_SPECS, FEATURES, FEATURES_MINI

BOTH = 'both'
FEATURE_KINDS = {'full': (FEATURES,), 'mini': (FEATURES_MINI,), BOTH: tuple(FEATURE_SPECS)}
ALL_SCENES = 'all scenes'
# What differs between reasons of one sort: paths, tokens, numbers.
PARTICULARS = re.compile(r'\S*/\S*|[0-9a-f]{8,}|[-0-9.]+')
COLUMNS = '{:<14} {:>9} {:>9} {:>9} {:>10} {:>9}'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--logs', metavar='DIR', type=_path, required=True,
                        help="OpenScene's logs, or the folder above its splits")
    parser.add_argument('--maps', metavar='DIR', type=_path, required=True,
                        help="nuPlan's maps: the folder of nuplan-maps-v1.0.json")
    parser.add_argument('--sensors', metavar='DIR', type=_path,
                        help='sensor blobs; adds features and targets of the network')
    parser.add_argument('--features', choices=list(FEATURE_KINDS), default='full',
                        help='which networks the features are for, with --sensors')
    parser.add_argument('--tokens', metavar='FILE', type=Path,
                        help="the devkit's scene filter or split (.yaml), or a list of tokens "
                             '(.txt, .json); without it all scenes of 4 + 10 frames')
    parser.add_argument('--synthetic', metavar='DIR', type=_path,
                        help='pickles of second-stage scenes, where the filter asks for them')
    parser.add_argument('--synthetic-sensors', metavar='DIR', type=_path,
                        help='sensor blobs of those; by default as --sensors')
    parser.add_argument('--out', metavar='CACHE', type=_path, required=True,
                        help='folder of the cache, new or to go on with')
    parser.add_argument('--protocol', default=BOTH,
                        choices=[*(protocol.value for protocol in Protocol), BOTH],
                        help='whose score is prepared')
    parser.add_argument('--processes', metavar='N', type=_process_count,
                        default=len(os.sched_getaffinity(0)), help='worker processes')


def run(options: argparse.Namespace) -> int:
    """Build the cache; return 0 when it is complete, 1 when scenes are missing or failed."""
    if options.sensors is None and options.features != 'full':
        raise CacheError(f'--features {options.features}: features are made from sensor blobs; '
                         'name their folder (--sensors)')
    protocols = [protocol for protocol in Protocol
                 if options.protocol in (protocol.value, BOTH)]
    recipe = NavsimRecipe(
        options.logs, Maps(options.maps, options.out / 'maps'),
        load_filter(options.tokens),
        ALL_SCENES if options.tokens is None else options.tokens.name, protocols,
        sensors=options.sensors, features=FEATURE_KINDS[options.features],
        synthetic=options.synthetic, synthetic_sensors=options.synthetic_sensors)
    report = CacheBuilder(options.out, recipe, options.processes).run()
    print('\n'.join(_summary(report, options.out)))
    return 0 if report.whole else 1


def _summary(report: BuildReport, path: Path) -> Iterator[str]:
    yield COLUMNS.format('kind', 'complete', 'missing', 'failed', 'MB', 'scenes/s')
    for name, kind in report.kinds.items():
        speed = f'{kind.made / report.seconds:.1f}' if kind.made else '-'
        yield COLUMNS.format(name, kind.complete, len(kind.missing), len(kind.failures),
                             f'{kind.size / 1e6:.1f}', speed)
    for name, kind in report.kinds.items():
        yield from _reasons(name, kind.failures, 'failed')
        yield from _reasons(name, kind.missing, 'missing')
    if report.unreadable:
        yield f'{report.unreadable} files could not be read, see above'
    if (path / ERRORS_FILE).exists():
        yield f'tracebacks: {path / ERRORS_FILE}'
    yield f'{path}: {len(report.asked)} scenes asked for'


def _reasons(kind: str, reasons: Mapping[str, str], word: str) -> Iterator[str]:
    """Group scenes with like reasons, the most frequent first, with one of them each."""
    grouped: dict[str, list[str]] = {}
    for token, reason in reasons.items():
        grouped.setdefault(PARTICULARS.sub('', reason), []).append(token)
    for tokens in sorted(grouped.values(), key=len, reverse=True):
        yield f'{kind}: {len(tokens)} {word}, for example {tokens[0]}: {reasons[tokens[0]]}'


def _path(text: str) -> Path:
    # Workers need not share the directory this process is in.
    return Path(text).absolute()


def _process_count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'expected a number of processes from 1 on, got {text!r}')
    return int(text)
