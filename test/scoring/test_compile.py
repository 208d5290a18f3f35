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

"""Kernels where numba has no folder to keep them in, and the key that makes old ones stale."""

from numba import njit
from pair_drive_ros.scoring import compile as scoring_compile
import pytest


def test_kernels_work_without_a_cache_folder(monkeypatch):
    def njit_without_folder(cache=False, **options):
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return njit(**options)

    monkeypatch.setattr(scoring_compile, 'njit', njit_without_folder)
    with pytest.warns(UserWarning, match='NUMBA_CACHE_DIR'):
        double = scoring_compile.cpu_kernel(lambda x: 2.0 * x)
    assert double(1.5) == 3.0


def test_a_changed_rule_changes_the_fingerprint(monkeypatch, tmp_path):
    monkeypatch.setattr(scoring_compile, '__file__', str(tmp_path / 'compile.py'))
    rule = tmp_path / 'rule.py'
    rule.write_text('LIMIT = 1.0')
    before = scoring_compile.source_fingerprint()
    assert scoring_compile.source_fingerprint() == before
    rule.write_text('LIMIT = 2.0')
    assert scoring_compile.source_fingerprint() != before
