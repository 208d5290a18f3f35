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
Score a policy, or plans made elsewhere, in the scenes of a cache.

With --refiner and --selector it is the plan that the RL branch makes of theirs.

Writes scores.npz, per_token.jsonl, summary.json and report.html, and prints the means. The exit
code is 1 when a scene failed: it has no plan, a plan that cannot be scored, or no record in the
cache. A failed scene counts as 0; the devkit's mean over the others is printed beside it.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import tempfile

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.features import LIDAR, STITCHED_CAMERAS
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.reactive_scene import reactive_scenes
from pair_drive_training.data.records import reference_plan, SCENES, scoring_scenes, TRAFFIC
from pair_drive_training.data.scene_filter import load_filter
from pair_drive_training.evaluation.bev_picture import ScenePlans
from pair_drive_training.evaluation.one_stage import (
    previous_tokens,
    SceneHead,
    SceneSource,
    score_scenes,
    Scores,
)
from pair_drive_training.evaluation.plans_file import PlansFile, PlansFileError
from pair_drive_training.evaluation.policies import (
    find_policy,
    NetworkPolicy,
    plan_scenes,
    Policy,
    policy_names,
)
from pair_drive_training.evaluation.refined_policy import (
    add_branch_arguments,
    refined,
    RefinedPolicy,
)
from pair_drive_training.evaluation.report import page
from pair_drive_training.evaluation.summary import (
    Subject,
    summarise,
    summarise_two_stage,
    Summary,
    write_scores,
)
from pair_drive_training.evaluation.two_stage import (
    check_scenes,
    evaluate_two_stage,
    mapping_entries,
)

SENSORS = (*STITCHED_CAMERAS, LIDAR)


class EvaluationError(ValueError):
    """An evaluation cannot be run as asked."""


@dataclass(frozen=True)
class Outcome:
    """What was evaluated; ``weights`` by token of second-stage scenes, if there are two stages."""

    scores: Scores
    summary: Summary
    plans: Mapping[str, np.ndarray]
    scenes: SceneSource
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Plans:
    """Plans by token, reasons where there is none, and tokens that have plans but no scene."""

    by_token: Mapping[str, np.ndarray]
    failures: Mapping[str, str]
    unknown: Sequence[str] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--cache', type=Path, required=True, metavar='CACHE',
                        help='folder that the command "cache" built')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--policy', metavar='NAME',
                        help=f'{", ".join(policy_names())}; the path of a checkpoint '
                             '(.safetensors); or the import path package.module:Class of a '
                             'policy without weights')
    source.add_argument('--plans', type=Path, metavar='PLANS.npz',
                        help='plans [K, 8, 3] by token: x m, y m, heading rad every 0.5 s in the '
                             "scene's ego frame")
    parser.add_argument('--architecture', metavar='IMPORT_PATH', default='',
                        help='your own class package.module:Class, where a checkpoint is of it')
    parser.add_argument('--without', nargs='+', metavar='SENSOR', default=(),
                        choices=SENSORS,
                        help=f'sensors to take away from the policy: {", ".join(SENSORS)}')
    parser.add_argument('--blind', action='store_true',
                        help='let networks see nothing but the ego status, though they are told '
                             'that all sensors are there: a control')
    add_branch_arguments(parser)
    parser.add_argument('--protocol', required=True, choices=[p.value for p in Protocol],
                        help='whose score: PDMS of devkit v1.1, or EPDMS of devkit v2.2')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder for the results; files of the same names are replaced')
    parser.add_argument('--tokens', type=Path, metavar='FILE',
                        help='scene filter of NAVSIM or list of tokens; without it all original '
                             'scenes of the cache')
    parser.add_argument('--two-stage', type=Path, metavar='SPLIT.yaml',
                        help="train_test_split of NAVSIM with a reactive_all_mapping: navhard's "
                             'two-stage score in reactive traffic')


def run(options: argparse.Namespace) -> int:
    """Evaluate, write the results and print the means; 1 when a scene failed."""
    protocol = Protocol(options.protocol)
    if options.two_stage and (protocol is not Protocol.NAVSIM_V2 or options.tokens):
        raise EvaluationError('--two-stage belongs to --protocol navsim_v2 and names the scenes '
                              'itself: leave --tokens out')
    if options.plans and (options.without or options.architecture):
        raise EvaluationError('--without and --architecture are about a policy: leave them out '
                              'with --plans')
    if options.plans and options.blind and not options.refiner:
        raise EvaluationError('--blind is about networks: leave it out with --plans alone')
    cache = Cache.open(options.cache)
    _check_writable(options.out)
    outcome = (_two_stage(options, cache) if options.two_stage
               else _one_stage(options, cache, protocol))

    def picture_of(token: str) -> ScenePlans:
        record = cache.read(SCENES, token)
        return ScenePlans(outcome.scenes([token]), outcome.plans[token][0],
                          reference_plan(cache, token, protocol),
                          record['human'] if record['has_human'] else None)

    report = options.out / 'report.html'
    try:
        write_scores(options.out, outcome.scores, outcome.summary, outcome.weights)
        with written_whole(report) as file:
            file.write(page(outcome.scores, outcome.summary, picture_of).encode())
    except OSError as error:
        raise EvaluationError(f'{options.out}: the results cannot be written '
                              f'({error.strerror})') from error
    print(outcome.summary.table())
    print(f'  report: {report}')
    return 1 if outcome.scores.failures else 0


def _one_stage(options: argparse.Namespace, cache: Cache, protocol: Protocol) -> Outcome:
    listed = load_filter(options.tokens)
    if listed.tokens is not None:
        asked: Sequence[str] = listed.tokens
        heads = _heads(cache, asked, protocol.value)
    else:
        heads = {token: head for token, head in _heads(
            cache, cache.tokens(protocol.value), protocol.value).items()
            if not head.synthetic and listed.wants_log(head.log_name)}
        asked = list(heads)
    if not heads:
        raise EvaluationError(f'{options.cache}: holds none of the scenes to evaluate by '
                              f'{protocol.value}; build it with that protocol and these scenes')
    plans = _plans(options, cache, protocol, list(heads))
    absent = {token: f'the cache has no scene of this token for {protocol.value}'
              for token in asked if token not in heads}
    scenes = partial(scoring_scenes, cache, protocol=protocol)
    previous = previous_tokens(heads[token] for token in plans.by_token)
    scores = score_scenes(heads, plans.by_token, previous, scenes, protocol,
                          {**absent, **plans.failures})
    return Outcome(scores, summarise(scores, _subject(options), plans.unknown), plans.by_token,
                   scenes)


def _two_stage(options: argparse.Namespace, cache: Cache) -> Outcome:
    mapping = load_filter(options.two_stage).reactive_all_mapping
    if mapping is None:
        raise EvaluationError(f'{options.two_stage}: holds no reactive_all_mapping; name a '
                              'two-stage split of NAVSIM such as train_test_split/'
                              'navhard_two_stage.yaml, not the scene filter of that name')
    entries = mapping_entries(mapping)
    protocol = Protocol.NAVSIM_V2
    heads = _heads(cache, [token for entry in entries for pair in entry.pairs for token in pair],
                   protocol.value, TRAFFIC)
    # Before the plans are made, which may take long.
    check_scenes(entries, heads)
    plans = _plans(options, cache, protocol, list(heads))

    def scenes(tokens: Sequence[str]) -> ScoringScenes:
        return reactive_scenes(cache, tokens,
                               np.stack([plans.by_token[token][0] for token in tokens]))

    scores, result = evaluate_two_stage(entries, heads, plans.by_token, plans.failures, scenes)
    summary = summarise_two_stage(scores, result, _subject(options), plans.unknown)
    return Outcome(scores, summary, plans.by_token, scenes, result.weights)


def _heads(cache: Cache, tokens: Sequence[str], *kinds: str) -> dict[str, SceneHead]:
    """
    Heads of the tokens that the cache has records of all kinds of.

    They come in the cache's order, in which all later reading is fastest.
    """
    wanted = set(tokens).intersection(*(cache.tokens(kind) for kind in kinds))
    return {token: SceneHead.of_record(cache.read(SCENES, token))
            for token in cache.tokens(SCENES) if token in wanted}


def _plans(options: argparse.Namespace, cache: Cache, protocol: Protocol,
           tokens: Sequence[str]) -> Plans:
    if options.policy:
        return Plans(*plan_scenes(_policy(options, cache), cache, protocol, tokens))
    with PlansFile(options.plans) as file:
        unknown = sorted(file.tokens - set(cache.tokens(SCENES)))
        if options.refiner:
            policy = refined(_planned_in(file), options, blind=options.blind)
            plans, failures = plan_scenes(policy, cache, protocol, tokens)
            return Plans(plans, failures, unknown)
        plans, failures = {}, {}
        for token in tokens:
            try:
                plans[token] = file.plans(token)
            except PlansFileError as error:
                failures[token] = str(error)
        return Plans(plans, failures, unknown)


def _policy(options: argparse.Namespace, cache: Cache) -> Policy:
    limits = {'without': options.without, 'blind': options.blind}
    inner = find_policy(options.policy, options.architecture, **limits)
    sees = isinstance(inner, NetworkPolicy) and inner.sensors
    if options.blind and not sees and not options.refiner:
        raise EvaluationError(f'{options.policy}: reads no sensor; leave --blind out')
    policy = refined(inner, options, **limits)
    # A cache without such a kind is refused here; later it would be a failure in every scene.
    if isinstance(policy, NetworkPolicy | RefinedPolicy):
        for kind in policy.kinds:
            cache.tokens(kind)
    return policy


def _planned_in(file: PlansFile) -> Policy:
    return lambda _cache, _protocol, tokens: np.stack([file.single(token) for token in tokens])


def _subject(options: argparse.Namespace) -> Subject:
    return Subject(options.policy or str(options.plans),
                   tuple(name for name in SENSORS if name in options.without),
                   options.refiner, options.selector, options.blind)


def _check_writable(folder: Path) -> None:
    """Find out before the work whether its results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise EvaluationError(f'{folder}: cannot be written to ({error.strerror}); name a folder '
                              'that is writable') from error
