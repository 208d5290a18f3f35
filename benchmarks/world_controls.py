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
Score the controls on a procedural world: what can be had without looking at the road.

``python benchmarks/world_controls.py WORLD`` caches the splits ``world_train`` and ``world_test``,
trains the ego-status network (velocity, acceleration, command, as NAVSIM does its EgoStatusMLP)
with three seeds and prints the table of docs/world.md.
"""

import argparse
from collections.abc import Sequence
import json
from pathlib import Path

import numpy as np
from pair_drive_ros.scoring import Protocol
from pair_drive_training.__main__ import main as run_command
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import SCENES
from pair_drive_training.data.scene_filter import load_filter
import torch
from torch import nn

SEEDS = (0, 1, 2)
HIDDEN = 512
EPOCHS = 60
BATCH = 64
LEARNING_RATE = 1e-4
COLUMNS = {Protocol.NAVSIM_V1: ('PDMS', 'NC', 'DAC', 'EP', 'TTC', 'C'),
           Protocol.NAVSIM_V2: ('EPDMS', 'NC', 'DAC', 'DDC', 'TLC', 'EP', 'TTC', 'LK', 'HC', 'EC')}
BASELINES = ('human', 'pdm_closed', 'constant_velocity')


def statuses(cache: Cache, tokens: Sequence[str]) -> torch.Tensor:
    """Velocity, acceleration and command of the current frame, float32 [N, 8]."""
    rows = []
    for token in tokens:
        record = cache.read(SCENES, token)
        rows.append(np.concatenate([record[name][-1] for name in
                                    ('velocity', 'acceleration', 'command')]))
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def train(inputs: torch.Tensor, plans: torch.Tensor, seed: int) -> nn.Module:
    """Fit NAVSIM's blind network: three hidden layers of 512, mean absolute error, Adam."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(8, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
                            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 24))
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            loss = (network(inputs[batch]).view(-1, 8, 3) - plans[batch]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network


def evaluate(cache: Path, out: Path, protocol: Protocol, *source: str) -> dict:
    """Run the command ``evaluate`` and return its summary."""
    run_command(['evaluate', '--cache', str(cache), '--protocol', protocol.value, '--out',
                 str(out), *source])
    return json.loads((out / 'summary.json').read_text())


def main() -> None:
    """Cache, train, score and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('world', type=Path)
    world = parser.parse_args().world
    caches = {}
    for split in ('train', 'test'):
        caches[split] = world / f'cache_{split}'
        run_command(['cache', '--logs', str(world / 'navsim_logs' / split), '--maps',
                     str(world / 'maps'), '--tokens',
                     str(world / 'scene_filter' / f'world_{split}.yaml'), '--out',
                     str(caches[split])])
    seen = Cache.open(caches['train'])
    tokens = load_filter(world / 'scene_filter' / 'world_train.yaml').tokens
    plans = torch.from_numpy(np.stack([seen.read(SCENES, token)['human'] for token in tokens]))
    inputs = statuses(seen, tokens)
    test = Cache.open(caches['test'])
    test_tokens = test.tokens(SCENES)
    rows = {(name, protocol): [evaluate(caches['test'], world / 'controls' / name / protocol.value,
                                        protocol, '--policy', name)]
            for name in BASELINES for protocol in Protocol}
    for seed in SEEDS:
        network = train(inputs, plans.float(), seed)
        with torch.no_grad():
            blind = network(statuses(test, test_tokens)).view(-1, 1, 8, 3).numpy()
        out = world / 'controls' / f'ego_status_{seed}'
        out.mkdir(parents=True, exist_ok=True)
        np.savez(out / 'plans.npz', **dict(zip(test_tokens, blind, strict=True)))
        for protocol in Protocol:
            rows.setdefault(('ego_status', protocol), []).append(evaluate(
                caches['test'], out / protocol.value, protocol, '--plans',
                str(out / 'plans.npz')))
    print(f'{len(tokens)} scenes to train on, {len(test_tokens)} to test on')
    for protocol, columns in COLUMNS.items():
        print(f'\n| {protocol.title} | {" | ".join(columns)} |\n|---|{"---|" * len(columns)}')
        for name in (*BASELINES, 'ego_status'):
            cells = [cell([summary['views']['one plan a scene'][column]
                           for summary in rows[name, protocol]]) for column in columns]
            print(f'| {name} | {" | ".join(cells)} |')


def cell(columns: list[dict]) -> str:
    """Percent with the 95 % interval of one run, or mean and spread of several."""
    means = [100.0 * column['mean'] for column in columns if column['mean'] is not None]
    if not means:
        return '-'
    if len(means) > 1:
        return f'{np.mean(means):.1f} +- {np.std(means, ddof=1):.1f}'
    return (f'{means[0]:.1f} [{100.0 * columns[0]["low"]:.1f}, '
            f'{100.0 * columns[0]["high"]:.1f}]')


if __name__ == '__main__':
    main()
