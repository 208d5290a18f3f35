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

"""Reading a cache: by token, from any process, and what is said when it cannot be read."""

import json
import multiprocessing
import pickle
import shutil

from fake_recipe import FakeRecipe, record, tokens
import numpy as np
from pair_drive_training.data.cache import (
    Cache,
    CacheError,
    CacheHeader,
    MAX_MAPPED_ARRAYS,
    write_manifest,
)
from pair_drive_training.data.cache_builder import CacheBuilder
from pair_drive_training.data.shards import ShardCard, ShardError, write_shard
import pytest

LOGS = {'a': tokens('a', 70), 'b': tokens('b', 3)}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp('cache')
    assert CacheBuilder(path, FakeRecipe(LOGS), 2).run().whole
    return path


@pytest.fixture
def copied(built, tmp_path):
    return shutil.copytree(built, tmp_path / 'cache')


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_every_record_comes_back(built):
    cache = Cache.open(built)
    assert cache.kinds == ('fixed', 'ragged')
    assert sorted(cache.tokens('fixed')) == sorted(cache.tokens('ragged')) == sorted(
        LOGS['a'] + LOGS['b'])
    for token in cache.tokens('fixed'):
        read = cache.read('fixed', token)
        assert read.keys() == {'numbers'}
        np.testing.assert_array_equal(read['numbers'], record('fixed', token)['numbers'])


def test_a_record_of_any_length_is_found_in_its_shard(built):
    cache = Cache.open(built)
    for token in ('a_0000', 'a_0069', 'b_0002'):
        arrays, index = cache.shard_of('ragged', token)
        start, end = arrays['offset'][index:index + 2]
        numbers = record('', token)['numbers'].ravel()
        np.testing.assert_array_equal(arrays['numbers'][start:end], numbers[:numbers[0] % 5])


def test_what_is_read_belongs_to_the_reader(built):
    cache = Cache.open(built)
    cache.read('fixed', 'a_0000')['numbers'][:] = 0
    np.testing.assert_array_equal(cache.read('fixed', 'a_0000')['numbers'],
                                  record('fixed', 'a_0000')['numbers'])
    with pytest.raises(ValueError, match='read-only'):
        cache.shard_of('fixed', 'a_0000')[0]['numbers'][0] = 0


def test_shards_made_after_the_manifest_are_found(copied):
    (copied / 'manifest.json').unlink()
    assert Cache.open(copied).tokens('fixed') == Cache.open(copied).tokens('ragged')
    assert len(Cache.open(copied).tokens('fixed')) == 73


def test_an_unfinished_shard_is_not_seen(copied):
    shard = next((copied / 'fixed').iterdir())
    shard.rename(shard.with_name(f'.{shard.name}.123'))
    assert len(Cache.open(copied).tokens('fixed')) < len(Cache.open(copied).tokens('ragged'))


def test_a_pickled_cache_leaves_its_open_arrays_behind(built):
    cache = Cache.open(built)
    size = len(pickle.dumps(cache))
    cache.read('fixed', 'a_0000')
    assert len(pickle.dumps(cache)) == size
    again = pickle.loads(pickle.dumps(cache))
    assert again.read('fixed', 'b_0001').keys() == {'numbers'}


def first_numbers(cache, token, queue):
    queue.put(cache.read('fixed', token)['numbers'].tolist())


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_other_processes_read_the_same(built, method):
    cache = Cache.open(built)
    expected = cache.read('fixed', 'a_0005')['numbers'].tolist()
    context = multiprocessing.get_context(method)
    if method == 'spawn':
        # A module under test cannot be imported there by name; the cache itself can be pickled.
        with context.Pool(1) as pool:
            read = pool.apply(Cache.read, (cache, 'fixed', 'a_0005'))
        assert read['numbers'].tolist() == expected
        return
    queue = context.Queue()
    children = [context.Process(target=first_numbers, args=(cache, 'a_0005', queue))
                for _ in range(3)]
    for child in children:
        child.start()
    assert [queue.get(timeout=60) for _ in children] == [expected] * 3
    for child in children:
        child.join()


def test_only_so_many_files_stay_open(tmp_path):
    recipe = FakeRecipe({f'log{index}': tokens(f'log{index}', 1) for index in range(3)},
                        kinds=('fixed',))
    CacheBuilder(tmp_path, recipe, 1).run()
    many = {f'array{index}': np.zeros((1, 9000)) for index in range(MAX_MAPPED_ARRAYS // 2 - 1)}
    for index in range(6):
        write_shard(tmp_path / 'fixed', ShardCard(1, 'fixed', 1, 'x', (f'x{index}',), {}), many)
    cache = Cache.open(tmp_path)
    for index in range(6):
        assert len(cache.read('fixed', f'x{index}')) == len(many)
        assert open_files_below(tmp_path) <= MAX_MAPPED_ARRAYS


def open_files_below(folder):
    with open('/proc/self/maps') as maps:
        return sum(str(folder) in line for line in maps)


def test_verify_names_what_is_damaged_and_nothing_else(copied):
    cache = Cache.open(copied)
    done = []
    assert cache.verify(progress=lambda: done.append(1)) == []
    assert len(done) == 6
    path = next(copied.glob('ragged/b-*/numbers.npy'))
    path.write_bytes(path.read_bytes()[:-1] + b'x')
    damaged, = cache.verify()
    assert (damaged.kind, damaged.shard) == ('ragged', path.parent.name)
    assert 'numbers.npy has changed' in damaged.reason


def test_reading_a_damaged_shard_says_what_to_do(copied):
    for path in copied.glob('fixed/*/numbers.npy'):
        path.write_bytes(b'')
    with pytest.raises(ShardError, match=r'numbers.npy cannot be read .* run the command "cache"'):
        Cache.open(copied).read('fixed', 'a_0000')


def test_a_damaged_card_without_manifest_says_what_to_do(copied):
    (copied / 'manifest.json').unlink()
    next(copied.glob('fixed/*/shard.json')).write_text('{')
    with pytest.raises(CacheError, match=r'shard.json is damaged.*run the command "cache" again'):
        Cache.open(copied)


def test_no_cache_there(tmp_path):
    with pytest.raises(CacheError, match='there is no cache here'):
        Cache.open(tmp_path)
    with pytest.raises(CacheError, match='there is no cache here'):
        Cache.open(tmp_path / 'nowhere')


def test_another_schema_version_is_refused_with_both_versions(copied):
    edit(copied / 'cache.json', schema_version=7)
    with pytest.raises(CacheError, match=r'schema version 7, this program reads version 1; '
                                         r'remove it or name another folder'):
        Cache.open(copied)


@pytest.mark.parametrize('content', ['', '[]', '{"schema_version": 1}', '{"schema_version": 1, '
                                     '"splits": [], "strange": 1}'])
def test_a_damaged_header_is_refused(copied, content):
    (copied / 'cache.json').write_text(content)
    with pytest.raises(CacheError, match='cache.json'):
        Cache.open(copied)


def test_a_kind_or_scene_that_is_not_there(built):
    cache = Cache.open(built)
    assert not cache.has('fixed', 'nobody')
    assert not cache.has('features', 'a_0000')
    assert cache.has('fixed', 'a_0000')
    with pytest.raises(CacheError, match='no record fixed of scene nobody'):
        cache.read('fixed', 'nobody')
    with pytest.raises(CacheError, match='not made of features but of fixed, ragged'):
        cache.tokens('features')


def test_headers_grow_by_kinds_maps_and_splits(tmp_path):
    old = CacheHeader({'scenes': 1}, {'boston': '9'}, ('mini',))
    grown = old.grown(CacheHeader({'features': 2}, {'pittsburgh': '8'}, ('mini', 'test')),
                      tmp_path)
    assert grown.kinds == {'scenes': 1, 'features': 2}
    assert grown.maps == {'boston': '9', 'pittsburgh': '8'}
    assert grown.splits == ('mini', 'test')
    with pytest.raises(CacheError, match='holds scenes of version 1, this program writes '
                                         'version 2; remove the cache'):
        old.grown(CacheHeader({'scenes': 2}), tmp_path)
    with pytest.raises(CacheError, match='map boston 9, now given 10'):
        old.grown(CacheHeader({}, {'boston': '10'}), tmp_path)


def test_the_manifest_lists_every_shard_once(built):
    manifest = json.loads((built / 'manifest.json').read_text())
    assert manifest['scenes'] == {'fixed': 73, 'ragged': 73}
    assert len(manifest['shards']) == 3
    for entry in manifest['shards'].values():
        assert entry['kinds'].keys() == {'fixed', 'ragged'}
        assert all(len(kind['sha256']) == 64 for kind in entry['kinds'].values())


def test_a_manifest_appears_whole_or_not_at_all(tmp_path):
    write_manifest(tmp_path, {}, {'asked': 0})
    with pytest.raises(TypeError):
        write_manifest(tmp_path, {}, {'asked': object()})
    assert json.loads((tmp_path / 'manifest.json').read_text())['last_run'] == {'asked': 0}
    assert len(list(tmp_path.iterdir())) == 1
