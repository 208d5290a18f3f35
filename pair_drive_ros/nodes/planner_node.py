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

"""The planner as a ROS 2 lifecycle node: topics in, trajectories out, health always."""

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from pair_drive_ros.core.timing import LatencyWindow, summary_text
from pair_drive_ros.nodes.health import diagnostic_status, level_of, RateMeter
from pair_drive_ros.nodes.inputs import InputTopics
from pair_drive_ros.nodes.outputs import OutputTopics
from pair_drive_ros.nodes.parameter_table import sensor_names
from pair_drive_ros.nodes.planner_thread import PlannerThread
from pair_drive_ros.nodes.ros_parameters import checked_parameters, declare_parameters
from pair_drive_ros.planning.assembler import FrameAssembler, SyncLimits
from pair_drive_ros.planning.checks import TrajectoryLimits
from pair_drive_ros.planning.engine import Engine, KinematicEngine
from pair_drive_ros.planning.fallback import FallbackLimits, PlannerState, StateChange
from pair_drive_ros.planning.planner import Plan, Planner
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

_WATCH_PERIOD_S = 0.05
_DIAGNOSTICS_PERIOD_S = 1.0


class PlannerNode(LifecycleNode):
    """
    Camera and LiDAR messages in, trajectories out.

    Callbacks only store references; a thread of its own plans. The watchdog runs on the steady
    clock, so that a stalled engine or a stopped /clock cannot keep the fallback from going out.
    """

    def __init__(self, **node_options: Any):
        super().__init__('planner', **node_options)
        self._configured = False
        declare_parameters(self, lambda: not self._configured)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(SetBool, '~/set_refinement_enabled', self._on_set_refinement)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=self._steady)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                          on_clock_change=False),
            post_callback=lambda _: self._reset('the clock jumped back'))
        self._planner: Planner | None = None
        self._inputs: InputTopics | None = None
        self._thread: PlannerThread | None = None
        self._fault = ''

    def autostart(self) -> bool:
        """Configure and activate when the parameter says so; False when that failed."""
        if not self.get_parameter('autostart').value:
            return True
        return all(transition() == TransitionCallbackReturn.SUCCESS
                   for transition in (self.trigger_configure, self.trigger_activate))

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load and warm up the engine, advertise the outputs."""
        try:
            self._values = checked_parameters(self)
            self._engine = _warm_engine(self._values)
        except Exception as error:  # noqa: B902 - rclpy would swallow what a user's policy raises
            told = isinstance(error, (OSError, ValueError, RuntimeError))
            self._fault = str(error) if told else f'{type(error).__name__}: {error}'
            self.get_logger().error(self._fault)
            return TransitionCallbackReturn.FAILURE
        self._fault = ''
        self._outputs = OutputTopics(self, self._values)
        self._planner = Planner(self._engine, _trajectory_limits(self._values),
                                _fallback_limits(self._values), self._on_state_change)
        self._assembler = FrameAssembler(
            sensor_names(self._values), self._values['anchor'], _sync_limits(self._values),
            _sensors_read(self._engine, self._values), self._engine.needs_every_sensor)
        self._configured = True
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the rig and start to plan."""
        self._assembler.reset()
        self._planner.reset('no input yet')
        self._rate, self._latency_ms = RateMeter(), LatencyWindow()
        self._thread = PlannerThread(self._assembler, self._planner, self._ros_now_ns,
                                     self._publish)
        self._inputs = InputTopics(self, self._values, self._assembler, self._thread.wake)
        self._watchdog = self.create_timer(_WATCH_PERIOD_S, self._watch, clock=self._steady)
        result = super().on_activate(state)
        self._thread.start()
        self.get_logger().info(
            f'planning with the {self._engine.name} engine (trained on: '
            f'{self._engine.trained_on}) on {", ".join(sensor_names(self._values))}, anchored to '
            f'{self._values["anchor"]}')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop planning and leave the car a trajectory to a halt."""
        self.stand_down()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the engine and the outputs."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Do what deactivating and cleaning up do, from whatever state."""
        self.stand_down()
        self._release()
        return super().on_shutdown(state)

    def stand_down(self) -> None:
        """Stop the thread, publish a trajectory to a halt, end the subscriptions; idempotent."""
        if self._thread is None:
            return
        self.destroy_timer(self._watchdog)
        self._inputs.destroy()
        if not self._thread.stop():
            self.get_logger().error(f'the planner thread did not end: {self._thread.reason}')
        self._thread = self._inputs = None
        halt = self._planner.stop('deactivated')
        if halt.trajectory is not None:
            self._outputs.publish(halt)
        self._planner.reset('deactivated')

    def _release(self) -> None:
        if self._configured:
            self._outputs.destroy()
            self._engine.close()
            self._planner = None
            self._configured = False

    # Plans

    def _ros_now_ns(self) -> int | None:
        """Return the ROS time; None while simulated time has not begun."""
        clock = self.get_clock()
        now_ns = clock.now().nanoseconds
        return None if clock.ros_time_is_active and now_ns == 0 else now_ns

    def _publish(self, plan: Plan) -> None:
        self._outputs.publish(plan)
        self._rate.tick()
        arrival_ns = self._inputs.arrival_ns(self._assembler.anchor, plan.trajectory.stamp_ns)
        if arrival_ns is not None:
            latency_ms = (time.monotonic_ns() - arrival_ns) * 1e-6
            self._latency_ms.add(latency_ms)
            self._outputs.publish_latency(latency_ms)

    def _watch(self) -> None:
        fallback = self._planner.watch(self._thread.reason)
        if fallback.trajectory is not None:
            self._outputs.publish(fallback)

    def _on_state_change(self, change: StateChange) -> None:
        text = f'{change.previous.value} -> {change.current.value}'
        if change.reason:
            text += f': {change.reason}'
        # rclpy raises when one line of code logs with two severities.
        if change.current is PlannerState.NORMAL:
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)
        self._publish_diagnostics()

    def _reset(self, reason: str) -> None:
        if self._thread is not None:
            self._assembler.reset()
            self._planner.reset(reason)

    # Services and health

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._thread is not None
        response.message = ('buffers and state are cleared' if response.success
                            else 'the planner is not active')
        self._reset('reset by service')
        return response

    def _on_set_refinement(self, request: SetBool.Request,
                           response: SetBool.Response) -> SetBool.Response:
        planner = self._planner
        response.success = planner is not None and planner.engine.switch_refinement(request.data)
        if response.success:
            response.message = f'refinement is switched {"on" if request.data else "off"}'
        elif planner is None:
            response.message = 'the planner is not configured'
        else:
            response.message = ('there is no refinement to switch; name refinement.refiner and '
                                'refinement.selector, then configure the planner')
        return response

    def _publish_diagnostics(self) -> None:
        self._diagnostics.publish(DiagnosticArray(
            header=_header(self), status=[self._status()]))

    def _status(self):
        name = f'{self.get_fully_qualified_name().lstrip("/")}: planning'
        planner, thread, inputs = self._planner, self._thread, self._inputs
        if thread is None or inputs is None:
            lifecycle = 'configured' if self._configured else 'not configured'
            return diagnostic_status(
                name, level_of(PlannerState.INIT, 0.0, 0.0, 0.0), self._fault or lifecycle,
                {'state': lifecycle, 'reason': self._fault})
        rate_hz = self._rate.rate_hz()
        state, reason = planner.state, planner.reason
        level = level_of(state, rate_hz, self._values['diagnostics.warn_rate'],
                         self._values['diagnostics.error_rate'])
        values: dict[str, object] = {
            'state': state.value, 'reason': reason, 'since_s': f'{planner.state_age_s:.1f}',
            'engine': planner.engine.name, 'trained_on': planner.engine.trained_on,
            'model_hash': planner.engine.model_hash, 'device': planner.engine.device,
            'anchor': self._assembler.anchor,
            'plan_rate_hz': f'{rate_hz:.1f}', 'plans': thread.plans,
            'e2e_latency_ms p50/p95/max': summary_text(self._latency_ms.summary()),
            **_stages(thread), **planner.engine.health(),
            'callback_ms p50/p99/max': _callback_text(inputs),
            'invalid_count': planner.invalid_plans, 'passed_over': planner.passed_over,
            'input_errors': thread.input_errors,
            'skipped_anchors': self._assembler.skipped_anchors,
            'resets': self._assembler.resets,
            'incompatible_qos': ', '.join(inputs.incompatible_qos) or 'none',
        }
        now_ns = self._ros_now_ns()
        ages = self._assembler.input_ages_ns(now_ns) if now_ns is not None else {}
        for source, age_ns in ages.items():
            values[f'input_age_ms.{source}'] = 'n/a' if age_ns is None else round(age_ns * 1e-6)
        values.update({f'sync_dt_ms.{source}': f'{offset:.1f}'
                       for source, offset in thread.sync_ms.items()})
        for source, count in inputs.received.items():
            values[f'received.{source}'] = count
            values[f'dropped.{source}'] = inputs.lost[source]
        return diagnostic_status(name, level, f'{state.value}: {reason}' if reason
                                 else state.value, values)


def build_engine(values: dict[str, Any]) -> Engine:
    """
    Make the engine that the parameters ask for.

    :raises ValueError, OSError, RuntimeError: when checkpoint, policy, refinement or device are
        not usable
    """
    if not values['checkpoint'] and not values['policy']:
        return KinematicEngine()
    # PyTorch takes seconds to import, which a planner without a network need not pay.
    from pair_drive_ros.models.architectures import branch_file, checkpoint_file
    from pair_drive_ros.planning.torch_engine import TorchEngine
    checkpoint = checkpoint_file(values['checkpoint']) if values['checkpoint'] else None
    imitation = TorchEngine(checkpoint, values['device'], values['num_threads'] or None,
                            values['policy'])
    if not values['refinement.refiner']:
        return imitation
    from pair_drive_ros.models.refinement_branch import load_branch
    from pair_drive_ros.planning.pair_engine import PairEngine
    branch, refiner, selector = load_branch(branch_file(values['refinement.refiner']),
                                            branch_file(values['refinement.selector']))
    return PairEngine(imitation, branch, refiner.model_hash, selector.model_hash,
                      values['refinement.deadline_ms'], values['refinement.enabled'])


def _warm_engine(values: dict[str, Any]) -> Engine:
    """Make the engine that the parameters ask for, ready for its first input."""
    engine = build_engine(values)
    try:
        engine.warm_up()
    except Exception:
        engine.close()
        raise
    return engine


def _sensors_read(engine: Engine, values: dict[str, Any]) -> list[str]:
    """List the rig's sensors that the engine looks at."""
    return [name for name in sensor_names(values)
            if engine.sensors is None or name.removeprefix('camera_') in engine.sensors]


def _trajectory_limits(values: dict[str, Any]) -> TrajectoryLimits:
    return TrajectoryLimits(speed=values['checks.max_speed'],
                            acceleration=values['checks.max_acceleration'],
                            lateral_acceleration=values['checks.max_lateral_acceleration'])


def _fallback_limits(values: dict[str, Any]) -> FallbackLimits:
    return FallbackLimits(output_timeout_s=values['output.timeout_ms'] * 1e-3,
                          hold_s=values['fallback.hold_ms'] * 1e-3,
                          deceleration=values['fallback.deceleration'],
                          recover_plans=values['fallback.recover_plans'])


def _sync_limits(values: dict[str, Any]) -> SyncLimits:
    return SyncLimits(*(int(values[f'sync.{name}_ms'] * 1e6)
                        for name in ('tolerance', 'max_input_age', 'max_extrapolation')))


def _stages(thread: PlannerThread) -> dict[str, object]:
    return {f'{name}_ms p50/p95/max': summary_text(window.summary())
            for name, window in dict(thread.stage_ms).items()}


def _callback_text(inputs: InputTopics) -> str:
    summary = inputs.callback_ms.summary()
    return f'{summary.p50:.3f}/{summary.p99:.3f}/{summary.worst:.3f}' if summary else 'n/a'


def _header(node: LifecycleNode) -> Header:
    return Header(stamp=node.get_clock().now().to_msg())
