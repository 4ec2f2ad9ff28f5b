"""Policies that lerobot and robomimic wrote answer here what they answer there."""

import json
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from robot_policy.checkpoint import load_policy
from robot_policy.cli.main import main
from robot_policy.core.errors import CheckpointError, RobotPolicyError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, Windows
from robot_policy.core.policy import standard_normal
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset
from robot_policy.policies.peers.lerobot_act import LerobotAct
from robot_policy.policies.peers.lerobot_diffusion import LerobotDiffusion
from robot_policy.policies.peers.library import quiet_library
from robot_policy.policies.peers.randomness import given_noise
from robot_policy.policies.peers.robomimic_bc_rnn import (
    RobomimicBcRnn,
    RobomimicBcRnnConfig,
    draw_mixture,
    robomimic_config,
)
from robot_policy.training.peers.adopt import adopt
from robot_policy.training.peers.lerobot_scaling import lerobot_scaling
from robot_policy.training.peers.robomimic_checkpoint import (
    ACTION_OFFSET,
    ACTION_SCALE,
    read_robomimic_checkpoint,
)
from robot_policy.training.peers.robomimic_file import write_robomimic_file

CPU = torch.device("cpu")
SMALL = {"down_dims": (16, 32), "diffusion_step_embed_dim": 16, "num_inference_steps": 4}

peer = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


def library(name: str) -> Any:
    with warnings.catch_warnings(), quiet_library(name):
        return pytest.importorskip(name)


def windows_of(dataset: Path, *, history: int, rows: int) -> Windows:
    store = EpisodeStore.open(dataset)
    cut = WindowDataset(
        store, history=history, past=history - 1, horizon=1, use_environment_state=True
    )
    batch = cut.batch(np.linspace(0, len(cut) - 1, rows).astype(np.int64))
    return Windows(
        state=batch[STATE],
        past=batch[ACTION][:, :-1],
        valid=~batch["observation_is_pad"],
        past_valid=~batch["action_is_pad"][:, :-1],
        environment_state=batch[ENVIRONMENT_STATE],
        instructions=("",) * rows,
    )


@pytest.mark.parametrize("mode", ["MIN_MAX", "MEAN_STD", "QUANTILES", "QUANTILE10"])
def test_scalings_are_lerobots(mode: str) -> None:
    """Written out as lerobot documents them; the last entry never varies."""
    eps = 1e-8
    stats = {
        "min": [-1.0, 2.0, 3.0],
        "max": [3.0, 2.5, 3.0],
        "mean": [0.5, 2.2, 3.0],
        "std": [0.7, 0.1, 0.0],
        "q01": [-0.9, 2.1, 3.0],
        "q99": [2.9, 2.4, 3.0],
        "q10": [-0.5, 2.15, 3.0],
        "q90": [2.5, 2.35, 3.0],
    }
    arrays = {name: np.array(value) for name, value in stats.items()}
    x = np.array([0.3, 2.3, 3.0])
    low, high = {"QUANTILES": ("q01", "q99"), "QUANTILE10": ("q10", "q90")}.get(
        mode, ("min", "max")
    )
    denominator = np.where(arrays[high] == arrays[low], eps, arrays[high] - arrays[low])
    if mode == "MEAN_STD":
        expected = (x - arrays["mean"]) / (arrays["std"] + eps)
        y = np.array([0.4, -0.2, 0.6])
        back = y * arrays["std"] + arrays["mean"]
    else:
        expected = 2 * (x - arrays[low]) / denominator - 1
        y = np.array([0.4, -0.2, 0.6])
        back = (y + 1) / 2 * denominator + arrays[low]
    scaling = lerobot_scaling(STATE, mode, arrays, eps=eps)
    assert scaling is not None
    np.testing.assert_allclose((x - scaling[0]) / scaling[1], expected, atol=1e-6)
    scaling = lerobot_scaling(ACTION, mode, arrays, eps=eps)
    assert scaling is not None
    np.testing.assert_allclose(y * scaling[1] + scaling[0], back, atol=1e-7)


def test_what_has_no_scaling_is_left_alone() -> None:
    assert lerobot_scaling(STATE, "IDENTITY", {"min": np.zeros(1)}, eps=1e-8) is None
    assert lerobot_scaling(STATE, "MIN_MAX", {}, eps=1e-8) is None
    with pytest.raises(CheckpointError, match="normalisation 'RANKS' is not known"):
        lerobot_scaling(STATE, "RANKS", {}, eps=1e-8)


@pytest.fixture(scope="module")
def lerobot_folder(
    dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, Any]]:
    """Makes a folder as lerobot's training writes it, and the policy it was written from."""
    library("lerobot")

    def make(kind: str, **settings: Any) -> tuple[Path, Any]:
        from lerobot.configs.types import NormalizationMode
        from lerobot.policies.factory import make_pre_post_processors

        store = EpisodeStore.open(dataset)
        policy_class = LerobotDiffusion if kind == "diffusion" else LerobotAct
        config = replace(policy_class.presets["cpu"], **settings)
        torch.manual_seed(0)
        policy = policy_class.build(config, store.spec).policy.eval()
        policy.config.normalization_mapping["ENV"] = NormalizationMode.MIN_MAX
        stats = {
            key: {name: np.asarray(value, np.float32) for name, value in values.items()}
            for key, values in store.statistics.items()
        }
        before, after = make_pre_post_processors(policy.config, dataset_stats=stats)
        folder = tmp_path_factory.mktemp(kind) / "pretrained_model"
        policy.save_pretrained(folder)
        before.save_pretrained(folder)
        after.save_pretrained(folder)
        return folder, (policy, before, after)

    return make


def lerobots_answer(
    library_policy: Any, windows: Windows, noise: torch.Tensor | None
) -> NDArray[np.float32]:
    policy, before, after = library_policy
    sees = slice(None) if policy.config.n_obs_steps > 1 else -1
    batch = before(
        {
            STATE: torch.from_numpy(windows.state[:, sees]),
            ENVIRONMENT_STATE: torch.from_numpy(windows.environment_state[:, sees]),  # pyright: ignore
        }
    )
    batch = {key: batch[key] for key in (STATE, ENVIRONMENT_STATE)}
    policy.reset()
    if noise is None:
        return after(policy.predict_action_chunk(batch)).numpy()
    first, *others = noise[:, 0].unbind(1)
    with given_noise(iter(others)):
        return after(policy.predict_action_chunk(batch, noise=first)).numpy()


class TestLerobot:
    pytestmark = peer

    @pytest.mark.parametrize(
        ("kind", "settings"),
        [
            ("diffusion", SMALL),
            ("diffusion", SMALL | {"noise_scheduler_type": "DDPM"}),
            ("diffusion", SMALL | {"n_obs_steps": 3, "prediction_type": "sample"}),
            ("act", {"chunk_size": 12}),
            ("act", {"chunk_size": 5, "use_vae": False, "n_decoder_layers": 2}),
        ],
        ids=["DDIM", "DDPM", "three observations", "ACT", "ACT without latent"],
    )
    def test_it_answers_what_lerobot_answers(
        self,
        lerobot_folder: Callable[..., tuple[Path, Any]],
        dataset: Path,
        tmp_path: Path,
        kind: str,
        settings: dict[str, Any],
    ) -> None:
        folder, theirs = lerobot_folder(kind, **settings)
        adopt(folder, dataset, tmp_path / "adopted")
        ours = load_policy(tmp_path / "adopted")
        windows = windows_of(dataset, history=ours.spec.history, rows=4)
        seeds = range(4)
        answer = ours.sample(windows, generator=[np.random.default_rng(s) for s in seeds])
        noise = standard_normal(
            (1, *ours.module.noise_shape),  # pyright: ignore
            [np.random.default_rng(s) for s in seeds],
        )
        noise = torch.from_numpy(noise)
        expected = lerobots_answer(theirs, windows, noise if kind == "diffusion" else None)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(answer.actions[:, 0], expected, atol=1e-5)

    def test_what_does_not_fit_is_refused_by_name(
        self, lerobot_folder: Callable[..., tuple[Path, Any]], dataset: Path, tmp_path: Path
    ) -> None:
        folder, _ = lerobot_folder("diffusion", **SMALL)
        changes: list[tuple[str, list[Any], Any, str]] = [
            ("config.json", ["type"], "vqbet", "policy 'vqbet' is not known here"),
            ("config.json", ["use_peft"], True, "use_peft is not supported"),
            ("config.json", ["new_setting"], 3, "setting 'new_setting' is not known here"),
            ("config.json", ["down_dims"], [16, 64], "weights of another network"),
            ("config.json", ["horizon"], 6, "horizon does not suit"),
            (
                "config.json",
                ["input_features", STATE, "shape"],
                [9],
                f"{STATE} has another size than in the dataset; expected [17]; got [9]",
            ),
            (
                "config.json",
                ["input_features", "observation.images.wrist"],
                {"type": "VISUAL", "shape": [3, 8, 8]},
                "looks at observation.images.wrist",
            ),
            (
                "policy_preprocessor.json",
                ["steps", 0, "config", "rename_map"],
                {"a": "b"},
                "it renames features",
            ),
            (
                "policy_preprocessor.json",
                ["steps", 1, "registry_name"],
                "relative_actions_processor",
                "step 'relative_actions_processor' is not known here",
            ),
            (
                "policy_preprocessor.json",
                ["steps", 3, "config", "norm_map", "STATE"],
                "RANKS",
                "normalisation 'RANKS' is not known here",
            ),
        ]
        for file, place, value, message in changes:
            path = folder / file
            before = path.read_text()
            data = entry = json.loads(before)
            for part in place[:-1]:
                entry = entry[part]
            entry[place[-1]] = value
            path.write_text(json.dumps(data))
            with pytest.raises(RobotPolicyError) as error:
                adopt(folder, dataset, tmp_path / "adopted")
            path.write_text(before)
            assert message in str(error.value)
            assert not (tmp_path / "adopted").exists()
        (folder / "policy_preprocessor.json").unlink()
        with pytest.raises(RobotPolicyError, match="no such file"):
            adopt(folder, dataset, tmp_path / "adopted")


MODES = RobomimicBcRnnConfig(horizon=4, hidden_dim=12, num_modes=3)


@pytest.fixture(scope="module")
def robomimic_file(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a checkpoint as robomimic's training writes it."""
    library("robomimic")
    folder = tmp_path_factory.mktemp("robomimic")
    store = EpisodeStore.open(dataset)
    data = folder / "data.hdf5"
    names = write_robomimic_file(data, store, range(len(store.episodes)))

    def make(name: str, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
        with quiet_library("robomimic"):
            from robomimic.utils import file_utils, train_utils

            config = robomimic_config(MODES, names)
            torch.manual_seed(1)
            module = RobomimicBcRnn.build(MODES, store.spec)
            path = folder / f"{name}.pth"
            train_utils.save_model(
                model=module._algo,
                config=config,
                env_meta=file_utils.get_env_metadata_from_dataset(data),
                shape_meta=file_utils.get_shape_metadata_from_dataset(data, names),
                ckpt_path=path,
            )
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)
        return path

    return make


class TestRobomimic:
    pytestmark = peer

    def test_it_answers_what_robomimic_answers(
        self,
        robomimic_file: Callable[..., Path],
        dataset: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Until robomimic sets its hidden state to zero, after as many steps as ours looks back."""
        path = robomimic_file("good")
        adopt(path, dataset, tmp_path / "adopted")
        ours = load_policy(tmp_path / "adopted")
        with quiet_library("robomimic"):
            from robomimic.utils.file_utils import policy_from_checkpoint

            theirs, checkpoint = policy_from_checkpoint(device=CPU, ckpt_path=str(path))
        scaling = checkpoint["env_metadata"]["env_kwargs"]
        noise = torch.empty(0)

        def sample(mixture: Any) -> torch.Tensor:
            normal = mixture.component_distribution.base_dist
            logits = mixture.mixture_distribution.logits
            return draw_mixture(logits, normal.loc, normal.scale, noise[:, :, -1:])[:, 0]

        monkeypatch.setattr(torch.distributions.MixtureSameFamily, "sample", sample)
        store = EpisodeStore.open(dataset)
        assert store.environment_state is not None
        theirs.start_episode()
        differences = []
        for t in range(6):
            observed = np.clip(np.arange(t - 3, t + 1), 0, None)
            windows = Windows(
                state=store.state[observed][None],
                past=np.zeros((1, 3, 7), np.float32),
                valid=(np.arange(t - 3, t + 1) >= 0)[None],
                past_valid=np.zeros((1, 3), bool),
                environment_state=store.environment_state[observed][None],
                instructions=("",),
            )
            shape = (1, *ours.module.noise_shape)  # pyright: ignore
            noise = torch.from_numpy(standard_normal(shape, [np.random.default_rng(t)]))
            answer = ours.sample(windows, generator=[np.random.default_rng(t)]).actions[0, 0, 0]
            action = theirs({"state": store.state[t], "object": store.environment_state[t]})
            expected = action * np.array(scaling[ACTION_SCALE]) + np.array(scaling[ACTION_OFFSET])
            differences.append(np.abs(answer - expected).max())
        assert max(differences[:4]) < 1e-5
        assert differences[4] > 1e-5

    def test_its_sequences_are_ours(self, dataset: Path, tmp_path: Path) -> None:
        library("robomimic")
        store = EpisodeStore.open(dataset)
        episodes = (3, 1)
        names = write_robomimic_file(tmp_path / "data.hdf5", store, episodes)
        with quiet_library("robomimic"):
            from robomimic.utils.dataset import SequenceDataset

            theirs = SequenceDataset(
                hdf5_path=tmp_path / "data.hdf5",
                obs_keys=names,
                dataset_keys=["actions"],
                seq_length=4,
                load_next_obs=False,
            )
        windows = WindowDataset(
            store,
            history=4,
            past=3,
            horizon=1,
            lookahead=3,
            use_environment_state=True,
            episodes=episodes,
        )
        batch = windows.batch(np.arange(len(windows)))
        assert len(theirs) == len(windows)
        low, high = (store.statistics[ACTION][name] for name in ("min", "max"))
        vary = high - low > 1e-3
        for index in range(len(theirs)):
            item = theirs[index]
            np.testing.assert_array_equal(item["obs"]["state"], batch[STATE][index])
            np.testing.assert_array_equal(item["obs"]["object"], batch[ENVIRONMENT_STATE][index])
            scaled = 2 * (batch[ACTION][index] - low) / np.where(vary, high - low, 1) - 1
            np.testing.assert_allclose(item["actions"][:, vary], scaled[:, vary], atol=1e-5)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c.update(algo_name="bcq"), "algorithm 'bcq' is not known here"),
            (lambda c: c.pop("config"), "not a checkpoint of robomimic"),
            (
                lambda c: c["env_metadata"]["env_kwargs"].clear(),
                "does not say how its actions in [-1, 1] become",
            ),
            (
                lambda c: c["shape_metadata"]["all_shapes"].update(robot0_eef_pos=[3]),
                "looks at 'robot0_eef_pos'",
            ),
            (
                lambda c: c["shape_metadata"].update(ac_dim=6),
                "action has another size than in the dataset",
            ),
            (
                lambda c: c.update(
                    config=c["config"].replace('"open_loop": false', '"open_loop": true')
                ),
                "algo.rnn.open_loop is not supported",
            ),
            (lambda c: c["model"].popitem(), "weights of another network"),
            (lambda c: c["model"].update(extra=torch.zeros(1)), "weight 'extra' is not known"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_name(
        self,
        robomimic_file: Callable[..., Path],
        dataset: Path,
        change: Callable[[dict[str, Any]], None],
        message: str,
    ) -> None:
        path = robomimic_file("changed", change)
        with pytest.raises(RobotPolicyError) as error:
            read_robomimic_checkpoint(path, EpisodeStore.open(dataset).spec)
        assert message in str(error.value)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("code from the file was run",))


def test_a_file_that_runs_code_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"config": _Runs()}, path, pickle_module=pickle)
    arguments = ["adopt", str(path), "--dataset", str(dataset), "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "reading it would run code from it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["nothing", "empty", "text.pth"])
def test_what_is_no_policy_is_said(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pth").write_text("not a checkpoint")
    arguments = ["adopt", str(tmp_path / name), "--dataset", str(dataset)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("robot-policy: ")
    assert error.count("\n") == 1
    assert name in error
