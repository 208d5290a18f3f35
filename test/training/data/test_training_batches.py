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

"""Batches for training: what they hold, their order, and what happens in the threads."""

import shutil
import threading

from pair_drive_ros.models.features import transfuser_spec
from pair_drive_ros.models.policy import TensorSpec
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data import training_batches
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.scene_filter import FilterError
from pair_drive_training.data.shards import ShardError
from pair_drive_training.data.training_batches import (
    check_scenes,
    listed_tokens,
    TrainingBatches,
)
import pytest
from tiny_cache import token, write_cache
import torch

STATUS = {'status_feature': TensorSpec((8,))}
SCENES = 24
PATIENCE_S = 30.0


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return write_cache(tmp_path_factory.mktemp('cache'), SCENES, logs=3)


@pytest.fixture
def cache(path):
    return Cache.open(path)


@pytest.fixture
def batches(cache):
    return TrainingBatches(cache, cache.tokens('targets'), STATUS, threads=1)


@pytest.fixture
def reads(monkeypatch):
    """Tell of every batch that is begun to be read: its tokens, the cache and the thread."""
    told, seen, read = threading.Semaphore(0), [], training_batches.read_features

    def spy(cache, tokens, spec):
        seen.append((tuple(tokens), cache, threading.current_thread()))
        told.release()
        return read(cache, tokens, spec)

    monkeypatch.setattr(training_batches, 'read_features', spy)
    return told, seen


def test_a_batch_holds_what_the_cache_does(cache):
    spec = TransfuserConfig.mini().feature_spec
    batches = TrainingBatches(cache, cache.tokens('targets'), spec, threads=1)
    wanted = [token(index) for index in (20, 3, 9)]
    batch = batches.read(wanted)
    assert batch.tokens == tuple(wanted)
    assert set(batch.stored) == {'camera_feature', 'lidar_feature', 'ground_feature',
                                 'status_feature'}
    assert set(batch.targets) == {'trajectory', 'agent_states', 'agent_labels',
                                  'bev_semantic_map'}
    for kind, tensors in (('features_mini', batch.stored), ('targets', batch.targets)):
        for row, name in enumerate(wanted):
            for key, array in cache.read(kind, name).items():
                assert torch.equal(tensors[key][row], torch.from_numpy(array))
                assert tensors[key].dtype == torch.from_numpy(array).dtype


def test_on_a_device_the_features_are_scaled(cache):
    spec = TransfuserConfig.mini().feature_spec
    batch = TrainingBatches(cache, [token(0)], spec, threads=1).read([token(0), token(1)])
    features, targets = batch.on(torch.device('cpu'), spec)
    assert {name: TensorSpec(tuple(tensor.shape[1:]), tensor.dtype)
            for name, tensor in features.items()} == dict(spec)
    torch.testing.assert_close(features['camera_feature'] * 255.0,
                               batch.stored['camera_feature'].float())
    torch.testing.assert_close(features['lidar_feature'] * 5.0,
                               batch.stored['lidar_feature'].float())
    torch.testing.assert_close(features['ground_feature'] * 255.0,
                               batch.stored['ground_feature'].float())
    assert features['validity_feature'].min() == 1.0
    assert torch.equal(targets['trajectory'], batch.targets['trajectory'])


def test_scenes_to_score_are_those_of_the_tokens_and_are_read_ahead(cache, monkeypatch):
    asked, readers = [], []
    monkeypatch.setattr(training_batches, 'check_scenes', lambda *ask: asked.append(ask[2]))

    def read(cache, tokens, protocol):
        readers.append(threading.current_thread())
        return list(tokens), protocol

    monkeypatch.setattr(training_batches, 'scoring_scenes', read)
    batches = TrainingBatches(cache, cache.tokens('targets'), STATUS, threads=1,
                              protocol=Protocol.NAVSIM_V2)
    for batch in batches.stream([[5, 2], [0, 1]]):
        assert batch.scenes == (list(batch.tokens), Protocol.NAVSIM_V2)
    assert asked == [('scenes', 'targets', 'navsim_v2')]
    assert len(readers) == 2 and threading.current_thread() not in readers


def test_without_a_protocol_there_are_no_scenes_and_one_that_is_missed_is_named(cache, batches):
    assert batches.read([token(0)]).scenes is None
    with pytest.raises(CacheError, match='not made of navsim_v1'):
        TrainingBatches(cache, cache.tokens('targets'), STATUS, 1, protocol=Protocol.NAVSIM_V1)


@pytest.mark.parametrize('threads', [1, 3])
def test_batches_come_in_the_order_that_is_asked_for(cache, threads):
    batches = TrainingBatches(cache, cache.tokens('targets'), STATUS, threads)
    order = torch.randperm(SCENES, generator=torch.Generator().manual_seed(0)).view(12, 2)
    streamed = list(batches.stream(order.tolist()))
    assert [batch.tokens for batch in streamed] == [
        tuple(batches.tokens[index] for index in indices) for indices in order.tolist()]
    for batch in streamed:
        assert torch.equal(batch.stored['status_feature'],
                           batches.read(batch.tokens).stored['status_feature'])


def test_no_batches_are_no_batches(batches):
    assert list(batches.stream([])) == []


def test_it_reads_ahead_but_not_everything(batches, reads):
    told, seen = reads
    stream = batches.stream([[index] for index in range(SCENES)])
    next(stream)
    # One thread reads two batches ahead of the one that is waited for.
    for _ in range(3):
        assert told.acquire(timeout=PATIENCE_S)
    assert not told.acquire(timeout=0.05) and len(seen) == 3
    next(stream)
    assert told.acquire(timeout=PATIENCE_S)
    assert not told.acquire(timeout=0.05) and len(seen) == 4
    stream.close()


def test_a_stream_that_is_left_ends_its_threads(batches, reads):
    _, seen = reads
    for _ in batches.stream([[index] for index in range(SCENES)]):
        break
    readers = {thread for *_, thread in seen}
    for thread in readers:
        thread.join(PATIENCE_S)
    assert readers and not any(thread.is_alive() for thread in readers)
    assert len(seen) <= 4


def test_every_thread_has_its_own_view_of_the_cache(cache, reads, monkeypatch):
    _, seen = reads
    both, read = threading.Barrier(2, timeout=PATIENCE_S), training_batches.read_features

    def together(*arguments):
        both.wait()
        return read(*arguments)

    monkeypatch.setattr(training_batches, 'read_features', together)
    batches = TrainingBatches(cache, cache.tokens('targets'), STATUS, threads=2)
    list(batches.stream([[index] for index in range(8)]))
    views = {thread: {id(view) for _, view, of in seen if of is thread} for *_, thread in seen}
    assert len(views) == 2
    assert all(len(ids) == 1 for ids in views.values())
    assert len({*map(id, (view for _, view, _ in seen)), id(cache)}) == 3


def test_an_error_in_a_thread_reaches_the_caller(path, tmp_path):
    broken = tmp_path / 'cache'
    shutil.copytree(path, broken)
    cache = Cache.open(broken)
    batches = TrainingBatches(cache, cache.tokens('targets'), STATUS, threads=2)
    for shard in (broken / 'targets').iterdir():
        if shard.name.startswith('noise_1'):
            (shard / 'trajectory.npy').write_bytes(b'')
    stream = batches.stream([[0], [1], [12], [2]])
    assert [next(stream).tokens, next(stream).tokens] == [(token(0),), (token(1),)]
    with pytest.raises(ShardError, match='trajectory.npy cannot be read .*run the command'):
        next(stream)


def test_scenes_that_are_missing_are_counted(cache):
    with pytest.raises(CacheError, match=r'misses scenes of 2 of 3 scenes, for example none'):
        TrainingBatches(cache, [token(0), 'none', 'neither'], STATUS, threads=1)
    with pytest.raises(CacheError, match='not made of radar but of features_mini'):
        check_scenes(cache, [token(0)], ['radar'])
    with pytest.raises(CacheError, match='holds none of the scenes that are asked for'):
        check_scenes(cache, [], ['targets'])


def test_a_policy_of_other_sizes_is_refused(cache):
    with pytest.raises(CacheError, match='image_height'):
        TrainingBatches(cache, [token(0)], transfuser_spec(64, 128, 64), threads=1)
    with pytest.raises(CacheError, match='not made of features but of'):
        TrainingBatches(cache, [token(0)], transfuser_spec(), threads=1)


def test_scenes_are_those_that_a_filter_names(cache, tmp_path):
    assert listed_tokens(cache, None) == cache.tokens('targets')
    listed = tmp_path / 'tokens.txt'
    listed.write_text(f'{token(5)}\n{"f" * 16}\n')
    assert listed_tokens(cache, listed) == (token(5), 'f' * 16)
    of_logs = tmp_path / 'logs.yaml'
    of_logs.write_text('log_names: [noise_0, noise_2]\n')
    assert sorted(listed_tokens(cache, of_logs)) == [
        token(index) for index in range(SCENES) if not 8 <= index < 16]
    with pytest.raises(FilterError, match='expected a scene filter'):
        listed_tokens(cache, tmp_path / 'tokens.csv')
