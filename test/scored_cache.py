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

"""The cache of noise with scenes for the scorer, a lorry on the road ahead; and a toy scorer."""

from pathlib import Path
from typing import Any

from pair_drive_ros.scoring import ObjectType, Protocol, ScoringScenes, SubScores
from pair_drive_ros.scoring.aggregation import epdms_without_extended_comfort, pdms
from pair_drive_ros.scoring.example import example_scene
from pair_drive_training.data.cache import read_header, write_header
from pair_drive_training.data.records import pack_records
from pair_drive_training.data.shards import ShardCard, write_shard
from tiny_cache import token, write_cache
import torch

LORRY_M, FURTHER_M = 20.0, 4.0
"""How far the lorry is in the first scene, and how much further from scene to scene."""


def scored_scenes(scenes: int, protocol: Protocol = Protocol.NAVSIM_V1) -> ScoringScenes:
    """Prepare the scenes that a cache of so many has."""
    return ScoringScenes.concatenate([part for part, _ in _records(scenes, protocol)], protocol)


def write_scored_cache(path: Path, scenes: int) -> Path:
    """Write a cache of noise whose scenes can be scored by both protocols."""
    write_cache(path, scenes)
    header = read_header(path)
    assert header is not None
    kinds = {protocol.value: 1 for protocol in Protocol}
    write_header(path, type(header)({**header.kinds, **kinds}, splits=header.splits))
    tokens = tuple(token(index) for index in range(scenes))
    for protocol in Protocol:
        kind = protocol.value
        write_shard(path / kind, ShardCard(1, kind, 1, 'noise_0', tokens, {}),
                    pack_records(kind, _records(scenes, protocol)))
    return path


def further_is_better(plans: torch.Tensor, scenes: ScoringScenes, protocol: Protocol,
                      **_options: Any) -> SubScores:
    """Score plans by how far ahead they end, instead of driving: the nearer to 30 m the better."""
    assert len(plans) == len(scenes)
    progress = (plans[..., -1, 0] / 30.0).clamp(0.0, 1.0)
    one = torch.ones_like(progress)
    scores = SubScores(protocol, nc=one, dac=one, ddc=one, ep=progress, ttc=one, comfort=one,
                       tlc=one, lk=one, ec=None, total=None, valid=None)
    aggregate = pdms if protocol is Protocol.NAVSIM_V1 else epdms_without_extended_comfort
    return SubScores(**{**vars(scores), 'total': aggregate(scores)})


def all_are_even(plans: torch.Tensor, *arguments: Any, **options: Any) -> SubScores:
    """Score all plans alike."""
    return further_is_better(torch.zeros_like(plans), *arguments, **options)


def _records(count: int, protocol: Protocol) -> list[tuple]:
    found = []
    for index in range(count):
        lorry = (ObjectType.VEHICLE, LORRY_M + FURTHER_M * index, 0.0, 0.0, 0.0, 9.0, 2.5)
        scene = example_scene(protocol, [lorry])
        found.append((ScoringScenes.prepare([scene], protocol), scene.reference))
    return found
