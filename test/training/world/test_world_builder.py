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

"""Making a world: the same bytes whatever the processes and the interruptions, and no mixing."""

import hashlib
import json
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys
import time

from pair_drive_training.data.log import read_log
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.world import world_builder
from pair_drive_training.world.world_builder import share, WorldBuilder
from pair_drive_training.world.world_folder import Identity, WorldError
import pytest
from tiny_world import TinyWorld

IDENTITY = Identity(7, 'mini', ('CAM_F0',))
SMALL = {'train': 13, 'val': 2}


def make(path, wanted=None, processes=2, identity=IDENTITY, **world):
    return WorldBuilder(path, identity, TinyWorld(**world), wanted or SMALL, processes).run()


def contents(path):
    """All bytes of a world that do not begin with a dot."""
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob('*')
            if file.is_file() and not any(part.startswith('.')
                                          for part in file.relative_to(path).parts)}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Make a small world once."""
    path = tmp_path_factory.mktemp('world') / 'out'
    return path, make(path)


def test_exactly_the_scenes_asked_for(world):
    path, report = world
    assert {name: split.scenes for name, split in report.splits.items()} == SMALL
    assert report.made == 15
    for split, count in SMALL.items():
        scenes = SceneFilter.from_yaml(path / 'scene_filter' / f'world_{split}.yaml')
        assert len(scenes.tokens) == len(set(scenes.tokens)) == count
        logs = {file.stem: read_log(file)
                for file in (path / 'navsim_logs' / split).iterdir()}
        assert set(logs) == set(scenes.log_names)
        found = [scene for log in logs.values() for scene in scenes_of_log(log, scenes)]
        assert {scene.token for scene in found} == set(scenes.tokens)
        for scene in found:
            for name in (scene.now.cameras['CAM_F0'].data_path, scene.now.lidar_path):
                assert (path / 'sensor_blobs' / split / name).is_file()
        rendered = [file for file in (path / 'sensor_blobs' / split).rglob('*') if file.is_file()]
        assert len(rendered) == 2 * count
    assert not (path / 'scene_filter' / 'world_test.yaml').exists()


def test_the_checksum_is_that_of_sha256sum(world):
    path, report = world
    lines = [f'{hashlib.sha256(content).hexdigest()}  {name}\n'
             for name, content in sorted(contents(path).items()) if name != 'manifest.json']
    assert hashlib.sha256(''.join(lines).encode()).hexdigest() == report.checksum
    manifest = json.loads((path / 'manifest.json').read_text())
    assert manifest['checksum'] == report.checksum
    assert (manifest['seed'], manifest['preset'], manifest['cameras']) == (7, 'mini', ['CAM_F0'])
    assert manifest['splits']['train']['scenes'] == 13
    assert manifest['splits']['train']['human'] > 80.0


@pytest.mark.parametrize('processes', [1, 3])
def test_the_number_of_processes_does_not_matter(world, tmp_path, processes):
    make(tmp_path / 'out', processes=processes)
    assert contents(tmp_path / 'out') == contents(world[0])


def test_another_seed_is_another_world(world, tmp_path):
    report = make(tmp_path / 'out', identity=Identity(8, 'mini', ('CAM_F0',)))
    assert report.checksum != world[1].checksum


def test_no_token_is_used_twice(world):
    tokens = [frame.token for file in sorted((world[0] / 'navsim_logs').glob('*/*.pkl'))
              for frame in read_log(file).frames]
    assert len(set(tokens)) == len(tokens) > 40


def test_a_whole_world_is_left_as_it_is(world):
    before = {path: path.stat().st_mtime_ns for path in world[0].rglob('*.p*')}
    report = make(world[0])
    assert (report.made, report.checksum) == (0, world[1].checksum)
    assert {path: path.stat().st_mtime_ns for path in world[0].rglob('*.p*')} == before


def test_a_world_grows_to_the_same_bytes(world, tmp_path):
    make(tmp_path / 'out', {'train': 4})
    make(tmp_path / 'out', {'val': 2})
    report = make(tmp_path / 'out')
    assert report.checksum == world[1].checksum
    assert contents(tmp_path / 'out') == contents(world[0])


def test_drives_without_a_scene_are_passed_over(tmp_path):
    report = make(tmp_path / 'out', {'train': 12}, troubles={'world7_train_00000': 'empty',
                                                             'world7_train_00002': 'empty'})
    assert report.splits['train'].drives == 4
    assert [path.stem for path in sorted((tmp_path / 'out/navsim_logs/train').iterdir())] == [
        'world7_train_00001', 'world7_train_00003']
    assert make(tmp_path / 'out', {'train': 12}).checksum == report.checksum


def test_too_many_drives_without_a_scene_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(world_builder, 'MAX_EMPTY_DRIVES', 3)
    troubles = {f'world7_train_{index:05d}': 'empty' for index in range(3)}
    with pytest.raises(WorldError, match='3 drives in a row, up to world7_train_00002'):
        make(tmp_path / 'out', {'train': 1}, troubles=troubles)


@pytest.mark.parametrize('trouble, sentence', [
    ('kill', 'world7_train_00001: .*was killed'), ('bug', 'world7_train_00001: .*a bug')])
def test_what_a_failed_drive_had_before_it_is_kept(world, tmp_path, trouble, sentence):
    out = tmp_path / 'out'
    with pytest.raises(WorldError, match=sentence):
        make(out, processes=1, troubles={'world7_train_00001': trouble})
    assert json.loads((out / 'manifest.json').read_text())['checksum'] is None
    assert [path.stem for path in (out / 'navsim_logs/train').iterdir()] == ['world7_train_00000']
    assert make(out).made == 15 - len(list((world[0] / 'sensor_blobs/train/world7_train_00000'
                                            / 'CAM_F0').iterdir()))
    assert contents(out) == contents(world[0])


def start(out, seconds=0.0, **options):
    """Make the small world in a process group of its own."""
    program = ('from pathlib import Path; import sys\n'
               'from tiny_world import TinyWorld\n'
               'from pair_drive_training.world.world_builder import WorldBuilder\n'
               'from pair_drive_training.world.world_folder import Identity\n'
               'WorldBuilder(Path(sys.argv[1]), Identity(7, "mini", ("CAM_F0",)), '
               f'TinyWorld(seconds={seconds}), {SMALL}, 2).run()\n')
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, '-c', program, str(out)], env=environment,
                            start_new_session=True, stderr=subprocess.PIPE, text=True, **options)


def test_killed_at_any_time_it_goes_on_to_the_same_bytes(world, tmp_path):
    out = tmp_path / 'out'
    for signature in ('maps/*.json', '.units/world7_train_00000.json',
                      '.units/*.unfinished/sensor_blobs/*/*/*/*.pcd'):
        run = start(out, seconds=0.1)
        while run.poll() is None and not list(out.glob(signature)):
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGKILL)
        assert run.communicate() and run.returncode == -signal.SIGKILL
    assert make(out).splits['train'].scenes == 13
    assert contents(out) == contents(world[0])
    assert not list((out / '.units').glob('*.unfinished'))


def test_interrupted_it_says_so_and_leaves_nothing_unfinished(world, tmp_path):
    out = tmp_path / 'out'
    run = start(out, seconds=0.1)
    while run.poll() is None and not list(out.glob('.units/*.unfinished/sensor_blobs/*/*/*')):
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGINT)
    assert 'the same command goes on from here' in run.communicate()[1]
    assert not list((out / '.units').glob('*.unfinished'))
    make(out)
    assert contents(out) == contents(world[0])


def limit_files():
    """Let no file grow longer than this: what a full disk does to a log."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_full_disk_is_a_sentence_and_the_run_goes_on_later(world, tmp_path):
    out = tmp_path / 'out'
    make(out, {'val': 2})
    error = start(out, preexec_fn=limit_files).communicate()[1]
    assert 'WorldError: ' in error and 'File too large' in error and 'make room' in error
    make(out)
    assert contents(out) == contents(world[0])


def test_damaged_and_missing_files_are_made_again(world, tmp_path):
    out = tmp_path / 'out'
    make(out)
    log = next((out / 'navsim_logs/train').iterdir())
    log.write_bytes(log.read_bytes()[:-1])
    next((out / 'sensor_blobs/val').rglob('*.jpg')).unlink()
    next((out / 'maps').rglob('*.gpkg')).write_bytes(b'')
    report = make(out)
    assert len(report.notes) == 3 and 'has changed' in ''.join(report.notes)
    assert contents(out) == contents(world[0])


@pytest.mark.parametrize('identity, sentence', [
    (Identity(8, 'mini', ('CAM_F0',)), 'a world of seed 7, now asked for seed 8'),
    (Identity(7, 'full', ('CAM_F0',)), 'a world of preset mini, now asked for preset full'),
    (Identity(7, 'mini', ('CAM_F0', 'CAM_B0')), 'now asked for cameras CAM_F0, CAM_B0')])
def test_worlds_do_not_mix(world, identity, sentence):
    with pytest.raises(WorldError, match=sentence):
        make(world[0], identity=identity)


def test_fewer_scenes_than_there_are_are_refused(world):
    with pytest.raises(WorldError, match='holds 13 scenes of train, now asked for 12'):
        make(world[0], {'train': 12})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / 'thesis.tex').write_text('mine')
    with pytest.raises(WorldError, match=r'is no world, but holds thesis\.tex'):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ['thesis.tex']


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(WorldError, match='file/out: Not a directory; name a folder'):
        make(tmp_path / 'file' / 'out')


def test_two_runs_at_a_time_are_refused(world):
    builder = WorldBuilder(world[0], IDENTITY, TinyWorld(), SMALL, 1)
    with builder.folder.opened(), pytest.raises(WorldError, match='another process'):
        make(world[0])


@pytest.mark.parametrize('scenes, split, expected', [
    (200, None, {'train': 160, 'val': 20, 'test': 20}),
    (3, None, {'train': 1, 'val': 1, 'test': 1}),
    (29, None, {'train': 25, 'val': 2, 'test': 2}),
    (5, 'val', {'val': 5})])
def test_scenes_are_shared_eight_to_one_to_one(scenes, split, expected):
    assert share(scenes, split) == expected


@pytest.mark.parametrize('scenes', [0, -3, 2])
def test_too_few_scenes_are_refused(scenes):
    with pytest.raises(WorldError, match=r'scenes: .*(1 or more|too few)'):
        share(scenes)


def test_the_folder_may_be_moved(world, tmp_path):
    moved = tmp_path / 'moved'
    make(tmp_path / 'out', {'val': 1})
    (tmp_path / 'out').rename(moved)
    assert make(moved, {'val': 1}).made == 0
    assert Path(moved).is_dir()
