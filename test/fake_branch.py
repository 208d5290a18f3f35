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

"""An RL branch that does what the test says, when the test says."""

import threading

from pair_drive_ros.models.refinement_branch import Refinement
import torch

SLOWER, BENT = 1, 2
"""Candidates beside the plan itself: four fifths as fast, and bent to the left."""


class FakeBranch:
    """
    Offers the plan and two leaves in the ``order`` of the test, the scores falling.

    ``proceed`` holds the encoding while it is clear; ``entered`` counts the encodings begun. An
    exception in ``error`` is raised by the encoding, one in ``refine_error`` by the refinement.
    """

    def __init__(self, feature_spec, order=(SLOWER, BENT, 0)):
        self.feature_spec = feature_spec
        self.order = order
        self.error = self.refine_error = None
        self.proceed = threading.Event()
        self.proceed.set()
        self.entered = threading.Semaphore(0)
        self.encoded, self.roots, self.threads = [], [], []

    def to(self, device):
        """Stay: there are no weights."""
        return self

    def encode(self, features):
        """Keep the features, and what is asked for."""
        self.encoded.append(features)
        self.threads.append(threading.current_thread().name)
        self.entered.release()
        self.proceed.wait(30.0)
        if self.error is not None:
            raise self.error
        return features

    def refine(self, view, root):
        """Grow the two leaves."""
        self.roots.append(root.clone())
        if self.refine_error is not None:
            raise self.refine_error
        slower, bent = 0.8 * root, root.clone()
        bent[..., 1] += 0.01 * root[..., 0]
        count = 3
        order = torch.tensor([self.order])
        scores = torch.empty(1, count)
        scores[0, order[0]] = torch.linspace(0.9, 0.1, count)
        return Refinement(torch.stack([root, slower, bent], dim=1), scores, order, {})
