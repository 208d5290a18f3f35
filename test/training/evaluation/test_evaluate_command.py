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

"""The command from end to end over a small cache: numbers, files, failures, refusals."""

from dataclasses import replace
from html.parser import HTMLParser
import json
import math

import numpy as np
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.scoring import pdm_score, Protocol
from pair_drive_ros.scoring.scene_file import V2_COLUMNS
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.records import scoring_scenes
import pytest

V1, V2 = Protocol.NAVSIM_V1, Protocol.NAVSIM_V2
EPDMS, EC = V2_COLUMNS.index('EPDMS'), V2_COLUMNS.index('EC')


@pytest.fixture
def evaluate(data_set, evaluate_in):
    """Run the command over the small cache; return exit code and folder of the results."""
    def call(*arguments, protocol=V1, **options):
        return evaluate_in(data_set.cache, protocol, *arguments, **options)
    return call


@pytest.fixture
def human(data_set):
    """Human plans [1, 8, 3] of the original scenes by token."""
    cache = Cache.open(data_set.cache)
    return {token: cache.read('scenes', token)['human'][None]
            for log in ('one', 'two') for token in data_set.tokens[log]}


def summary_of(folder):
    return json.loads((folder / 'summary.json').read_text())


def lines_of(folder):
    lines = [json.loads(line) for line in (folder / 'per_token.jsonl').read_text().splitlines()]
    return {line['token']: line for line in lines}


@pytest.mark.parametrize('protocol', [V1, V2])
def test_original_scenes_by_default(evaluate, data_set, human, protocol, capsys):
    code, folder = evaluate('--policy', 'human', protocol=protocol)
    assert code == 0
    summary = summary_of(folder)
    assert summary['scenes'] == {'asked': 6, 'scored': 6, 'failed': 0}
    assert summary['protocol'] == protocol.value
    with np.load(folder / 'scores.npz') as scores:
        assert sorted(set(scores.files) - {'cols', 'protocol'}) == sorted(human)
        column = scores['cols'].tolist().index('PDMS' if protocol is V1 else 'EPDMS')
        totals = [scores[token][0, column] for token in human]
    view = summary['views']['one plan a scene']['PDMS' if protocol is V1 else 'EPDMS']
    assert view['mean'] == pytest.approx(np.mean(totals))
    assert view['low'] <= view['mean'] <= view['high']
    assert view['over_valid'] == pytest.approx(view['mean'])
    printed = capsys.readouterr().out
    assert protocol.title in printed
    assert f'{view["mean"]:.4f}' in printed
    assert str(folder / 'report.html') in printed


def test_scores_are_the_scorers(evaluate, data_set, human):
    _, folder = evaluate('--policy', 'constant_velocity')
    cache = Cache.open(data_set.cache)
    with np.load(folder / 'scores.npz') as scores:
        for token in human:
            speed = np.hypot(*cache.read('scenes', token)['ego'][3:5])
            plan = np.array([[[0.5 * k * speed, 0.0, 0.0] for k in range(1, 9)]])
            expected = pdm_score(plan[None], scoring_scenes(cache, [token], V1), V1).total
            assert scores[token][0, -1] == pytest.approx(expected[0, 0], abs=1e-6)


def test_pairs_of_a_log(evaluate, data_set):
    _, folder = evaluate('--policy', 'pdm_closed', protocol=V2)
    lines = lines_of(folder)
    for log in ('one', 'two'):
        first, second, third = data_set.tokens[log]
        assert [lines[token]['previous_token'] for token in (first, second, third)] == [
            None, first, second]
        assert lines[first]['EC'] is None
        assert lines[second]['EC'] in (0.0, 1.0)
        assert lines[first]['log'] == log


def test_plans_that_fail_count_as_zero_and_are_listed(evaluate, data_set, human, tmp_path, capsys):
    missing, spoilt, *good = human
    plans = {token: human[token] for token in good}
    plans[spoilt] = np.full((1, 8, 3), np.nan)
    plans['stranger'] = human[missing]
    np.savez(tmp_path / 'plans.npz', **plans)
    code, folder = evaluate('--plans', tmp_path / 'plans.npz')
    assert code == 1
    summary = summary_of(folder)
    assert summary['scenes'] == {'asked': 6, 'scored': 4, 'failed': 2}
    assert summary['failures'] == {missing: 'plans.npz has no plan for this token',
                                   spoilt: 'plans.npz: plan 0 is not finite'}
    assert summary['plans_without_scene'] == ['stranger']
    total = summary['views']['one plan a scene']['PDMS']
    assert total['mean'] == pytest.approx(total['over_valid'] * 4 / 6)
    lines = lines_of(folder)
    assert lines[missing]['PDMS'] is None
    assert lines[missing]['failure'].startswith('plans.npz')
    assert lines[good[0]]['failure'] is None
    printed = capsys.readouterr().out
    assert '2 failed' in printed
    assert f'{spoilt}: plans.npz: plan 0 is not finite' in printed
    assert 'stranger' in printed


def test_several_plans_are_seen_in_three_ways(evaluate, human, tmp_path):
    """The second of three plans is the human's, the others leave the road or stand."""
    sideways = np.array([[[2.0 * k, 3.0 * k, 0.9] for k in range(1, 9)]])
    np.savez(tmp_path / 'plans.npz', **{
        token: np.concatenate([sideways, plan, np.zeros((1, 8, 3))])
        for token, plan in human.items()})
    code, folder = evaluate('--plans', tmp_path / 'plans.npz')
    assert code == 0
    views = {name: view['PDMS']['mean'] for name, view in summary_of(folder)['views'].items()}
    first, mean, oracle = (views[name] for name in (
        'first plan of each scene', 'mean over the plans of each scene',
        'oracle: best plan of each scene'))
    assert first < mean < oracle
    line = next(iter(lines_of(folder).values()))
    assert len(line['PDMS']) == 3
    assert line['DAC'][0] == 0.0


def test_listed_tokens(evaluate, data_set, tmp_path):
    tokens = [data_set.tokens['two'][1], 'nowhere', data_set.tokens['two'][0]]
    (tmp_path / 'tokens.txt').write_text('\n'.join(tokens))
    code, folder = evaluate('--policy', 'human', '--tokens', tmp_path / 'tokens.txt', protocol=V2)
    assert code == 1
    lines = lines_of(folder)
    assert sorted(lines) == sorted(tokens)
    assert lines['nowhere']['failure'] == 'the cache has no scene of this token for navsim_v2'
    assert lines[tokens[0]]['previous_token'] == tokens[2]


def test_a_checkpoint_without_some_of_its_sensors(evaluate, checkpoint, capsys):
    path, _ = checkpoint
    plans = []
    for without in ([], ['--without', 'lidar', 'left']):
        code, folder = evaluate('--policy', path, *without)
        assert code == 0
        plans.append([line['EP'] for line in lines_of(folder).values()])
    assert plans[0] != plans[1]
    assert summary_of(folder)['source'] == str(path)
    assert summary_of(folder)['without'] == ['left', 'lidar']
    assert f'{path} without left, lidar' in capsys.readouterr().out
    assert 'small.safetensors without left, lidar</h1>' in (folder / 'report.html').read_text()


def test_a_cache_without_the_policys_features_is_refused(evaluate, checkpoint, tmp_path):
    _, network = checkpoint
    config = replace(network.config, image_height=256, image_width=1024, lidar_bins=256,
                     ground_view=False)
    save_checkpoint(tmp_path / 'full.safetensors', Transfuser(config),
                    TrainingRecord('none', 3, 'none'))
    with pytest.raises(CacheError, match='not made of features but of'):
        evaluate('--policy', tmp_path / 'full.safetensors')


@pytest.mark.parametrize('option', ['--without', '--architecture'])
def test_options_of_policies_are_none_of_plans(evaluate, option):
    with pytest.raises(ValueError, match='leave them out with --plans'):
        evaluate('--plans', 'plans.npz', option, 'left')


def write_split(folder, entries):
    (folder / 'scene_filter').mkdir()
    (folder / 'scene_filter' / 'tiny.yaml').write_text('frame_interval: 1\n')
    path = folder / 'tiny.yaml'
    path.write_text(json.dumps({'defaults': [{'scene_filter': 'tiny'}],
                                'reactive_all_mapping': entries}))
    return path


def test_two_stages_as_the_devkit_combines_them(evaluate, data_set, tmp_path):
    """Restate the aggregation token by token from the written scores."""
    first, after, beside = (data_set.tokens[log] for log in ('one', 'after', 'beside'))
    entries = [[first[1], first[0], [[after[1], after[0]], [beside[2], beside[1]]]]]
    code, folder = evaluate('--policy', 'constant_velocity', '--two-stage',
                            write_split(tmp_path, entries), protocol=V2)
    assert code == 0
    cache = Cache.open(data_set.cache)
    with np.load(folder / 'scores.npz') as file:
        total = {token: file[token][0, EPDMS] for token in file.files if len(token) == 16}
        comfort = {token: file[token][0, EC] for token in total}
    assert len(total) == 6
    now, before, pairs = entries[0]
    groups = []
    for side, token in enumerate((now, before)):
        record = cache.read('scenes', token)
        end = compose(record['ego'][:3],
                      np.array([4.0 * np.hypot(*record['ego'][3:5]), 0.0, 0.0]))
        starts = {pair[side]: cache.read('scenes', pair[side])['ego'] for pair in pairs}
        weights = {other: math.exp(-((start[0] - end[0]) ** 2 + (start[1] - end[1]) ** 2) / 0.2)
                   for other, start in starts.items()}
        scale = sum(weights.values())
        assert scale > 0.01
        groups.append(total[token] * sum(total[other] * weight / scale
                                         for other, weight in weights.items()))
        lines = lines_of(folder)
        for other, weight in weights.items():
            assert lines[other]['weight'] == pytest.approx(weight / scale, rel=1e-5)
    for one, other in [(now, before), *pairs]:
        assert comfort[one] == comfort[other]
    summary = summary_of(folder)
    assert summary['setting'] == 'two stages, reactive traffic'
    assert summary['views']['both stages combined']['EPDMS']['mean'] == pytest.approx(
        np.mean(groups), rel=1e-5)


def test_two_stages_refuse_scenes_that_are_not_there(evaluate, data_set, tmp_path):
    now, before, *_ = data_set.tokens['one'][::-1]
    split = write_split(tmp_path, [[now, before, [['0123456789abcdef0', '1123456789abcdef0']]]])
    with pytest.raises(ValueError, match=r'2 of 4 scenes .* 0123456789abcdef0, 1123456789abcdef0'):
        evaluate('--policy', 'human', '--two-stage', split, protocol=V2)


@pytest.mark.shared_data
@pytest.mark.parametrize('protocol', [V1, V2])
def test_official_numbers_from_logs_and_maps(golden_cache, evaluate_in, shared_golden, tmp_path,
                                             protocol):
    """The whole way: logs and maps, the cache, a file of plans, the scores."""
    path = shared_golden / 'fixture' / f'expected_v{protocol.version}.npz'
    with np.load(path) as official, np.load(path.with_name('expected_v2.npz')) as planned:
        plans = {name.split('/')[0]: planned[name] for name in planned.files
                 if name.endswith('/trajectories')}
        np.savez(tmp_path / 'plans.npz', **plans)
        code, folder = evaluate_in(golden_cache, protocol, '--plans', tmp_path / 'plans.npz')
        assert code == 0
        assert len(plans) == 8
        with np.load(folder / 'scores.npz') as scores:
            for token in plans:
                expected = official[token if protocol is V1 else f'{token}/nonreactive']
                np.testing.assert_allclose(scores[token][:, :expected.shape[1]], expected,
                                           rtol=0.0, atol=1e-6)


class Links(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.sources, self.text = [], []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ('src', 'href')]

    def handle_data(self, data):
        self.text.append(data)


def test_report_needs_no_other_file(evaluate, human, tmp_path):
    np.savez(tmp_path / '<b>plans.npz', **human)
    _, folder = evaluate('--plans', tmp_path / '<b>plans.npz')
    content = (folder / 'report.html').read_text()
    assert '<b>plans' not in content
    page = Links()
    page.feed(content)
    assert len(page.sources) == 1 + len(human)
    assert all(source.startswith('data:image/png;base64,') for source in page.sources)
    text = ''.join(page.text)
    assert V1.title in text
    assert '<b>plans.npz' in text
    assert all(token in text for token in human)


@pytest.mark.parametrize(('arguments', 'protocol', 'says'), [
    (['--policy', 'nobody'], V1, "no policy 'nobody'"),
    (['--plans', 'nothing.npz'], V1, 'nothing.npz: cannot be read'),
    (['--policy', 'human', '--two-stage', 'split.yaml'], V1, '--two-stage belongs to'),
    (['--policy', 'human', '--tokens', 'nothing.yaml'], V1, 'nothing.yaml: cannot be read'),
    (['--policy', 'human', '--cache', 'nowhere'], V1, 'there is no cache here'),
])
def test_refusals(evaluate, arguments, protocol, says):
    with pytest.raises(ValueError, match=says):
        evaluate(*arguments, protocol=protocol)


def test_scene_filter_without_mapping_is_refused(evaluate, tmp_path):
    (tmp_path / 'filter.yaml').write_text('frame_interval: 1\n')
    with pytest.raises(ValueError, match='holds no reactive_all_mapping'):
        evaluate('--policy', 'human', '--two-stage', tmp_path / 'filter.yaml', protocol=V2)


def test_none_of_the_scenes(evaluate, tmp_path):
    (tmp_path / 'tokens.txt').write_text('nowhere')
    with pytest.raises(ValueError, match='holds none of the scenes'):
        evaluate('--policy', 'human', '--tokens', tmp_path / 'tokens.txt')


def test_folder_that_cannot_be_written(evaluate, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='cannot be written to'):
        evaluate('--policy', 'human', out=tmp_path / 'file' / 'out')


@pytest.mark.parametrize('name', ['scores.npz', 'report.html'])
def test_results_that_cannot_be_written(evaluate, tmp_path, name):
    (tmp_path / 'out' / name).mkdir(parents=True)
    with pytest.raises(ValueError, match='the results cannot be written'):
        evaluate('--policy', 'human')
