"""Ask a policy that runs in another process, so that it never delays your control loop.

python examples/policy_process.py assets/student.pt
"""

import sys
import time

from sernf_isaac import ChunkPolicy, Contract, DecisionSettings, WorkerPolicy, load_policy


def check(policy: ChunkPolicy, contract: Contract) -> None:
    """Runs in the other process: raise ValueError if your machine cannot run this policy."""
    if contract.control_rate_hz != 20.0:
        raise ValueError(f"this hand runs at 20 Hz, the policy at {contract.control_rate_hz:g}")


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "assets/student.pt"
    policy, _ = load_policy(path)
    observation, prefix = policy.example_inputs()  # yours come from sensors
    observation = {name: value[0].numpy() for name, value in observation.items()}
    with WorkerPolicy(DecisionSettings(candidates=8), check) as worker:
        report = worker.load(path)  # tests the policy before it may drive
        print(f"loaded; a decision takes {1e3 * report.p50_s:.0f} ms (median)")
        for _ in range(3):
            worker.request(observation, prefix[0].numpy())
            while (chunk := worker.poll()) is None:  # your loop goes on meanwhile
                time.sleep(0.005)
            print(f"chunk of {len(chunk)} actions after {1e3 * worker.last_latency_s:.0f} ms")
