"""LeRobot's policy server with the real-time prefix: the policy is told what it has planned before.

    python -m lerobot_policy_sernf.policy_server --host=127.0.0.1 --port=8080 --fps=20

LeRobot's own server tells a policy what is observed and nothing else. This one remembers the
actions it has sent, by their time steps, so it knows which ones the robot executes while the next
decision is computed. Start the client with `--aggregate_fn_name=latest_only`: then those are
exactly the ones that it has.
"""

import logging
import time
from concurrent import futures

import draccus
import grpc
from lerobot.async_inference.configs import PolicyServerConfig
from lerobot.async_inference.constants import SUPPORTED_POLICIES
from lerobot.async_inference.helpers import TimedAction, TimedObservation
from lerobot.async_inference.policy_server import PolicyServer
from lerobot.transport import services_pb2, services_pb2_grpc
from torch import Tensor, stack

from lerobot_policy_sernf.modeling_sernf import SernfPolicy

if SernfPolicy.name not in SUPPORTED_POLICIES:  # a list of LeRobot's own that plug-ins cannot join
    SUPPORTED_POLICIES.append(SernfPolicy.name)


class SernfPolicyServer(PolicyServer):
    """Serves one robot. A decision continues the actions that were sent for its next P steps."""

    policy: SernfPolicy

    def __init__(self, config: PolicyServerConfig) -> None:
        super().__init__(config)
        self._sent: dict[int, Tensor] = {}
        self._step = 0

    def SendPolicyInstructions(  # noqa: N802  # gRPC's name
        self, request: services_pb2.PolicySetup, context: grpc.ServicerContext
    ) -> services_pb2.Empty:
        """Load the policy that a robot asks for.

        Raises:
            ValueError: If it cannot be served this way.
        """
        answer = super().SendPolicyInstructions(request, context)
        spec = self.policy.spec
        if spec.history > 1:
            raise ValueError(
                f"the policy sees n_obs_steps={spec.history} control steps, but robots send only "
                "the latest observation; train with n_obs_steps=1"
            )
        if self.actions_per_chunk <= spec.prefix:
            raise ValueError(
                f"actions_per_chunk ({self.actions_per_chunk}) holds nothing but the prefix "
                f"({spec.prefix}); ask for {spec.prefix + spec.horizon}"
            )
        return answer

    def _reset_server(self) -> None:
        super()._reset_server()
        self._sent = {}

    def _obs_sanity_checks(self, obs: TimedObservation, previous_obs: TimedObservation) -> bool:
        """Every step once. LeRobot's also skips what has moved by less than 1: radians never do."""
        del previous_obs
        with self._predicted_timesteps_lock:
            return obs.get_timestep() not in self._predicted_timesteps

    def _predict_action_chunk(self, observation_t: TimedObservation) -> list[TimedAction]:
        self._step, started = observation_t.get_timestep(), time.monotonic()
        actions = super()._predict_action_chunk(observation_t)
        steps = (time.monotonic() - started) / self.config.environment_dt
        if 0 < self.policy.spec.prefix < steps:
            self.logger.warning(
                "a decision took %.1f control steps, more than the prefix (%d): the robot goes on "
                "with an older plan, which the next decision does not know",
                steps,
                self.policy.spec.prefix,
            )
        return actions

    def _get_action_chunk(self, observation: dict[str, Tensor]) -> Tensor:
        planned = self.policy.predict_action_chunk(
            observation, prev_chunk_left_over=self._queued()
        )[:, : self.actions_per_chunk]
        self._sent |= {self._step + i: action for i, action in enumerate(planned[0])}
        return planned

    def _queued(self) -> Tensor | None:
        """(P, A) what was sent for the next steps; the last one stands for missing ones."""
        self._sent = {step: a for step, a in self._sent.items() if step >= self._step} or (
            {max(self._sent): self._sent[max(self._sent)]} if self._sent else {}
        )
        if not self._sent:
            return None
        last = max(self._sent)
        steps = range(self._step, self._step + self.policy.spec.prefix)
        rows = [self._sent[min(step, last)] for step in steps]
        return stack(rows) if rows else None


@draccus.wrap()
def serve(config: PolicyServerConfig) -> None:
    """Serve until interrupted."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    services_pb2_grpc.add_AsyncInferenceServicer_to_server(SernfPolicyServer(config), server)
    server.add_insecure_port(f"{config.host}:{config.port}")
    server.start()
    logging.info("policy server -> %s:%d", config.host, config.port)
    server.wait_for_termination()


if __name__ == "__main__":
    serve()
