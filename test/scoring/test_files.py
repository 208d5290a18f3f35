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

"""The scene file, the command and the benchmark."""

import argparse
import json
import zipfile

import numpy as np
from pair_drive_ros.scoring import benchmark, command, Protocol
from pair_drive_ros.scoring.scene_file import SceneFile, SceneFileError
import pytest


def run(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]), [])


def test_command_writes_the_official_scores(golden_small, tmp_path, capsys):
    for name, columns in (('navsim_v1', ['scores']),
                          ('navsim_v2', ['scores_unfiltered', 'scores_filtered'])):
        out = tmp_path / 'new' / f'{name}.npz'
        assert run(golden_small, '--protocol', name, '--out', out) == 0
        with np.load(out, allow_pickle=False) as ours, np.load(golden_small) as official:
            for key in ('0000', '0093'):
                for column in columns:
                    expected = official[f'{key}/{name[-2:]}/{column}']
                    np.testing.assert_allclose(ours[f'{key}/{column}'], expected, atol=1e-6)
        printed = capsys.readouterr().out
        assert '96 plans scored' in printed and 'plans/s' in printed
        assert Protocol(name).title in printed
    written = sorted(path.name for path in (tmp_path / 'new').iterdir())
    assert written == ['navsim_v1.npz', 'navsim_v2.npz']


def test_command_names_what_is_missing(tmp_path, capsys):
    out = tmp_path / 'scores.npz'
    assert run(tmp_path / 'none.npz', '--protocol', 'navsim_v1', '--out', out) == 1
    assert 'none.npz' in capsys.readouterr().err
    np.savez(tmp_path / 'poor.npz', **{'0000/name': np.array('poor')})
    assert run(tmp_path / 'poor.npz', '--protocol', 'navsim_v1', '--out', out) == 1
    assert '0000/' in capsys.readouterr().err
    assert not out.exists()


def test_pickled_fields_are_refused(tmp_path):
    path = tmp_path / 'evil.npz'
    np.savez(path, **{'0000/trajectories': np.array([{}], dtype=object)})
    with SceneFile(path) as file, pytest.raises(SceneFileError, match='0000/trajectories'):
        file.plans('0000')


@pytest.mark.parametrize('content', [b'', b'not an archive', b'PK\x03\x04 broken'])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / 'other.npz'
    path.write_bytes(content)
    with pytest.raises(SceneFileError, match=r'other\.npz'):
        SceneFile(path)


def test_a_plain_array_is_refused(tmp_path):
    path = tmp_path / 'array.npy'
    np.save(path, np.zeros(3))
    with pytest.raises(SceneFileError, match=r'array\.npy'):
        SceneFile(path)


def test_benchmark_reports_both_protocols(golden_small):
    report = json.loads(json.dumps(benchmark.run(golden_small, repeats=2)))
    for name in ('navsim_v1', 'navsim_v2'):
        assert report[name]['plans'] == 16
        assert {'prepare_ms', 'one_core_ms', 'all_cores_ms'} <= set(report[name])
        assert 0.0 <= report[name]['float32']['disagreement_rate'] <= 1.0
    assert 'gpu' in report
    assert 'navsim_v2' in benchmark.report(report)


def test_benchmark_has_a_scene_of_its_own():
    text = benchmark.report(benchmark.run(repeats=1))
    assert 'one core' in text
    # Ratios belong to the scene that the official scorers were timed on, and to no other.
    assert 'official' not in text


def test_benchmark_compares_the_dense_scene_with_the_official_scorers(shared_golden):
    figures = benchmark.run(shared_golden / 'dense_scene.npz', repeats=1)
    ratio = 559.0 / figures['navsim_v1']['one_core_ms']
    assert f'{ratio:.0f} times as fast as the official scorer' in benchmark.report(figures)


def test_benchmark_names_a_missing_file(tmp_path):
    with pytest.raises(SceneFileError, match=r'none\.npz'):
        benchmark.run(tmp_path / 'none.npz')


def test_a_damaged_member_names_the_file(golden_small, tmp_path, capsys):
    content = bytearray(golden_small.read_bytes())
    with zipfile.ZipFile(golden_small) as archive:
        plans = next(member for member in archive.infolist()
                     if member.filename.endswith('/trajectories.npy'))
    begin = plans.header_offset + plans.compress_size // 2
    content[begin:begin + 200] = bytes(200)
    damaged = tmp_path / 'damaged.npz'
    damaged.write_bytes(content)
    assert run(damaged, '--protocol', 'navsim_v1', '--out', tmp_path / 'out.npz') == 1
    assert 'damaged.npz' in capsys.readouterr().err
    assert not (tmp_path / 'out.npz').exists()
