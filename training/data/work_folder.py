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

"""A folder that one long piece of work fills, which may be killed at any time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import fcntl
import json
from pathlib import Path
from typing import Any

from pair_drive_ros.core.files import written_whole

LOCK_FILE = '.lock'


@contextmanager
def locked(folder: Path, error: type[ValueError], work: str) -> Iterator[None]:
    """
    Keep other processes out for as long as this one lives, however it ends.

    :raises error: when another process is at the ``work``
    """
    with (folder / LOCK_FILE).open('a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise error(f'{folder}: another process is {work}; wait until it has ended, or name '
                        'another folder') from None
        yield


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a JSON file that is complete or not there."""
    with written_whole(path) as file:
        file.write(json.dumps(fields, indent=1).encode() + b'\n')
