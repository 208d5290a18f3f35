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
What samplers of leaves around a plan have in common: how offsets become trajectories.

Four levels of nodes decide the poses 1, 3, 5 and 7; a node has an intention (left, go, right,
brake) and two bounded offsets, a step and a turn. A leaf is a path of four intentions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pair_drive_ros.models.plan_encoder import PlanEncoder, Surroundings
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.tree_config import GEOMETRIES, TreeConfig
from pair_drive_ros.models.tree_geometry import Intention, LEVELS, step_measure
import torch
from torch import nn

OFFSETS = 2


class Tree(NamedTuple):
    """G leaves grown from each of B roots over V nodes."""

    leaves: torch.Tensor
    """[B, G, 8, 3], x m, y m, heading rad."""
    log_probs: torch.Tensor
    """Of the leaves' intentions among all paths, [B, G]."""
    paths: torch.Tensor
    """The nodes of each leaf, int64 [G, 4] or [B, G, 4]."""
    offsets: torch.Tensor
    """What was drawn at each node before squashing: step and turn, [B, V, 2]; no gradient."""
    means: torch.Tensor
    """Around what it was drawn, [B, V, 2]."""

    def of_leaves(self, nodes: torch.Tensor) -> torch.Tensor:
        """Gather values of nodes [B, V] along the leaves' paths, [B, G, 4]."""
        paths = self.paths.expand(len(nodes), -1, -1)
        return nodes.gather(1, paths.flatten(1)).view_as(paths)


class Level(NamedTuple):
    """The n nodes of a level."""

    parents: list[int]
    """Their places in the level above."""
    intentions: list[int]


class Decided(NamedTuple):
    """What a level's n nodes decide, before anything is drawn."""

    log_probs: torch.Tensor
    """Of each, given its parent, [B, n]."""
    means: torch.Tensor
    """Of the offsets before they are squashed, [B, n, 2]."""
    memory: object
    """What the level below is told."""


class LeafSampler(nn.Module, ABC):
    """
    Grows leaves around plans; what decides about the nodes is the subclasses'.

    :param bev_width: channels of the view's BEV map
    :param view_width: of the view's queries
    :param codes: the intentions of each leaf, four digits
    :param shared: whether leaves share the nodes of the intentions with which they begin
    """

    def __init__(self, config: TreeConfig, bev_width: int, view_width: int,
                 codes: Sequence[str], shared: bool):
        super().__init__()
        self.config = config
        self._sizes = bev_width, view_width
        self.encoder = PlanEncoder(bev_width, view_width, config.width)
        self.levels, paths = _structure(codes, shared)
        self.register_buffer('_paths', torch.tensor(paths), persistent=False)
        low, high, turn = _ranges(config)
        for name, values in (('_low', low), ('_high', high), ('_turn', turn)):
            self.register_buffer(name, torch.tensor(values), persistent=False)

    @abstractmethod
    def decide(self, index: int, surroundings: Surroundings, plans: torch.Tensor,
               root: torch.Tensor, memory: object) -> Decided:
        """
        Decide about the nodes of a level.

        :param index: of the level
        :param plans: as the level above has left them, [B, parents, 8, 3]
        :param root: [B, 8, 3]
        :param memory: of the level above, None at first
        """

    def first_offsets(self, intentions: Sequence[int]) -> torch.Tensor:
        """Return where the offsets of untrained nodes lie before they are squashed, [n, 2]."""
        offsets = torch.full((len(intentions), OFFSETS), self.config.offset_bias)
        if self.config.geometry == 'driven':
            # Where the step of a turn goes either way it begins with none.
            offsets[[each in (Intention.LEFT, Intention.RIGHT) for each in intentions], 0] = 0.0
        return offsets

    @property
    def nodes(self) -> int:
        """V, how many nodes there are."""
        return sum(len(level.parents) for level in self.levels)

    def fresh(self, seed: int) -> 'LeafSampler':
        """Return such a sampler with weights newly drawn from a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return type(self)(self.config, *self._sizes)

    def likeliest(self) -> 'LeafSampler':
        """
        Return this sampler, its weights copied, with the likeliest leaves of all.

        :raises TreeError: when it has no other leaves
        """
        found = type(self)(replace(self.config, most_likely=True), *self._sizes)
        found.load_state_dict(self.state_dict())
        return found.to(next(self.parameters()).device)

    def forward(self, view: SceneView, root: torch.Tensor,
                noise: torch.Tensor | None = None,
                drawn: torch.Tensor | None = None) -> Tree:
        """
        Grow leaves around each root, once or several times.

        :param view: of B scenes
        :param root: [B, 8, 3]
        :param noise: standard normal, [B, T, V, 2]; then B * T trees grow, those of a scene one
            after the other. Without it every node takes its mean
        :param drawn: offsets to take instead, those of a tree of the same shape, in the shape of
            the noise: what this sampler would have thought of them
        """
        surroundings = self.encoder.surroundings(view)
        root = root.detach().float()
        given = noise if drawn is None else drawn
        if given is not None:
            times = given.shape[1]
            surroundings, root = surroundings.repeated(times), root.repeat_interleave(times, dim=0)
            given = given.flatten(0, 1)
        measure = step_measure(root)[:, None]
        geometry = GEOMETRIES[self.config.geometry]
        plans, memory = root[:, None], None
        log_probs = root.new_zeros(len(root), 1)
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        first = 0
        for index, (parents, intentions) in enumerate(self.levels):
            decided = self.decide(index, surroundings, plans, root, memory)
            memory = decided.memory
            log_probs = log_probs[:, parents] + decided.log_probs
            offsets = decided.means.detach()
            if given is not None:
                own = given[:, first:first + len(parents)]
                offsets = own if drawn is not None else offsets + self.config.spread * own
            first += len(parents)
            kept.append((offsets, decided.means))
            step, turn = self.squashed(offsets, intentions, measure)
            plans = geometry(plans[:, parents], index, step, turn)
        offsets, means = (torch.cat(part, dim=1) for part in zip(*kept, strict=True))
        return Tree(plans, log_probs, self._paths, offsets, means)

    def squashed(self, offsets: torch.Tensor, intentions: Sequence[int],
                 measure: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Bound the offsets of nodes by their intentions.

        :param offsets: [B, n, 2]
        :param intentions: of the n nodes
        :param measure: m, [B, 1], see :func:`tree_geometry.step_measure`
        :return: steps (m) and turns (rad), each [B, n]
        """
        share = offsets.sigmoid()
        low, high, turn = (values[intentions] for values in (self._low, self._high, self._turn))
        return measure * (low + (high - low) * share[..., 0]), turn * share[..., 1]


def _structure(codes: Sequence[str], shared: bool) -> tuple[list[Level], list[list[int]]]:
    """Return the nodes of each level, and those of each code, counted through all levels."""
    def node(code: str, depth: int) -> str:
        return code[:depth] if shared else code

    levels, paths, first = [], [[] for _ in codes], 0
    above = {node(code, 0): 0 for code in codes}
    for depth in range(1, LEVELS + 1):
        # The last level keeps the order of the codes, so that node and leaf are one.
        names = list(dict.fromkeys(node(code, depth) for code in codes))
        levels.append(Level([above[node(name, depth - 1)] for name in names],
                            [int(name[depth - 1]) for name in names]))
        above = {name: place for place, name in enumerate(names)}
        for path, code in zip(paths, codes, strict=True):
            path.append(first + above[node(code, depth)])
        first += len(names)
    return levels, paths


def _ranges(config: TreeConfig) -> tuple[list[float], list[float], list[float]]:
    """Return the steps between which an offset leads, by intention, and the greatest turn."""
    turn = [config.largest_turn, 0.0, -config.largest_turn, 0.0]
    if config.geometry == 'translated':
        return [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, -1.0], turn
    return [-0.5, 0.0, -0.5, 0.0], [0.5, 1.0, 0.5, -1.0], turn
