"""Which parameters the optimiser treats in their own way: learning rate and weight decay."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Self

import torch
from torch import nn

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.nets.trainable import TrainableModule
from robot_policy.training.config import OptimizerConfig

_OPTION = "--optimizer.groups"
_SETTINGS = ("lr_scale", "weight_decay")


@dataclass(frozen=True)
class GroupRule:
    """Settings of the parameters whose names match a pattern.

    Attributes:
        pattern: As of a shell: ``*`` any text, ``?`` any character.
        lr_scale: Factor on the learning rate.
        weight_decay: Instead of the optimiser's; None leaves it.
    """

    pattern: str
    lr_scale: float = 1.0
    weight_decay: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``PATTERN:lr_scale=X,weight_decay=Y``.

        Raises:
            ConfigError: If it is not of that form, or a number is negative.
            UnknownNameError: If it names another setting.
        """
        pattern, colon, rest = text.rpartition(":")
        if not (pattern and colon and rest):
            raise ConfigError(
                "not a group",
                where=_OPTION,
                expected="PATTERN:lr_scale=X,weight_decay=Y",
                got=text,
            )
        values: dict[str, float] = {}
        for entry in rest.split(","):
            name, _, value = (part.strip() for part in entry.partition("="))
            if name not in _SETTINGS:
                raise UnknownNameError.of("setting of a group", name, _SETTINGS, where=_OPTION)
            values[name] = _not_negative(value, where=f"{_OPTION} {text}")
        return cls(pattern, **values)


def _not_negative(text: str, *, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ConfigError("not a number", where=where, expected=">= 0", got=text)
    return value


def parameter_groups(module: TrainableModule, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Divides the trainable parameters into groups for a torch optimiser.

    Args:
        module: Names its parameters, and those that get no weight decay by default.
        config: Rules; the first one that matches a parameter counts.

    Returns:
        Groups of ``params``, ``lr_scale`` and ``weight_decay``, always in the same order.

    Raises:
        ConfigError: If a pattern matches no parameter.
    """
    rules = [GroupRule.parse(text) for text in config.groups]
    parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
    _check_matches(rules, list(parameters))
    spared = module.no_weight_decay()
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        rule = next((r for r in rules if fnmatchcase(name, r.pattern)), GroupRule("*"))
        decay = rule.weight_decay
        if decay is None:
            decay = 0.0 if name in spared else config.weight_decay
        groups.setdefault((rule.lr_scale, decay), []).append(parameter)
    return [
        {"params": members, "lr_scale": lr_scale, "weight_decay": decay}
        for (lr_scale, decay), members in groups.items()
    ]


def _check_matches(rules: Sequence[GroupRule], names: Sequence[str]) -> None:
    for rule in rules:
        if not any(fnmatchcase(name, rule.pattern) for name in names):
            parts = sorted({f"{name.rpartition('.')[0].split('.')[0] or name}.*" for name in names})
            raise ConfigError(
                f"no parameter matches {rule.pattern!r}",
                where=_OPTION,
                valid=parts,
                hint="and finer patterns",
            )


def make_optimizer(module: TrainableModule, config: OptimizerConfig) -> torch.optim.AdamW:
    """Builds AdamW over the parameter groups of `module`."""
    groups = parameter_groups(module, config)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)
