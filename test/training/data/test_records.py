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

"""Records of scenes through the cache and back."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import pdm_score, Protocol, ScoringScenes
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.cache_builder import CacheBuilder
from pair_drive_training.data.log import read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.metric_scene import MetricScene
from pair_drive_training.data.navsim_recipe import Maps, NavsimRecipe
from pair_drive_training.data.reactive_scene import ReactiveScene
from pair_drive_training.data.records import (
    pack_records,
    reference_of,
    reference_plan,
    scene_record,
    SCENES,
    scoring_scene,
    scoring_scenes,
)
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log
import pytest
import tiny_navsim

BOTH = pytest.mark.parametrize('protocol', list(Protocol))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    tiny_navsim.write_city(folder / 'maps')
    tiny_navsim.write_log(folder / 'logs')
    return folder


@pytest.fixture(scope='module')
def scenes(folder):
    return scenes_of_log(read_log(folder / 'logs' / 'tiny.pkl'), SceneFilter(frame_interval=1))


@pytest.fixture(scope='module')
def cache(folder):
    recipe = NavsimRecipe(folder / 'logs', Maps(folder / 'maps', folder / 'store'),
                          SceneFilter(frame_interval=1), 'all', list(Protocol))
    assert CacheBuilder(folder / 'cache', recipe, 1).run().whole
    return Cache.open(folder / 'cache')


@BOTH
def test_a_scene_read_back_is_the_scene_that_was_made(folder, scenes, cache, protocol):
    city = MapStore(folder / 'maps').city(scenes[0].map_name)
    for scene in scenes:
        made = ScoringScenes.prepare([MetricScene(scene, city).scene(protocol)], protocol)
        read = scoring_scene(cache, scene.token, protocol)
        assert read.names == (scene.token,)
        for name, array in made.arrays._asdict().items():
            np.testing.assert_array_equal(getattr(read.arrays, name), array, err_msg=name)


@BOTH
def test_a_batch_is_in_the_order_of_its_tokens(cache, protocol):
    tokens = list(reversed(cache.tokens(protocol.value)))
    assert scoring_scenes(cache, tokens, protocol).names == tuple(tokens)


@BOTH
def test_the_reference_as_a_plan_begins_where_the_ego_goes(cache, protocol):
    for token in cache.tokens(SCENES):
        plan = reference_plan(cache, token, protocol)
        reference = reference_of(cache, token, protocol)
        assert plan.shape == (8, 3)
        assert reference.poses.shape == (51, 3)
        assert 0.0 < plan[0, 0] < 8.0
        assert np.all(np.diff(plan[:, 0]) > 0.0)
        assert np.abs(plan[:, 1]).max() < 3.0
        score = pdm_score(plan[None, None], scoring_scenes(cache, [token], protocol), protocol)
        assert score.ep[0, 0] > 0.9


def test_what_policies_read_of_a_scene(cache, scenes):
    for scene in scenes:
        record = cache.read(SCENES, scene.token)
        assert str(record['token']) == scene.token
        assert str(record['log_name']) == 'tiny'
        assert record['time_us'] == scene.now.time_us
        np.testing.assert_allclose(record['pose'][-1], 0.0, atol=1e-12)
        assert np.all(np.diff(record['pose'][:, 0]) > 3.0)
        np.testing.assert_array_equal(record['command'][-1], scene.now.command)
        assert record['has_human']
        assert np.all(np.diff(record['human'][:, 0]) > 3.0)


def test_a_synthetic_scene_has_no_human(scenes):
    record = scene_record(replace(scenes[0], synthetic=True))
    assert record['synthetic']
    assert not record['has_human']
    assert np.isnan(record['human']).all()
    both = pack_records(SCENES, [record, scene_record(scenes[1])])
    assert both['has_human'].tolist() == [False, True]


def test_traffic_reacts_to_the_plan(cache):
    token = cache.tokens(SCENES)[0]
    scene = ReactiveScene.read(cache, token)
    stop, go = np.zeros((8, 3)), reference_plan(cache, token, Protocol.NAVSIM_V2)
    scenes = scene.scenes(np.stack([stop, go]))
    behind = [scenes.scene(index).arrays.object_box for index in range(2)]
    assert behind[0].shape == behind[1].shape
    scores = scene.score(np.stack([stop, go]))
    assert scores.total.shape == (2, 1)
    assert scores.ep[1] > scores.ep[0]


def test_an_unknown_token_is_named(cache):
    with pytest.raises(CacheError, match='feedbeef'):
        scoring_scene(cache, 'feedbeef', Protocol.NAVSIM_V1)
