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
Render docs/images/plans.jpg: what the networks that ship see and plan in three scenes.

``PYTHONPATH=. python docs/make_plan_pictures.py CACHE`` takes a cache of ``world_test``: a good,
an average and a bad scene by TransFuser's PDMS (v1.1), chosen by rank, not by eye.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.patches import Patch
import numpy as np
from pair_drive_ros.evaluation.plan_picture import BACKGROUND, TEXT
from pair_drive_ros.models.features import CAMERA_FEATURE
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import reference_plan, SCENES, scoring_scenes
from pair_drive_training.data.transfuser_scene import FEATURES_MINI
from pair_drive_training.evaluation.bev_picture import draw_scene, legend, ScenePlans
from pair_drive_training.evaluation.policies import find_policy, plan_scenes

POLICIES = {'transfuser': 'TransFuser', 'diffusion_drive': 'DiffusionDrive'}
# Place among the scenes in the order of their scores; 'average' is the one nearest to the mean.
GOOD, BAD = 0.75, 0.04
V1 = Protocol.NAVSIM_V1


def main() -> None:
    """Plan in all scenes, choose three, draw them."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cache', type=Path)
    cache = Cache.open(parser.parse_args().cache)
    tokens = cache.tokens(V1.value)
    plans = {name: plan_scenes(find_policy(name), cache, V1, tokens)[0] for name in POLICIES}
    totals = {name: scored(cache, tokens, plans[name]) for name in POLICIES}
    judged = totals['transfuser']
    order = np.argsort(judged, kind='stable')
    chosen = {'good': order[int(GOOD * len(order))],
              'average': int(np.abs(judged - judged.mean()).argmin()),
              'bad': order[int(BAD * len(order))]}
    matplotlib.use('agg')
    figure, axes = plt.subplots(1 + len(POLICIES), len(chosen), figsize=(15, 13), dpi=80,
                                facecolor=BACKGROUND, layout='constrained',
                                height_ratios=[0.3, *([1.0] * len(POLICIES))])
    for column, (title, index) in enumerate(chosen.items()):
        token = tokens[index]
        seen, *below = axes[:, column]
        seen.imshow(cache.read(FEATURES_MINI, token)[CAMERA_FEATURE].transpose(1, 2, 0))
        seen.set_axis_off()
        seen.set_title(f'{title}: {token}', color=TEXT, fontsize=11)
        for name, panel in zip(POLICIES, below, strict=True):
            draw_scene(panel, ScenePlans(
                scoring_scenes(cache, [token], V1), plans[name][token][0],
                reference_plan(cache, token, V1), cache.read(SCENES, token)['human']))
            panel.set_title(f'{POLICIES[name]}: PDMS {100.0 * totals[name][index]:.1f}',
                            color=TEXT, fontsize=11)
    figure.legend(handles=[Patch(color=colour, label=meaning)
                           for meaning, colour in legend().items()],
                  loc='outside lower center', ncols=4, labelcolor=TEXT, facecolor=BACKGROUND,
                  edgecolor=BACKGROUND)
    figure.savefig(Path(__file__).parent / 'images' / 'plans.jpg', facecolor=BACKGROUND,
                   pil_kwargs={'quality': 85})


def scored(cache: Cache, tokens: Sequence[str], plans: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the PDMS of the plan of each scene, 0..1."""
    return np.concatenate([
        pdm_score(np.stack([plans[token] for token in batch]).astype(np.float64),
                  scoring_scenes(cache, batch, V1), V1).total[:, 0]
        for batch in (tokens[first:first + 50] for first in range(0, len(tokens), 50))])


if __name__ == '__main__':
    main()
