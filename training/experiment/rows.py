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

"""The rows of the experiment: what is scored, and what each trained part of it is made of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pair_drive_ros.models.tree_config import TreeConfig

IMITATION = ('transfuser', 'diffusion_drive')
"""Policies that are refined; the RL branch is trained around the plans of the first alone."""

CONTROLS = ('human', 'pdm_closed', 'constant_velocity', 'ego_status')
ORACLE_OF = 6
"""Of how many best-ranked candidates the oracle takes the best."""
POOR_BELOW = 85.0
"""Scenes in which the human's PDMS is less are shown by themselves."""
VARIANT_SEED = 0
_FROZEN = ('--no-learn-perception',)
GROUPS = ('main', 'variants')


class ExperimentError(ValueError):
    """The experiment cannot be run, or its results cannot be told; the sentence says why."""


@dataclass(frozen=True)
class Row:
    """
    A row of the main tables.

    ``policy`` plans: a control, an imitation policy, or one after sequential fine-tuning
    (``sequential_NAME``); ``selector`` and ``refiner`` name the families of runs that refine it,
    if any.
    """

    name: str
    title: str
    policy: str
    selector: str = ''
    refiner: str = 'refiner'
    blind: bool = False
    reads: str = ''
    """Row whose scores these are, seen otherwise; '' for scores of its own."""
    oracle: bool = False
    """Whether the best of the best-ranked candidates counts instead of the first."""
    poor: bool = False
    """Whether only the scenes count that the human drives poorly."""

    @property
    def seeded(self) -> bool:
        """Whether it depends on something that the experiment trains."""
        return bool(self.selector) or self.policy.startswith('sequential_')

    @property
    def scored(self) -> str:
        """Name of the row whose scores these are."""
        return self.reads or self.name

    @property
    def planned(self) -> bool:
        """Whether its plans are made first, once for both protocols."""
        return bool(self.selector) and not self.blind

    @property
    def ranked(self) -> bool:
        """Whether it is the RL branch as it is used, whose best candidates are all kept."""
        return self.planned and self.selector == 'selector'


@dataclass(frozen=True)
class Variant:
    """
    Another recipe of the refiner or of the selector.

    ``tree`` are entries of the refiner's tree that differ, ``options`` and ``selector`` further
    options of both, ``generator`` what makes candidates instead of the tree itself; ``other`` is
    the variant whose refiner it takes over, if any.
    """

    name: str
    title: str
    tree: tuple[tuple[str, object], ...] = ()
    options: tuple[str, ...] = ()
    root_plans: bool = True
    selector: tuple[str, ...] = ()
    generator: str = ''
    other: 'Variant | None' = None


def main_rows() -> list[Row]:
    """Return the rows of the main tables, in their order."""
    human, pdm_closed, constant_velocity, ego_status = CONTROLS
    rows = [Row(human, 'human', human), Row(pdm_closed, 'PDM-Closed', pdm_closed),
            Row(constant_velocity, 'constant velocity', constant_velocity),
            Row(ego_status, 'ego status', ego_status)]
    for name in IMITATION:
        rows += [
            Row(name, name, name),
            Row(f'{name}_flat', f'{name} + flat + selector', name, 'selector_flat'),
            Row(f'{name}_untrained', f'{name} + untrained tree + selector', name,
                'selector_untrained'),
            Row(f'sequential_{name}', f'sequential {name}', f'sequential_{name}'),
            Row(f'sequential_{name}_flat', f'sequential {name} + flat + selector',
                f'sequential_{name}', f'selector_sequential_{name}'),
            Row(f'pair_{name}', f'PaIR {name}', name, 'selector'),
            Row(f'oracle_{name}', f'PaIR {name}, oracle of {ORACLE_OF}', name, 'selector',
                reads=f'pair_{name}', oracle=True),
            Row(f'blind_{name}', f'PaIR {name}, blind', name, 'selector', blind=True)]
    # As the paper trains: what corrects the human has learned around humans.
    trained = {'selector': 'selector_human', 'refiner': 'refiner_human'}
    rows += [Row('pair_human', 'human + PaIR', human, **trained),
             Row('human_poor', f'human, where below {POOR_BELOW:g} PDMS', human, reads=human,
                 poor=True),
             Row('pair_human_poor', f'human + PaIR, where the human is below {POOR_BELOW:g} PDMS',
                 human, **trained, reads='pair_human', poor=True),
             Row('crossed_human', 'human + PaIR trained around policies', human, 'selector')]
    return rows


def variants() -> list[Variant]:
    """
    Return the variants; the first is that of the main tables.

    The others keep the encoders as they began: the tree alone is compared.
    """
    usual = asdict(TreeConfig())
    parity = {name: value for name, value in asdict(TreeConfig.parity()).items()
              if value != usual[name]}
    frozen = Variant('frozen', 'encoders kept as they began, as in the rows below',
                     options=_FROZEN)
    return [
        Variant('base', 'as in the main tables: encoders trained as well'),
        frozen,
        Variant('own_selector', 'selector with encoders of its own',
                selector=('--own-perception',), other=frozen),
        Variant('likeliest', 'the likeliest leaves of all 256, one of which brakes',
                generator='likeliest', other=frozen),
        *(Variant(f'group_{group}', f'{group} leaves', (('group', group),), _FROZEN)
          for group in (5, 9, 12)),
        Variant('parity', "tree of the paper's code, offsets not trained", tuple(parity.items()),
                (*_FROZEN, '--offsets', 'none')),
        Variant('flat_offsets', 'the same leaves by offsets without a tree',
                (('flat', True),), _FROZEN),
        # Over leaves that are all there, none drawn, the surrogate alone has no lower bound.
        Variant('clipped', 'scores clipped and held by their KL, offsets credited with the group',
                options=(*_FROZEN, '--scores', 'clipped', '--divergence', '1.0', '--offsets',
                         'group')),
        *(Variant(f'offsets_{kind}', title, options=(*_FROZEN, '--offsets', kind))
          for kind, title in (('best', 'offsets credited with the best leaf'),
                              ('group', 'offsets credited with the group'),
                              ('path', 'offsets credited along the same path'),
                              ('regression', 'offsets by regression'),
                              ('none', 'offsets not trained'))),
        *(Variant(f'roots_{kind}', f'trained around {title}', options=(*_FROZEN, '--roots', kind),
                  root_plans=False)
          for kind, title in (('human', "the human's plans"),
                              ('perturbed', "the human's plans, perturbed")))]


def chosen(names: Sequence[str]) -> tuple[list[Row], list[Variant]]:
    """
    Return the rows and variants of these names; ``main`` and ``variants`` are all of them.

    :raises ExperimentError: when there is no such row
    """
    rows, others = main_rows(), variants()
    known = [*GROUPS, *(row.name for row in rows), *(variant.name for variant in others)]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ExperimentError(f'rows: there is no row {unknown[0]!r}; name some of '
                              f'{", ".join(known)}')
    return ([row for row in rows if row.name in names or 'main' in names],
            [variant for variant in others if variant.name in names or 'variants' in names])
