"""The policy plug-in in LeRobot: trained, evaluated and asked from afar by LeRobot's own programs.

`make test-lerobot` runs these in an environment with LeRobot, which the others do without.
"""

import json
import sys
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

from sernf_isaac.config import CriticConfig, LearnerConfig, OptimizerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.lerobot.exporter import export_lerobot
from sernf_isaac.data.replay import Replay
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.data.windows import find_starts
from sernf_isaac.learning.offline.config import OfflineRun
from sernf_isaac.learning.offline.run import train
from sernf_isaac.metrics import read_metrics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WHY = "needs LeRobot and the plug-in, which live in an environment of their own: make test-lerobot"
pytest.importorskip("lerobot", reason=WHY)
pytest.importorskip("lerobot_policy_sernf", reason=WHY)

import lerobot.scripts.lerobot_eval as lerobot_eval  # noqa: E402
import lerobot.scripts.lerobot_train as lerobot_train  # noqa: E402
from lerobot.async_inference.configs import PolicyServerConfig, RobotClientConfig  # noqa: E402
from lerobot.async_inference.robot_client import RobotClient  # noqa: E402
from lerobot.configs import FeatureType, PolicyFeature  # noqa: E402
from lerobot.envs.configs import EnvConfig  # noqa: E402
from lerobot.policies.rtc.configuration_rtc import RTCConfig  # noqa: E402
from lerobot.robots import Robot, RobotConfig  # noqa: E402
from lerobot.rollout.inference.rtc import RTCInferenceEngine, supports_rtc_inference  # noqa: E402
from lerobot.transport import services_pb2_grpc  # noqa: E402
from lerobot_policy_sernf.configuration_sernf import SernfConfig  # noqa: E402
from lerobot_policy_sernf.modeling_sernf import SernfPolicy  # noqa: E402
from lerobot_policy_sernf.policy_server import SernfPolicyServer  # noqa: E402
from lerobot_policy_sernf.processor_sernf import make_sernf_pre_post_processors  # noqa: E402

STEPS, BATCH, RATE, LENGTH, A, F = 25, 8, 2e-3, 40, 3, 4
SPEC = ChunkSpec(history=1, prefix=2, horizon=4, history_keys=())
FLOW = PolicyConfig(
    token_dim=16, width=16, num_couplings=4, num_heads=2, noise_std=0.05, imitation_dropout=0.0
)


def episode(seed, *, with_images=False):
    draw = np.random.default_rng(seed)
    walk = np.cumsum(draw.normal(size=(LENGTH, F)), axis=0)
    goal, still = draw.normal(size=(LENGTH, 2)), np.ones((LENGTH, 1))
    observation = {"state": walk, "goal": goal, "still": still}
    if with_images:
        observation["wrist"] = draw.integers(0, 255, (LENGTH, 3, 32, 32), dtype=np.uint8)
    return Episode(
        observation=observation,
        action=walk[:, :A] + 0.1 * draw.normal(size=(LENGTH, A)),
        reward=np.arange(LENGTH) == LENGTH - 1,
        terminated=np.arange(LENGTH) == LENGTH - 1,
        outcome="success",
        is_offline=True,
    )


def make_data(folder, **options):
    """A store, and the same as a LeRobot data set."""
    create_run(folder / "store", {"control_rate_hz": 20.0})
    with RunWriter(folder / "store", "test") as writer:
        for seed in range(3):
            writer.commit(episode(seed, **options))
    export_lerobot(folder / "store", folder / "lerobot", task="walk", as_video=False)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"))


FLAGS = [
    "--policy.type=sernf",
    "--policy.device=cpu",
    "--policy.push_to_hub=false",
    f"--policy.horizon={SPEC.horizon}",
    f"--policy.prefix={SPEC.prefix}",
    *(f"--policy.flow.{name}={value}" for name, value in vars(FLOW).items() if value is not None),
    f"--policy.learning_rate={RATE}",
    f"--batch_size={BATCH}",
    "--num_workers=0",
    "--wandb.enable=false",
    "--env_eval_freq=0",
    "--dataset.repo_id=tests/walk",
]


ONLY_STATE = '--policy.input_features={"observation.state": {"type": "STATE", "shape": [4]}}'


def lerobot_learns(monkeypatch, data, out, *flags):
    """Runs `lerobot-train`; the loss and the frames of each step."""
    losses, frames = [], []
    original = lerobot_train.update_policy

    def update_policy(tracker, policy, batch, *args, **options):
        frames.append(batch["index"].tolist())
        tracker, info = original(tracker, policy, batch, *args, **options)
        losses.append(tracker.loss.val)
        return tracker, info

    monkeypatch.setattr(lerobot_train, "update_policy", update_policy)
    root = f"--dataset.root={data / 'lerobot'}"
    argv = ["lerobot-train", *FLAGS, root, f"--output_dir={out}", *flags]
    monkeypatch.setattr(sys, "argv", argv)
    lerobot_train.main()
    return losses, frames


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """What `lerobot-train` leaves after a few steps."""
    out = tmp_path_factory.mktemp("out") / "run"
    with pytest.MonkeyPatch.context() as patch:
        losses, frames = lerobot_learns(
            patch, data, out, f"--steps={STEPS}", f"--save_freq={STEPS}"
        )
    last = out / "checkpoints/last/pretrained_model"
    return SimpleNamespace(losses=losses, frames=frames, checkpoint=last)


def windows_by_frame(store, spec):
    """Numbers of our windows by LeRobot's numbers of frames."""
    numbers, first = {}, 0
    for stored in load_episodes([str(store)], []).values():
        for start in find_starts(stored, spec):
            numbers[first + int(start)] = len(numbers)
        first += len(stored)
    return numbers


def test_lerobot_and_train_offline_have_the_same_losses(data, trained, tmp_path, monkeypatch):
    """Step by step, on the same windows in the order that LeRobot draws them."""
    numbers = windows_by_frame(data / "store", SPEC)
    batches = iter([torch.tensor([numbers[f] for f in step]) for step in trained.frames])
    monkeypatch.setattr(Replay, "_choose", lambda *_: next(batches))
    monkeypatch.setattr("sernf_isaac.learning.workers.Workers.rows", lambda *_: None)
    run = OfflineRun(
        data=[str(data / "store")],
        batch_size=BATCH,
        imitation_steps=STEPS,
        warm_up_steps=0,
        offline_steps=0,
        log_every=1,
        save_every=STEPS,
        spec=SPEC,
        learner=LearnerConfig(
            policy=FLOW,
            critic=CriticConfig(support=None),
            optimizer=OptimizerConfig(imitation_learning_rate=RATE),
        ),
    )
    train(run, tmp_path / "run")
    ours = [value for _, value in read_metrics(tmp_path / "run", "actor/bc")]
    assert len(ours) == len(trained.losses) == STEPS
    assert trained.losses[-1] < trained.losses[0] - 1.0
    np.testing.assert_allclose(trained.losses, ours, rtol=1e-4)


@pytest.fixture(scope="module")
def checkpoint(data, tmp_path_factory):
    """A policy that sees the state only, as the robots and the environment below do."""
    out = tmp_path_factory.mktemp("state") / "run"
    with pytest.MonkeyPatch.context() as patch:
        lerobot_learns(
            patch, data, out, "--steps=2", "--save_freq=2", "--policy.candidates=1", ONLY_STATE
        )
    return out / "checkpoints/last/pretrained_model"


def test_a_checkpoint_brings_its_ranges_and_loads_as_it_was(data, trained):
    policy = SernfPolicy.from_pretrained(trained.checkpoint)
    again = SernfPolicy.from_pretrained(trained.checkpoint)
    actions = np.concatenate([e.action for e in load_episodes([str(data / "store")], []).values()])
    low, high = (torch.tensor(f(axis=0)) for f in (actions.min, actions.max))
    ranges = policy.ranges.normalizer
    torch.testing.assert_close(ranges.normalize("action", low), -torch.ones(A))
    torch.testing.assert_close(ranges.normalize("action", high), torch.ones(A))
    torch.testing.assert_close(ranges.normalize("still", torch.ones(1)), torch.zeros(1))
    batch = {
        "observation.state": torch.randn(2, F),
        "observation.goal": torch.randn(2, 2),
        "observation.still": torch.ones(2),
    }
    chunk = policy.predict_action_chunk(batch)
    torch.testing.assert_close(chunk, again.predict_action_chunk(batch))
    assert chunk.shape == (2, SPEC.prefix + SPEC.horizon, A)
    low, high = low - 1e-5, high + 1e-5
    assert ((chunk[:, SPEC.prefix :] >= low) & (chunk[:, SPEC.prefix :] <= high)).all()


def test_pictures_and_histories_are_learned_from(tmp_path, monkeypatch):
    data = make_data(tmp_path, with_images=True)
    losses, _ = lerobot_learns(
        monkeypatch,
        data,
        tmp_path / "out",
        "--steps=2",
        "--policy.n_obs_steps=3",
        "--policy.vision.backbone=resnet18",
        "--policy.vision.tuning=all",
        "--save_freq=2",
    )
    assert np.isfinite(losses).all()
    policy = SernfPolicy.from_pretrained(tmp_path / "out/checkpoints/last/pretrained_model")
    assert policy.spec.history_keys == ("state",)
    batch = {
        "observation.state": torch.randn(1, F),
        "observation.goal": torch.randn(1, 2),
        "observation.still": torch.ones(1),
        "observation.images.wrist": torch.rand(1, 3, 32, 32),
    }
    for _ in range(SPEC.horizon + 1):  # the second decision sees what was seen before
        assert policy.select_action(batch).shape == (1, A)
    with pytest.raises(ValueError, match="n_obs_steps=3 control steps, which LeRobot's"):
        policy.predict_action_chunk(batch)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"prefix": 9, "horizon": 4}, "prefix"),
        ({"hold": "still"}, "hold"),
        ({"normalization_mapping": {"STATE": "MIN_MAX"}}, "IDENTITY"),
        ({"candidates": 0}, "candidates"),
    ],
)
def test_impossible_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        SernfConfig(device="cpu", **setting)


def features(sizes):
    kinds = {"action": FeatureType.ACTION}
    return {n: PolicyFeature(kinds.get(n, FeatureType.STATE), (size,)) for n, size in sizes.items()}


def make_policy(*, with_ranges=True, **settings):
    config = SernfConfig(
        device="cpu",
        flow=FLOW,
        horizon=4,
        input_features=features({"observation.state": 2}),
        output_features=features({"action": 2}),
        **settings,
    )
    ends = {"min": np.full(2, -2.0), "max": np.full(2, 2.0)}
    statistics = {"observation.state": ends, "action": ends}
    return SernfPolicy(config, dataset_stats=statistics if with_ranges else None)


def test_a_policy_without_ranges_says_so():
    with pytest.raises(ValueError, match="has no ranges"):
        make_policy(with_ranges=False).select_action({"observation.state": torch.zeros(1, 2)})


@pytest.mark.parametrize(("hold", "expected"), [("state", [0.3, -1.0]), ("zero", [0.0, 0.0])])
def test_an_episode_begins_by_keeping_still(hold, expected):
    policy = make_policy(prefix=2, hold=hold)
    batch = {"observation.state": torch.tensor([[0.3, -1.0]])}
    first, second, third = (policy.select_action(batch)[0] for _ in range(3))
    assert first.tolist() == second.tolist() == pytest.approx(expected)
    assert third.tolist() != pytest.approx(expected)


def test_chunks_continue_what_is_queued_and_never_rows_of_zeros():
    policy = make_policy(prefix=3)
    batch = {"observation.state": torch.tensor([[0.3, -1.0]])}
    queued = torch.tensor([[1.0, 1.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])
    chunk = policy.predict_action_chunk(batch, prev_chunk_left_over=queued)[0]
    assert chunk[:3].tolist() == [[1.0, 1.0], [0.5, 0.0], [0.5, 0.0]]
    dry = policy.predict_action_chunk(batch, prev_chunk_left_over=torch.zeros(4, 2))[0]
    torch.testing.assert_close(dry[:3], batch["observation.state"].expand(3, 2))
    with pytest.raises(ValueError, match="execution_horizon"):
        policy.predict_action_chunk(batch, prev_chunk_left_over=queued[:2])


class Walk(gym.Env):
    """The state's first numbers go where the action says."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    actions: list = []  # noqa: RUF012
    _max_episode_steps = 12
    task_description = "walk"

    def __init__(self, render_mode="rgb_array"):
        self.render_mode = render_mode
        box = gym.spaces.Box(-100, 100, (F,), np.float64)
        self.observation_space = gym.spaces.Dict({"agent_pos": box})
        self.action_space = gym.spaces.Box(-100, 100, (A,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = self.np_random.normal(size=F), 0
        self.taken = [self.state[:A].copy()]
        Walk.actions.append(self.taken)
        return {"agent_pos": self.state.copy()}, {"is_success": False}

    def step(self, action):
        self.taken.append(action.copy())
        self.state[:A], self.steps = action, self.steps + 1
        over = self.steps == self._max_episode_steps
        return {"agent_pos": self.state.copy()}, 1.0, over, False, {"is_success": over}

    def render(self):
        return np.zeros((32, 32, 3), np.uint8)


@EnvConfig.register_subclass("walk")
@dataclass
class WalkConfig(EnvConfig):
    task: str = "walk"
    features: dict = field(
        default_factory=lambda: {
            "action": PolicyFeature(FeatureType.ACTION, (A,)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (F,)),
        }
    )
    features_map: dict = field(
        default_factory=lambda: {"action": "action", "agent_pos": "observation.state"}
    )

    @property
    def gym_id(self):
        return "tests/Walk-v0"

    @property
    def gym_kwargs(self):
        return {}


def test_lerobot_evaluates_it(checkpoint, tmp_path, monkeypatch):
    if "tests/Walk-v0" not in gym.registry:
        gym.register("tests/Walk-v0", Walk)
    argv = ["lerobot-eval", f"--policy.path={checkpoint}", "--policy.device=cpu", "--env.type=walk"]
    argv += ["--eval.n_episodes=2", "--eval.batch_size=2", "--eval.use_async_envs=false"]
    monkeypatch.setattr(sys, "argv", [*argv, f"--output_dir={tmp_path}"])
    Walk.actions.clear()
    lerobot_eval.main()
    info = json.loads((tmp_path / "eval_info.json").read_text())
    assert info["overall"]["pc_success"] == 100.0
    assert info["overall"]["avg_sum_reward"] == 12.0
    whole = [np.array(actions) for actions in Walk.actions if len(actions) == 13]
    assert len(whole) == 2
    for start, *actions in whole:
        for held in actions[: SPEC.prefix]:
            np.testing.assert_allclose(held, start, rtol=1e-5)
        assert len(np.unique(actions, axis=0)) == len(actions) - SPEC.prefix + 1


def until(condition, *, every_s, limit_s=120.0):
    """Turns until the condition holds; busy machines take theirs."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        yield
        time.sleep(every_s)


STATE_NAMES = [f"joint_{i}" for i in range(F)]
HARDWARE = {"observation.state": {"dtype": "float32", "shape": (F,), "names": STATE_NAMES}}


def test_real_time_chunking_keeps_what_is_queued(checkpoint, monkeypatch):
    """LeRobot's engine decides in a thread; chunks agree on the actions that are executed then."""
    policy = SernfPolicy.from_pretrained(checkpoint)
    assert supports_rtc_inference(policy)
    assert not supports_rtc_inference(make_policy(prefix=0))
    decisions, decide = [], policy.predict_action_chunk

    def predict_action_chunk(batch, inference_delay=0, prev_chunk_left_over=None):
        time.sleep(0.02)
        chunk = decide(batch, inference_delay, prev_chunk_left_over)
        decisions.append((prev_chunk_left_over, chunk))
        return chunk

    monkeypatch.setattr(policy, "predict_action_chunk", predict_action_chunk)
    pre, post = make_sernf_pre_post_processors(policy.config)
    engine = RTCInferenceEngine(
        policy,
        pre,
        post,
        robot_wrapper=SimpleNamespace(robot_type="walker", action_features={}),
        rtc_config=RTCConfig(execution_horizon=4),
        hw_features=HARDWARE,
        task="walk",
        fps=20.0,
        device="cpu",
        rtc_queue_threshold=4,
    )
    engine.start()
    engine.resume()
    observed = dict.fromkeys(STATE_NAMES, 0.1)
    taken = []
    for _ in until(lambda: len(decisions) > 6 and len(taken) > 15, every_s=0.05):
        engine.notify_observation(dict(observed))
        if (action := engine.get_action(None)) is not None:
            taken.append(action)
            observed |= dict(zip(STATE_NAMES[:A], action.tolist(), strict=True))
    engine.stop()
    assert not engine.failed
    continued = [(left, chunk[0]) for left, chunk in decisions if left is not None]
    assert len(continued) > 3
    for left, chunk in continued:
        queued = left[: SPEC.prefix]
        planned = queued.ne(0).any(dim=1)
        torch.testing.assert_close(chunk[: SPEC.prefix][planned], queued[planned])


@RobotConfig.register_subclass("walker")
@dataclass(kw_only=True)
class WalkerConfig(RobotConfig):
    pass


class Walker(Robot):
    """Joints that are where they were sent."""

    config_class, name = WalkerConfig, "walker"

    def __init__(self, config):
        super().__init__(config)
        self.state, self.sent = dict.fromkeys(STATE_NAMES, 0.1), []
        self.observation_features = dict.fromkeys(STATE_NAMES, float)
        self.action_features = dict.fromkeys(STATE_NAMES[:A], float)
        self.is_connected = self.is_calibrated = True

    observation_features = action_features = is_connected = is_calibrated = None

    def connect(self, calibrate=True):
        pass

    def disconnect(self):
        pass

    calibrate = configure = disconnect

    def get_observation(self):
        return dict(self.state)

    def send_action(self, action):
        self.state |= action
        self.sent.append(list(action.values()))
        return action


def test_a_robot_is_driven_from_afar(checkpoint, tmp_path, monkeypatch):
    """LeRobot's client and our server; what was sent for a step stays, chunk after chunk."""
    import grpc

    monkeypatch.chdir(tmp_path)  # LeRobot writes logs where it is
    served = SernfPolicyServer(PolicyServerConfig(fps=4, inference_latency=0.0))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    services_pb2_grpc.add_AsyncInferenceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    answers, original = [], served._predict_action_chunk

    def answer(observation):
        actions = original(observation)
        answers.append({a.get_timestep(): a.get_action() for a in actions})
        return actions

    monkeypatch.setattr(served, "_predict_action_chunk", answer)
    client = RobotClient(
        RobotClientConfig(
            policy_type="sernf",
            pretrained_name_or_path=str(checkpoint),
            robot=WalkerConfig(),
            actions_per_chunk=SPEC.prefix + SPEC.horizon,
            server_address=f"127.0.0.1:{port}",
            chunk_size_threshold=0.7,
            fps=4,
            aggregate_fn_name="latest_only",
        )
    )
    executed, act = {}, client.control_loop_action
    in_time, take = set(), client._aggregate_action_queues

    def control_loop_action(verbose=False):
        performed = act(verbose)
        executed[client.latest_action] = client.robot.sent[-1]
        return performed

    def aggregate(incoming, how=None):
        first = incoming[0].get_timestep()
        if client.latest_action < first + SPEC.prefix:
            in_time.add(first)
        take(incoming, how)

    monkeypatch.setattr(client, "control_loop_action", control_loop_action)
    monkeypatch.setattr(client, "_aggregate_action_queues", aggregate)
    assert client.start()
    threads = [
        threading.Thread(target=client.receive_actions, daemon=True),
        threading.Thread(target=client.control_loop, args=("walk",), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for _ in until(lambda: len(in_time) > 8, every_s=0.1):
        assert threads[1].is_alive()
    client.shutdown_event.set()
    for thread in threads:
        thread.join(timeout=10.0)
    client.stop()
    server.stop(None).wait()
    np.testing.assert_allclose(client.robot.sent[0], [0.1] * A, rtol=1e-5)
    compared = 0
    for before, chunk in pairwise(answers):
        first = min(chunk)
        if {min(before), first} <= in_time:  # else the robot went on with an older plan
            for step in range(first, first + SPEC.prefix):
                if step in executed:
                    np.testing.assert_allclose(executed[step], chunk[step], rtol=1e-5)
                    compared += 1
    assert compared > 5
