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


"""The command make-anchors over a small cache of nothing but human futures."""

import argparse

import cv2
import numpy as np
from pair_drive_ros.models.anchors import read_anchors
from pair_drive_training import anchors_command
from pair_drive_training.data.anchors import AnchorMakingError, make_anchors
from pair_drive_training.data.cache import CacheError, CacheHeader, SCHEMA_VERSION, write_header
from pair_drive_training.data.shards import ShardCard, write_shard
import pytest

TIME = 0.5 * np.arange(1, 9)


def futures_of(speeds):
    """Drives [N, 8, 3] straight ahead."""
    poses = np.zeros((len(speeds), 8, 3))
    poses[..., 0] = np.asarray(speeds)[:, None] * TIME
    return poses


LOGS = {'slow': futures_of(np.linspace(1.0, 5.0, 12)),
        'fast': futures_of(np.linspace(9.0, 12.0, 12)),
        'synthetic': np.full((3, 8, 3), np.nan)}


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """Write two logs of human drives and one of synthetic scenes, which have none."""
    folder = tmp_path_factory.mktemp('cache')
    write_header(folder, CacheHeader({'scenes': 1}))
    for log, human in LOGS.items():
        tokens = tuple(f'{log}{index}' for index in range(len(human)))
        write_shard(folder / 'scenes', ShardCard(SCHEMA_VERSION, 'scenes', 1, log, tokens, {}), {
            'log_name': np.full(len(human), log), 'human': human,
            'has_human': np.full(len(human), log != 'synthetic')})
    return folder


@pytest.fixture
def run(cache, tmp_path):
    """Run the command; return its exit code and the path of the anchors."""
    def call(*options, out=tmp_path / 'out' / 'anchors.npy'):
        parser = argparse.ArgumentParser()
        anchors_command.add_arguments(parser)
        return anchors_command.run(parser.parse_args(
            ['--cache', str(cache), '--out', str(out), *map(str, options)])), out
    return call


def points(*logs):
    return np.concatenate([LOGS[log] for log in logs])[..., :2]


def test_anchors_and_their_picture(run, capsys):
    code, path = run('--count', 6, '--seed', 3)
    assert code == 0
    expected, distance = make_anchors(points('fast', 'slow'), 6, seed=3)
    np.testing.assert_array_equal(read_anchors(path), expected)
    assert '6 anchors of 24 human futures' in capsys.readouterr().out
    assert distance < 1.0
    picture = cv2.imread(str(path.with_suffix('.png')))
    assert picture.shape == (660, 550, 3)
    green = (np.abs(picture.astype(int) - (166, 230, 46)) < 40).all(axis=-1)
    assert green.any(axis=1).sum() > 300
    assert sorted(file.name for file in path.parent.iterdir()) == ['anchors.npy', 'anchors.png']


def test_twenty_by_default(run, capsys):
    code, path = run()
    assert code == 0
    assert read_anchors(path).shape == (20, 8, 2)
    capsys.readouterr()


def test_only_the_scenes_of_a_split(run, tmp_path, capsys):
    split = tmp_path / 'train.yaml'
    split.write_text('frame_interval: 1\nlog_names: [slow]\n')
    code, path = run('--tokens', split, '--count', 4)
    assert code == 0
    np.testing.assert_array_equal(read_anchors(path), make_anchors(points('slow'), 4)[0])
    capsys.readouterr()


def test_listed_scenes_that_the_cache_lacks_are_named(run, tmp_path, capsys):
    listed = tmp_path / 'listed.txt'
    listed.write_text('\n'.join([*(f'fast{index}' for index in range(6)), 'nowhere']))
    code, path = run('--tokens', listed, '--count', 2)
    assert code == 1
    np.testing.assert_array_equal(read_anchors(path),
                                  make_anchors(points('fast')[:6], 2)[0])
    assert 'lacks 1 of the 7 scenes' in capsys.readouterr().out


def test_refusals(run, tmp_path):
    (tmp_path / 'file').write_text('')
    for options, out, says in ((('--count', 25), tmp_path / 'a.npy', 'too few for 25 anchors'),
                               ((), tmp_path / 'a.npz', r'ends in \.npy'),
                               (('--seed', -1), tmp_path / 'a.npy', 'expected 0 or more'),
                               (('--count', 2), tmp_path / 'file' / 'a.npy', 'cannot be written')):
        with pytest.raises(AnchorMakingError, match=says):
            run(*options, out=out)
    with pytest.raises(CacheError, match='there is no cache here'):
        run('--cache', tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('count', ['0', '-1', 'many'])
def test_a_number_of_anchors_that_is_none(run, count, capsys):
    with pytest.raises(SystemExit):
        run('--count', count)
    assert 'expected a number of anchors from 1 on' in capsys.readouterr().err
