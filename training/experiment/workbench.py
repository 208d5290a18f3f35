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

"""What a row needs: its training runs, plans and scores, as jobs in the experiment's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.experiment.jobs import Job, Jobs
from pair_drive_training.experiment.rows import (
    CONTROLS,
    ExperimentError,
    IMITATION,
    ORACLE_OF,
    Row,
    Variant,
    VARIANT_SEED,
)
import yaml

_PACKAGE = 'pair_drive_training'
_GENERATORS = {'selector': 'tree', 'selector_untrained': 'untrained', 'selector_flat': 'flat'}
_HUMAN_REFINER = 'refiner_human'
_BEST = 'best.safetensors'
_PLANS = 'plans.npz'


@dataclass(frozen=True)
class World:
    """
    A world with its caches.

    :param train_tokens: the scenes that are trained on, None for all of the split
    """

    folder: Path
    train_tokens: Path | None = None

    def cache(self, split: str) -> str:
        """Return the cache of a split."""
        return str(self.folder / f'cache_{split}')

    def tokens(self, split: str) -> str:
        """Return the file that lists the scenes of a split."""
        if split == 'train' and self.train_tokens is not None:
            return str(self.train_tokens)
        return str(self.folder / 'scene_filter' / f'world_{split}.yaml')

    def check(self) -> None:
        """Make sure that all of it is there; raises ExperimentError."""
        for split in ('train', 'val', 'test'):
            for path in (self.cache(split), self.tokens(split)):
                if not Path(path).exists():
                    raise ExperimentError(f'{path}: is not there; make the world and its caches '
                                          'with the commands "make-world" and "cache"')


class Workbench:
    """
    Names the jobs that rows need, each once; they are run by :attr:`jobs`.

    :param imitation: checkpoints by the names of ``rows.IMITATION``
    :param recipes: folder of train_refiner_mini.yaml and its like
    """

    def __init__(self, world: World, out: Path, imitation: Mapping[str, Path], recipes: Path):
        self._world, self._out = world, out
        self._imitation, self._recipes = imitation, recipes
        self.jobs = Jobs(out / 'logs')

    def scores(self, row: Row, seed: int, protocol: Protocol) -> Path:
        """Return the folder of a row's scores, which the command "evaluate" fills."""
        name = score_name(row, seed, protocol)
        arguments = ['evaluate', '--cache', self._world.cache('test'), '--tokens',
                     self._world.tokens('test'), '--protocol', protocol.value]
        if row.planned:
            # Once for both protocols.
            given = [self._candidates(row, seed) / _PLANS]
            arguments += ['--plans', str(given[0])]
        else:
            policy = self._policy(row.policy, seed)
            given = _files(policy)
            arguments += ['--policy', policy]
            if row.selector:
                branch, files = self._branch(self._refiner(row.refiner, seed),
                                             self._selector(row, seed))
                arguments += branch
                given += files
            if row.blind:
                arguments.append('--blind')
        return self._add('scores', name, arguments, given)

    def variant(self, variant: Variant) -> tuple[Path, Path]:
        """Return the folders of a variant's scores, and of its trees' (``tree_scores``)."""
        base = variant.name == 'base'
        own = variant.other or variant
        refiner = (self._refiner('refiner', VARIANT_SEED) if base else self._run(
            f'refiner_{own.name}', VARIANT_SEED, 'reinforce', 'refiner',
            [*self._refined_from(), *self._tree(own), *own.options],
            self._roots() if own.root_plans else None))
        generator = ['--generator', variant.generator] if variant.generator else []
        selector = self._selector_run('selector' if base else f'selector_{variant.name}',
                                      VARIANT_SEED, refiner, [*generator, *variant.selector])
        policy = str(self._imitation[IMITATION[0]])
        world = [self._world.cache('test'), '--tokens', self._world.tokens('test')]
        branch, files = self._branch(refiner, selector)
        scores = self._add('scores', variant_score_name(variant), [
            'evaluate', '--cache', *world, '--protocol', Protocol.NAVSIM_V1.value, '--policy',
            policy, *branch], [*_files(policy), *files])
        trees = self._add('trees', variant.name, [
            '--cache', *world, '--policy', policy, '--refiner', str(files[0]), *generator],
            [*_files(policy), files[0]], module=f'{_PACKAGE}.experiment.tree_scores')
        return scores, trees

    def _candidates(self, row: Row, seed: int) -> Path:
        policy = self._policy(row.policy, seed)
        branch, files = self._branch(self._refiner(row.refiner, seed), self._selector(row, seed))
        return self._plans(f'{row.scored}_{seed}', 'test', policy,
                           [*branch, '--top', str(ORACLE_OF if row.ranked else 1)], files)

    def _policy(self, name: str, seed: int) -> str:
        if name in CONTROLS:
            return name
        if name in self._imitation:
            return str(self._imitation[name])
        return str(self._sequential(name.removeprefix('sequential_'), seed) / _BEST)

    def _branch(self, refiner: Path, selector: Path) -> tuple[list[str], list[Path]]:
        files = [refiner / _BEST, selector / _BEST]
        return ['--refiner', str(files[0]), '--selector', str(files[1])], files

    def _refiner(self, name: str, seed: int) -> Path:
        if name == _HUMAN_REFINER:
            return self._run(name, seed, 'reinforce', name,
                             ['--init', str(self._imitation[IMITATION[0]])], None)
        return self._run(name, seed, 'reinforce', 'refiner', self._refined_from(), self._roots())

    def _refined_from(self) -> list[str]:
        policy = str(self._imitation[IMITATION[0]])
        return ['--init', policy, '--val-policy', policy]

    def _selector(self, row: Row, seed: int) -> Path:
        refiner = self._refiner(row.refiner, seed)
        if row.refiner == _HUMAN_REFINER:
            best = refiner / _BEST
            return self._run(row.selector, seed, 'select', row.selector,
                             ['--refiner', str(best)], None, [best])
        if row.selector in _GENERATORS:
            return self._selector_run(row.selector, seed, refiner,
                                      ['--generator', _GENERATORS[row.selector]])
        policy = self._policy(row.policy, seed)
        roots = self._plans(f'{row.policy}_{seed}', 'train', policy) / _PLANS
        return self._selector_run(row.selector, seed, refiner, ['--generator', 'flat'], policy,
                                  roots)

    def _selector_run(self, name: str, seed: int, refiner: Path, own: list[str],
                      policy: str = '', roots: Path | None = None) -> Path:
        """Train a selector around the plans of a policy; around the first one's by default."""
        return self._run(name, seed, 'select', 'selector', [
            '--refiner', str(refiner / _BEST), *own, '--val-policy',
            policy or str(self._imitation[IMITATION[0]])], roots or self._roots(),
            [refiner / _BEST])

    def _sequential(self, name: str, seed: int) -> Path:
        return self._run(f'sequential_{name}', seed, 'sequential', f'sequential_{name}',
                         ['--policy', str(self._imitation[name])], None)

    def _roots(self) -> Path:
        name = IMITATION[0]
        return self._plans(name, 'train', str(self._imitation[name])) / _PLANS

    def _tree(self, variant: Variant) -> list[str]:
        """Return the entries of a variant's tree, those of the recipe among them."""
        if not variant.tree:
            return []
        recipe = yaml.safe_load(self._recipe('refiner').read_text())
        tree = {**recipe.get('tree', {}), **dict(variant.tree)}
        return ['--tree', *(f'{name}={value}' for name, value in tree.items())]

    def _run(self, name: str, seed: int, command: str, recipe: str, own: list[str],
             roots: Path | None, inputs: list[Path] | None = None) -> Path:
        world = self._world
        path = self._recipe(recipe)
        arguments = [
            command, '--config', str(path), '--cache', world.cache('train'), '--tokens',
            world.tokens('train'), '--val-cache', world.cache('val'), '--val-tokens',
            world.tokens('val'), '--seed', str(seed), '--threads', '1', '--readers', '1', *own]
        given = [path, *(inputs or [])]
        if roots is not None:
            arguments += ['--root-plans', str(roots)]
            given.append(roots)
        return self._add('runs', f'{name}_{seed}', arguments, given, precious=True)

    def _recipe(self, name: str) -> Path:
        path = self._recipes / f'train_{name}_mini.yaml'
        if not path.exists():
            raise ExperimentError(f'{path}: there is no such recipe; name the folder of those '
                                  'that ship (--recipes)')
        return path

    def _plans(self, name: str, split: str, policy: str, own: list[str] | None = None,
               inputs: list[Path] | None = None) -> Path:
        folder = self._out / 'plans' / f'{name}_{split}'
        return self._add('plans', folder.name, [
            'plan', '--policy', policy, '--cache', self._world.cache(split), '--tokens',
            self._world.tokens(split), *(own or [])], [*_files(policy), *(inputs or [])],
            file=_PLANS)

    def _add(self, kind: str, name: str, arguments: list[str], inputs: list[Path],
             precious: bool = False, file: str = '', module: str = _PACKAGE) -> Path:
        folder = self._out / kind / name
        return self.jobs.add(Job(f'{kind}/{name}', folder, module,
                                 (*arguments, '--out', str(folder / file)), tuple(inputs),
                                 precious))


def score_name(row: Row, seed: int, protocol: Protocol) -> str:
    """Return the name of the folder of a row's scores."""
    return '_'.join([row.scored, *([str(seed)] if row.seeded else []), protocol.value])


def variant_score_name(variant: Variant) -> str:
    """Return the name of the folder of a variant's scores."""
    return f'variant_{variant.name}_{VARIANT_SEED}_{Protocol.NAVSIM_V1.value}'


def _files(policy: str) -> list[Path]:
    """Return the weights of a policy, if it is named by them."""
    return [Path(policy)] if policy.endswith('.safetensors') else []
