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

"""The work on one chunk of scenes, in a worker process: make records, write shards."""

from collections.abc import Mapping
from pathlib import Path
import traceback
from typing import Any

from pair_drive_training.data.cache import SCHEMA_VERSION
from pair_drive_training.data.recipe import Chunk, ChunkResult, Recipe, Stage
from pair_drive_training.data.shards import ShardCard, write_shard

ERRORS_FILE = 'errors.log'


def make_chunk(recipe: Recipe, job: tuple[Path, Chunk], stop: Any) -> ChunkResult:
    """
    Make the shards of one chunk in the cache's folder; none is begun once ``stop`` has a value.

    A scene that fails does not keep the others from their shard.
    """
    path, chunk = job
    result = ChunkResult()
    records: dict[str, dict[str, Any]] = {kind: {} for kind in chunk.kinds}
    try:
        for scene in recipe.scenes(chunk.source, chunk.tokens):
            for stage in recipe.stages:
                if stop.value:
                    return result
                _make(stage, scene, records, result)
    except Exception as error:
        result.fail(chunk.kinds, chunk.tokens, _reason(error, result.errors))
        return result
    for stage in recipe.stages:
        for kind in stage.kinds:
            if records.get(kind):
                _write(path, chunk, stage, kind, records[kind], result)
    return result


def _make(stage: Stage, scene: Any, records: Mapping[str, dict[str, Any]],
          result: ChunkResult) -> None:
    wanted = [kind for kind in stage.kinds if kind in records]
    if not wanted:
        return
    try:
        made = stage.make(scene, wanted)
        for kind in wanted:
            records[kind][scene.token] = made[kind]
    except Exception as error:
        result.fail(wanted, [scene.token], _reason(error, result.errors))


def _write(path: Path, chunk: Chunk, stage: Stage, kind: str, records: Mapping[str, Any],
           result: ChunkResult) -> None:
    card = ShardCard(SCHEMA_VERSION, kind, stage.kinds[kind], chunk.source.name, tuple(records),
                     {})
    try:
        arrays = stage.pack(kind, list(records.values()))
    except Exception as error:
        result.fail([kind], records, _reason(error, result.errors))
        return
    try:
        write_shard(path / kind, card, arrays)
    except OSError as error:
        result.stopped = (f'{path / kind}: a shard cannot be written ({error.strerror or error}); '
                          f'make room there or lift the limit, then run the command again: the '
                          f'shards that are complete stay')


def _reason(error: Exception, errors: list[str]) -> str:
    """Say why; the traceback of what no check foresaw goes to the errors."""
    if isinstance(error, ValueError) and type(error) is not ValueError:
        return str(error)
    errors.append(traceback.format_exc())
    return f'{type(error).__name__}: {error} (traceback in {ERRORS_FILE})'
