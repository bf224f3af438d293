"""What LeRobot does around the policy: names, batches, devices; it scales nothing."""

from typing import Any

from lerobot.processor import (
    PolicyAction,
    PolicyProcessorPipeline,
    make_default_pre_post_processors,
)

from lerobot_policy_sernf.configuration_sernf import SernfConfig

Pipelines = tuple[
    PolicyProcessorPipeline[dict[str, Any], dict[str, Any]],
    PolicyProcessorPipeline[PolicyAction, PolicyAction],
]


def make_sernf_pre_post_processors(
    config: SernfConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> Pipelines:
    """LeRobot's default pipelines; statistics go to the policy, not to them."""
    del dataset_stats
    return make_default_pre_post_processors(config)
