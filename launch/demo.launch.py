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

"""Play the sample drive through the planner: ``bag:=out/sample/bag``."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'pair_drive_ros'

# Launch argument of planner.launch.py: topic of the sample drive.
SAMPLE_TOPICS = {
    'camera_left_topic': '/camera/left/image/compressed',
    'camera_front_topic': '/camera/front/image/compressed',
    'camera_right_topic': '/camera/right/image/compressed',
    'camera_left_info_topic': '/camera/left/camera_info',
    'camera_front_info_topic': '/camera/front/camera_info',
    'camera_right_info_topic': '/camera/right/camera_info',
    'points_topic': '/lidar/points',
    'odometry_topic': '/odom',
    'acceleration_topic': '/acceleration',
    'command_topic': '/command',
}


def generate_launch_description() -> LaunchDescription:
    """Describe the planner on simulated time and the player of the bag."""
    share = FindPackageShare(PACKAGE)
    return LaunchDescription([
        DeclareLaunchArgument('bag', description='the sample drive, written by '
                              'python -m pair_drive_training make-world --bag'),
        DeclareLaunchArgument('rviz', default_value='false', description='start RViz as well'),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(
                PathJoinSubstitution([share, 'launch', 'planner.launch.py'])),
            launch_arguments={
                'rig_file': PathJoinSubstitution([share, 'config', 'sample_rig.yaml']),
                'use_sim_time': 'true',
                'rviz': LaunchConfiguration('rviz'),
                **SAMPLE_TOPICS}.items()),
        # Our own player waits until every input is connected, so that no frame is lost.
        Node(package=PACKAGE, executable='pair_drive', output='screen',
             arguments=['play', LaunchConfiguration('bag')]),
    ])
