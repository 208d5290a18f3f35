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

"""What a TransFuser-like network learns from a scene: the drive, the vehicles, the map."""

import numpy as np
from pair_drive_ros.models.features import LIDAR_RANGE_M
from pair_drive_training.data.bev import semantic_map
from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.frames import Annotations, human_future, SceneFrames

MAX_AGENTS = 30
_STATE_COLUMNS = [0, 1, 6, 3, 4]  # x, y, heading, length, width of an annotated box


def scene_targets(scene: SceneFrames, city: CityMap) -> dict[str, np.ndarray]:
    """
    Build the targets of NAVSIM's TransFuser agent, by the names of the network's outputs.

    ``trajectory`` float64 [8, 3]; ``agent_states`` float32 [30, 5] and ``agent_labels`` bool
    [30]; ``bev_semantic_map`` uint8 [128, 256]. All in the ego frame of the current frame.

    :param city: the map of the scene's city
    :raises LogError: when the scene has no human future of 4 s
    """
    states, labels = nearby_vehicles(scene.now.annotations)
    return {'trajectory': human_future(scene),
            'agent_states': states,
            'agent_labels': labels,
            'bev_semantic_map': semantic_map(scene.now.annotations, city, scene.now.pose)}


def nearby_vehicles(annotations: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """
    Vehicles with their centre inside +-32 m, the nearest 30 in the order of their distance.

    :return: float32 [30, 5] x, y, heading, length, width, zeros where there is none; bool [30]
        whether there is one
    """
    boxes = np.asarray(annotations.boxes)
    is_vehicle = np.array([name == 'vehicle' for name in annotations.names], dtype=bool)
    inside = np.all(np.abs(boxes[:, :2]) <= LIDAR_RANGE_M, axis=1)
    vehicles = boxes[is_vehicle & inside][:, _STATE_COLUMNS].astype(np.float32)
    nearest = np.argsort(np.linalg.norm(vehicles[:, :2], axis=1), kind='stable')[:MAX_AGENTS]
    states = np.zeros((MAX_AGENTS, len(_STATE_COLUMNS)), np.float32)
    states[:len(nearest)] = vehicles[nearest]
    return states, np.arange(MAX_AGENTS) < len(nearest)
