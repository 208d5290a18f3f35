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

"""Write a short drawn drive (cameras, LiDAR, odometry, command) as a rosbag2 recording."""

import argparse
from pathlib import Path
import re

from pair_drive_training.world.sample_bag import MAX_SECONDS, SampleBagOptions, write_sample_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    usual = SampleBagOptions()
    parser.add_argument('out', metavar='OUT', type=Path,
                        help='folder of the recording; an earlier sample drive is replaced, '
                             'anything else is refused')
    parser.add_argument('--seconds', type=float, default=usual.seconds,
                        help=f'length of the drive, at most {MAX_SECONDS:g}')
    parser.add_argument('--seed', type=int, default=usual.seed,
                        help='street and traffic; the same seed gives the same bytes')
    parser.add_argument('--image-size', type=_image_size, metavar='WxH',
                        default='x'.join(str(number) for number in usual.size),
                        help='size of the camera images in pixels')


def run(options: argparse.Namespace) -> int:
    """Write the recording and print where it is and how large."""
    write_sample_bag(options.out, SampleBagOptions(options.seconds, options.seed,
                                                   options.image_size), progress=True)
    size = sum(entry.stat().st_size for entry in options.out.iterdir())
    print(f'{options.out}: {size / 1e6:.1f} MB')
    return 0


def _image_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'expected WIDTHxHEIGHT such as 960x540, got {text!r}')
    return int(match[1]), int(match[2])
