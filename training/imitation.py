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
Imitation: train one policy to plan as the human drove.

Everything of a run is here: the configuration, the loop, validation, checkpoints. What a policy
learns is its own affair (``ImitationPolicy.loss``). A run is exactly repeatable and goes on where
it was: order of the scenes and random numbers of a step follow from the seed and the step.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import sys
import time
from typing import Any

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.anchors import read_anchors
from pair_drive_ros.models.architectures import policy_class
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.models.pretrained import load_image_weights
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import scoring_scenes
from pair_drive_training.data.scene_filter import load_filter
from pair_drive_training.data.training_batches import Batch, check_scenes, TrainingBatches
from pair_drive_training.learning_curves import draw_curves
from pair_drive_training.options import as_entries, differences, option
from pair_drive_training.provenance import git_revision
from pair_drive_training.run_state import load_state, Progress, read_progress, save_state
import torch
from torch import nn
from torch.distributed import barrier, destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

STATE_FILE, METRICS_FILE, BAD_BATCH_FILE = 'state.safetensors', 'metrics.jsonl', 'bad_batch.json'
NO_SCORE = 'none'


class ImitationError(ValueError):
    """A policy cannot be trained as asked; the sentence says why and what to do."""


@dataclass(frozen=True)
class ImitationConfig:
    """What a run is made of; also its command line and its YAML."""

    cache: Path = option('cache with features and targets of the training split')
    out: Path = option('folder of the run, new or to go on with', may_change=True)
    policy: str = option("transfuser, diffusion_drive, ego_status, or your own class's import "
                         'path package.module:Class', 'transfuser')
    preset: str = option("the policy's configuration to begin with: full, or mini where it has "
                         'one', 'mini')
    model: dict[str, Any] = option("entries of the policy's configuration that differ", {})
    tokens: Path | None = option('scene filter or list of tokens; without it the whole cache',
                                 None)
    val_cache: Path | None = option('cache to validate in; without it there is no validation',
                                    None)
    val_tokens: Path | None = option('scene filter of the validation', None)
    val_score: str = option('score that picks the best checkpoint: navsim_v1, navsim_v2, or none: '
                            'the loss', Protocol.NAVSIM_V1.value)
    val_every: int = option('epochs from one validation to the next', 1)
    anchors: Path | None = option('anchors of diffusion_drive, see make-anchors', None)
    image_weights: Path | None = option('ImageNet weights of a ResNet-34 to begin with (.pth, '
                                        '.safetensors)', None)
    epochs: int = option('passes over the training split', 20)
    batch: int = option('scenes in a step, over all processes', 32)
    learning_rate: float = option('at its highest', 1e-3)
    warmup: float = option('share of the steps in which the learning rate rises; then it falls as '
                           'a cosine to zero', 0.1)
    weight_decay: float = option("AdamW's", 0.01)
    clip: float = option('largest norm of the gradient', 5.0)
    brightness: float = option("spread of a random gain of each colour of a scene's image", 0.0)
    precision: str = option('bf16 (mixed) or fp32', 'bf16')
    seed: int = option('of weights, order and dropout', 0)
    device: str = option('cpu or cuda', 'cpu', may_change=True)
    threads: int = option("CPU threads of the network; 0 leaves torch's own choice", 0,
                          may_change=True)
    readers: int = option('threads that read ahead', 2, may_change=True)
    save_minutes: float = option('time after which the state is saved within an epoch', 10.0,
                                 may_change=True)

    def __post_init__(self) -> None:
        for name in ('val_every', 'epochs', 'batch', 'readers'):
            if getattr(self, name) < 1:
                raise ImitationError(f'{name}: expected 1 or more, got {getattr(self, name)}')
        for name, allowed in (('precision', ('bf16', 'fp32')),
                              ('val_score', (*(p.value for p in Protocol), NO_SCORE)),
                              ('preset', ('mini', 'full'))):
            if getattr(self, name) not in allowed:
                raise ImitationError(f'{name}: expected one of {", ".join(allowed)}, got '
                                     f'{getattr(self, name)!r}')
        if not 0.0 <= self.warmup < 1.0:
            raise ImitationError(f'warmup: expected a share from 0 on below 1, got {self.warmup}')


class Imitation:
    """
    One run: :meth:`run` trains until its last epoch, from wherever it was.

    Under torchrun each process takes its share of every batch; the first one writes.

    :raises ImitationError, CacheError, FilterError, RunStateError: when the run cannot be made or
        gone on with as configured
    """

    def __init__(self, config: ImitationConfig):
        self.config = config
        self._rank, self._world = int(os.environ.get('RANK', 0)), int(
            os.environ.get('WORLD_SIZE', 1))
        self._device = _device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        _seed(config.seed, 0, 0)
        self.policy = build_policy(config)
        parameters = [value for value in self.policy.parameters() if value.requires_grad]
        if not parameters:
            raise ImitationError(f'{config.policy}: has no parameters to train; evaluate and run '
                                 'it as it is')
        self.policy.to(self._device, memory_format=torch.channels_last)
        self._optimizer = torch.optim.AdamW(parameters, config.learning_rate,
                                            weight_decay=config.weight_decay)
        self._batches = self._training_batches()
        if config.batch % self._world or len(self._batches.tokens) < config.batch:
            raise ImitationError(
                f'batch: {config.batch} scenes a step do not fit {self._world} processes and '
                f'{len(self._batches.tokens)} scenes; give a multiple of the processes, and no '
                'more than there are scenes')
        self.steps_per_epoch = len(self._batches.tokens) // config.batch
        self._validation = _Validation(config) if config.val_cache and self._rank == 0 else None
        self._memory: dict[str, Any] = {'best': None, 'sums': {}, 'seconds': 0.0}
        self.step = self._resumed()

    def run(self, epochs: int | None = None) -> None:
        """
        Train to the last epoch, or for so many epochs only, to go on later.

        :raises ImitationError: when the loss is not finite; the batch's tokens are saved then
        """
        module: nn.Module = _LossModule(self.policy)
        with self._processes():
            if self._world > 1:
                module = DistributedDataParallel(module)
            first = self.step // self.steps_per_epoch
            last = self.config.epochs if epochs is None else min(first + epochs,
                                                                 self.config.epochs)
            for epoch in range(first, last):
                self._epoch(module, epoch)

    def _epoch(self, module: nn.Module, epoch: int) -> None:
        self.policy.train()
        done = self.step - epoch * self.steps_per_epoch
        order = np.random.default_rng([self.config.seed, epoch]).permutation(
            len(self._batches.tokens))[:self.steps_per_epoch * self.config.batch]
        shares = order.reshape(self.steps_per_epoch, self._world, -1)[done:, self._rank]
        saved_s = started_s = time.monotonic()
        with tqdm(total=self.steps_per_epoch, initial=done, unit='step', disable=self._rank > 0,
                  desc=f'epoch {epoch + 1}/{self.config.epochs}', file=sys.stderr) as progress:
            for batch in self._batches.stream(shares.tolist()):
                terms = self._step(module, batch)
                for name, value in terms.items():
                    sums = self._memory['sums']
                    sums[name] = sums.get(name, 0.0) + value
                self.step += 1
                progress.set_postfix(loss=f'{sum(terms.values()):.3f}', refresh=False)
                progress.update()
                if time.monotonic() - saved_s > 60.0 * self.config.save_minutes:
                    saved_s = time.monotonic()
                    self._save_state()
        self._memory['seconds'] += time.monotonic() - started_s
        if self._rank == 0:
            self._end_epoch(epoch + 1)
        if self._world > 1:
            barrier()

    def _step(self, module: nn.Module, batch: Batch) -> dict[str, float]:
        """Take one step; return the terms of the loss, which are finite."""
        _seed(self.config.seed, self.step, self._rank)
        for group in self._optimizer.param_groups:
            group['lr'] = self.learning_rate(self.step)
        features, targets = batch.on(self._device, self.policy.feature_spec)
        if self.config.brightness:
            features = brightened(features, self.config.brightness)
        with torch.autocast(self._device.type, torch.bfloat16, self.config.precision == 'bf16'):
            terms = module(features, targets)
        loss = torch.stack(list(terms.values())).sum()
        values = {name: value.item() for name, value in terms.items()}
        if not math.isfinite(sum(values.values())):
            raise self._not_finite(batch, values)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), self.config.clip)
        self._optimizer.step()
        return values

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: a linear rise, then a cosine to zero."""
        steps = self.config.epochs * self.steps_per_epoch
        rise = self.config.warmup * steps
        if step < rise:
            return self.config.learning_rate * (step + 1) / rise
        fallen = (step - rise) / max(steps - rise, 1.0)
        return self.config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * fallen))

    def _end_epoch(self, epoch: int) -> None:
        """Validate, log and save."""
        row = {'epoch': epoch, 'seconds': round(self._memory['seconds'], 1),
               'learning_rate': self.learning_rate(self.step - 1)}
        row.update({f'train/{name}': value / self.steps_per_epoch
                    for name, value in self._memory['sums'].items()})
        self._memory['sums'] = {}
        if self._validation and (epoch % self.config.val_every == 0
                                 or epoch == self.config.epochs):
            row.update(self._validation.measure(self.policy, self._device))
        quality = self._validation.quality(row) if self._validation else None
        best = self._memory['best']
        if quality is not None and (best is None or quality > best):
            self._memory['best'] = quality
            self._save_policy('best', row)
        self._save_policy('last', row)
        self._log(row)
        self._save_state()
        print(', '.join(f'{name} {value:.4g}' for name, value in row.items()), flush=True)

    def _log(self, row: Mapping[str, float]) -> None:
        path = self.config.out / METRICS_FILE
        lines = path.read_text().splitlines() if path.exists() else []
        # A run that was killed between this file and its state does the epoch again.
        rows = [*(old for old in map(json.loads, lines) if old['epoch'] < row['epoch']), dict(row)]
        with written_whole(path) as file:
            file.write(''.join(f'{json.dumps(each)}\n' for each in rows).encode())
        with SummaryWriter(str(self.config.out / 'tensorboard')) as writer:
            for name, value in row.items():
                writer.add_scalar(name, value, row['epoch'])
        draw_curves(self.config.out / 'curves.png', rows)

    def _save_policy(self, name: str, row: Mapping[str, float]) -> None:
        tokens = self._batches.tokens
        split = self.config.tokens.name if self.config.tokens else 'all scenes'
        record = TrainingRecord(
            data=f'{split} ({len(tokens)} scenes) of a cache of '
                 f'{", ".join(Cache.open(self.config.cache).header.splits)}',
            seed=self.config.seed, git_revision=git_revision(),
            protocol=None if self.config.val_score == NO_SCORE else self.config.val_score,
            metrics=dict(row))
        save_checkpoint(self.config.out / f'{name}.safetensors', self.policy, record)

    def _save_state(self) -> None:
        if self._rank == 0:
            save_state(self.config.out / STATE_FILE, {'policy': self.policy}, self._optimizer,
                       Progress(as_entries(self.config), self.step, self._memory))

    def _resumed(self) -> int:
        """Return the step to go on with."""
        path = self.config.out / STATE_FILE
        progress = read_progress(path)
        if progress is None:
            return 0
        changed = differences(progress.entries, self.config)
        if changed:
            raise ImitationError(f'{self.config.out}: holds a run of another configuration '
                                 f'({"; ".join(changed)}); name another folder, or give what the '
                                 'run was begun with')
        load_state(path, {'policy': self.policy}, self._optimizer)
        self._memory = dict(progress.memory)
        return progress.step

    def _not_finite(self, batch: Batch, values: Mapping[str, float]) -> ImitationError:
        path = self.config.out / BAD_BATCH_FILE
        with written_whole(path) as file:
            file.write(json.dumps({'step': self.step, 'terms': {
                name: repr(value) for name, value in values.items()},
                'tokens': batch.tokens}, indent=1).encode())
        bad = ', '.join(name for name, value in values.items() if not math.isfinite(value))
        return ImitationError(f'step {self.step}: the loss is not finite ({bad}); the batch is in '
                              f'{path}. Look at these scenes, or lower the learning rate; the '
                              'last saved state is untouched')

    def _training_batches(self) -> TrainingBatches:
        cache = Cache.open(self.config.cache)
        return TrainingBatches(cache, _tokens(cache, self.config.tokens),
                               self.policy.feature_spec, self.config.readers,
                               pinned=self._device.type == 'cuda')

    @contextlib.contextmanager
    def _processes(self) -> Iterator[None]:
        if self._world > 1:
            init_process_group('nccl' if self._device.type == 'cuda' else 'gloo')
        try:
            yield
        finally:
            if self._world > 1:
                destroy_process_group()


class _LossModule(nn.Module):
    """What DDP wraps: its forward is the loss."""

    def __init__(self, policy: ImitationPolicy):
        super().__init__()
        self.policy = policy

    def forward(self, features: Mapping[str, torch.Tensor],
                targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return self.policy.loss(features, targets)


class _Validation:
    """Loss and score in scenes that are not trained on."""

    def __init__(self, config: ImitationConfig):
        self._config = config
        self._cache = Cache.open(config.val_cache)
        self._tokens = _tokens(self._cache, config.val_tokens)
        if config.val_score != NO_SCORE:
            protocol = Protocol(config.val_score)
            check_scenes(self._cache, self._tokens, (protocol.value,))
            self._protocol, self._scenes = protocol, scoring_scenes(self._cache, self._tokens,
                                                                    protocol)

    @torch.no_grad()
    def measure(self, policy: ImitationPolicy, device: torch.device) -> dict[str, float]:
        """Return mean loss terms, and the mean score (0 to 100) of the plans."""
        config, plans, sums = self._config, [], {}
        batches = TrainingBatches(self._cache, self._tokens, policy.feature_spec, config.readers)
        policy.eval()
        for batch in batches.stream(np.array_split(np.arange(len(self._tokens)), math.ceil(
                len(self._tokens) / config.batch))):
            features, targets = batch.on(device, policy.feature_spec)
            for name, value in policy.loss(features, targets).items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(batch.tokens)
            plans.append(policy.plan(features).float().cpu())
        row = {f'val/{name}': value / len(self._tokens) for name, value in sums.items()}
        if config.val_score != NO_SCORE:
            total = pdm_score(torch.cat(plans).double()[:, None], self._scenes,
                              self._protocol).total
            row[f'val/{self._protocol.value}'] = 100.0 * float(torch.as_tensor(total).mean())
        return row

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Return what the best checkpoint has most of, if it was measured."""
        if self._config.val_score != NO_SCORE:
            return row.get(f'val/{self._config.val_score}')
        terms = [value for name, value in row.items() if name.startswith('val/')]
        return -sum(terms) if terms else None


def build_policy(config: ImitationConfig) -> ImitationPolicy:
    """
    Build the configured policy with fresh weights, its anchors and its image encoder's weights.

    :raises ImitationError: when the policy has no such preset, anchors or image encoder
    """
    found = policy_class(config.policy)
    configure = found.config_class
    if config.preset == 'mini' and hasattr(configure, 'mini'):
        configure = configure.mini
    try:
        policy = found(configure(**config.model))
    except TypeError as error:
        raise ImitationError(f'model: does not fit {config.policy} ({error})') from error
    if config.anchors is not None:
        if not hasattr(policy, 'set_anchors'):
            raise ImitationError(f'anchors: {config.policy} has none; leave the option out')
        policy.set_anchors(torch.from_numpy(read_anchors(config.anchors)))
    if config.image_weights is not None:
        load_image_weights(policy, config.image_weights)
    return policy


def brightened(features: Mapping[str, torch.Tensor], spread: float) -> dict[str, torch.Tensor]:
    """Scale each colour of each scene's image by a random gain; what is black stays black."""
    image = features['camera_feature']
    gain = 1.0 + spread * torch.randn(len(image), 3, 1, 1, device=image.device)
    return {**features, 'camera_feature': (image * gain).clamp(0.0, 1.0)}


def _tokens(cache: Cache, path: Path | None) -> Sequence[str]:
    """Return the tokens that a filter lists, else all that have targets."""
    listed = load_filter(path).tokens if path is not None else None
    return listed if listed is not None else cache.tokens('targets')


def _device(name: str) -> torch.device:
    if name == 'cuda' and not torch.cuda.is_available():
        raise ImitationError(f'device: torch {torch.__version__} sees no CUDA device; use cpu')
    local = os.environ.get('LOCAL_RANK')
    return torch.device(f'cuda:{local}' if name == 'cuda' and local else name)


def _seed(seed: int, step: int, rank: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))
