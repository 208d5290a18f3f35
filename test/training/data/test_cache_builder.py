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

"""Building a cache: what is missing is made, and no way to end a run spoils what is there."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import fake_recipe
from fake_recipe import FakeRecipe, slow_logs, threads_of_worker, tokens
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.cache_builder import CacheBuilder
from pair_drive_training.data.workers import THREAD_VARIABLES, WorkerError, Workers
import pytest

LOGS = {'a': tokens('a', 70), 'b': tokens('b', 3)}
ALL = tuple(LOGS['a'] + LOGS['b'])


def build(path, recipe, processes=2):
    return CacheBuilder(path, recipe, processes).run()


def contents(path):
    """All bytes of a cache but those that tell of one run."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob('*')
            if file.is_file() and file.name not in ('manifest.json', '.lock')}


def made(report):
    return {kind: item.made for kind, item in report.kinds.items()}


def test_a_complete_run(tmp_path):
    report = build(tmp_path / 'cache', FakeRecipe(LOGS))
    assert report.whole
    assert report.asked == ALL
    assert made(report) == {'fixed': 73, 'ragged': 73}
    assert report.kinds['fixed'].size == sum(
        path.stat().st_size for path in tmp_path.glob('cache/fixed/*/*.npy'))
    assert sorted(path.name.split('-')[0] for path in (tmp_path / 'cache/fixed').iterdir()) == [
        'a', 'a', 'b']
    header = json.loads((tmp_path / 'cache/cache.json').read_text())
    assert header == {'schema_version': 1, 'kinds': {'fixed': 1, 'ragged': 1},
                      'maps': {'town': '1'}, 'splits': ['fake']}


def test_the_number_of_processes_changes_nothing(tmp_path):
    build(tmp_path / 'one', FakeRecipe(LOGS), 1)
    build(tmp_path / 'three', FakeRecipe(LOGS), 3)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'three')


def test_a_second_run_makes_nothing(tmp_path):
    build(tmp_path, FakeRecipe(LOGS))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob('*/*/*')}
    report = build(tmp_path, FakeRecipe(LOGS))
    assert report.whole
    assert made(report) == {'fixed': 0, 'ragged': 0}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob('*/*/*')} == before


def test_it_grows_by_scenes_and_by_kinds(tmp_path):
    build(tmp_path, FakeRecipe({'a': LOGS['a'][:10]}, kinds=('fixed',)))
    report = build(tmp_path, FakeRecipe(LOGS, kinds=('fixed',)))
    assert made(report) == {'fixed': 63}
    report = build(tmp_path, FakeRecipe(LOGS, kinds=('fixed', 'ragged')))
    assert made(report) == {'fixed': 0, 'ragged': 73}
    cache = Cache.open(tmp_path)
    assert cache.verify() == []
    assert sorted(cache.tokens('fixed')) == sorted(cache.tokens('ragged')) == sorted(ALL)


def test_a_run_for_one_kind_keeps_the_others_in_the_manifest(tmp_path):
    build(tmp_path, FakeRecipe(LOGS))
    build(tmp_path, FakeRecipe(LOGS, kinds=('fixed',)))
    assert json.loads((tmp_path / 'manifest.json').read_text())['scenes'] == {
        'fixed': 73, 'ragged': 73}


def test_listed_scenes_that_no_log_has_are_missing(tmp_path):
    report = build(tmp_path, FakeRecipe(LOGS, asked=[*ALL, 'lost']))
    assert not report.whole
    assert report.kinds['fixed'].missing == {'lost': 'in none of the logs'}
    assert report.kinds['fixed'].complete == 73


def test_a_scene_in_two_logs_is_kept_once_and_reported(tmp_path):
    report = build(tmp_path, FakeRecipe({'a': ['x', 'y'], 'b': ['y', 'z']}))
    assert report.notes == ['1 scenes of a are again in b, for example y: the first are kept']
    assert Cache.open(tmp_path).tokens('fixed') == ('x', 'y', 'z')


def test_the_first_scenes_up_to_the_limit(tmp_path):
    recipe = FakeRecipe(LOGS)
    recipe.max_scenes = 72
    assert build(tmp_path, recipe).asked == ALL[:72]


def test_kinds_of_logged_scenes_only_are_not_missed_for_synthetic_ones(tmp_path):
    report = build(tmp_path, FakeRecipe(LOGS, synthetic=('b',)))
    assert report.whole
    assert made(report) == {'fixed': 73, 'ragged': 70}


def test_an_unreadable_log_does_not_end_the_run_but_is_no_success(tmp_path):
    report = build(tmp_path, FakeRecipe({**LOGS, 'unreadable': []}))
    assert not report.whole
    assert report.notes == ['not read: unreadable: cannot be read']
    assert made(report) == {'fixed': 73, 'ragged': 73}


def test_failures_are_told_apart_and_tried_again(tmp_path):
    report = build(tmp_path, FakeRecipe(LOGS, troubles={'a_0001': 'refuse', 'a_0066': 'bug'}))
    assert not report.whole
    assert report.kinds['fixed'].failures == {
        'a_0001': 'a_0001 cannot be used',
        'a_0066': 'ZeroDivisionError: a bug (traceback in errors.log)'}
    assert report.kinds['ragged'].failures == {}
    assert "raise ZeroDivisionError('a bug')" in (tmp_path / 'errors.log').read_text()
    last = json.loads((tmp_path / 'manifest.json').read_text())['last_run']
    assert last['kinds']['fixed']['failures'] == report.kinds['fixed'].failures
    again = build(tmp_path, FakeRecipe(LOGS))
    assert again.whole
    assert made(again) == {'fixed': 2, 'ragged': 0}
    assert not (tmp_path / 'errors.log').exists()


def test_a_killed_worker_is_named_and_the_run_goes_on(tmp_path):
    report = build(tmp_path, FakeRecipe({**LOGS, 'c': tokens('c', 5)},
                                        troubles={'a_0069': 'kill'}))
    assert set(report.kinds['fixed'].failures) == set(LOGS['a'][64:])
    assert 'was killed (signal 9), most often because memory ran out' in report.notes[0]
    assert report.notes[0].startswith('a, 6 scenes from a_0064 on: worker process ')
    assert made(report) == {'fixed': 72, 'ragged': 72}
    assert build(tmp_path, FakeRecipe({**LOGS, 'c': tokens('c', 5)})).whole


def test_workers_that_keep_dying_end_the_run_with_a_sentence(tmp_path):
    logs = {f'log{index}': [f'{index}'] for index in range(20)}
    with pytest.raises(WorkerError, match=r'\d worker processes died one after another'):
        build(tmp_path, FakeRecipe(logs, troubles={f'{index}': 'kill' for index in range(20)}), 1)
    assert json.loads((tmp_path / 'manifest.json').read_text())['scenes']['fixed'] == 0


def test_every_worker_has_one_thread_and_the_program_keeps_its_own():
    before = dict(os.environ)
    with Workers(2, None, FakeRecipe.preload) as workers:
        outcome, = workers.run(threads_of_worker, [0])
    assert outcome.value == (1, ['1'] * len(THREAD_VARIABLES))
    assert dict(os.environ) == before


@pytest.mark.parametrize('damage', ['bit', 'size', 'missing', 'card', 'empty'])
def test_damaged_shards_are_named_and_made_again(tmp_path, damage):
    build(tmp_path, FakeRecipe(LOGS))
    whole = contents(tmp_path)
    shard = sorted((tmp_path / 'fixed').iterdir())[0]
    file = shard / 'numbers.npy'
    data = file.read_bytes()
    if damage == 'bit':
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == 'size':
        file.write_bytes(data[:-1])
    elif damage == 'missing':
        file.unlink()
    elif damage == 'card':
        (shard / 'shard.json').write_text('?')
    else:
        shutil.rmtree(shard)
        shard.mkdir()
    report = build(tmp_path, FakeRecipe(LOGS))
    assert len(report.notes) == 1
    assert report.notes[0].startswith(f'removed, to be made again: {shard}')
    assert contents(tmp_path) == whole


def run_apart(path, seconds=0.02, **options):
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [os.path.dirname(fake_recipe.__file__), os.environ.get('PYTHONPATH', '')])}
    return subprocess.Popen([sys.executable, fake_recipe.__file__, str(path), str(seconds)],
                            env=environment, start_new_session=True, stderr=subprocess.PIPE,
                            text=True, **options)


def wait_for_shards(path, process, count):
    while len([name for name in path.glob('fixed/*') if not name.name.startswith('.')]) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp('whole')
    build(path, FakeRecipe(slow_logs()))
    return contents(path)


@pytest.mark.parametrize('whom', ['group', 'parent'])
def test_after_a_kill_the_next_run_ends_in_the_very_same_cache(tmp_path, uninterrupted, whom):
    process = run_apart(tmp_path)
    wait_for_shards(tmp_path, process, 3)
    if whom == 'group':
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    process.stderr.close()
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.glob('fixed/[!.]*/*')}
    assert 0 < len(there) < len([name for name in uninterrupted if name.startswith('fixed')])
    assert Cache.open(tmp_path).verify() == []
    (tmp_path / 'fixed' / '.log0-00000000.1').mkdir()
    (tmp_path / '.manifest.json.1').write_text('{')
    report = build(tmp_path, FakeRecipe(slow_logs()))
    assert report.whole
    assert report.notes == []
    assert report.kinds['fixed'].made < 560
    assert contents(tmp_path) == uninterrupted


def processes_of_group(group):
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                if os.getpgid(int(entry)) == group:
                    found.append(int(entry))
            except ProcessLookupError:
                continue
    return found


def test_workers_end_when_the_parent_is_killed(tmp_path):
    process = run_apart(tmp_path, seconds=60.0)
    while len(processes_of_group(process.pid)) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stderr.close()
    while processes_of_group(process.pid):
        time.sleep(0.01)


def test_ctrl_c_ends_between_scenes_and_writes_the_manifest(tmp_path, uninterrupted):
    process = run_apart(tmp_path)
    wait_for_shards(tmp_path, process, 2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode != 0
    assert 'KeyboardInterrupt' in said.strip().split('\n')[-1]
    assert said.count('Traceback') == 1
    last = json.loads((tmp_path / 'manifest.json').read_text())['last_run']
    assert last['notes'][0].startswith('interrupted')
    assert set(last['kinds']['fixed']['missing'].values()) == {'not reached before the run ended'}
    assert last['kinds']['fixed']['complete'] == len(Cache.open(tmp_path).tokens('fixed'))
    assert not list(tmp_path.glob('*/.*'))
    build(tmp_path, FakeRecipe(slow_logs()))
    assert contents(tmp_path) == uninterrupted


def test_two_builders_at_once(tmp_path):
    process = run_apart(tmp_path, seconds=60.0)
    while not (tmp_path / 'cache.json').exists():
        assert process.poll() is None
        time.sleep(0.01)
    with pytest.raises(CacheError, match='another process is building this cache'):
        build(tmp_path, FakeRecipe(LOGS))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert build(tmp_path, FakeRecipe(LOGS)).whole


def test_a_full_disk_ends_the_run_with_a_sentence_and_keeps_what_is_there(tmp_path):
    build(tmp_path, FakeRecipe({'b': LOGS['b']}))
    before = contents(tmp_path)

    def limit():
        # Between the size of a shard of 3 scenes and one of 64.
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    process = run_apart(tmp_path, seconds=0.0, preexec_fn=limit)
    _, said = process.communicate()
    assert 'a shard cannot be written (File too large); make room there' in said.split('\n')[-2]
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert not list(tmp_path.glob('*/.*'))
    assert Cache.open(tmp_path).verify() == []
    assert build(tmp_path, FakeRecipe({**LOGS, **slow_logs()})).whole


def test_another_version_of_a_kind_is_refused(tmp_path):
    build(tmp_path, FakeRecipe(LOGS))
    before = contents(tmp_path)
    with pytest.raises(CacheError, match='holds fixed of version 1, this program writes version '
                                         '2; remove the cache or name another folder'):
        build(tmp_path, FakeRecipe(LOGS, version=2))
    assert contents(tmp_path) == before


def test_another_schema_version_is_refused(tmp_path):
    build(tmp_path, FakeRecipe(LOGS))
    header = tmp_path / 'cache.json'
    header.write_text(header.read_text().replace('"schema_version": 1', '"schema_version": 0'))
    with pytest.raises(CacheError, match='schema version 0, this program reads version 1'):
        build(tmp_path, FakeRecipe(LOGS))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / 'holiday.jpg').write_bytes(b'')
    with pytest.raises(CacheError, match=r'is not a cache, but holds holiday.jpg'):
        build(tmp_path, FakeRecipe(LOGS))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(CacheError, match=r'Not a directory; name a folder that can be written'):
        build(tmp_path / 'file' / 'cache', FakeRecipe(LOGS))


@pytest.mark.parametrize('logs', [{'a': []}, {'unreadable': []}])
def test_no_scene_at_all_is_refused(tmp_path, logs):
    with pytest.raises(CacheError, match=r'no scene that the filter asks for is in the 1 logs'):
        build(tmp_path, FakeRecipe(logs))
    assert not (tmp_path / 'cache.json').exists()
