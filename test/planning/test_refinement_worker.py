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

"""The thread of the RL branch: one job at a time, and no job ends it."""

import threading

from pair_drive_ros.planning.refinement_worker import RefinementWorker
import pytest


@pytest.fixture
def worker():
    worker = RefinementWorker()
    yield worker
    assert worker.close()


def test_a_job_runs_in_the_workers_thread(worker):
    thread = worker.submit(threading.current_thread).result(10.0)
    assert thread is not threading.current_thread()
    assert thread.daemon


def test_jobs_run_one_after_the_other_in_the_same_thread(worker):
    threads = {worker.submit(threading.get_ident).result(10.0) for _ in range(5)}
    assert len(threads) == 1


def test_while_a_job_is_under_way_no_other_is_taken(worker):
    proceed = threading.Event()
    late = worker.submit(lambda: proceed.wait(30.0))
    refused = []
    assert worker.submit(lambda: refused.append('ran')) is None
    proceed.set()
    assert late.result(10.0) is True
    assert worker.submit(lambda: 'next').result(10.0) == 'next'
    assert not refused


def test_what_a_job_raises_is_in_its_future_and_the_thread_lives_on(worker):
    def fail():
        raise RuntimeError('out of memory')

    for _ in range(2):
        with pytest.raises(RuntimeError, match='out of memory'):
            worker.submit(fail).result(10.0)
    assert worker.submit(lambda: 'well').result(10.0) == 'well'


def test_closing_ends_the_thread():
    worker = RefinementWorker()
    thread = worker.submit(threading.current_thread).result(10.0)
    assert worker.close()
    assert not thread.is_alive()


def test_a_job_that_hangs_does_not_keep_closing_from_returning():
    worker = RefinementWorker()
    proceed = threading.Event()
    hanging = worker.submit(lambda: proceed.wait(30.0))
    assert not worker.close(timeout_s=0.01)
    proceed.set()
    hanging.result(10.0)
    assert worker.close(timeout_s=10.0)
