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

"""What a cache is made of and from: the contract between the builder and the data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pair_drive_training.data.cache import CacheHeader


@dataclass(frozen=True)
class Source:
    """Files whose scenes belong together: one log, or a handful of synthetic scenes."""

    name: str
    paths: tuple[Path, ...]
    synthetic: bool = False


@dataclass(frozen=True)
class Scan:
    """
    What a source offers.

    :param tokens: scenes that are asked for, in the order of time
    :param maps: cities these scenes lie in
    :param unreadable: sentences about files that cannot be read
    """

    tokens: tuple[str, ...]
    maps: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


class SceneLike(Protocol):
    """All that the builder knows of a scene."""

    @property
    def token(self) -> str:
        """Name of the scene."""


class Stage(Protocol):
    """
    Makes records of one or more kinds from a scene.

    ``kinds`` are the names and versions of their arrays, ``of_synthetic`` whether scenes without
    a logged future have them as well.
    """

    kinds: Mapping[str, int]
    of_synthetic: bool

    def make(self, scene: Any, wanted: Sequence[str]) -> Mapping[str, Any]:
        """
        Make a record for each of the wanted kinds.

        :raises ValueError: one of its subclasses where this scene can have none; says why
        """

    def pack(self, kind: str, records: Sequence[Any]) -> Mapping[str, np.ndarray]:
        """Turn the records of a shard into its arrays."""


class Recipe(Protocol):
    """
    All a run needs; pickled to the workers, where all but ``sources`` is called.

    ``header`` says what the cache is made of; ``asked`` are the tokens that a split lists, None
    where it lists none and takes what the logs hold; ``max_scenes`` limits how many of the first
    are taken; ``preload`` names the modules that every worker needs.
    """

    header: CacheHeader
    stages: Sequence[Stage]
    asked: Sequence[str] | None
    max_scenes: int | None
    preload: Sequence[str]

    def sources(self) -> Sequence[Source]:
        """Return the files to look through, in a fixed order."""

    def scan(self, source: Source) -> Scan:
        """Find the scenes of one source."""

    def prepare_map(self, name: str) -> None:
        """Do once for a city what every process would do otherwise."""

    def scenes(self, source: Source, tokens: Sequence[str]) -> Iterable[SceneLike]:
        """Read these scenes of a source."""


@dataclass(frozen=True)
class Chunk:
    """A job: make records of ``kinds`` for these scenes of a source, a shard for each kind."""

    source: Source
    tokens: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass
class ChunkResult:
    """
    What became of a chunk.

    ``failures`` kind -> token -> reason; ``errors`` tracebacks of what no check foresaw;
    ``stopped`` why no shard can be written any more.
    """

    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    stopped: str | None = None

    def fail(self, kinds: Iterable[str], tokens: Iterable[str], reason: str) -> None:
        """Record why these scenes have no record of these kinds."""
        tokens = tuple(tokens)
        for kind in kinds:
            self.failures.setdefault(kind, {}).update(dict.fromkeys(tokens, reason))
