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

"""Files appear whole or not at all."""

from pair_drive_ros.core.files import written_whole
import pytest


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'file'
    with written_whole(path) as file:
        file.write(b'half')
        assert not path.exists()
        file.write(b' and half')
    assert path.read_bytes() == b'half and half'
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with pytest.raises(RuntimeError), written_whole(path) as file:
        file.write(b'new')
        raise RuntimeError
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(OSError), written_whole(tmp_path / 'file' / 'below'):
        pass
