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
The loop that every training run of this package goes through.

A run is exactly repeatable and goes on where it was: the order of the scenes and the random
numbers follow from the seed, the step and the process. What is trained, by which loss and how it
is validated are the hooks of :class:`TrainingRun`.
"""

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
from datetime import timedelta
import hashlib
import json
import math
import os
import sys
import time
from typing import Any

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.policy import FeatureSpec, Network
from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.training_batches import Batch, listed_tokens, TrainingBatches
from pair_drive_training.learning_curves import add_up, log_epoch, mean_terms, StepLog
from pair_drive_training.options import as_entries, differences
from pair_drive_training.provenance import described, git_revision
from pair_drive_training.run_config import RunConfig, TrainingRunError
from pair_drive_training.run_state import load_state, Progress, read_progress, save_state
import torch
from torch import distributed, nn
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

STATE_FILE = 'state.safetensors'
# The others wait while the first process validates and writes.
_PATIENCE = timedelta(hours=2)

Terms = dict[str, torch.Tensor]
Figures = dict[str, torch.Tensor | float]


class TrainingRun(abc.ABC):
    """
    One run: :meth:`run` trains until its last epoch, from wherever it was.

    Under torchrun each process takes its share of every batch; the first one validates and writes.
    A subclass writes the hooks, which stand above :meth:`run`. ``memory`` is its own: a dict that
    JSON can hold, begun by :meth:`prepare`, saved and restored with the state.

    :raises TrainingRunError, CacheError, FilterError, RunStateError: when the run cannot be made
        or gone on with as configured; and whatever :meth:`build` and :meth:`prepare` raise
    """

    def __init__(self, config: RunConfig):
        self.config = config
        self.rank = int(os.environ.get('RANK', 0))
        self._world = int(os.environ.get('WORLD_SIZE', 1))
        self.device = _device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        _seed(config.seed, 0, 0)
        self.network = self.build()
        parameters = [value for value in self.network.parameters() if value.requires_grad]
        if not parameters:
            raise TrainingRunError(f'{self.checkpoint.architecture}: has no parameters to train; '
                                   'evaluate and run it as it is')
        # In float32 torch 2.13 writes beyond its memory on a CPU, channels last, in the backward
        # pass of a strided 1 x 1 convolution of fewer than 16 channels.
        layout = (torch.preserve_format if (config.device, config.precision) == ('cpu', 'fp32')
                  else torch.channels_last)
        self.network.to(self.device, memory_format=layout)
        self._optimizer = torch.optim.AdamW(parameters, config.learning_rate,
                                            weight_decay=config.weight_decay, fused=True)
        cache = Cache.open(config.cache)
        tokens = listed_tokens(cache, config.tokens)
        self._batches = TrainingBatches(cache, tokens, self.feature_spec, config.readers,
                                        self.device, self.scene_protocol)
        if config.batch % self._world or len(tokens) < config.batch:
            raise TrainingRunError(
                f'batch: {config.batch} scenes a step do not fit {self._world} processes and '
                f'{len(tokens)} scenes; give a multiple of the processes, no more than all scenes')
        self.steps_per_epoch = len(tokens) // config.batch
        self._data = described(cache, tokens, config.tokens)
        self.memory = self.prepare()
        self._best: float | None = None
        # Of each term and figure: its sum, and over how many steps of the epoch.
        self._sums: dict[str, tuple[float, int]] = {}
        self._seconds = 0.0
        self._scenes = hashlib.sha256('\n'.join(tokens).encode()).hexdigest()
        self.step = self._resumed()

    @abc.abstractmethod
    def build(self) -> nn.Module:
        """
        Return everything that is trained, on the CPU; weights may come from torch's generator.

        Parameters that are frozen have ``requires_grad`` False; the state holds them all the same.
        """

    @property
    @abc.abstractmethod
    def checkpoint(self) -> Network:
        """Return what best and last are written of: what was built, or a part of it."""

    @property
    def feature_spec(self) -> FeatureSpec:
        """Return what is read of a scene; by default what the checkpoint's network reads."""
        return self.checkpoint.feature_spec

    @property
    def tokens(self) -> Sequence[str]:
        """Return the scenes that are trained on."""
        return self._batches.tokens

    @property
    def scene_protocol(self) -> Protocol | None:
        """Protocol that every batch's ``scenes`` are prepared for; None reads no such scenes."""
        return None

    @property
    def val_protocol(self) -> Protocol | None:
        """Protocol of the scores in the validation's row; None where none is a score."""
        return None

    def prepare(self) -> dict[str, Any]:
        """
        Do what is to be done once before this process's first step; return how memory begins.

        The network is on its device and as it was built: a state is restored after this.
        """
        return {}

    def begin_epoch(self) -> None:
        """Put the network into the mode in which it is trained, as validation may have not."""
        self.network.train()

    @abc.abstractmethod
    def loss(self, batch: Batch, features: Mapping[str, torch.Tensor],
             targets: Mapping[str, torch.Tensor]) -> tuple[Terms, Figures]:
        """
        Compute what a step minimises; called under autocast, with random numbers of this step.

        :param batch: this process's share, as stored
        :param features: of the batch, scaled, on the device; ``targets`` likewise
        :return: terms, scalars with a gradient whose sum is minimised, and figures without one
            that are only logged. Both appear as ``train/NAME``, the mean over an epoch's steps;
            figures are the mean over all processes as well
        """

    def after_step(self, measured: Mapping[str, float]) -> Mapping[str, float]:
        """
        Adapt to a step that was taken, in every process, and return more figures to log.

        :param measured: figures, the mean over all processes; ``gradient``, its norm before it was
            clipped; ``seconds`` of this process's step, without the wait for the batch
        """
        return {}

    def validate(self) -> Mapping[str, float]:
        """Measure ``val/NAME`` values of the network; the first process alone is asked."""
        return {}

    def quality(self, row: Mapping[str, float]) -> float | None:
        """Return what the best checkpoint has most of, None where the row does not have it."""
        return None

    def run(self, epochs: int | None = None) -> None:
        """
        Train to the last epoch, or for so many epochs only, to go on later.

        :raises TrainingRunError: when loss, gradient or a figure are not finite; the tokens of the
            batch are saved then
        """
        module: nn.Module = _LossModule(self.network, self.loss)
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
        self.begin_epoch()
        done = self.step - epoch * self.steps_per_epoch
        order = np.random.default_rng([self.config.seed, epoch]).permutation(
            len(self._batches.tokens))[:self.steps_per_epoch * self.config.batch]
        shares = order.reshape(self.steps_per_epoch, self._world, -1)[done:, self.rank]
        log = (StepLog(self.config.out, self.step, self.steps_per_epoch) if self.rank == 0
               else None)
        saved_s = counted_s = time.monotonic()
        with tqdm(total=self.steps_per_epoch, initial=done, unit='step', disable=self.rank > 0,
                  desc=f'epoch {epoch + 1}/{self.config.epochs}', file=sys.stderr) as progress:
            for batch in self._batches.stream(shares.tolist()):
                terms, figures = self._step(module, batch)
                self.step += 1
                add_up(self._sums, terms | figures)
                if log is not None:
                    log.add(self.step, terms | figures)
                progress.set_postfix(loss=f'{sum(terms.values()):.3f}', refresh=False)
                progress.update()
                now_s = time.monotonic()
                self._seconds += now_s - counted_s
                counted_s = now_s
                # After its last step an epoch is not over before it is validated and logged.
                if (now_s - saved_s > 60.0 * self.config.save_minutes
                        and self.step % self.steps_per_epoch):
                    saved_s = now_s
                    self._save_state()
        if self.rank == 0:
            self._end_epoch(epoch + 1)
        if self._world > 1:
            distributed.barrier()

    def _step(self, module: nn.Module, batch: Batch) -> tuple[dict[str, float], dict[str, float]]:
        """Take one step; return the terms of the loss and the figures, which are finite."""
        begun_s = time.monotonic()
        _seed(self.config.seed, self.step, self.rank)
        for group in self._optimizer.param_groups:
            group['lr'] = self.learning_rate(self.step)
        features, targets = batch.on(self.device, self.feature_spec)
        with (_attention(self.device),
              torch.autocast(self.device.type, torch.bfloat16, self.config.precision == 'bf16')):
            terms, figures = module(batch, features, targets)
        self._optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        # All at once: every value that is asked for waits for the device.
        *values, gradient = torch.stack([*terms.values(), *self._means(figures), norm]).tolist()
        found = dict(zip([*terms, *figures], values, strict=True))
        if not all(map(math.isfinite, (*values, gradient))):
            raise self._not_finite(batch, {**found, 'gradient': gradient})
        self._optimizer.step()
        means = {name: found[name] for name in figures}
        more = self.after_step({**means, 'gradient': gradient,
                                'seconds': time.monotonic() - begun_s})
        return {name: found[name] for name in terms}, {**means, **more}

    def _means(self, figures: Figures) -> list[torch.Tensor]:
        """Return the means of figures over all processes."""
        if not figures:
            return []
        values = torch.stack([torch.as_tensor(value, dtype=torch.float32, device=self.device)
                              for value in figures.values()])
        if self._world > 1:
            distributed.all_reduce(values)
            values /= self._world
        return list(values)

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
        row = {'epoch': epoch, 'seconds': round(self._seconds, 1),
               'learning_rate': self.learning_rate(self.step - 1)}
        row.update(mean_terms(self._sums))
        self._sums = {}
        if epoch % self.config.val_every == 0 or epoch == self.config.epochs:
            row.update(self.validate())
        quality = self.quality(row)
        if quality is not None and (self._best is None or quality > self._best):
            self._best = quality
            self._save_checkpoint('best', row)
        self._save_checkpoint('last', row)
        log_epoch(self.config.out, row)
        self._save_state()
        print(', '.join(f'{name} {value:.4g}' for name, value in row.items()), flush=True)

    def _save_checkpoint(self, name: str, row: Mapping[str, float]) -> None:
        protocol = self.val_protocol
        record = TrainingRecord(self._data, self.config.seed, git_revision(),
                                protocol.value if protocol else None, dict(row))
        save_checkpoint(self.config.out / f'{name}.safetensors', self.checkpoint, record)

    def _save_state(self) -> None:
        if self.rank == 0:
            save_state(self.config.out / STATE_FILE, {'network': self.network}, self._optimizer,
                       Progress(as_entries(self.config), self.step, {
                           'best': self._best, 'sums': self._sums, 'seconds': self._seconds,
                           'scenes': self._scenes, 'own': self.memory}))

    def _resumed(self) -> int:
        """Return the step to go on with."""
        path = self.config.out / STATE_FILE
        progress = read_progress(path)
        if progress is None:
            return 0
        changed = differences(progress.entries, self.config)
        if changed:
            raise TrainingRunError(f'{self.config.out}: holds a run of another configuration '
                                   f'({"; ".join(changed)}); name another folder, or give what '
                                   'the run was begun with')
        if progress.memory.get('scenes') != self._scenes:
            raise TrainingRunError(f'{self.config.out}: was begun with other scenes; the cache '
                                   'has grown or the list has changed: name another folder, or '
                                   'give (tokens) the scenes it was begun with')
        load_state(path, {'network': self.network}, self._optimizer)
        self._best, self._sums, self._seconds, self.memory = (
            progress.memory[name] for name in ('best', 'sums', 'seconds', 'own'))
        return progress.step

    def _not_finite(self, batch: Batch, values: Mapping[str, float]) -> TrainingRunError:
        # Under DDP a gradient is every process's; only the terms tell whose batch it is.
        path = self.config.out / f'bad_batch{f"_{self.rank}" if self._world > 1 else ""}.json'
        with written_whole(path) as file:
            file.write(json.dumps({'step': self.step, 'terms': {
                name: repr(value) for name, value in values.items()},
                'tokens': batch.tokens}, indent=1).encode())
        bad = ', '.join(name for name, value in values.items() if not math.isfinite(value))
        return TrainingRunError(f'step {self.step}: the loss is not finite ({bad}); the batch is '
                                f'in {path}. Look at these scenes, or lower the learning rate; '
                                'the last saved state is untouched')

    def _check_steps(self) -> None:
        steps: list[Any] = [None] * self._world
        distributed.all_gather_object(steps, self.step)
        if len(set(steps)) > 1:
            raise TrainingRunError(f'{self.config.out}: the processes would go on after the steps '
                                   f'{steps}; all of them must see the same folder')

    @contextlib.contextmanager
    def _processes(self) -> Iterator[None]:
        if self._world > 1:
            distributed.init_process_group('nccl' if self.device.type == 'cuda' else 'gloo',
                                           timeout=_PATIENCE)
        try:
            yield
        finally:
            if self._world > 1:
                distributed.destroy_process_group()


class _LossModule(nn.Module):
    """What DDP wraps: it has the network's parameters, and its forward is the loss."""

    def __init__(self, network: nn.Module, loss: Callable[..., tuple[Terms, Figures]]):
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, *arguments: Any) -> tuple[Terms, Figures]:
        return self._loss(*arguments)


def _device(name: str) -> torch.device:
    if name == 'cpu':
        return torch.device(name)
    if not torch.cuda.is_available():
        raise TrainingRunError(f'device: torch {torch.__version__} sees no CUDA device; use cpu')
    device = torch.device(name, int(os.environ.get('LOCAL_RANK', 0)))
    torch.cuda.set_device(device)
    return device


def _attention(device: torch.device) -> contextlib.AbstractContextManager:
    """Choose the attention: on a CPU the fused one's backward pass took 12 % of a step of mini."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == 'cpu' else contextlib.nullcontext()


def _seed(seed: int, step: int, rank: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))
