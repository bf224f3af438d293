"""Settings for a learner beside a robot, by its size."""

from sernf_isaac.config import CriticConfig, ImprovementConfig, LearnerConfig, OptimizerConfig
from sernf_isaac.learning.finetune.run import FinetuneRun

PRESETS = ("small", "paper")


def preset(name: str) -> FinetuneRun:
    """ "small": students of a CPU's size, as rehearsed; "paper": C.3 and G, for a GPU.

    Raises:
        ValueError: For another name.
    """
    if name == "small":
        # Fresh critics answer with the middle of their support: nothing, rather than ten quarters.
        critic = CriticConfig(
            support=(-8.0, 8.0), token_dim=128, num_heads=4, num_layers=2, feedforward=128
        )
        optimizer = OptimizerConfig(rl_learning_rate=5e-4)
        improvement = ImprovementConfig(candidates=4, sigma=None, imitation_weight=1.0)
        return FinetuneRun(
            rl_batch_size=256,
            critic_updates=4,
            updates_per_iteration=400,
            held_out_share=0.1,
            learner=LearnerConfig(critic=critic, optimizer=optimizer, improvement=improvement),
        )
    if name == "paper":
        return FinetuneRun()
    raise ValueError(f"preset must be one of {PRESETS}, not '{name}'")
