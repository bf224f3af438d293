"""Which of a learner's policies a robot gets: none that foresees less than the one in use."""

from pathlib import Path

from sernf_isaac.data.store.channel import publish_checkpoint, published, read_checkpoint
from sernf_isaac.learning.finetune.held_out import return_error
from sernf_isaac.learning.finetune.iterations import IterationSampler
from sernf_isaac.policy import ChunkPolicy, load_policy


class Keeper:
    """Publishes policies of a run, and keeps back those whose critics got worse.

    Args:
        run: The run's folder.
        sampler: Knows the episodes that nobody learns from.
        device: Where networks decide.
    """

    def __init__(self, run: Path, sampler: IterationSampler, device: str) -> None:
        self._run, self._sampler, self._device = run, sampler, device

    def publish_unless_worse(self, policy: ChunkPolicy, path: Path, step: int) -> dict[str, float]:
        """Publish a policy that was saved at `path`, if it may drive; returns what to log.

        It may if there is nothing to judge by, if the newest published policy has no critics, or if
        its critics foresee held-out episodes at least as well as that one's.
        """
        episodes, before = self._sampler.held_out(), self._newest()
        found: dict[str, float] = {}
        if episodes and before.critics is not None:
            spec = self._sampler.spec
            error, then = (return_error(each, episodes, spec) for each in (policy, before))
            found = {"held_out/error": error, "held_out/error_in_use": then}
            if error > then:
                return found | {"published": 0.0}
        publish_checkpoint(self._run, path, step)
        return found | {"published": 1.0}

    def _newest(self) -> ChunkPolicy:
        """What a robot drives with unless a person says otherwise."""
        record = read_checkpoint(self._run, published(self._run)[-1])
        policy, _ = load_policy(record.file.check(self._run), self._device)
        return policy
