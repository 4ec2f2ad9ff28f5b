"""`robot-policy data reward DATASET --critic CRITIC --output DATASET`: rewards out of language."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_policy.cli.progress import progress_bar
from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import check_runs_on

if TYPE_CHECKING:
    from robot_policy.data.convert.conversion import Conversion


@dataclass(frozen=True)
class RewardConfig:
    """Copy a dataset with rewards from how far each moment has got with what was asked for.

    The critic is one of `train-critic language_reward`. The reward of a step is what it gained:
    discount * v(next) - v(now), which changes no optimal policy. The dataset itself stays as it is.
    """

    dataset: Positional[Path]
    """Dataset of any known format, or view."""
    critic: Path
    """A training run of `train-critic language_reward`, one of its checkpoints, or its folder."""
    output: Path
    """LeRobot v3.0 dataset to write."""
    discount: float = 1.0
    """By which the next value counts."""
    device: str = "cpu"
    """Where the critic runs: cpu, cuda or auto."""


def run(config: RewardConfig) -> int:
    """Writes the copy; stopped and run again, it goes on."""
    if not 0.0 < config.discount <= 1.0:
        raise ConfigError("out of range", where="--discount", expected="(0, 1]")
    conversion, gained = _rewarded(config)
    with progress_bar("writing", len(conversion.positions)) as advance:
        done = conversion.run(report=lambda _done, frames: advance(f"{frames} frames"))
    print(
        f"{config.output}: {done.episodes} episodes; progress per episode {gained:+.3f} on average"
    )
    return 0


def _rewarded(config: RewardConfig) -> tuple["Conversion", float]:
    """What writes the copy, and by how much the value rises in an episode."""
    from robot_policy.checkpoint import load_scorer
    from robot_policy.critics.language_reward import LanguageReward, rewards_of
    from robot_policy.critics.recorded import values_along
    from robot_policy.data.convert.conversion import Change, Conversion
    from robot_policy.data.convert.rewarded import Rewarded
    from robot_policy.data.store import EpisodeStore

    scorer = load_scorer(config.critic, device=config.device)
    if not isinstance(scorer.module, LanguageReward):
        raise ConfigError(
            "this critic does not say how far something has got",
            where=f"--critic {config.critic}",
            expected="language_reward",
            got=scorer.name,
        )
    store = EpisodeStore.open(config.dataset, cameras=tuple(scorer.spec.cameras))
    where = f"critic {config.critic} on dataset {config.dataset}"
    check_runs_on(scorer.spec, store.spec, where=where)
    values = values_along(scorer, store)
    rewards = [rewards_of(v, discount=config.discount) for v in values]
    name = f"rewards of {config.critic.resolve()}, discount {config.discount:g}"
    conversion = Conversion(
        config.dataset,
        config.output,
        to="lerobot_v3",
        through=Change(name, lambda source: Rewarded(source, rewards)),
    )
    return conversion, float(sum(v[-1] - v[0] for v in values) / len(values))
