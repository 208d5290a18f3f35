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


"""Files of anchors: what is read, and what is refused with a sentence."""

import io
import os

import numpy as np
from pair_drive_ros.models.anchors import AnchorsError, read_anchors
import pytest

GOOD = np.random.default_rng(0).normal(scale=20.0, size=(20, 8, 2))


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def asking_for_much():
    """Write the header of an array that no memory holds."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {'descr': '<f4', 'fortran_order': False, 'shape': (10**13, 8, 2)})
    return file.getvalue()


def archive():
    file = io.BytesIO()
    np.savez(file, anchors=GOOD)
    return file.getvalue()


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ('unpickled',)


@pytest.mark.parametrize('dtype', ['<f8', '<f4', '>f8'])
@pytest.mark.parametrize('count', [20, 1])
def test_anchors_are_read_in_single_precision(tmp_path, dtype, count):
    (tmp_path / 'anchors.npy').write_bytes(saved(np.asfortranarray(GOOD[:count].astype(dtype))))
    anchors = read_anchors(tmp_path / 'anchors.npy')
    assert anchors.dtype == np.float32
    assert anchors.flags.c_contiguous
    np.testing.assert_array_equal(anchors, GOOD[:count].astype(np.float32))


@pytest.mark.parametrize(('content', 'says'), [
    (saved(GOOD)[:-1], 'no whole .npy file'), (saved(GOOD)[:20], 'no whole .npy file'),
    (b'', 'no whole .npy file'), (b'1.0, 2.0\n', 'no whole .npy file'),
    (archive(), 'no whole .npy file'), (asking_for_much(), 'no whole .npy file'),
    (saved(GOOD[..., :1]), r'expected floating-point anchors \[N, 8, 2\]'),
    (saved(GOOD[:, :6]), r'got float64 \[20, 6, 2\]'), (saved(GOOD[0]), r'float64 \[8, 2\]'),
    (saved(GOOD[:0]), r'float64 \[0, 8, 2\]'), (saved(GOOD.astype(int)), r'int64 \[20, 8, 2\]'),
    (saved(np.where(np.arange(20)[:, None, None] == 3, np.nan, GOOD)), 'anchor 3 is not finite')])
def test_what_holds_no_anchors_is_refused(tmp_path, content, says):
    (tmp_path / 'anchors.npy').write_bytes(content)
    with pytest.raises(AnchorsError, match=says) as caught:
        read_anchors(tmp_path / 'anchors.npy')
    assert str(caught.value).startswith(f'{tmp_path / "anchors.npy"}: ')


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bombs = np.empty((20, 8, 2), object)
    bombs[:] = Bomb()
    (tmp_path / 'anchors.npy').write_bytes(saved(bombs, allow_pickle=True))
    with pytest.raises(AnchorsError, match='allow_pickle'):
        read_anchors(tmp_path / 'anchors.npy')
    assert not (tmp_path / 'unpickled').exists()


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / 'anchors.npy', tmp_path):
        with pytest.raises(AnchorsError, match='cannot be read .*"make-anchors"'):
            read_anchors(path)


@pytest.mark.shared_data
def test_the_public_anchors_are_read_as_they_are(shared_data):
    anchors = read_anchors(shared_data / '03_trajectory_anchors' / 'kmeans_navsim_traj_20.npy')
    assert anchors.shape == (20, 8, 2)
    lowest, highest = anchors.min(axis=(0, 1)), anchors.max(axis=(0, 1))
    np.testing.assert_allclose(lowest, [0.56, -10.62], atol=0.01)
    np.testing.assert_allclose(highest, [47.66, 12.38], atol=0.01)
