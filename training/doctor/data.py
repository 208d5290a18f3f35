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

"""Whether logs, maps and sensor files are all there and can be read."""

from collections.abc import Iterator, Sequence
import json
from pathlib import Path

from pair_drive_training.data.city_map import MapError
from pair_drive_training.data.map_store import INDEX, MapStore
from pair_drive_training.data.scene_filter import repeated_tokens, unmatched_tokens
from pair_drive_training.doctor.report import (
    fail,
    first_few,
    LISTED,
    not_checked,
    ok,
    progress,
    Row,
    warn,
)
from pair_drive_training.doctor.splits import Split
from pair_drive_training.doctor.survey import FILES_A_SCENE, Survey

MAP_REMEDY = "Get the maps again by the devkit's download/download_maps.sh."


def log_rows(found: Survey, split: Split) -> Iterator[Row]:
    """Check the logs' files, then the scenes in them against the split."""
    frames = sum(log.frames for log in found.logs)
    opened = '' if found.whole else f', {found.opened} of them opened'
    summary = f'{found.present:,} logs{opened}: {frames:,} frames'
    if found.present:
        yield ok('logs', summary)
    else:
        yield fail('logs', f'none that {split.name} names is in the folder',
                   f'Check --logs and --tokens, or get the logs by {split.download}.')
    if found.absent:
        named = len(split.scene_filter.log_names or ())
        yield fail('absent logs', f'{len(found.absent):,} of the {named:,} that {split.name} '
                                  f'names are not there: {first_few(found.absent)}',
                   f'Get them by {split.download}.')
    for sentence in found.unreadable[:LISTED]:
        yield fail('unreadable log', sentence, f'Get it again by {split.download}.')
    if len(found.unreadable) > LISTED:
        yield fail('unreadable log', f'{len(found.unreadable) - LISTED:,} more cannot be read',
                   f'Get all logs again by {split.download}.')
    yield from _scene_rows(found, split)


def sensor_rows(found: Survey, sensors: Path, split: Split) -> Iterator[Row]:
    """Check the files of the network's cameras and LiDAR at the current frame of every scene."""
    check = 'sensors'
    if not sensors.is_dir():
        yield fail(check, f'{sensors}: no such folder',
                   'Give the folder of the sensor blobs, or the one above its splits.')
        return
    scenes = sum(len(log.tokens) for log in found.logs)
    unnamed = [sentence for log in found.logs for sentence in log.unnamed.values()]
    if unnamed:
        yield fail('sensors in the logs', f'{len(unnamed):,} of {scenes:,} scenes lack names of '
                                          f'files, first: {unnamed[0]}',
                   f"Use OpenScene's own logs, by {split.download}.")
    lacking = [path for log in found.logs for paths in log.missing.values() for path in paths]
    incomplete = sum(len(log.missing) for log in found.logs)
    files = FILES_A_SCENE * (scenes - len(unnamed))
    summary = (f'{scenes - len(unnamed) - incomplete:,} of {scenes:,} scenes complete, '
               f'{files - len(lacking):,} of {files:,} files there'
               + ('' if found.whole else ' (of the logs opened)'))
    if not lacking:
        yield ok(check, summary)
        return
    yield fail(check, f'{summary}; missing or empty: {first_few(lacking)}',
               f'Get them by {split.download}, and look whether a download of it broke off.')
    gaps = [(log.name, sum(map(len, log.missing.values())), FILES_A_SCENE * len(log.tokens))
            for log in found.logs if log.missing]
    bare = sum(lost == needed for _, lost, needed in gaps)
    named = first_few(f'{name} ({lost:,} of {needed:,})' for name, lost, needed in gaps)
    yield fail('sensors by log', f'files are missing of {len(gaps):,} of {len(found.logs):,} '
                                 f'logs, all files of {bare:,} of them: {named}',
               'Unpack the archives of these logs again, or leave the logs out of the split.')


def map_versions(maps: Path) -> dict[str, str]:
    """
    Return the version of every city of the index.

    :raises MapError: when there is no index, or a damaged one
    """
    MapStore(maps)
    return {city: str(entry['version'])
            for city, entry in json.loads((maps / INDEX).read_text()).items()}


def map_rows(maps: Path, cities: Sequence[str] | None) -> Iterator[Row]:
    """
    Check the index of the maps and read cities whole.

    :param cities: those that are needed, None for all of the index
    """
    try:
        versions, store = map_versions(maps), MapStore(maps)
    except MapError as error:
        yield fail('maps', str(error), MAP_REMEDY)
        return
    needed = sorted(versions) if cities is None else cities
    for name in needed:
        try:
            with progress(f'reading map {name}', 1, 'city'):
                city = store.city(name)
        except MapError as error:
            yield fail('map', str(error), MAP_REMEDY)
        else:
            yield ok('map', f'{name} {versions[name]}: {len(city.lanes):,} lanes and connectors, '
                            f'{len(city.roadblocks):,} roadblocks')
    if not needed:
        yield not_checked('map', 'no scene was found, so that no city is needed',
                          'See the rows of the logs.')


def _scene_rows(found: Survey, split: Split) -> Iterator[Row]:
    check, there = 'scenes', found.tokens
    if not found.whole:
        yield not_checked(check, f'{len(there):,} in the logs that were opened',
                          'Run it without --quick to count them all.')
    elif split.real is not None:
        missing = unmatched_tokens(split.scene_filter, there)
        summary = f'{len(split.real) - len(missing):,} of {len(split.real):,} of {split.name}'
        if missing:
            yield fail(check, f'{summary} are in the logs; missing: {first_few(missing)}',
                       f'Get the logs by {split.download}.')
        else:
            yield ok(check, summary)
    elif there:
        yield ok(check, f'{len(there):,} in the logs')
    else:
        yield fail(check, f'none of {split.scene_filter.num_frames} frames with a route is in the '
                          'logs', 'Check --logs and --tokens.')
    repeated = repeated_tokens({log.name: log.tokens for log in found.logs})
    if repeated:
        token, logs = next(iter(repeated.items()))
        yield warn('repeated scenes', f'{len(repeated):,} are in several logs, for example '
                                      f'{token} in {" and ".join(logs)}; the first is used',
                   'Remove the copies of logs.')
