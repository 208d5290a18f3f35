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
The plans from which trees grow in training.

In use the root is the plan of an imitation policy. The paper grows its trees around the human's in
training, which knows what the car cannot see yet; ``perturbed`` gives it an imitator's errors, and
``policy`` takes the plans of imitation policies themselves.
"""

from collections.abc import Sequence
import math
from pathlib import Path

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES
from pair_drive_ros.models.tree_geometry import along, arc_lengths
from pair_drive_training.evaluation.plans_file import PlansFile, PlansFileError
import torch

ROOTS = ('human', 'perturbed', 'policy', 'mixed')
# Errors of the imitation networks on scenes they were not trained on (world_val, both networks):
# standard deviations at 4 s, of a part that grows with time squared and one that comes and goes.
_ALONG_M = (3.1, 0.8)
_ACROSS_M = (0.8, 0.3)
# A car that hardly moves does not go sideways either.
_FREE_M = 4.0


class RootsError(ValueError):
    """There are no such roots, or not of these scenes."""


class Roots:
    """
    Gives each scene of a batch its root; random numbers come from torch's generator.

    :param kind: ``human``; ``perturbed``, see :func:`perturbed`; ``policy``: one of the scene's
        plans in ``plans``; ``mixed``: that or the human's, half and half
    :param plans: plans [K, 8, 3] by token, as the command "plan" writes them; or a folder of such
        files, of which each scene takes all it has: out-of-fold plans, where each policy has
        planned the scenes that it was not trained on
    :param tokens: of the scenes that will be asked for
    :raises RootsError: when plans are asked for and not given, or given and not asked for
    :raises PlansFileError: when a scene has none
    """

    def __init__(self, kind: str, plans: Path | None, tokens: Sequence[str]):
        wanted = kind in ('policy', 'mixed')
        if wanted != (plans is not None):
            raise RootsError(f'roots: {kind} ' + (
                'needs root_plans, a file that the command "plan" wrote' if wanted
                else 'asks for no plans; leave root_plans out'))
        self._kind = kind
        self._plans: dict[str, torch.Tensor] = {}
        if plans is not None:
            self._plans = _plans_of(plans, tokens)

    def of(self, tokens: Sequence[str], human: torch.Tensor) -> torch.Tensor:
        """
        Return the roots, [B, 8, 3].

        :param human: the human's plans, [B, 8, 3]
        """
        if self._kind == 'human':
            return human
        if self._kind == 'perturbed':
            return perturbed(human)
        choices = [self._plans[token] for token in tokens]
        taken = torch.stack([plans[int(torch.randint(len(plans), ()))] for plans in choices])
        taken = taken.to(human)
        if self._kind == 'policy':
            return taken
        return torch.where(torch.rand(len(human), 1, 1, device=human.device) < 0.5, human, taken)


def _plans_of(path: Path, tokens: Sequence[str]) -> dict[str, torch.Tensor]:
    """Read the plans of each scene, from one file or from all of a folder's."""
    paths = sorted(path.glob('*.npz')) if path.is_dir() else [path]
    found: dict[str, list[np.ndarray]] = {token: [] for token in tokens}
    for each in paths:
        with PlansFile(each) as file:
            for token in file.tokens & found.keys():
                try:
                    found[token].append(file.plans(token).astype(np.float32))
                except PlansFileError as error:
                    raise PlansFileError(f'root_plans: {token}: {error}') from error
    missing = next((token for token, plans in found.items() if not plans), None)
    if missing is not None:
        raise PlansFileError(f'root_plans: {missing}: {path} has no plan of this scene; write one '
                             'with the command "plan"')
    return {token: torch.from_numpy(np.concatenate(plans)) for token, plans in found.items()}


def perturbed(human: torch.Tensor) -> torch.Tensor:
    """
    Drive the human's plans with an imitator's errors, which have long tails.

    Along the path the car is faster or slower, never backwards; across it, it drifts, and its
    heading follows.

    :param human: [B, 8, 3]
    """
    time = torch.arange(1, PLAN_POSES + 1, device=human.device) / PLAN_POSES
    growing, passing = time ** 2, 4.0 * (time ** 2 - time ** 3)
    arc = arc_lengths(human)
    retimed = arc + _errors(_ALONG_M, arc, growing, passing)
    poses = along(human, arc, retimed.clamp_min(0.0).cummax(dim=1).values)
    drift = (_errors(_ACROSS_M, arc, growing, passing)
             * (arc[:, -1:] / _FREE_M).clamp_max(1.0))
    left = torch.stack([-poses[..., 2].sin(), poses[..., 2].cos()], dim=-1)
    first = torch.zeros_like(arc[:, :1])
    # A metre more, so that a step of nothing turns nobody round.
    slope = drift.diff(dim=1, prepend=first) / (arc.diff(dim=1, prepend=first) + 1.0)
    return torch.cat([poses[..., :2] + drift[..., None] * left,
                      poses[..., 2:] + slope.atan()[..., None]], dim=-1)


def _errors(deviations_m: tuple[float, float], arc: torch.Tensor, growing: torch.Tensor,
            passing: torch.Tensor) -> torch.Tensor:
    """Draw errors [B, 8] that grow, Laplacian, and errors that pass, Gaussian."""
    uniform = torch.rand(len(arc), 1, device=arc.device) - 0.5
    laplace = -uniform.sign() * (1.0 - 2.0 * uniform.abs()).clamp_min(1e-6).log() / math.sqrt(2.0)
    normal = torch.randn(len(arc), 1, device=arc.device)
    return deviations_m[0] * laplace * growing + deviations_m[1] * normal * passing
