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
The ego vehicle of both devkits (Chrysler Pacifica); metres, seen from the rear axle.

Front 4.049 m and rear 1.127 m of the axle, width 2.297 m.
"""

HALF_LENGTH = 2.588
HALF_WIDTH = 1.1485
AXLE_TO_CENTRE = 1.461
AXLE_TO_FRONT = 4.049
WHEELBASE = 3.089
