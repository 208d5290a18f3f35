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
Make a world: towns, traffic, a driver and sensors, written as NAVSIM's data is.

OUT gets the folders of NAVSIM: maps, navsim_logs, sensor_blobs and scene_filter, with the splits
train, val and test, and a picture of some scenes. Can be interrupted at any time: the same command
goes on where it was, and with more --scenes the world grows. The same seed gives the same bytes.

With --bag a single drive is written as a rosbag2 recording instead.
"""

import argparse
from collections.abc import Iterator
import os
from pathlib import Path

from pair_drive_ros.core.files import written_whole
from pair_drive_training.data.transfuser_scene import SCENE_CAMERAS
from pair_drive_training.world.contact_sheet import contact_sheet, examples
from pair_drive_training.world.drive_bag import BagOptions, MAX_SECONDS, write_drive_bag
from pair_drive_training.world.procedural_world import ProceduralWorld
from pair_drive_training.world.sensors.camera_rig import RIGS
from pair_drive_training.world.world_builder import share, WorldBuilder, WorldReport
from pair_drive_training.world.world_folder import Identity, SPLITS, WorldError

USUAL_CAMERAS = ('CAM_L0', 'CAM_F0', 'CAM_R0')
CONTACT_SHEET, ROWS = 'contact_sheet.png', 6
COLUMNS = '{:<6} {:>7} {:>7} {:>11} {:>16} {:>13} {:>11}'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('out', metavar='OUT', type=Path,
                        help='folder of the world, new or to go on with; or of the recording')
    parser.add_argument('--preset', choices=list(RIGS), default='mini',
                        help='mini: small images and thin sweeps; full: those of nuPlan')
    parser.add_argument('--scenes', metavar='N', type=int, default=200,
                        help='how many, shared 80:10:10 among the splits')
    parser.add_argument('--split', choices=SPLITS, help='give all scenes to one split')
    parser.add_argument('--seed', metavar='S', type=int, default=0,
                        help='of the towns, the traffic and the weather')
    parser.add_argument('--cameras', metavar='CAM,...', default=','.join(USUAL_CAMERAS),
                        help='whose images are made; logs name all eight')
    parser.add_argument('--processes', metavar='N', type=_process_count,
                        default=len(os.sched_getaffinity(0)), help='worker processes')
    parser.add_argument('--bag', action='store_true',
                        help='write one drive as a rosbag2 recording (mcap); an earlier one is '
                             'replaced, anything else is refused')
    parser.add_argument('--seconds', metavar='T', type=float, default=5.0,
                        help=f'length of that recording, at most {MAX_SECONDS:g}')


def run(options: argparse.Namespace) -> int:
    """Make the world, or the recording, and print what it has."""
    if options.seed < 0:
        raise WorldError(f'seed: expected 0 or more, got {options.seed}')
    if options.bag:
        write_drive_bag(options.out, BagOptions(options.seconds, options.seed, options.preset),
                        progress=True)
        size = sum(entry.stat().st_size for entry in options.out.iterdir())
        print(f'{options.out}: {size / 1e6:.1f} MB')
        return 0
    cameras = tuple(dict.fromkeys(options.cameras.split(',')))
    identity = Identity(options.seed, options.preset, cameras)
    builder = WorldBuilder(options.out, identity, ProceduralWorld(identity),
                           share(options.scenes, options.split), options.processes)
    report = builder.run()
    if set(SCENE_CAMERAS) <= set(cameras):
        with written_whole(options.out / CONTACT_SHEET) as file:
            file.write(contact_sheet(options.out, examples(options.out, ROWS)))
    print('\n'.join(_summary(report, options.out)))
    return 0


def _summary(report: WorldReport, path: Path) -> Iterator[str]:
    yield COLUMNS.format('split', 'scenes', 'drives', 'candidates', 'velocity passes',
                         'human fails', 'human PDMS')
    for name, split in report.splits.items():
        yield COLUMNS.format(name, split.scenes, split.drives, split.candidates, split.easy,
                             split.poor, f'{split.human:.1f}')
    yield f'{path}: {report.made} scenes made now; checksum over the content {report.checksum}'


def _process_count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'expected a number of processes from 1 on, got {text!r}')
    return int(text)
