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

"""Command line of the training package: ``python -m pair_drive_training COMMAND``."""

import argparse
from collections.abc import Sequence
import importlib
import sys

# A command's module is imported only when it is called: some load torch, some must be quick.
_COMMANDS = {
    'cache': ('pair_drive_training.data.cache_command',
              'prepare scenes of NAVSIM logs for training and evaluation'),
    'make-anchors': ('pair_drive_training.anchors_command',
                     'find the anchors of DiffusionDrive among the drives of a cache'),
    'evaluate': ('pair_drive_training.evaluation.evaluate_command',
                 'score a policy, or a file of plans, in the scenes of a cache'),
    'plan': ('pair_drive_training.evaluation.plan_command',
             'write the plans of policies, refined or not, for "evaluate" and for training'),
    'import-checkpoint': ('pair_drive_training.import_command',
                          "make a checkpoint of one of NAVSIM's devkit or of DiffusionDrive"),
    'train': ('pair_drive_training.train_command',
              'train an imitation policy; goes on where it was'),
    'sequential': ('pair_drive_training.sequential_command',
                   'fine-tune an imitation policy by GRPO, the baseline; goes on where it was'),
    'reinforce': ('pair_drive_training.reinforce_command',
                  'train the RL branch: a tree of trajectories, by simulated scores'),
    'select': ('pair_drive_training.select_command',
               'train the selector on candidates that are scored exactly'),
    'parallel': ('pair_drive_training.parallel_command',
                 'train both branches at the same time'),
    'experiment': ('pair_drive_training.experiment.experiment_command',
                   'train and score every row of the comparison of both branches'),
    'doctor': ('pair_drive_training.doctor.doctor_command',
               'check versions, numerics, data, cache and transport; a remedy for each fault'),
    'make-world': ('pair_drive_training.world.make_world_command',
                   "make a world of towns and traffic in NAVSIM's formats, or one drive's bag"),
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter,
                     argparse.RawDescriptionHelpFormatter):
    """Show defaults, and descriptions as they are written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 incomplete, 2 refused, 130 interrupted."""
    own = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog='python -m pair_drive_training', description=__doc__)
    commands = parser.add_subparsers(title='commands', required=True, metavar='COMMAND')
    for name, (module_name, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=_HelpFormatter)
        if own[:1] == [name]:
            module = importlib.import_module(module_name)
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(own)
    try:
        return options.run(options)
    except ValueError as error:
        print(f'{parser.prog}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'{parser.prog}: interrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
