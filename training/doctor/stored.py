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

"""Whether a cache is whole, complete, and made of what is here now."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
import shutil
from typing import Any

from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import (
    Cache,
    CacheError,
    CacheHeader,
    read_manifest,
    shard_names,
)
from pair_drive_training.data.navsim_recipe import FeatureStage, TARGETS, TargetStage
from pair_drive_training.data.records import RECORD_VERSIONS
from pair_drive_training.doctor.report import (
    fail,
    first_few,
    not_checked,
    ok,
    progress,
    Row,
    warn,
)

VERSIONS = {**RECORD_VERSIONS, **FeatureStage.kinds, **TargetStage.kinds}
TITLES = {protocol.value: f' for {protocol.title}' for protocol in Protocol}


class Expected:
    """
    Tokens of the scenes that a cache should hold.

    :param real: of logged scenes, None where nobody knows
    :param synthetic: of second-stage scenes
    """

    def __init__(self, real: Sequence[str] | None, synthetic: Sequence[str]):
        self._real = real
        self._synthetic = synthetic

    def of_kind(self, kind: str) -> Sequence[str] | None:
        """Tokens that should have a record of a kind; None where nobody knows."""
        if self._real is None:
            return None
        return [*self._real, *(() if kind == TARGETS else self._synthetic)]


def cache_rows(path: Path, expected: Expected, maps: Mapping[str, str], command: str,
               quick: bool) -> Iterator[Row]:
    """
    Check a cache: what it is made of, its shards, its scenes, its last run, space on the disk.

    :param maps: city -> version of the maps as they are now
    :param command: the command that completes it
    :param quick: do not read the shards
    """
    try:
        cache, manifest = Cache.open(path), read_manifest(path)
    except CacheError as error:
        yield fail('cache', str(error), f'Do as it says; the command is: {command}')
        return
    again = f'Run, to make what is lacking: {command}'
    yield _header_row(cache, maps)
    yield _shards_row(cache, manifest, again, quick)
    missing = {}
    for kind in cache.kinds:
        have, wanted = set(cache.tokens(kind)), expected.of_kind(kind)
        missing[kind] = [token for token in wanted or () if token not in have]
        yield _kind_row(kind, len(have), wanted, missing[kind], again)
    yield from _last_run_rows(path, manifest.get('last_run'), again)
    yield _disk_row(path, manifest, {kind: len(tokens) for kind, tokens in missing.items()})


def _header_row(cache: Cache, maps: Mapping[str, str]) -> Row:
    header = cache.header
    try:
        header.grown(CacheHeader(VERSIONS, maps), cache.path)
    except CacheError as error:
        return fail('cache', str(error), 'Build it anew in another folder, by the command "cache" '
                                         'and the maps that all runs shall use.')
    return ok('cache', f'schema version {header.schema_version}, of {", ".join(header.splits)}')


def _shards_row(cache: Cache, manifest: Mapping[str, Any], again: str, quick: bool) -> Row:
    check = 'cache: shards'
    there = {(kind, name) for kind in cache.kinds for name in shard_names(cache.path, kind)}
    listed = {(kind, name) for name, entry in manifest.get('shards', {}).items()
              for kind in entry['kinds']}
    absent = [f'{kind}/{name}' for kind, name in sorted(listed - there)]
    damaged = []
    if not quick:
        with progress('checking the cache', len(there), 'shard') as bar:
            damaged = cache.verify(progress=bar.update)
    reasons = []
    if damaged:
        reasons.append(f'{len(damaged):,} of {len(there):,} damaged: {damaged[0].reason}')
    if absent:
        reasons.append(f'{len(absent):,} are not there that the manifest lists: '
                       f'{first_few(absent)}')
    if reasons:
        return fail(check, '; '.join(reasons), again)
    if quick:
        return not_checked(check, f'{len(there):,} are there', 'Run it without --quick to compare '
                           'every byte with its checksums.')
    return ok(check, f'{len(there):,} whole')


def _kind_row(kind: str, have: int, wanted: Sequence[str] | None, missing: Sequence[str],
              again: str) -> Row:
    check, title = f'cache: {kind}', TITLES.get(kind, '')
    if wanted is None:
        return ok(check, f'{have:,} scenes{title}')
    found = f'{len(wanted) - len(missing):,} of {len(wanted):,} scenes{title}'
    return fail(check, f'{found}; missing: {first_few(missing)}', again) if missing else (
        ok(check, found))


def _last_run_rows(path: Path, last_run: Mapping[str, Any] | None, again: str) -> Iterator[Row]:
    check = 'cache: last run'
    if last_run is None:
        yield warn(check, 'none has come to its end', again)
        return
    lacking = []
    for kind, report in last_run['kinds'].items():
        for what in ('failures', 'missing'):
            if report[what]:
                token, reason = next(iter(report[what].items()))
                lacking.append(f'{kind}: {len(report[what]):,} {what}, for example {token} '
                               f'({reason})')
    if last_run['unreadable']:
        lacking.append(f'{last_run["unreadable"]:,} files could not be read')
    notes = last_run['notes']
    if notes:
        lacking.append(f'{len(notes):,} notes, the first: {notes[0]}')
    if not lacking:
        yield ok(check, f'made all of {last_run["asked"]:,} scenes')
        return
    # Notes alone tell of what the run has overcome.
    row = fail if len(lacking) > bool(notes) else warn
    yield row(check, '; '.join(lacking), f'{again} (all reasons: {path}/manifest.json)')


def _disk_row(path: Path, manifest: Mapping[str, Any], missing: Mapping[str, int]) -> Row:
    """Compare free space with what the missing scenes will take, by the size of the others."""
    sizes, scenes = dict.fromkeys(missing, 0), manifest.get('scenes', {})
    for entry in manifest.get('shards', {}).values():
        for kind, file in entry['kinds'].items():
            sizes[kind] = sizes.get(kind, 0) + file['size']
    needed = sum(count * sizes[kind] / scenes[kind] for kind, count in missing.items()
                 if scenes.get(kind))
    free = shutil.disk_usage(path).free
    found = f'{free / 1e9:,.1f} GB free'
    if needed > free:
        return warn('cache: disk', f'{found}, the missing scenes will take {needed / 1e9:,.1f} GB',
                    f'Free space, or move {path} to a larger disk and go on there.')
    return ok('cache: disk', found)
