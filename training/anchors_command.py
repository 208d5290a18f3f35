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
Find the anchors of DiffusionDrive: k-means over what the humans of a cache drove.

Writes the anchors, float32 [count, 8, 2], and a picture of them beside the file. The same scenes
and seed give the same anchors. Only records of the kind "scenes" are read: no sensor data.
"""

import argparse
from pathlib import Path

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.evaluation.plan_picture import BACKGROUND, CHOSEN, GRID, OTHERS, PANEL, TEXT
from pair_drive_ros.models.anchors import ANCHORS_SUFFIX
from pair_drive_training.data.anchors import (
    AnchorMakingError,
    human_futures,
    make_anchors,
    nearest_anchors,
)
from pair_drive_training.data.cache import Cache
from pair_drive_training.data.records import log_name, SCENES
from pair_drive_training.data.scene_filter import load_filter, SceneFilter

# More futures than these only darken the picture.
FUTURES_SHOWN = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--cache', type=Path, required=True, metavar='CACHE',
                        help='folder that the command "cache" built')
    parser.add_argument('--tokens', type=Path, metavar='FILE',
                        help='scene filter of the training split, or list of tokens; without it '
                             'all scenes of the cache')
    parser.add_argument('--count', type=_count, metavar='N', default=20, help='how many anchors')
    parser.add_argument('--seed', type=int, metavar='S', default=0, help='of the runs of k-means')
    parser.add_argument('--out', type=Path, required=True, metavar='ANCHORS.npy',
                        help='file of the anchors; the picture has its name with .png')


def run(options: argparse.Namespace) -> int:
    """Make the anchors, write them and their picture; 1 when the cache lacks listed scenes."""
    if options.out.suffix != ANCHORS_SUFFIX:
        raise AnchorMakingError(f'{options.out}: a file of anchors ends in {ANCHORS_SUFFIX}')
    if options.seed < 0:
        raise AnchorMakingError(f'--seed: expected 0 or more, got {options.seed}')
    cache, wanted = Cache.open(options.cache), load_filter(options.tokens)
    futures = human_futures(cache, [token for token in cache.tokens(SCENES)
                                    if _is_wanted(cache, token, wanted)])
    anchors, distance = make_anchors(futures, options.count, options.seed)
    try:
        with written_whole(options.out) as file:
            np.save(file, anchors, allow_pickle=False)
        with written_whole(options.out.with_suffix('.png')) as file:
            anchors_picture(anchors, futures).savefig(file, format='png', facecolor=BACKGROUND)
    except OSError as error:
        raise AnchorMakingError(
            f'{options.out}: cannot be written ({error.strerror or error}); name a folder that '
            'can be written and has space') from error
    print(f'{options.out}: {len(anchors)} anchors of {len(futures)} human futures; mean distance '
          f'of the points to the nearest anchor {distance:.3f} m')
    absent = sorted(set(wanted.tokens or ()) - set(cache.tokens(SCENES)))
    if absent:
        print(f'  {options.cache} lacks {len(absent)} of the {len(wanted.tokens or ())} scenes of '
              f'{options.tokens}, for example {absent[0]}; they were left out')
    return 1 if absent else 0


def anchors_picture(anchors: np.ndarray, futures: np.ndarray) -> Figure:
    """
    Draw anchors [M, 8, 2] over futures [N, 8, 2] from above: forward is up, left is left.

    The thicker an anchor, the more futures it is the nearest of.
    """
    figure = Figure(figsize=(5.0, 6.0), dpi=110, facecolor=BACKGROUND, layout='constrained')
    axes = figure.add_subplot(facecolor=PANEL, aspect='equal')
    shown = futures[::-(-len(futures) // FUTURES_SHOWN)]
    axes.add_collection(LineCollection(list(_on_paper(shown)), colors=OTHERS, linewidths=0.5,
                                       alpha=0.2))
    nearest, _ = nearest_anchors(futures, anchors)
    share = np.bincount(nearest, minlength=len(anchors)) / len(futures)
    lines = _on_paper(anchors)
    axes.add_collection(LineCollection(list(lines), colors=CHOSEN,
                                       linewidths=(1.0 + 6.0 * share).tolist()))
    axes.plot(*np.concatenate(lines).T, '.', color=CHOSEN, markersize=4.0)
    axes.margins(0.05)
    axes.set_title(f'{len(anchors)} anchors over {len(futures)} human futures', color=TEXT,
                   fontsize=10)
    axes.set_xlabel('to the left (m)', color=TEXT)
    axes.set_ylabel('ahead (m)', color=TEXT)
    axes.xaxis.set_major_formatter(lambda right, _: f'{0.0 - right:g}')
    axes.tick_params(colors=TEXT, labelsize=8)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    return figure


def _is_wanted(cache: Cache, token: str, wanted: SceneFilter) -> bool:
    if wanted.log_names is None:
        return wanted.wants_token(token)
    return wanted.wants_token(token) and wanted.wants_log(log_name(cache, token))


def _on_paper(points: np.ndarray) -> np.ndarray:
    """Begin lines [N, 8, 2] at the rear axle and turn x ahead, y left to right and up."""
    lines = np.concatenate([np.zeros((len(points), 1, 2)), points], axis=1)
    return np.stack([-lines[..., 1], lines[..., 0]], axis=-1)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'expected a number of anchors from 1 on, got {text!r}')
    return int(text)
