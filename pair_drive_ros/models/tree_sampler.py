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
The tree-structured sampler of PaIR-Drive (arXiv 2603.13842): alternatives to a reference plan.

From the root, four levels of nodes decide the poses 1, 3, 5 and 7; a node has an intention (left,
go, right, brake), a score and two bounded offsets, a step and a turn. A leaf is a path of four
intentions. Each node looks at the scene from the plan as its parent has left it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import itertools
import math
from typing import NamedTuple

from pair_drive_ros.models.plan_encoder import PlanEncoder
from pair_drive_ros.models.scene_view import SceneView
from pair_drive_ros.models.tree_geometry import (
    driven,
    Intention,
    LEVELS,
    step_measure,
    translated,
)
import torch
from torch import nn

# The path codes of the paper's released code for groups of 15 and of 5; 9 and 12 lie between.
GROUPS = {
    5: ('0000', '1111', '2222', '0011', '2211'),
    9: ('0000', '1111', '2222', '0011', '2211', '3333', '1133', '1100', '1122'),
    12: ('0000', '1111', '2222', '0011', '2211', '3333', '1133', '1100', '1122', '1001', '1222',
         '2221'),
    15: ('0000', '0001', '0011', '1001', '1100', '1111', '3333', '1133', '1222', '1122', '2211',
         '2221', '2222', '2201', '2210'),
}
_OFFSETS = 2
_HEADS = 1 + _OFFSETS


class TreeError(ValueError):
    """A tree cannot be built as configured."""


@dataclass(frozen=True)
class TreeConfig:
    """
    The shape of the tree.

    :raises TreeError: when an entry is out of range
    """

    group: int = 15
    """Leaves: 5, 9, 12 or 15, by the path codes of :data:`GROUPS`."""
    geometry: str = 'driven'
    """How a node changes a plan, a function of ``tree_geometry``: ``driven`` or ``translated``."""
    largest_turn: float = 0.35
    """Of a node, rad."""
    spread: float = 0.7
    """Standard deviation of the offsets before they are squashed, in training."""
    offset_bias: float = -1.0
    """Where untrained offsets lie before they are squashed."""
    most_likely: bool = False
    """Whether the leaves are the likeliest of all 256 instead of the group's path codes."""
    width: int = 128
    """Of the encodings."""

    @classmethod
    def parity(cls, **changes: object) -> 'TreeConfig':
        """Return the tree of the paper's released code: translated tails, turns up to 1.2 rad."""
        return cls(**{'geometry': 'translated', 'largest_turn': 1.2, 'spread': 0.0,
                      'offset_bias': 0.0, **changes})

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise TreeError(f'group: expected one of {", ".join(map(str, GROUPS))}, got '
                            f'{self.group}')
        if self.geometry not in _GEOMETRIES:
            raise TreeError(f'geometry: expected one of {", ".join(_GEOMETRIES)}, got '
                            f'{self.geometry!r}')
        if not 0.0 < self.largest_turn <= math.pi:
            raise TreeError('largest_turn: expected more than 0 and at most pi, got '
                            f'{self.largest_turn}')
        if not self.spread >= 0.0:
            raise TreeError(f'spread: expected 0 or more, got {self.spread}')
        if self.width < 8 or self.width % 8:
            raise TreeError(f'width: expected a multiple of 8, got {self.width}')


_GEOMETRIES = {'driven': driven, 'translated': translated}


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


class _Level(NamedTuple):
    parents: list[int]
    intentions: list[int]


class TreeSampler(nn.Module):
    """
    Grows the tree.

    :param bev_width: channels of the view's BEV map
    :param view_width: of the view's queries
    """

    def __init__(self, config: TreeConfig, bev_width: int, view_width: int):
        super().__init__()
        self.config = config
        self._sizes = bev_width, view_width
        width = config.width
        self.encoder = PlanEncoder(bev_width, view_width, width)
        self.level_embedding = nn.Embedding(LEVELS, width)
        self.intention_embedding = nn.Embedding(len(Intention) + 1, width)
        self.recurrence = nn.GRUCell(width, width)
        self.node_mlp = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        self.heads = nn.Linear(width, len(Intention) * _HEADS)
        with torch.no_grad():
            self.heads.weight.mul_(0.1)
            bias = self.heads.bias.view(len(Intention), _HEADS)
            bias.zero_()
            bias[:, 1:] = config.offset_bias
            if config.geometry == 'driven':
                # Where the step of a turn goes either way it begins with none.
                bias[[Intention.LEFT, Intention.RIGHT], 1] = 0.0
        codes = ([''.join(code) for code in itertools.product('0123', repeat=LEVELS)]
                 if config.most_likely else GROUPS[config.group])
        self._levels, paths = _structure(codes)
        self.register_buffer('_paths', torch.tensor(paths), persistent=False)
        self.register_buffer('_codes', torch.tensor([[int(d) for d in c] for c in codes]),
                             persistent=False)
        low, high, turn = _ranges(config)
        for name, values in (('_low', low), ('_high', high), ('_turn', turn)):
            self.register_buffer(name, torch.tensor(values), persistent=False)

    @property
    def nodes(self) -> int:
        """V, how many nodes a tree has."""
        return sum(len(level.parents) for level in self._levels)

    def fresh(self, seed: int) -> 'TreeSampler':
        """Return such a tree with weights newly drawn from a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return TreeSampler(self.config, *self._sizes)

    def likeliest(self) -> 'TreeSampler':
        """Return this tree, its weights copied, with the likeliest leaves of all."""
        found = TreeSampler(replace(self.config, most_likely=True), *self._sizes)
        found.load_state_dict(self.state_dict())
        return found.to(next(self.parameters()).device)

    def forward(self, view: SceneView, root: torch.Tensor,
                noise: torch.Tensor | None = None,
                drawn: torch.Tensor | None = None) -> Tree:
        """
        Grow a tree from each root, or several of them.

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
        geometry = _GEOMETRIES[self.config.geometry]
        plans = root[:, None]
        hidden = surroundings.context[:, None]
        told = self.intention_embedding.weight[-1].expand(len(root), 1, -1)
        log_probs = root.new_zeros(len(root), 1)
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        first = 0
        for index, level in enumerate(self._levels):
            encoded = (self.encoder(surroundings, plans, root) + told
                       + self.level_embedding.weight[index])
            hidden = self.recurrence(encoded.flatten(0, 1),
                                     hidden.expand_as(encoded).reshape(-1, encoded.shape[-1])
                                     ).view_as(encoded)
            heads = self.heads(self.node_mlp(torch.cat([encoded, hidden], dim=-1))).float()
            heads = heads.unflatten(-1, (len(Intention), _HEADS))
            scores = heads[..., 0].log_softmax(dim=-1)
            parents, intentions = level.parents, level.intentions
            log_probs = log_probs[:, parents] + scores[:, parents, intentions]
            means = heads[:, parents, intentions, 1:]
            offsets = means.detach()
            if given is not None:
                own = given[:, first:first + len(parents)]
                offsets = own if drawn is not None else offsets + self.config.spread * own
            first += len(parents)
            kept.append((offsets, means))
            step, turn = self.squashed(offsets, intentions, measure)
            plans = geometry(plans[:, parents], index, step, turn)
            hidden = hidden[:, parents]
            told = self.intention_embedding.weight[intentions].expand(len(root), -1, -1)
        offsets, means = (torch.cat(part, dim=1) for part in zip(*kept, strict=True))
        tree = Tree(plans, log_probs, self._paths, offsets, means)
        return self._likeliest(tree) if self.config.most_likely else tree

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

    def _likeliest(self, tree: Tree) -> Tree:
        """Keep the likeliest leaves, of which one at least brakes and one goes straight on."""
        count = self.config.group
        order = tree.log_probs.detach().argsort(dim=1, descending=True)
        chosen = order[:, :count].clone()
        brakes = (self._codes == Intention.BRAKE).any(dim=1)
        straight = (self._codes == Intention.GO).all(dim=1)
        for place, wanted in ((count - 1, brakes), (count - 2, straight)):
            lacks = ~wanted[chosen].any(dim=1)
            best = tree.log_probs.detach().masked_fill(~wanted, -math.inf).argmax(dim=1)
            chosen[:, place] = torch.where(lacks, best, chosen[:, place])
        rows = torch.arange(len(chosen), device=chosen.device)[:, None]
        return tree._replace(leaves=tree.leaves[rows, chosen],
                             log_probs=tree.log_probs[rows, chosen], paths=tree.paths[chosen])


def _structure(codes: Sequence[str]) -> tuple[list[_Level], list[list[int]]]:
    """Return the nodes of each level, shared by codes that begin alike, and each code's nodes."""
    levels, paths, first = [], [[] for _ in codes], 0
    above = {'': 0}
    for length in range(1, LEVELS + 1):
        # The last level keeps the order of the codes, so that node and leaf are one.
        prefixes = list(dict.fromkeys(code[:length] for code in codes))
        levels.append(_Level([above[prefix[:-1]] for prefix in prefixes],
                             [int(prefix[-1]) for prefix in prefixes]))
        above = {prefix: place for place, prefix in enumerate(prefixes)}
        for path, code in zip(paths, codes, strict=True):
            path.append(first + above[code[:length]])
        first += len(prefixes)
    return levels, paths


def _ranges(config: TreeConfig) -> tuple[list[float], list[float], list[float]]:
    """Return the steps between which an offset leads, by intention, and the greatest turn."""
    turn = [config.largest_turn, 0.0, -config.largest_turn, 0.0]
    if config.geometry == 'translated':
        return [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, -1.0], turn
    return [-0.5, 0.0, -0.5, 0.0], [0.5, 1.0, 0.5, -1.0], turn
