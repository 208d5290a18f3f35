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

"""All checks in the order of the table."""

import argparse
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
import shlex
from traceback import extract_tb
from typing import TypeVar

from pair_drive_training.data.city_map import MapError
from pair_drive_training.data.frames import LogError
from pair_drive_training.doctor.data import log_rows, map_rows, map_versions, sensor_rows
from pair_drive_training.doctor.numerics import numerics_rows
from pair_drive_training.doctor.report import fail, not_checked, Row
from pair_drive_training.doctor.splits import Split, split_rows
from pair_drive_training.doctor.stored import cache_rows, Expected
from pair_drive_training.doctor.survey import Survey, survey
from pair_drive_training.doctor.transport import transport_rows

_Result = TypeVar('_Result')


def check_rows(options: argparse.Namespace, split: Split) -> Iterator[Row]:
    """Make every check but that of the packages; those that were not asked for say so."""
    yield from _guarded('numerics', numerics_rows())
    yield from _guarded('ROS 2', transport_rows())
    yield from split_rows(split, options.tokens is not None)
    found = yield from _guarded('logs', _survey_rows(options, split))
    yield from _guarded('maps', _map_rows(options.maps, found))
    yield from _guarded('sensors', _sensor_rows(options, split, found))
    yield from _guarded('cache', _cache_rows(options, split, found))


def _guarded(check: str, rows: Generator[Row, None, _Result],
             ) -> Generator[Row, None, _Result | None]:
    """Make a row of what no check foresaw: a doctor that falls over names no illness."""
    try:
        return (yield from rows)
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        yield fail(check, f'the check broke off: {type(error).__name__}: {error} '
                          f'({Path(place.filename).name}, line {place.lineno})',
                   'Put right what it names; if nothing is wrong there, report this row.')
        return None


def _survey_rows(options: argparse.Namespace, split: Split) -> Generator[Row, None, Survey | None]:
    if options.logs is None:
        yield not_checked('logs', 'no folder given', 'Give --logs DIR (navsim_logs/test).')
        return None
    sensors = options.sensors if options.sensors and options.sensors.is_dir() else None
    try:
        found = survey(options.logs, split.scene_filter, sensors, options.quick)
    except LogError as error:
        yield fail('logs', str(error), f'Check --logs, or get the logs by {split.download}.')
        return None
    yield from log_rows(found, split)
    return found


def _map_rows(maps: Path | None, found: Survey | None) -> Generator[Row, None, None]:
    if maps is None:
        yield not_checked('maps', 'no folder given', 'Give --maps DIR (nuplan-maps-v1.0).')
    else:
        yield from map_rows(maps, None if found is None else found.cities)


def _sensor_rows(options: argparse.Namespace, split: Split,
                 found: Survey | None) -> Generator[Row, None, None]:
    if options.sensors is None:
        yield not_checked('sensors', 'no folder given', 'Give --sensors DIR (sensor_blobs/test).')
    elif found is None:
        yield not_checked('sensors', 'the logs, which name the files, cannot be read',
                          'See the row of the logs.')
    else:
        yield from sensor_rows(found, options.sensors, split)


def _cache_rows(options: argparse.Namespace, split: Split,
                found: Survey | None) -> Generator[Row, None, None]:
    if options.cache is None:
        yield not_checked('cache', 'no folder given', 'Give --cache CACHE, as the command "cache" '
                                                      'made it.')
        return
    real = split.real
    if real is None and found is not None and found.whole:
        real = found.tokens or None
    yield from cache_rows(options.cache, Expected(real, split.synthetic),
                          _versions(options.maps), _cache_command(options), options.quick)


def _versions(maps: Path | None) -> Mapping[str, str]:
    try:
        return {} if maps is None else map_versions(maps)
    except MapError:
        # The rows of the maps have said so.
        return {}


def _cache_command(options: argparse.Namespace) -> str:
    words = ['python', '-m', 'pair_drive_training', 'cache',
             '--logs', options.logs or 'DIR', '--maps', options.maps or 'DIR']
    for name, value in (('--sensors', options.sensors), ('--tokens', options.tokens)):
        words += [name, value] if value is not None else []
    return shlex.join(map(str, [*words, '--out', options.cache]))
