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

"""Declares the parameter table on a node and guards it."""

from collections.abc import Callable
from typing import Any

from pair_drive_ros.nodes.parameter_table import PARAMETERS, ParameterSpec, problems
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter


class ParameterError(ValueError):
    """The parameters of a node contradict the table or each other."""


def declare_parameters(node: Node, may_change: Callable[[], bool]) -> None:
    """
    Declare every parameter of the table with its description and range.

    :param may_change: whether parameters may be set now; a running planner keeps its own
    """
    for spec in PARAMETERS:
        # rclpy takes an empty list for bytes, so an empty array is declared by its type alone.
        default = (Parameter.Type.DOUBLE_ARRAY if spec.length
                   else list(spec.default) if isinstance(spec.default, tuple) else spec.default)
        node.declare_parameter(spec.name, default, _descriptor(spec))
    table = {spec.name: spec for spec in PARAMETERS}

    def validate(changes: list[Parameter]) -> SetParametersResult:
        ours = [change for change in changes if change.name in table]
        if ours and not may_change():
            return SetParametersResult(successful=False, reason=(
                f'{ours[0].name}: the planner is configured; deactivate and clean it up first'))
        found = [problem for change in ours
                 if (problem := table[change.name].problem(change.value))]
        return SetParametersResult(successful=not found, reason='; '.join(found))

    node.add_on_set_parameters_callback(validate)


def read_parameters(node: Node) -> dict[str, Any]:
    """Return the present values by name."""
    values = {}
    for spec in PARAMETERS:
        value = node.get_parameter_or(spec.name, Parameter(spec.name)).value
        values[spec.name] = spec.default if value is None else value
    return values


def checked_parameters(node: Node) -> dict[str, Any]:
    """
    Return the present values by name.

    :raises ParameterError: naming everything that is wrong with them
    """
    values = read_parameters(node)
    found = problems(values)
    if found:
        raise ParameterError('; '.join(found))
    return values


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=f'{spec.doc}{f" [{spec.unit}]" if spec.unit else ""}',
        additional_constraints=spec.allowed)
    if spec.bounds and isinstance(spec.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=spec.bounds[0], to_value=spec.bounds[1])]
    elif spec.bounds:
        descriptor.integer_range = [
            IntegerRange(from_value=int(spec.bounds[0]), to_value=int(spec.bounds[1]))]
    return descriptor
