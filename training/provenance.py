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

"""Where results come from."""

from collections.abc import Sequence
from pathlib import Path
import subprocess

from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import log_name, SCENES
from pair_drive_training.world.drive_key import DriveKey


def git_revision() -> str:
    """Return the revision of the source tree, with ``-dirty`` after it where files differ."""
    try:
        run = subprocess.run(['git', 'describe', '--always', '--abbrev=12', '--dirty'],
                             cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return run.stdout.strip()


def described(cache: Cache, tokens: Sequence[str], path: Path | None) -> str:
    """
    Say in one line what a policy learns from.

    :param path: scene filter or list of tokens that chose the scenes, None for the whole cache
    """
    text = (f'{path.name if path else "all scenes"} ({len(tokens)} scenes) of a cache of '
            f'{", ".join(cache.header.splits)}')
    if SCENES in cache.header.kinds and any(
            DriveKey.of_log(log_name(cache, token)) for token in tokens):
        text += ': the procedural world, no real drive'
    return text
