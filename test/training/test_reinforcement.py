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

"""The RL branch's training: that it learns what is rewarded, and leaves alone what it must."""

from dataclasses import replace
import json
import math
from pathlib import Path

from pair_drive_ros.models.checkpoint import load_card, load_checkpoint
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.models.tree_sampler import TreeConfig, TreeSampler
from pair_drive_ros.scoring import Protocol
from pair_drive_training import learning_curves, objectives, reinforcement
from pair_drive_training.__main__ import main
from pair_drive_training.data.cache import CacheError
from pair_drive_training.fresh_branch import FreshBranchError
from pair_drive_training.reinforcement import leaf_density, Reinforcement, ReinforcementConfig
from pair_drive_training.roots import RootsError
from pair_drive_training.run_config import TrainingRunError
import pytest
from safetensors.torch import load_file
from scored_cache import all_are_even, further_is_better, write_scored_cache
from tiny_branch import PERCEPTION, TREE
from tiny_cache import token, write_cache
from tiny_view import bend, BEV_WIDTH, tiny_view, WIDTH
import torch
from torch.distributions import Normal

SCENES = 8
TIMED = ('seconds', 'train/scoring_share')
RECORD = TrainingRecord('noise', 0, 'none')


@pytest.fixture(scope='module')
def cache(tmp_path_factory) -> Path:
    return write_scored_cache(tmp_path_factory.mktemp('cache'), SCENES)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(learning_curves, 'draw_curves', lambda path, rows: None)


@pytest.fixture
def toy(monkeypatch):
    """Reward how far ahead a leaf ends."""
    monkeypatch.setattr(reinforcement, 'pdm_score', further_is_better)


@pytest.fixture
def config(cache, tmp_path) -> ReinforcementConfig:
    """Configure a run of the tree alone."""
    return ReinforcementConfig(
        cache=cache, out=tmp_path / 'run', perception=PERCEPTION, tree=TREE,
        learn_perception=False, roots='human', epochs=2, batch=4, readers=1, threads=1, seed=3)


def rows(folder: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in json.loads(line).items() if name not in TIMED}
            for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def state(run: Reinforcement) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.refiner.state_dict().items()}


def changed(before, after) -> set[str]:
    """Return which weights and statistics differ, by the part they belong to."""
    return {name for name in before if not torch.equal(before[name], after[name])}


@torch.no_grad()
def leaves_of(run: Reinforcement) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rewards and chances of the leaves of all scenes, without noise, [B, G]."""
    run.refiner.eval()
    batch = run._batches.read(run.tokens)
    features, targets = batch.on(run.device, run.feature_spec)
    tree = run.refiner.tree(run.refiner.view(features), targets['trajectory'])
    total = further_is_better(tree.leaves, batch.scenes, Protocol.NAVSIM_V1).total
    return total, tree.log_probs.softmax(dim=1)


@pytest.mark.parametrize('scores', ['exact', 'clipped'])
def test_what_is_rewarded_becomes_likely(config, toy, scores):
    run = Reinforcement(replace(config, scores=scores, offsets='none', entropy=0.0, epochs=10,
                                learning_rate=0.03))
    rewards, chances = leaves_of(run)
    before = (rewards * chances).sum(dim=1) - rewards.mean(dim=1)
    assert before.abs().max() < 0.02
    run.run()
    rewards, chances = leaves_of(run)
    gained = (rewards * chances).sum(dim=1) - rewards.mean(dim=1)
    print(before, gained)
    entropies = [row['train/leaf_entropy'] for row in rows(config.out)]
    assert entropies[-1] < entropies[0] <= math.log(15.0) + 1e-5


@pytest.mark.parametrize('offsets', ['policy', 'best', 'group', 'path', 'regression'])
def test_offsets_move_to_what_is_rewarded(config, toy, offsets):
    means = []
    for credit in (offsets, 'none'):
        run = Reinforcement(replace(config, offsets=credit, out=config.out / credit, epochs=10,
                                    learning_rate=0.02, offset_weight=3.0, offsets_after=0.0, trees=8))
        before = leaves_of(run)[0]
        run.run()
        after = leaves_of(run)[0]
        means.append((after.mean() - before.mean(), after.amax(dim=1) - before.amax(dim=1), [r['train/reward'] for r in rows(run.config.out)]))
    print(offsets, means)
