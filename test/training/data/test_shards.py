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

"""Shards: complete or not there, the same bytes for the same scenes, damage found."""

import errno
import json
import os
import resource
import subprocess
import sys

import numpy as np
from pair_drive_training.data import shards
from pair_drive_training.data.shards import (
    mapped_count,
    open_arrays,
    read_card,
    shard_name,
    ShardCard,
    ShardError,
    stack_records,
    verify_shard,
    write_shard,
)
import pytest

ARRAYS = {
    'pixels': np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5),
    'pose': np.asfortranarray(np.linspace(-1.0, 1.0, 6).reshape(2, 3)),
    'empty': np.zeros((2, 0, 4), np.float32),
    'name': np.array(['a', 'longer']),
    'scalar': np.array(7),
}


def card(tokens=('t0', 't1'), kind='features'):
    return ShardCard(1, kind, 3, 'log', tuple(tokens), {})


@pytest.fixture
def shard(tmp_path):
    return tmp_path / 'features' / write_shard(tmp_path / 'features', card(), ARRAYS).name


def test_arrays_come_back_as_written(shard):
    read = open_arrays(shard, read_card(shard))
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
        assert not read[name].flags.writeable


def test_the_card_names_version_scenes_sizes_and_checksums(shard):
    written = json.loads((shard / 'shard.json').read_text())
    assert written['kind_version'] == 3
    assert written['tokens'] == ['t0', 't1']
    size = (shard / 'pixels.npy').stat().st_size
    assert written['files']['pixels']['size'] == size
    assert read_card(shard).size == sum(path.stat().st_size for path in shard.glob('*.npy'))


def test_the_name_depends_on_log_tokens_and_their_order():
    names = {shard_name('log', ['a', 'b']), shard_name('log', ['b', 'a']),
             shard_name('log', ['ab']), shard_name('other', ['a', 'b'])}
    assert len(names) == 4
    assert shard_name('log', ['a', 'b']).startswith('log-')


def test_the_same_scenes_give_the_same_bytes(tmp_path):
    for folder in ('one', 'two'):
        write_shard(tmp_path / folder, card(kind=folder), ARRAYS)
    one, two = (sorted((tmp_path / folder).glob('*/*.npy')) for folder in ('one', 'two'))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.parametrize('name', sorted(ARRAYS))
def test_a_flipped_bit_is_found(shard, name):
    path = shard / f'{name}.npy'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ShardError, match=f'{name}.npy has changed'):
        verify_shard(shard)


def test_a_shorter_file_is_found_without_reading_it(shard):
    os.truncate(shard / 'pose.npy', 100)
    with pytest.raises(ShardError, match='pose.npy has 100 bytes instead of'):
        verify_shard(shard)


def test_a_missing_array_is_found(shard):
    (shard / 'pose.npy').unlink()
    with pytest.raises(ShardError, match='pose.npy cannot be read'):
        verify_shard(shard)
    with pytest.raises(ShardError, match='rebuilds what is damaged'):
        open_arrays(shard, read_card(shard))


@pytest.mark.parametrize('content', ['', '{"kind"', '[]', '{}', '{"files": {"a": {}}}'])
def test_a_damaged_card_is_found(shard, content):
    (shard / 'shard.json').write_text(content)
    with pytest.raises(ShardError, match='damaged'):
        read_card(shard)


@pytest.mark.parametrize(('right', 'wrong'), [('"<f8"', '"<i8"'), ('   2,\n    3\n',
                                                                   '   3,\n    2\n')])
def test_a_card_that_contradicts_an_array_is_found(shard, right, wrong):
    path = shard / 'shard.json'
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    with pytest.raises(ShardError, match=r'shard.json gives \w+.npy another dtype or shape'):
        verify_shard(shard)


def test_large_arrays_are_mapped_and_small_ones_read(tmp_path):
    arrays = {'large': np.arange(20_000.0), 'small': np.arange(20.0)}
    written = write_shard(tmp_path / 'features', card(), arrays)
    path = tmp_path / 'features' / written.name
    read = open_arrays(path, written)
    assert mapped_count(read) == 1
    with open('/proc/self/maps') as maps:
        mapped = maps.read()
    assert str(path / 'large.npy') in mapped
    assert str(path / 'small.npy') not in mapped
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_card_of_other_scenes_is_found(shard):
    path = shard / 'shard.json'
    path.write_text(path.read_text().replace('"t1"', '"t2"'))
    with pytest.raises(ShardError, match='describes features/log-'):
        read_card(shard)


def test_no_array_is_ever_pickled(tmp_path):
    with pytest.raises(ValueError, match='pickle'):
        write_shard(tmp_path, card(), {'objects': np.array([{}, []], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    folder = tmp_path / 'features'
    earlier = write_shard(folder, card(('earlier',)), ARRAYS)
    before = sorted(tmp_path.rglob('*'))

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shards.os, 'fsync', full)
        with pytest.raises(OSError, match='No space left'):
            write_shard(folder, card(), ARRAYS)
    assert sorted(tmp_path.rglob('*')) == before
    assert verify_shard(folder / earlier.name) == earlier


def test_a_file_over_the_limit_leaves_nothing_behind_and_says_why(tmp_path):
    script = ('import sys, numpy as np; from pathlib import Path\n'
              'from pair_drive_training.data.shards import ShardCard, write_shard\n'
              'try:\n'
              '    write_shard(Path(sys.argv[1]), ShardCard(1, "k", 1, "log", ("t",), {}),\n'
              '                {"big": np.zeros(10**6)})\n'
              'except OSError as error:\n'
              '    print(error.strerror)\n')

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    result = subprocess.run([sys.executable, '-c', script, str(tmp_path)], preexec_fn=limit,
                            capture_output=True, text=True)
    assert result.stdout.strip() == os.strerror(errno.EFBIG), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_records_of_a_fixed_shape_are_stacked():
    stacked = stack_records([{'a': np.ones(3), 'b': np.array(1)},
                             {'a': np.zeros(3), 'b': np.array(2)}])
    np.testing.assert_array_equal(stacked['a'], [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(stacked['b'], [1, 2])


@pytest.mark.parametrize('second', [{'a': np.ones(2)}, {'b': np.ones(3)}, {'a': np.array(['x'])},
                                    {'a': np.ones(3), 'b': np.ones(3)}])
def test_records_that_differ_are_not_stacked(second):
    with pytest.raises(ShardError, match='record 1'):
        stack_records([{'a': np.ones(3)}, second])
