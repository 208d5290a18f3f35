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

"""Files of plans: what is read, and what is refused with which words."""

import io
import zipfile

import numpy as np
from pair_drive_training.evaluation.plans_file import PlansFile, PlansFileError
import pytest


@pytest.fixture
def plans_file(tmp_path):
    """Write arrays and return the path."""
    def write(**arrays):
        path = tmp_path / 'plans.npz'
        np.savez(path, **arrays)
        return path
    return write


def good(count=2):
    return np.linspace(0.0, 1.0, count * 24, dtype=np.float32).reshape(count, 8, 3)


def test_plans_come_back_as_written(plans_file):
    with PlansFile(plans_file(a=good(), b=good(5))) as file:
        assert file.tokens == {'a', 'b'}
        np.testing.assert_array_equal(file.plans('b'), good(5))


def test_compressed_archive(tmp_path):
    np.savez_compressed(tmp_path / 'plans.npz', a=good())
    with PlansFile(tmp_path / 'plans.npz') as file:
        np.testing.assert_array_equal(file.plans('a'), good())


@pytest.mark.parametrize(('values', 'says'), [
    (good()[0], r'expected plans \[K, 8, 3\], got \[8, 3\]'),
    (good()[:, :7], r'got \[2, 7, 3\]'),
    (good()[:0], r'got \[0, 8, 3\]'),
    (np.zeros((1, 8, 3), np.int64), 'got int64'),
    (np.where(np.arange(2)[:, None, None] == 1, np.nan, good()), 'plan 1 is not finite'),
    (np.where(np.arange(2)[:, None, None] == 0, np.inf, good()), 'plan 0 is not finite'),
])
def test_unusable_plans_are_named(plans_file, values, says):
    with PlansFile(plans_file(a=values, b=good())) as file:
        with pytest.raises(PlansFileError, match=says):
            file.plans('a')
        np.testing.assert_array_equal(file.plans('b'), good())


def test_token_without_plan(plans_file):
    with (PlansFile(plans_file(a=good())) as file,
          pytest.raises(PlansFileError, match='has no plan for this token')):
        file.plans('b')


def test_pickled_entry_is_never_opened(tmp_path):
    path = tmp_path / 'plans.npz'
    np.savez(path, a=np.array([print, {}], dtype=object))
    with PlansFile(path) as file, pytest.raises(PlansFileError, match='cannot be read'):
        file.plans('a')


def test_entry_that_is_no_array(tmp_path):
    path = tmp_path / 'plans.npz'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.npy', b'no array')
    with PlansFile(path) as file, pytest.raises(PlansFileError):
        file.plans('a')


def test_damaged_entry_fails_alone(plans_file):
    path = plans_file(a=good(40), b=good(40))
    content = bytearray(path.read_bytes())
    content[2000] ^= 0xff
    path.write_bytes(content)
    with PlansFile(path) as file:
        with pytest.raises(PlansFileError, match='cannot be read'):
            file.plans('a')
        np.testing.assert_array_equal(file.plans('b'), good(40))


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_file_is_refused(plans_file, share):
    path = plans_file(a=good(40), b=good(40))
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(PlansFileError, match=r'cut off|cannot be read'):
        PlansFile(path)


def test_header_that_promises_too_much(tmp_path):
    path, header = tmp_path / 'plans.npz', io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '<f4', 'fortran_order': False, 'shape': (10**12, 8, 3)})
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.npy', header.getvalue() + bytes(96))
    with PlansFile(path) as file, pytest.raises(PlansFileError, match='cannot be read'):
        file.plans('a')


def test_missing_file(tmp_path):
    with pytest.raises(PlansFileError, match='cannot be read'):
        PlansFile(tmp_path / 'nothing.npz')
