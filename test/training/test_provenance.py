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

"""What a checkpoint's card says of where it comes from."""

from pathlib import Path

from pair_drive_training.data.cache import Cache
from pair_drive_training.provenance import described
from tiny_cache import token, write_cache


def test_procedural_drives_are_told_from_real_ones(tmp_path):
    cache = Cache.open(write_cache(tmp_path / 'real', 3, logs=2))
    text = described(cache, [token(1)], Path('few.txt'))
    assert text == 'few.txt (1 scenes) of a cache of noise'
    cache = Cache.open(write_cache(tmp_path / 'drawn', 3, logs=2, name='world7_train'))
    assert described(cache, [token(0), token(2)], None) == (
        'all scenes (2 scenes) of a cache of noise: the procedural world, no real drive')
