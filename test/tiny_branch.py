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

"""The RL branch at its smallest, for the features of the mini networks."""

from typing import Any

from pair_drive_ros.models.refiner import Refiner, RefinerConfig
from pair_drive_ros.models.selector import Selector, SelectorConfig
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_ros.models.tree_config import TreeConfig
from tiny_view import BEV_WIDTH, WIDTH
import torch

# Lists, as a command line and a card have them.
PERCEPTION = {'base_width': 4, 'stage_blocks': [1, 1, 1, 1], 'bev_width': BEV_WIDTH,
              'decoder_width': WIDTH, 'decoder_layers': 1, 'decoder_ffn': 16}
"""What differs from the mini networks."""
TREE = {'width': 16}
SELECTOR = {'bev_width': BEV_WIDTH, 'view_width': WIDTH, 'width': 16}


def tiny_perception(**changes: Any) -> TransfuserConfig:
    """Return the sizes of the perception."""
    return TransfuserConfig.mini(**{**PERCEPTION, 'plan_refinement': False, **changes})


def tiny_refiner(seed: int = 0, perception: dict[str, Any] | None = None,
                 **tree: Any) -> Refiner:
    """Build a refiner with seeded weights, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Refiner(RefinerConfig(tiny_perception(**(perception or {})),
                                     TreeConfig(**{**TREE, **tree}))).eval()


def tiny_selector(seed: int = 0, **changes: Any) -> Selector:
    """Build a selector with seeded weights, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Selector(SelectorConfig(**{**SELECTOR, **changes})).eval()
