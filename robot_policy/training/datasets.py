"""The datasets of a run: opened as one, and how often each is drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.data.cache.builder import Report
from robot_policy.data.cache.frame_encoder import FrameEncoder, SizedFrames
from robot_policy.data.cache.location import NONE, cache_root
from robot_policy.data.cache.open_cached import open_cached
from robot_policy.data.curation.condition import Condition
from robot_policy.data.curation.facts import facts_of, values_of
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import checked_weights
from robot_policy.training.config import TrainConfig


def open_datasets(
    config: TrainConfig,
    *,
    encoders: Mapping[str, FrameEncoder] | None = None,
    report: Report = lambda done, total: None,
) -> EpisodeStore:
    """Opens everything a run learns from as one; images through the cache, decoded once.

    Args:
        config: Settings.
        encoders: Camera name to what is kept of its frames; the frames themselves if None.
        report: Told of progress while images are decoded into the cache.

    Raises:
        DataError: If a dataset is missing, damaged or empty, or two do not go together.
        UnknownNameError: If one lacks a camera.
        ConfigError: If the cache cannot be used, or only some have a privileged state that is to
            be learned from.
    """
    whole: EpisodeStore | None = None
    for path in config.dataset:
        store = _open(path, config, encoders, report)
        if len(config.dataset) > 1:
            named = [replace(e, dataset=str(path)) for e in store.episodes]
            store = store.described(named)
        if whole is None:
            whole = store
            continue
        told = [s.environment_state is not None for s in (whole, store)]
        if config.environment_state and told[0] != told[1]:
            raise ConfigError(
                "privileged state in one dataset and not in another",
                where=names(config.dataset),
                hint="--no-environment-state learns without it",
            )
        whole = whole.followed_by(store, where=path)
    assert whole is not None
    return whole


def _open(
    path: Path,
    config: TrainConfig,
    encoders: Mapping[str, FrameEncoder] | None,
    report: Report,
) -> EpisodeStore:
    if not config.cameras or config.cache == NONE:
        return EpisodeStore.open(path, cameras=config.cameras, size=config.image_size)
    return open_cached(
        path,
        encoders=encoders or {c: SizedFrames(config.image_size) for c in config.cameras},
        root=cache_root(config.cache, path),
        report=report,
    )


def recorded_spec(config: TrainConfig) -> PolicySpec:
    """Returns what the robot delivered when the first dataset was recorded."""
    path = config.dataset[0]
    return detect_format(path).read_spec(path)


def names(datasets: Sequence[Path]) -> str:
    """Names datasets in an error."""
    return ", ".join(map(str, datasets))


def episode_weights(
    store: EpisodeStore, episodes: Sequence[int], config: TrainConfig
) -> list[float] | None:
    """Returns how often windows of each of the episodes are drawn relative to others.

    With ``dataset_weights`` w_d, dataset d makes up w_d / sum(w) of what is drawn, divided among
    its episodes by ``episode_weight``.

    Returns:
        None where all count the same.

    Raises:
        ConfigError: If a weight is no number, or a dataset that has a share is left without an
            episode.
        UnknownNameError: If ``episode_weight`` asks for a field that no episode has.
    """
    own = _own_weights(store, config)
    shares = config.dataset_weights if len(config.dataset) > 1 else ()
    if not shares:
        return own and [own[episode] for episode in episodes]
    checked = checked_weights(shares, len(config.dataset))
    share = dict(zip(map(str, config.dataset), checked.tolist(), strict=True))
    weights = [own[episode] if own else 1.0 for episode in episodes]
    owners = [store.episodes[episode].dataset for episode in episodes]
    drawn = dict.fromkeys(share, 0.0)
    for episode, owner, weight in zip(episodes, owners, weights, strict=True):
        drawn[owner] += weight * store.episodes[episode].length
    for label, of in drawn.items():
        if not of and share[label]:
            raise ConfigError("no episode of it is left to learn from", where=label)
    return [
        weight * share[owner] / drawn[owner] if weight else 0.0
        for owner, weight in zip(owners, weights, strict=True)
    ]


def step_weights(store: EpisodeStore, config: TrainConfig) -> NDArray[np.float64] | None:
    """Returns how often the window at each frame is drawn, by who drove there.

    With ``policy_weight`` 0, what is learned is what people did, demonstrations and interventions:
    HG-DAgger (Kelly et al. 2019, https://arxiv.org/abs/1810.02890). Frames of episodes without a
    policy are demonstrations and count 1.

    Returns:
        (N,), None where all count the same.

    Raises:
        ConfigError: If weights are given and no episode tells who drove.
    """
    if config.intervention_weight == 1.0 and config.policy_weight == 1.0:
        return None
    if store.intervention is None:
        raise ConfigError(
            "no episode tells who drove",
            where="--intervention-weight, --policy-weight",
            got=names(config.dataset),
            hint="record with `robot-policy teleop --policy RUN`",
        )
    policy_took_part = np.array(["policy" in e.metadata for e in store.episodes])
    by_policy = policy_took_part[store.episode_of] & ~store.intervention
    weights = np.where(store.intervention, config.intervention_weight, 1.0)
    return np.where(by_policy, config.policy_weight, weights)


def _own_weights(store: EpisodeStore, config: TrainConfig) -> list[float] | None:
    if not config.episode_weight:
        return None
    condition = Condition.parse(config.episode_weight, where="--episode-weight")
    rate_hz = 1.0 / store.spec.dt_s
    facts = [facts_of(e, number=e.index, rate_hz=rate_hz) for e in store.episodes]
    values = values_of(condition, facts)
    for episode, value in zip(store.episodes, values, strict=True):
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ConfigError(
                f"not a weight for episode {episode.index}",
                where="--episode-weight",
                expected="a number, not negative",
                got=value,
            )
    return list(map(float, values))
