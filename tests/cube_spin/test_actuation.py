"""Latency, late packets and play between a target and its servo."""

from dataclasses import replace

import pytest
import torch

from tasks.cube_spin.actuation import Actuation
from tasks.cube_spin.physics import NOMINAL, Physics
from tasks.orca.joints import NUM_JOINTS

N = 40


def actuation(physics: Physics, seed: int = 0) -> Actuation:
    made = Actuation(N, NUM_JOINTS, physics, torch.Generator().manual_seed(seed))
    made.reset(torch.arange(N), torch.zeros(N, NUM_JOINTS), physics)
    return made


def targets(steps: int = 30) -> torch.Tensor:
    return torch.randn((steps, N, NUM_JOINTS), generator=torch.Generator().manual_seed(1)).cumsum(0)


def test_a_perfect_servo_gets_its_target() -> None:
    perfect = actuation(NOMINAL)
    assert all(torch.equal(perfect(target), target) for target in targets())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_jitter_makes_that_share_of_the_targets_one_step_later(share: float) -> None:
    late = replace(NOMINAL, action_delay_steps=(1.0, 1.0), action_delay_jitter=(share, share))
    servo, sent = actuation(late), targets(200)
    ages = []
    for step, target in enumerate(sent):
        arrived = servo(target)
        if step >= 2:
            ages.append(torch.where((arrived == sent[step - 1]).all(dim=1), 1, 2))
            expected = torch.where((ages[-1] == 1)[:, None], sent[step - 1], sent[step - 2])
            assert torch.equal(arrived, expected)
    assert (torch.stack(ages) == 2).float().mean() == pytest.approx(share, abs=0.02)


def test_play_is_felt_at_every_reversal_and_nowhere_else() -> None:
    play = 0.05
    servo = actuation(replace(NOMINAL, joint_play_rad=(play, play)))
    up, down = torch.linspace(0.0, 0.5, 20), torch.linspace(0.5, 0.0, 20)
    reached = [servo(angle.expand(N, NUM_JOINTS))[0, 0] for angle in torch.cat([up, down])]
    torch.testing.assert_close(torch.stack(reached[3:20]), up[3:] - play / 2)
    turned = torch.stack(reached[20:])
    assert (turned[:1] == reached[19]).all(), "the joint waits until the play is used up"
    torch.testing.assert_close(turned[3:], down[3:] + play / 2)


def test_it_goes_on_from_what_was_saved() -> None:
    physics = replace(
        NOMINAL,
        action_delay_steps=(0.0, 3.0),
        action_delay_jitter=(0.2, 0.2),
        joint_play_rad=(0.0, 0.05),
    )
    generator = torch.Generator().manual_seed(2)
    servo = Actuation(N, NUM_JOINTS, physics, generator)
    servo.reset(torch.arange(N), torch.zeros(N, NUM_JOINTS), physics)
    before, after = targets().split(15)
    for target in before:
        servo(target)
    saved, noise = servo.state_dict(), generator.get_state()
    expected = [servo(target) for target in after]
    other = Actuation(N, NUM_JOINTS, physics, generator)
    other.load_state_dict(saved)
    generator.set_state(noise)
    assert all(torch.equal(other(target), e) for target, e in zip(after, expected, strict=True))
