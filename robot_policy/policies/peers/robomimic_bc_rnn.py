"""robomimic's BC-RNN with a Gaussian-mixture head (Mandlekar et al. 2021)."""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, OBSERVATION_IS_PAD, STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.policies.module import Batch, PolicyModule
from robot_policy.policies.peers.library import quiet_library

OBSERVATION_KEYS: Mapping[str, str] = {"object": ENVIRONMENT_STATE, "state": STATE}
"""robomimic's names of our features, in the order in which it concatenates them."""


@dataclass(frozen=True)
class RobomimicBcRnnConfig:
    """Settings of robomimic's BC-RNN-GMM, with the values of its paper for low-dimensional data."""

    horizon: int = 10
    """Steps the network is unrolled over, T."""
    hidden_dim: int = 400
    """Hidden units per layer."""
    num_layers: int = 2
    """Recurrent layers."""
    rnn_type: Literal["LSTM", "GRU"] = "LSTM"
    """Kind of layer."""
    actor_layer_dims: tuple[int, ...] = ()
    """Widths of an MLP after them; none in the paper."""
    num_modes: int = 5
    """Gaussians of the mixture."""
    min_std: float = 0.0001
    """Least standard deviation."""
    std_activation: Literal["softplus", "exp"] = "softplus"
    """What makes it positive."""
    low_noise_eval: bool = True
    """Draw with a standard deviation of 1e-4 around the mean of the mode, as robomimic does."""


class RobomimicBcRnn(PolicyModule[RobomimicBcRnnConfig]):
    """robomimic's ``BC_RNN_GMM``; a chunk is the one action of now, H = 1.

    Training unrolls the network over T steps from t on, hidden state zero at t, and maximises the
    mean log-likelihood of their actions, by robomimic's own code. When drawing, the hidden state
    is zero at the oldest of the last T observations (the first of the episode, until there are T)
    and the answer is read off at the newest. robomimic carries the hidden state on from step to
    step and sets it to zero every T steps instead; for the first T steps of an episode the two
    are the same, later on ours has always seen T observations and robomimic's 1 to T.
    """

    library = "robomimic"
    sees_cameras = False
    config_type = RobomimicBcRnnConfig
    presets: ClassVar[Mapping[str, RobomimicBcRnnConfig]] = {
        "cpu": RobomimicBcRnnConfig(hidden_dim=128),
        "gpu": RobomimicBcRnnConfig(),
    }
    sampling_options = frozenset({"low_noise_eval"})
    # Observations go in as they are; the network's means end in tanh, so actions are in [-1, 1].
    state_normalization = "none"
    optimizer_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cpu": {"lr": 1e-3, "weight_decay": 0.0, "betas": (0.9, 0.999)},
        "gpu": {"lr": 1e-4, "weight_decay": 0.0, "betas": (0.9, 0.999)},
    }

    def __init__(self, config: RobomimicBcRnnConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        sizes = {"state": spec.state.size}
        if spec.environment_state is not None:
            sizes["object"] = spec.environment_state.size
        self._sources = {name: key for name, key in OBSERVATION_KEYS.items() if name in sizes}
        self._algo = _build(config, {name: sizes[name] for name in self._sources}, spec)
        self.nets = self._algo.nets
        self._tied = tied_parameters(self)
        self.register_state_dict_post_hook(_leave_out_tied)
        self.register_load_state_dict_pre_hook(_add_tied)

    @classmethod
    def complete_spec(cls, config: RobomimicBcRnnConfig, source: PolicySpec) -> PolicySpec:
        """Sets the history; the steps before now are predicted along the way."""
        if config.horizon < 2:
            raise ConfigError(
                "a recurrent policy unrolled over one step learns nothing from the past",
                where="horizon",
                expected=">= 2",
                got=config.horizon,
            )
        return replace(source, history=config.horizon, horizon=1, past=config.horizon - 1)

    @property
    def training_lookahead(self) -> int:
        """Sequences begin at the step a window is for, as robomimic cuts them."""
        return self.config.horizon - 1

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the negative log-likelihood of (B, T, A) actions; draws nothing."""
        del draws
        theirs = {
            "obs": {name: batch[key] for name, key in self._sources.items()},
            "goal_obs": None,
            "actions": batch[ACTION],
        }
        with self._full_noise():
            predictions = self._algo._forward_training(theirs)
        return self._algo._compute_losses(predictions, theirs)["action_loss"]

    @contextlib.contextmanager
    def _full_noise(self) -> Generator[None]:
        # In evaluation mode robomimic replaces the learned standard deviations by 1e-4, and the
        # likelihood of kept-out data would say nothing about what was learned.
        network = self.nets["policy"]
        before = network.low_noise_eval
        network.low_noise_eval = False
        try:
            yield
        finally:
            network.low_noise_eval = before

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Per step one number that chooses the mode, and one per entry of the action."""
        return self.config.horizon, 1 + self.spec.action.size

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Draws N actions for each of the T steps, (B, N, T, A); the last is for now."""
        padding = batch[OBSERVATION_IS_PAD].sum(1)[:, None]  # (B, 1)
        step = torch.arange(self.config.horizon, device=padding.device)[None]  # (1, T)
        ahead = (step + padding).clamp(max=self.config.horizon - 1)
        observations = {name: _at(batch[key], ahead) for name, key in self._sources.items()}
        mixture = self.nets["policy"].forward_train(observations)
        back = (step - padding).clamp(min=0)
        normal = mixture.component_distribution.base_dist
        return draw_mixture(
            _at(mixture.mixture_distribution.logits, back),
            _at(normal.loc, back),
            _at(normal.scale, back),
            noise,
        )


def tied_parameters(module: nn.Module) -> dict[str, str]:
    """Returns second and further names of parameters, each with the first name.

    robomimic's output layers are known under two names.
    """
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    return {
        name: first[id(parameter)]
        for name, parameter in module.named_parameters(remove_duplicate=False)
        if first[id(parameter)] != name
    }


def _leave_out_tied(
    module: "RobomimicBcRnn", state: dict[str, Tensor], prefix: str, metadata: Any
) -> None:
    for name in module._tied:
        state.pop(prefix + name, None)


def _add_tied(
    module: "RobomimicBcRnn", state: dict[str, Tensor], prefix: str, *others: Any
) -> None:
    for name, first in module._tied.items():
        if prefix + first in state:
            state.setdefault(prefix + name, state[prefix + first])


def draw_mixture(logits: Tensor, means: Tensor, scales: Tensor, noise: Tensor) -> Tensor:
    """Draws from Gaussian mixtures.

    The mode is the first whose cumulative probability exceeds Phi(z_0), uniform in [0, 1]; the
    action is its mean plus its standard deviation times z_1..A.

    Args:
        logits: (B, T, M) of the modes.
        means: (B, T, M, A).
        scales: (B, T, M, A) standard deviations.
        noise: (B, N, T, 1 + A) standard normal.

    Returns:
        (B, N, T, A).
    """
    uniform = torch.special.ndtr(noise[..., :1])  # (B, N, T, 1)
    cumulative = logits.softmax(-1).cumsum(-1)[:, None]  # (B, 1, T, M)
    mode = (uniform >= cumulative).sum(-1).clamp(max=logits.shape[-1] - 1)  # (B, N, T)
    index = mode[..., None, None].expand(*mode.shape, 1, means.shape[-1])
    mean, scale = (
        x[:, None].expand(-1, noise.shape[1], -1, -1, -1).gather(3, index).squeeze(3)
        for x in (means, scales)
    )
    return mean + scale * noise[..., 1:]


def _at(x: Tensor, index: Tensor) -> Tensor:
    """Returns x[b, index[b, t]], (B, T, ...), from (B, T, ...) and (B, T)."""
    return x.gather(1, index.reshape(*index.shape, *[1] * (x.ndim - 2)).expand(x.shape))


def _build(config: RobomimicBcRnnConfig, sizes: Mapping[str, int], spec: PolicySpec) -> Any:
    with quiet_library("robomimic"):
        from robomimic.algo import algo_factory
        from robomimic.utils import obs_utils

        settings = robomimic_config(config, list(sizes))
        obs_utils.initialize_obs_utils_with_config(settings)
        return algo_factory(
            "bc",
            settings,
            obs_key_shapes={name: [size] for name, size in sizes.items()},
            ac_dim=spec.action.size,
            device=torch.device("cpu"),
        )


def robomimic_config(config: RobomimicBcRnnConfig, observations: list[str]) -> Any:
    """Returns robomimic's own config of this policy; imports robomimic."""
    from robomimic.config import config_factory

    settings = config_factory("bc")
    with settings.values_unlocked():
        settings.observation.modalities.obs.low_dim = observations
        algo = settings.algo
        algo.actor_layer_dims = config.actor_layer_dims
        algo.gmm.enabled = True
        algo.gmm.num_modes = config.num_modes
        algo.gmm.min_std = config.min_std
        algo.gmm.std_activation = config.std_activation
        algo.gmm.low_noise_eval = config.low_noise_eval
        algo.rnn.enabled = True
        algo.rnn.horizon = config.horizon
        algo.rnn.hidden_dim = config.hidden_dim
        algo.rnn.num_layers = config.num_layers
        algo.rnn.rnn_type = config.rnn_type
        settings.train.seq_length = config.horizon
    return settings
