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

Everything of a run is here: the configuration, the loop, checkpoints. What a policy learns is its
own affair (``ImitationPolicy.loss``). A run is exactly repeatable and goes on where it was: order
of the scenes and random numbers follow from the seed, the step and the process.
"""

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass
from datetime import timedelta
import hashlib
import json
import math
import os
from pathlib import Path
import sys
import time
from typing import Any

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.training_batches import Batch, listed_tokens, TrainingBatches
from pair_drive_training.fresh_policy import fresh_policy
from pair_drive_training.learning_curves import log_epoch
from pair_drive_training.options import as_entries, differences, option
from pair_drive_training.provenance import described, git_revision
from pair_drive_training.run_state import load_state, Progress, read_progress, save_state
from pair_drive_training.validation import Validation
import torch
from torch import distributed, nn
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

STATE_FILE = 'state.safetensors'
NO_SCORE = 'none'
# The others wait while the first process validates and writes.
_PATIENCE = timedelta(hours=2)


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
    init: Path | None = option('checkpoint to begin with, where names and shapes of its weights '
                               'agree', None)
    epochs: int = option('passes over the training split', 20)
    batch: int = option('scenes in a step, over all processes', 32)
    learning_rate: float = option('at its highest', 1e-3)
    warmup: float = option('share of the steps in which the learning rate rises; then it falls as '
                           'a cosine to zero', 0.1)
    weight_decay: float = option("AdamW's", 0.01)
    clip: float = option('largest norm of the gradient', 5.0)
    precision: str = option('bf16 (mixed) or fp32', 'bf16')
    seed: int = option('of weights, order and dropout', 0)
    device: str = option('cpu or cuda', 'cpu', may_change=True)
    threads: int = option("CPU threads of the network; 0 leaves torch's own choice", 0,
                          may_change=True)
    readers: int = option('threads that read ahead', 2, may_change=True)
    save_minutes: float = option('time after which the state is saved within an epoch', 10.0,
                                 may_change=True)

    def __post_init__(self) -> None:
        for least, names in (
                (1, ('val_every', 'epochs', 'batch', 'readers')),
                (0, ('weight_decay', 'seed', 'threads', 'save_minutes'))):
            for name in names:
                if not getattr(self, name) >= least:
                    raise ImitationError(f'{name}: expected {least} or more, got '
                                         f'{getattr(self, name)}')
        for name in ('learning_rate', 'clip'):
            if not getattr(self, name) > 0.0:
                raise ImitationError(f'{name}: expected more than 0, got {getattr(self, name)}')
        for name, allowed in (('precision', ('bf16', 'fp32')), ('device', ('cpu', 'cuda')),
                              ('val_score', (*(p.value for p in Protocol), NO_SCORE)),
                              ('preset', ('mini', 'full'))):
            if getattr(self, name) not in allowed:
                raise ImitationError(f'{name}: expected one of {", ".join(allowed)}, got '
                                     f'{getattr(self, name)!r}')
        if not 0.0 <= self.warmup < 1.0:
            raise ImitationError(f'warmup: expected a share from 0 on below 1, got {self.warmup}')

    @property
    def protocol(self) -> Protocol | None:
        """Protocol of the validation's score, None where nothing is scored."""
        scored = self.val_cache is not None and self.val_score != NO_SCORE
        return Protocol(self.val_score) if scored else None


class Imitation:
    """
    One run: :meth:`run` trains until its last epoch, from wherever it was.

    Under torchrun each process takes its share of every batch; the first one writes.

    :raises ImitationError, ArchitectureError, CacheError, FilterError, RunStateError: when the run
        cannot be made or gone on with as configured
    """

    def __init__(self, config: ImitationConfig):
        self.config = config
        self._rank = int(os.environ.get('RANK', 0))
        self._world = int(os.environ.get('WORLD_SIZE', 1))
        self._device = _device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        _seed(config.seed, 0, 0)
        self.policy = fresh_policy(config.policy, config.preset, config.model,
                                   anchors=config.anchors, init=config.init,
                                   image_weights=config.image_weights)
        parameters = [value for value in self.policy.parameters() if value.requires_grad]
        if not parameters:
            raise ImitationError(f'{config.policy}: has no parameters to train; evaluate and run '
                                 'it as it is')
        # In float32 torch 2.13 writes beyond its memory on a CPU, channels last, in the backward
        # pass of a strided 1 x 1 convolution of fewer than 16 channels.
        layout = (torch.preserve_format if (config.device, config.precision) == ('cpu', 'fp32')
                  else torch.channels_last)
        self.policy.to(self._device, memory_format=layout)
        self._optimizer = torch.optim.AdamW(parameters, config.learning_rate,
                                            weight_decay=config.weight_decay, fused=True)
        spec = self.policy.feature_spec
        cache = Cache.open(config.cache)
        tokens = listed_tokens(cache, config.tokens)
        self._batches = TrainingBatches(cache, tokens, spec, config.readers, self._device)
        if config.batch % self._world or len(tokens) < config.batch:
            raise ImitationError(
                f'batch: {config.batch} scenes a step do not fit {self._world} processes and '
                f'{len(tokens)} scenes; give a multiple of the processes, no more than all scenes')
        self.steps_per_epoch = len(tokens) // config.batch
        self._data = described(cache, tokens, config.tokens)
        self._validation = self._make_validation() if self._rank == 0 else None
        self._memory: dict[str, Any] = {
            'best': None, 'sums': {}, 'seconds': 0.0,
            'scenes': hashlib.sha256('\n'.join(tokens).encode()).hexdigest()}
        self.step = self._resumed()

    def run(self, epochs: int | None = None) -> None:
        """
        Train to the last epoch, or for so many epochs only, to go on later.

        :raises ImitationError: when loss or gradient are not finite; the batch's tokens are saved
            then
        """
        module: nn.Module = _LossModule(self.policy)
        with self._processes():
            if self._world > 1:
                self._check_steps()
                # Batch statistics are the first process's alone: training does not read them.
                module = DistributedDataParallel(module, forward_sync_buffers=False,
                                                 gradient_as_bucket_view=True, static_graph=True)
            first = self.step // self.steps_per_epoch
            last = self.config.epochs if epochs is None else first + epochs
            for epoch in range(first, min(last, self.config.epochs)):
                self._epoch(module, epoch)

    def _epoch(self, module: nn.Module, epoch: int) -> None:
        self.policy.train()
        done = self.step - epoch * self.steps_per_epoch
        order = np.random.default_rng([self.config.seed, epoch]).permutation(
            len(self._batches.tokens))[:self.steps_per_epoch * self.config.batch]
        shares = order.reshape(self.steps_per_epoch, self._world, -1)[done:, self._rank]
        saved_s = counted_s = time.monotonic()
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
                now_s = time.monotonic()
                self._memory['seconds'] += now_s - counted_s
                counted_s = now_s
                # After its last step an epoch is not over before it is validated and logged.
                if (now_s - saved_s > 60.0 * self.config.save_minutes
                        and self.step % self.steps_per_epoch):
                    saved_s = now_s
                    self._save_state()
        if self._rank == 0:
            self._end_epoch(epoch + 1)
        if self._world > 1:
            distributed.barrier()

    def _step(self, module: nn.Module, batch: Batch) -> dict[str, float]:
        """Take one step; return the terms of the loss, which are finite."""
        _seed(self.config.seed, self.step, self._rank)
        for group in self._optimizer.param_groups:
            group['lr'] = self.learning_rate(self.step)
        features, targets = batch.on(self._device, self.policy.feature_spec)
        with (_attention(self._device),
              torch.autocast(self._device.type, torch.bfloat16, self.config.precision == 'bf16')):
            terms = module(features, targets)
        loss = torch.stack(list(terms.values())).sum()
        self._optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.config.clip)
        # All at once: every value that is asked for waits for the device.
        *values, gradient = torch.stack([*terms.values(), norm]).tolist()
        found = dict(zip(terms, values, strict=True))
        if not all(map(math.isfinite, (*values, gradient))):
            raise self._not_finite(batch, {**found, 'gradient': gradient})
        self._optimizer.step()
        return found

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: a linear rise, then a cosine to zero."""
        steps = self.config.epochs * self.steps_per_epoch
        rise = round(self.config.warmup * steps)
        if step < rise:
            return self.config.learning_rate * (step + 1) / rise
        fallen = (step - rise) / (steps - rise)
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
        log_epoch(self.config.out, row)
        self._save_state()
        print(', '.join(f'{name} {value:.4g}' for name, value in row.items()), flush=True)

    def _save_policy(self, name: str, row: Mapping[str, float]) -> None:
        protocol = self.config.protocol
        record = TrainingRecord(self._data, self.config.seed, git_revision(),
                                protocol.value if protocol else None, dict(row))
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
        if progress.memory.get('scenes') != self._memory['scenes']:
            raise ImitationError(f'{self.config.out}: was begun with other scenes; the cache has '
                                 'grown or the list has changed: name another folder, or give '
                                 '(tokens) the scenes it was begun with')
        load_state(path, {'policy': self.policy}, self._optimizer)
        self._memory = dict(progress.memory)
        return progress.step

    def _not_finite(self, batch: Batch, values: Mapping[str, float]) -> ImitationError:
        # Under DDP a gradient is every process's; only the terms tell whose batch it is.
        path = self.config.out / f'bad_batch{f"_{self._rank}" if self._world > 1 else ""}.json'
        with written_whole(path) as file:
            file.write(json.dumps({'step': self.step, 'terms': {
                name: repr(value) for name, value in values.items()},
                'tokens': batch.tokens}, indent=1).encode())
        bad = ', '.join(name for name, value in values.items() if not math.isfinite(value))
        return ImitationError(f'step {self.step}: the loss is not finite ({bad}); the batch is in '
                              f'{path}. Look at these scenes, or lower the learning rate; the '
                              'last saved state is untouched')

    def _make_validation(self) -> Validation | None:
        config = self.config
        if config.val_cache is None:
            return None
        cache = Cache.open(config.val_cache)
        return Validation(cache, listed_tokens(cache, config.val_tokens),
                          self.policy.feature_spec, config.protocol, config.batch, config.readers)

    def _check_steps(self) -> None:
        steps: list[Any] = [None] * self._world
        distributed.all_gather_object(steps, self.step)
        if len(set(steps)) > 1:
            raise ImitationError(f'{self.config.out}: the processes would go on after the steps '
                                 f'{steps}; all of them must see the same folder')

    @contextlib.contextmanager
    def _processes(self) -> Iterator[None]:
        if self._world > 1:
            distributed.init_process_group('nccl' if self._device.type == 'cuda' else 'gloo',
                                           timeout=_PATIENCE)
        try:
            yield
        finally:
            if self._world > 1:
                distributed.destroy_process_group()


class _LossModule(nn.Module):
    """What DDP wraps: its forward is the loss."""

    def __init__(self, policy: ImitationPolicy):
        super().__init__()
        self.policy = policy

    def forward(self, features: Mapping[str, torch.Tensor],
                targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return self.policy.loss(features, targets)


def _device(name: str) -> torch.device:
    if name == 'cpu':
        return torch.device(name)
    if not torch.cuda.is_available():
        raise ImitationError(f'device: torch {torch.__version__} sees no CUDA device; use cpu')
    device = torch.device(name, int(os.environ.get('LOCAL_RANK', 0)))
    torch.cuda.set_device(device)
    return device


def _attention(device: torch.device) -> contextlib.AbstractContextManager:
    """Choose the attention: on a CPU the fused one's backward pass took 12 % of a step of mini."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == 'cpu' else contextlib.nullcontext()


def _seed(seed: int, step: int, rank: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))
