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
Render docs/images/refinement.jpg: the tree that grows from a plan in three scenes.

``PYTHONPATH=. python docs/make_refinement_pictures.py CACHE`` takes a cache of ``world_test``:
scenes in which the choice gains most on the imitation plan, is worth as much, and loses, chosen
by rank, not by eye.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Patch
import numpy as np
from pair_drive_ros.evaluation.plan_picture import BACKGROUND, CHOSEN, DRIVEN, OTHERS, TEXT
from pair_drive_ros.models.architectures import branch_file
from pair_drive_ros.models.features import CAMERA_FEATURE
from pair_drive_ros.models.refinement_branch import load_branch
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import reference_plan, SCENES, scoring_scenes
from pair_drive_training.data.transfuser_scene import FEATURES_MINI
from pair_drive_training.evaluation.bev_picture import draw_scene, ScenePlans
from pair_drive_training.evaluation.feature_source import FeatureSource
from pair_drive_training.evaluation.policies import find_policy, plan_scenes
import torch

POLICY = 'transfuser'
V1 = Protocol.NAVSIM_V1
BATCH = 50
# Places among the scenes in the order of their gain.
BEST, WORST = 0.97, 0.03
ROOT = '#ff7ad9'


def main() -> None:
    """Refine plans in all scenes, choose three, draw their trees."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cache', type=Path)
    parser.add_argument('--refiner', default='refiner')
    parser.add_argument('--selector', default='selector')
    options = parser.parse_args()
    cache = Cache.open(options.cache)
    tokens = cache.tokens(V1.value)
    branch, _, _ = load_branch(branch_file(options.refiner), branch_file(options.selector))
    candidates, chosen, totals = refined(cache, tokens, branch)
    places = np.arange(len(tokens))
    gain = totals[places, chosen] - totals[:, 0]
    order = np.argsort(gain, kind='stable')
    changed = [index for index in order if chosen[index] and abs(gain[index]) < 0.02]
    shown = {'it gains': order[int(BEST * len(order))],
             'as good': changed[len(changed) // 2],
             'it loses': order[int(WORST * len(order))]}
    matplotlib.use('agg')
    figure, axes = plt.subplots(2, len(shown), figsize=(15, 7.6), dpi=80, facecolor=BACKGROUND,
                                layout='constrained', height_ratios=[0.3, 1.0])
    colours = ScalarMappable(matplotlib.colors.Normalize(0.0, 100.0), 'RdYlGn')
    for column, (title, index) in enumerate(shown.items()):
        token, (seen, panel) = tokens[index], axes[:, column]
        seen.imshow(cache.read(FEATURES_MINI, token)[CAMERA_FEATURE].transpose(1, 2, 0))
        seen.set_axis_off()
        seen.set_title(f'{title}: {token}', color=TEXT, fontsize=11)
        draw_scene(panel, ScenePlans(
            scoring_scenes(cache, [token], V1), candidates[index, chosen[index]],
            reference_plan(cache, token, V1), cache.read(SCENES, token)['human']))
        for leaf, total in zip(candidates[index, 1:], totals[index, 1:], strict=True):
            drawn(panel, leaf, colours.to_rgba(100.0 * total), 1.3, 7)
        drawn(panel, candidates[index, 0], ROOT, 2.0, 8)
        panel.set_title(f'PDMS {100.0 * totals[index, 0]:.1f} -> '
                        f'{100.0 * totals[index, chosen[index]]:.1f}, best leaf '
                        f'{100.0 * totals[index].max():.1f}', color=TEXT, fontsize=11)
    bar = figure.colorbar(colours, ax=axes, shrink=0.6)
    bar.set_label('PDMS of a leaf', color=TEXT)
    bar.ax.tick_params(colors=TEXT)
    meanings = {'imitation plan, the root': ROOT, 'chosen': CHOSEN, 'human': DRIVEN,
                'PDM-Closed': OTHERS}
    figure.legend(handles=[Patch(color=colour, label=meaning)
                           for meaning, colour in meanings.items()],
                  loc='outside lower center', ncols=4, labelcolor=TEXT, facecolor=BACKGROUND,
                  edgecolor=BACKGROUND)
    figure.savefig(Path(__file__).parent / 'images' / 'refinement.jpg', facecolor=BACKGROUND,
                   pil_kwargs={'quality': 85})


def refined(cache: Cache, tokens: Sequence[str], branch: torch.nn.Module
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return candidates [N, K, 8, 3], which is chosen [N], and their PDMS [N, K], 0..1."""
    plans, _ = plan_scenes(find_policy(POLICY), cache, V1, tokens)
    source = FeatureSource(branch.feature_spec)
    parts = []
    for first in range(0, len(tokens), BATCH):
        batch = tokens[first:first + BATCH]
        root = torch.from_numpy(np.concatenate([plans[token] for token in batch])).float()
        with torch.no_grad():
            refinement = branch.refine(branch.encode(source.read(cache, batch)), root)
        candidates = refinement.candidates.double().numpy()
        parts.append((candidates, refinement.order[:, 0].numpy(),
                      pdm_score(candidates, scoring_scenes(cache, batch, V1), V1).total))
    candidates, chosen, totals = (np.concatenate(part) for part in zip(*parts, strict=True))
    return candidates, chosen, totals


def drawn(axes: plt.Axes, plan: np.ndarray, colour: object, width: float, order: int) -> None:
    """Draw a plan from the ego on."""
    points = np.concatenate([np.zeros((1, 2)), plan[:, :2]])
    axes.plot(-points[:, 1], points[:, 0], color=colour, linewidth=width, marker='o',
              markersize=2.0, alpha=0.9, zorder=order)


if __name__ == '__main__':
    main()
