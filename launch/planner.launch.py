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

"""Start the planner node, optionally with RViz and a bag."""

import os

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'pair_drive_ros'
PROFILE_VARIABLE = ('FASTRTPS_DEFAULT_PROFILES_FILE' if os.environ.get('ROS_DISTRO') == 'jazzy'
                    else 'FASTDDS_DEFAULT_PROFILES_FILE')

# Launch argument: the planner's input that it feeds.
INPUTS = {
    'camera_left_topic': '~/input/camera_left/image/compressed',
    'camera_front_topic': '~/input/camera_front/image/compressed',
    'camera_right_topic': '~/input/camera_right/image/compressed',
    'camera_left_info_topic': '~/input/camera_left/camera_info',
    'camera_front_info_topic': '~/input/camera_front/camera_info',
    'camera_right_info_topic': '~/input/camera_right/camera_info',
    'points_topic': '~/input/points',
    'odometry_topic': '~/input/odometry',
    'acceleration_topic': '~/input/acceleration',
    'command_topic': '~/input/command',
}


def generate_launch_description() -> LaunchDescription:
    """Describe the arguments, the environment and the processes."""
    share = FindPackageShare(PACKAGE)
    params_file = LaunchConfiguration('params_file')
    use_sim_time = LaunchConfiguration('use_sim_time')
    bag = LaunchConfiguration('bag')
    return LaunchDescription([
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([share, 'config', 'planner.yaml']),
            description='parameters of the planner'),
        DeclareLaunchArgument(
            'rig_file', default_value=params_file,
            description="parameters of this vehicle's sensors, read after params_file"),
        DeclareLaunchArgument('use_sim_time', default_value='false',
                              description='follow /clock, as a replayed bag needs'),
        DeclareLaunchArgument('rviz', default_value='false', description='start RViz as well'),
        DeclareLaunchArgument('bag', default_value='',
                              description='bag to play with --clock; set use_sim_time:=true'),
        DeclareLaunchArgument('log_level', default_value='info',
                              description='debug, info, warn, error or fatal'),
        DeclareLaunchArgument('namespace', default_value='', description='namespace of the node'),
        *(DeclareLaunchArgument(name, default_value=topic,
                                description=f'topic that feeds {topic}')
          for name, topic in INPUTS.items()),
        # The default transport silently loses large best-effort messages; a profile of the
        # user's own is kept.
        SetEnvironmentVariable(PROFILE_VARIABLE, EnvironmentVariable(
            PROFILE_VARIABLE,
            default_value=[PathJoinSubstitution([share, 'config', 'fastdds_shm.xml'])])),
        Node(
            package=PACKAGE, executable='planner', name='planner', output='screen',
            namespace=LaunchConfiguration('namespace'),
            parameters=[params_file, LaunchConfiguration('rig_file'),
                        {'use_sim_time': use_sim_time}],
            remappings=[(topic, LaunchConfiguration(name)) for name, topic in INPUTS.items()],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')]),
        Node(
            package='rviz2', executable='rviz2', name='rviz', output='screen',
            arguments=['-d', PathJoinSubstitution([share, 'rviz', 'planner.rviz'])],
            parameters=[{'use_sim_time': use_sim_time}],
            condition=IfCondition(LaunchConfiguration('rviz'))),
        ExecuteProcess(
            cmd=['ros2', 'bag', 'play', bag, '--clock', '100'], output='screen',
            condition=IfCondition(PythonExpression(["'", bag, "' != ''"]))),
    ])
