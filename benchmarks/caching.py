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

"""
Time metric caching on one core, files included, and reading one scene from a cache.

``python benchmarks/caching.py --logs DIR --maps DIR``. The reference is the devkits' own caching
of the eight scenes of the golden fixture on one core, see benchmarks/README.md: with other logs
the ratio says little.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
import shutil
import statistics
import tempfile
import time

from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import Cache, SCHEMA_VERSION
from pair_drive_training.data.cache_builder import CacheBuilder, CHUNK_SCENES
from pair_drive_training.data.frames import SceneFrames
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.navsim_recipe import Maps, NavsimRecipe
from pair_drive_training.data.records import (
    make_records,
    pack_records,
    RECORD_VERSIONS,
    SCENES,
    scoring_scenes,
)
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
from pair_drive_training.data.shards import ShardCard, write_shard

ROUNDS = 5
# Seconds a scene of the devkits v1.1 and v2.2, lzma pickles written.
OFFICIAL_S = {Protocol.NAVSIM_V1: 0.278, Protocol.NAVSIM_V2: 0.310}


def cache_scenes(scenes: list[SceneFrames], store: MapStore, kinds: list[str],
                 folder: Path) -> None:
    """Make the records of all scenes and write them as one shard of each kind."""
    made = [make_records(scene, store.city(scene.map_name), kinds) for scene in scenes]
    tokens = tuple(scene.token for scene in scenes)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        card = ShardCard(SCHEMA_VERSION, kind, RECORD_VERSIONS[kind], 'log', tokens, {})
        write_shard(folder / kind, card, pack_records(kind, [records[kind] for records in made]))


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--logs', type=Path, required=True)
    parser.add_argument('--maps', type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = MapStore(options.maps, folder / 'maps')
        everything = SceneFilter()
        scenes = [scene for path in find_logs(options.logs)
                  for scene in scenes_of_log(read_log(path), everything)]
        # As many as a shard of a real log has.
        scenes = (scenes * CHUNK_SCENES)[:CHUNK_SCENES]
        cache_scenes(scenes, store, [protocol.value for protocol in Protocol], folder / 'warm')
        for protocols in ([Protocol.NAVSIM_V1], [Protocol.NAVSIM_V2], list(Protocol)):
            kinds = [SCENES, *(protocol.value for protocol in protocols)]
            times = []
            for _ in range(ROUNDS):
                once = partial(cache_scenes, scenes, store, kinds, folder / 'out')
                times.append(seconds(once) / len(scenes))
                shutil.rmtree(folder / 'out')
            median = statistics.median(times)
            official = sum(OFFICIAL_S[protocol] for protocol in protocols)
            print(f'{" + ".join(kinds)}: {1e3 * median:.1f} ms a scene '
                  f'({1e3 * min(times):.1f} to {1e3 * max(times):.1f}), '
                  f'{official / median:.0f} x the official {1e3 * official:.0f} ms')
        _time_reading(options, folder)


def _time_reading(options: argparse.Namespace, folder: Path) -> None:
    recipe = NavsimRecipe(options.logs, Maps(options.maps, folder / 'maps'), SceneFilter(),
                          'all', list(Protocol))
    CacheBuilder(folder / 'cache', recipe, 1).run()
    for protocol in Protocol:
        cache = Cache.open(folder / 'cache')
        tokens = cache.tokens(protocol.value)
        first, *again = [[seconds(partial(scoring_scenes, cache, [token], protocol))
                          for token in tokens] for _ in range(20)]
        print(f'read {protocol.value}: first {1e3 * statistics.median(first):.2f} ms a scene, '
              f'then {1e3 * statistics.median(sum(again, [])):.3f} ms')


if __name__ == '__main__':
    main()
