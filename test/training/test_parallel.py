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

"""Both branches at the same time: shares of the machine, turns, failures, the dashboard."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from pair_drive_training.__main__ import main
from pair_drive_training.dashboard import dashboard
from pair_drive_training.parallel import Branch, branches, DASHBOARD, ParallelError, train
import pytest

# Writes an epoch for each call until it has EPOCHS, and says which call it was.
WORK = """
import json, pathlib, sys, time
folder, epochs, meeting = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
folder.mkdir(parents=True, exist_ok=True)
path = folder / 'metrics.jsonl'
lines = path.read_text().splitlines() if path.exists() else []
order = folder.parent / 'order'
with order.open('a') as file:
    file.write(folder.name + '\\n')
if meeting != 'nobody':
    deadline = time.monotonic() + 60
    while not (folder.parent / meeting).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (folder.parent / meeting).exists(), 'the other never began'
more = 1 if '--stop-after' in sys.argv else epochs
while more and len(lines) < epochs:
    lines.append(json.dumps({'epoch': len(lines) + 1, 'seconds': 60.0, 'val/score': 81.25}))
    more -= 1
path.write_text('\\n'.join(lines) + '\\n')
"""
CORES = frozenset(os.sched_getaffinity(0))


def branch(out: Path, name: str, epochs: int = 2, meeting: str = 'nobody',
           cores: frozenset[int] = CORES, code: str = WORK) -> Branch:
    """Return a branch whose process does WORK."""
    out.mkdir(exist_ok=True)
    return Branch(name, out / name, [sys.executable, '-c', code, str(out / name), str(epochs),
                                     meeting], {}, cores)


def epochs(out: Path, name: str) -> int:
    return len((out / name / 'metrics.jsonl').read_text().splitlines())


@pytest.mark.skipif(len(CORES) < 2, reason='needs two cores')
def test_branches_train_at_the_same_time(tmp_path):
    # Each waits for the other's folder: one after the other they would never end.
    train([branch(tmp_path, 'imitation', meeting='reinforcement'),
           branch(tmp_path, 'reinforcement', meeting='imitation')])
    assert epochs(tmp_path, 'imitation') == epochs(tmp_path, 'reinforcement') == 2
    assert 'val/score' in (tmp_path / DASHBOARD).read_text()


def test_on_one_core_they_take_turns_of_an_epoch(tmp_path):
    core = frozenset([min(CORES)])
    train([branch(tmp_path, 'imitation', 1, cores=core),
           branch(tmp_path, 'reinforcement', 2, cores=core)])
    order = (tmp_path / 'order').read_text().split()
    assert order[:4] == ['imitation', 'reinforcement'] * 2
    assert epochs(tmp_path, 'imitation') == 1
    assert epochs(tmp_path, 'reinforcement') == 2


@pytest.mark.skipif(len(CORES) < 2, reason='needs two cores')
def test_a_branch_that_fails_is_named_and_stops_the_other(tmp_path):
    endless = 'import time; time.sleep(600)'
    with pytest.raises(ParallelError, match='(?s)reinforcement.*no such scene'):
        train([branch(tmp_path, 'imitation', code=endless),
               branch(tmp_path, 'reinforcement', code='raise SystemExit("no such scene")')])


ENDED = """
import argparse, pathlib, sys
sys.path[:0] = {path!r}
from pair_drive_training import parallel_command
from pair_drive_training.parallel import Branch

out, cores = pathlib.Path({out!r}), frozenset({cores!r})
sleep = ('import os, pathlib, sys, time; '
         'pathlib.Path(sys.argv[1], str(os.getpid())).touch(); time.sleep(600)')
parallel_command.branches = lambda *_: [
    Branch(name, out / name, [sys.executable, '-c', sleep, {out!r}], {{}}, cores)
    for name in ('imitation', 'reinforcement')]
parser = argparse.ArgumentParser()
parallel_command.add_arguments(parser)
parallel_command.run(parser.parse_args(['--imitation', 'a.yaml', '--reinforcement', 'b.yaml',
                                        '--cache', 'c', '--out', {out!r}]))
"""


@pytest.mark.skipif(len(CORES) < 2, reason='needs two cores')
@pytest.mark.parametrize('way', [signal.SIGTERM, signal.SIGINT])
def test_ended_from_outside_it_ends_both_branches(tmp_path, way):
    code = ENDED.format(path=sys.path, out=str(tmp_path), cores=sorted(CORES))
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(begun := [int(path.name) for path in tmp_path.iterdir()
                        if path.name.isdigit()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(way)
    assert process.wait(timeout=60) != 0 and len(begun) == 2
    for each in begun:
        with pytest.raises(ProcessLookupError):
            os.kill(each, 0)


def test_each_branch_has_its_share_of_the_cores(tmp_path):
    found = branches(tmp_path, {'imitation': ['--seed', '3'], 'reinforcement': []})
    assert [one.out for one in found] == [tmp_path / 'imitation', tmp_path / 'reinforcement']
    imitation, reinforcement = found
    if len(CORES) > 1:
        assert not imitation.cores & reinforcement.cores
        assert imitation.cores | reinforcement.cores == CORES
    assert imitation.command[3:6] == ['train', '--seed', '3']
    assert reinforcement.command[3] == 'reinforce'
    threads = imitation.command[imitation.command.index('--threads') + 1]
    assert imitation.environment['OMP_NUM_THREADS'] == threads == str(len(imitation.cores))


@pytest.mark.parametrize(('devices', 'seen'), [(['0', '1'], ['0', '1']), (['0'], ['0', '0'])])
def test_each_branch_has_a_gpu_or_they_share_one(tmp_path, devices, seen):
    found = branches(tmp_path, {'imitation': [], 'reinforcement': []}, devices)
    assert [one.environment['CUDA_VISIBLE_DEVICES'] for one in found] == seen


def test_one_branch_may_train_alone(tmp_path):
    found = branches(tmp_path, {'reinforcement': []})
    assert [one.name for one in found] == ['reinforcement']
    assert found[0].cores == CORES


def test_without_a_branch_there_is_nothing_to_train(tmp_path, capsys):
    assert main(['parallel', '--cache', str(tmp_path), '--out', str(tmp_path / 'out')]) == 2
    assert 'give --imitation, --reinforcement or both' in capsys.readouterr().err


def test_the_dashboard_shows_the_last_epoch_and_what_is_missing(tmp_path):
    folder = tmp_path / 'one'
    folder.mkdir()
    rows = [{'epoch': 1, 'seconds': 30.0, 'val/score': 1.0},
            {'epoch': 2, 'seconds': 90.0, 'val/score': 83.5, 'train/loss': 7.0}]
    (folder / 'metrics.jsonl').write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    (folder / 'curves.png').write_bytes(b'picture')
    page = dashboard([('imitation', folder), ('<other>', tmp_path / 'two')])
    assert '83.5' in page
    assert '2 epochs, 1.5 minutes' in page
    assert 'train/loss' not in page
    assert 'data:image/png;base64,cGljdHVyZQ==' in page
    assert '&lt;other&gt;</h2><p>No epoch is complete yet.' in page
