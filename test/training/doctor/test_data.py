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

"""A whole data set passes; whatever is broken in it is named with what to do."""

import json
import os
import pickle
import shutil

from pair_drive_training.doctor import doctor_command
import pytest
import tiny_navsim

VERSION_FOLDER = f'maps/{tiny_navsim.CITY}/{tiny_navsim.VERSION}'


def test_a_whole_data_set_passes(whole, call):
    result = call(*whole.arguments)
    assert result.code == 0
    assert result.failed == set()
    assert result.of('split') == ('OK', 'mine.yaml: lists 6 scenes', '')
    assert result.of('logs') == ('OK', '2 logs: 32 frames', '')
    assert result.of('scenes') == ('OK', '6 of 6 of mine.yaml', '')
    assert result.of('map') == ('OK', f'{tiny_navsim.CITY} {tiny_navsim.VERSION}: 11 lanes and '
                                      'connectors, 8 roadblocks', '')
    assert result.of('sensors') == ('OK', '6 of 6 scenes complete, 24 of 24 files there', '')
    assert result.of('cache: shards')[:2] == ('OK', '12 whole')
    assert result.of('cache: navsim_v2') == ('OK', '6 of 6 scenes for EPDMS (NAVSIM devkit v2.2)',
                                             '')
    assert result.of('cache: targets')[1] == '6 of 6 scenes'
    assert result.of('cache: last run')[1] == 'made all of 6 scenes'
    states = [row[1] for row in result.rows]
    assert result.last == (f'{len(states)} checks: {states.count("OK")} OK, '
                           f'{states.count("WARN")} WARN, 0 FAIL, '
                           f'{states.count("not checked")} not checked')


def test_every_row_that_is_not_ok_has_a_remedy(call):
    result = call()
    assert result.code == 0
    assert all(remedy for _, state, _, remedy in result.rows if state != 'OK')
    for check, flag in (('split', '--tokens FILE'), ('logs', '--logs DIR'),
                        ('maps', '--maps DIR'), ('sensors', '--sensors DIR'),
                        ('cache', '--cache CACHE')):
        state, _, remedy = result.of(check)
        assert state == 'not checked'
        assert f'Give {flag}' in remedy


def delete_log(root):
    (root / 'logs/two.pkl').unlink()


def truncate_log(root):
    path = root / 'logs/two.pkl'
    path.write_bytes(path.read_bytes()[:-1000])


def shorten_log(root):
    frames = pickle.loads((root / 'logs/two.pkl').read_bytes())
    (root / 'logs/two.pkl').write_bytes(pickle.dumps(frames[:-1]))


def delete_camera(root):
    (root / f'blobs/one/CAM_F0/{tiny_navsim.frame_token("one", 3)}.jpg').unlink()


def empty_lidar(root):
    path = root / f'blobs/two/MergedPointCloud/{tiny_navsim.frame_token("two", 5)}.pcd'
    path.write_bytes(b'')


def delete_blobs(root):
    shutil.rmtree(root / 'blobs/two')


def rename_version(root):
    (root / VERSION_FOLDER).rename(root / f'maps/{tiny_navsim.CITY}/9.0')


def truncate_map(root):
    path = root / VERSION_FOLDER / 'map.gpkg'
    path.write_bytes(path.read_bytes()[:20_000])


def delete_index(root):
    (root / 'maps/nuplan-maps-v1.0.json').unlink()


def shard_of(root, kind):
    return sorted((root / 'cache' / kind).iterdir())[0]


def flip_byte(root):
    file = sorted(shard_of(root, 'features').glob('*.npy'))[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def delete_shard(root):
    shutil.rmtree(shard_of(root, 'traffic'))


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def other_schema(root):
    change_json(root / 'cache/cache.json', lambda content: content.update(schema_version=0))


def other_kind_version(root):
    change_json(root / 'cache/cache.json', lambda content: content['kinds'].update(navsim_v1=0))


def other_map(root):
    change_json(root / 'cache/cache.json',
                lambda content: content['maps'].update({tiny_navsim.CITY: '8.0'}))


def fail_last_run(root):
    def change(content):
        content['last_run']['kinds']['targets']['failures'] = {'abc': 'no lane is near'}
    change_json(root / 'cache/manifest.json', change)


def spoil_manifest(root):
    change_json(root / 'cache/manifest.json', lambda content: content.update(shards=[3]))


BREAKS = [
    # What is broken; the checks that fail; of the first: what it finds, what it advises.
    (delete_log, ['absent logs', 'scenes'],
     '1 of the 2 that mine.yaml names are not there: two', "the devkit's download/"),
    (delete_log, ['scenes', 'absent logs'],
     f'3 of 6 of mine.yaml are in the logs; missing: {tiny_navsim.frame_token("two", 3)}, ',
     'Get the logs by'),
    (truncate_log, ['unreadable log', 'scenes'],
     'logs/two.pkl: the file is truncated, damaged or no pickle', 'Get it again'),
    (shorten_log, ['scenes'],
     f'5 of 6 of mine.yaml are in the logs; missing: {tiny_navsim.frame_token("two", 5)}',
     'Get the logs by'),
    (delete_camera, ['sensors', 'sensors by log'],
     '5 of 6 scenes complete, 23 of 24 files there; missing or empty: ', 'Get them by'),
    (delete_camera, ['sensors by log', 'sensors'],
     'files are missing of 1 of 2 logs, all files of 0 of them: one (1 of 12)',
     'Unpack the archives'),
    (empty_lidar, ['sensors', 'sensors by log'],
     '5 of 6 scenes complete, 23 of 24 files there; missing or empty: ', 'Get them by'),
    (delete_blobs, ['sensors by log', 'sensors'],
     'files are missing of 1 of 2 logs, all files of 1 of them: two (12 of 12)',
     'Unpack the archives'),
    (rename_version, ['map'],
     f'map version mismatch: nuplan-maps-v1.0.json asks for {tiny_navsim.CITY} '
     f'{tiny_navsim.VERSION}, the folder has 9.0', 'download/download_maps.sh'),
    (truncate_map, ['map'], 'map.gpkg: this is not a whole nuPlan map',
     'download/download_maps.sh'),
    (delete_index, ['maps'], 'there is no nuplan-maps-v1.0.json here',
     'download/download_maps.sh'),
    (flip_byte, ['cache: shards'], '1 of 12 damaged: ', 'python -m pair_drive_training cache'),
    (delete_shard, ['cache: shards', 'cache: traffic'],
     '1 are not there that the manifest lists: traffic/', 'python -m pair_drive_training cache'),
    (delete_shard, ['cache: traffic', 'cache: shards'],
     f'3 of 6 scenes; missing: {tiny_navsim.frame_token("one", 3)}, ',
     'python -m pair_drive_training cache'),
    (other_schema, ['cache'], 'a cache of schema version 0, this program reads version 1',
     'python -m pair_drive_training cache'),
    (other_kind_version, ['cache', 'cache: shards'],
     'holds navsim_v1 of version 0', 'in another folder'),
    (other_map, ['cache'], f'was built with map {tiny_navsim.CITY} 8.0, now given '
                           f'{tiny_navsim.VERSION}', 'in another folder'),
    (fail_last_run, ['cache: last run'],
     'targets: 1 failures, for example abc (no lane is near)', 'cache/manifest.json'),
    (spoil_manifest, ['cache'], 'the check broke off: ', 'Put right what it names'),
]


@pytest.mark.parametrize(('damage', 'failed', 'finding', 'advice'), BREAKS,
                         ids=[f'{entry[0].__name__}-{entry[1][0]}' for entry in BREAKS])
def test_what_is_broken_is_named_with_the_remedy(data, call, damage, failed, finding, advice):
    damage(data.root)
    result = call(*data.arguments)
    assert result.code == 1
    assert result.failed == set(failed)
    state, found, remedy = result.of(failed[0])
    assert state == 'FAIL'
    assert finding in found
    assert advice in remedy


def test_the_remedy_of_a_cache_is_the_command_that_completes_it(data, call):
    delete_shard(data.root)
    _, _, remedy = call(*data.arguments).of('cache: traffic')
    words = remedy.split(': ', 1)[1].split()
    assert words == ['python', '-m', 'pair_drive_training', 'cache',
                     *map(str, data.arguments[:-2]), '--out', str(data.root / 'cache')]


def test_a_hostile_log_is_named_and_not_executed(data, call):
    mark = data.root / 'executed'

    class Hostile:

        def __reduce__(self):
            return os.system, (f'touch {mark}',)

    (data.root / 'logs/two.pkl').write_bytes(pickle.dumps([Hostile()]))
    result = call(*data.arguments)
    assert result.code == 1
    _, found, remedy = result.of('unreadable log')
    assert f'{data.root}/logs/two.pkl: the pickle names posix.system' in found
    assert 'Get it again' in remedy
    assert not mark.exists()


def test_many_unreadable_logs_are_counted(tmp_path, call):
    for index in range(6):
        (tmp_path / f'{index}.pkl').write_bytes(b'')
    result = call('--logs', tmp_path)
    rows = [found for check, _, found, _ in result.rows if check == 'unreadable log']
    assert len(rows) == 4
    assert rows[-1] == '3 more cannot be read'


def test_a_log_that_is_there_twice_is_a_warning(data, call):
    (data.root / 'logs/copy').mkdir()
    shutil.copy(data.root / 'logs/one.pkl', data.root / 'logs/copy/other.pkl')
    result = call('--logs', data.root / 'logs')
    assert result.code == 0
    state, found, _ = result.of('repeated scenes')
    assert state == 'WARN'
    assert found.startswith('3 are in several logs')
    assert result.of('scenes')[1] == '6 in the logs'


def test_logs_without_names_of_sensor_files(data, call):
    frames = pickle.loads((data.root / 'logs/two.pkl').read_bytes())
    for frame in frames:
        frame['cams'] = {}
    (data.root / 'logs/two.pkl').write_bytes(pickle.dumps(frames))
    result = call(*data.arguments)
    assert result.failed == {'sensors in the logs'}
    assert result.of('sensors in the logs')[1].startswith('3 of 6 scenes lack names of files')
    assert result.of('sensors')[1] == '3 of 6 scenes complete, 12 of 12 files there'


@pytest.mark.parametrize('flag', ['logs', 'maps', 'sensors', 'cache'])
def test_a_folder_that_is_not_there(data, call, flag):
    arguments = list(data.arguments)
    arguments[arguments.index(f'--{flag}') + 1] = data.root / 'nowhere'
    result = call(*arguments)
    assert result.code == 1
    assert result.failed == {flag}
    assert 'nowhere' in result.of(flag)[1]


def test_without_logs_all_cities_of_the_maps_are_read(data, call):
    change_json(data.root / 'maps/nuplan-maps-v1.0.json',
                lambda content: content.update({'sg-one-north': {'version': '9.17.1964'}}))
    assert call('--maps', data.root / 'maps').failed == {'map'}
    assert call('--maps', data.root / 'maps', '--logs', data.root / 'logs').failed == set()


def test_a_folder_without_the_logs_of_the_split(data, call):
    shutil.rmtree(data.root / 'logs')
    tiny_navsim.write_log(data.root / 'logs', 'another')
    result = call(*data.arguments)
    assert {'logs', 'absent logs', 'scenes'} <= result.failed
    assert result.of('logs')[1] == 'none that mine.yaml names is in the folder'
    assert result.of('map')[0] == 'not checked'


def test_quick_opens_the_first_and_last_log_and_no_shard(data, call):
    tiny_navsim.write_log(data.root / 'logs', 'p')
    (data.root / 'logs/p.pkl').write_bytes(b'damaged')
    flip_byte(data.root)
    arguments = [word for word in data.arguments
                 if word not in ('--tokens', data.root / 'mine.yaml')]
    result = call(*arguments, '--quick')
    assert result.code == 0
    assert result.of('logs')[1] == '3 logs, 2 of them opened: 32 frames'
    assert result.of('scenes')[0] == 'not checked'
    assert result.of('sensors')[1].endswith('24 of 24 files there (of the logs opened)')
    assert result.of('cache: shards')[:2] == ('not checked', '12 are there')
    assert call(*arguments).failed == {'unreadable log', 'cache: shards'}


def test_a_cache_is_counted_against_the_logs_where_no_split_is_given(data, call):
    tiny_navsim.write_log(data.root / 'logs', 'three', 16)
    result = call('--logs', data.root / 'logs', '--cache', data.root / 'cache')
    assert result.of('cache: scenes')[1].startswith('6 of 9 scenes; missing: ')
    assert call('--cache', data.root / 'cache').of('cache: scenes')[1] == '6 scenes'


def test_a_cache_whose_run_never_ended_is_a_warning(data, call):
    (data.root / 'cache/manifest.json').unlink()
    result = call(*data.arguments)
    assert result.code == 0
    assert result.of('cache: last run')[:2] == ('WARN', 'none has come to its end')


def test_scenes_up_to_the_limit_of_the_filter(data, call):
    with (data.root / 'mine.yaml').open('a') as file:
        file.write('max_scenes: 4\n')
    result = call(*data.arguments)
    assert result.code == 0
    assert result.of('scenes')[1] == '4 in the logs'
    assert result.of('cache: scenes')[1] == '4 of 4 scenes'


def test_arguments_that_need_others(call, data):
    with pytest.raises(doctor_command.DoctorError, match='give --logs DIR too'):
        call('--sensors', data.root / 'blobs')
    with pytest.raises(doctor_command.DoctorError, match='give --logs DIR or --cache CACHE too'):
        call('--tokens', data.root / 'mine.yaml')


def test_a_filter_that_cannot_be_read_is_no_table(call, data, capsys):
    with pytest.raises(ValueError, match=r'nothing\.yaml: cannot be read as text'):
        call('--logs', data.root / 'logs', '--tokens', data.root / 'nothing.yaml')
    assert capsys.readouterr().out == ''
