"""Where the policy node's policy comes from: a checkpoint here, or a server elsewhere."""

import functools
from pathlib import Path

from robot_policy.core.policy import LoadedPolicy, Policy
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.policy_folder import PolicyFolder
from robot_policy.runtime.process_worker import ProcessWorker
from robot_policy.runtime.thread_worker import ThreadWorker
from robot_policy.runtime.warm_up import warm_up
from robot_policy.runtime.worker import Worker
from robot_policy_ros.node_config import PolicyNodeConfig


def start_worker(config: PolicyNodeConfig) -> tuple[Worker, int]:
    """Loads a checkpoint in a process of its own, or connects to a server, and warms it up.

    A network that thinks in this process would make the commands late. A server thinks elsewhere,
    so that a thread will do to wait for it.

    Returns:
        The worker, and how long its plans take [ns].

    Raises:
        RobotPolicyError: If a critic does not fit the policy; the message names both.
        CheckpointError: If there is no such checkpoint, or it is damaged.
        PolicyServerError: If the server cannot be reached or refuses.
        ConfigError: If there is no token for it.
    """
    if config.server and not config.steers:
        planner = make_planner(config)
        try:
            plan_ns = warm_up(planner)
        except BaseException:
            planner.close()
            raise
        return ThreadWorker(planner), plan_ns
    if config.checkpoint:
        # What is not there needs no process to be missed.
        PolicyFolder.find(Path(config.checkpoint))
    worker = ProcessWorker(functools.partial(make_planner, config))
    return worker, worker.plan_ns


def make_planner(config: PolicyNodeConfig) -> Planner:
    """Opens the policy in this process, and steers it if there is a critic; errors as above."""
    opened = _open(config)
    policy: Policy = opened
    if config.steers:
        from robot_policy.steered import steer

        policy = steer(
            opened,
            checkpoint=_path(config.checkpoint),
            critics=config.critics,
            config=config.steering,
            support=_path(config.support),
            execute_steps=config.execute_steps or None,
            instruction=config.instruction,
            device=config.device,
            threads=config.threads,
        )
    return Planner(policy, num_samples=config.num_samples)


def _open(config: PolicyNodeConfig) -> LoadedPolicy:
    if not config.server:
        from robot_policy.checkpoint import load_policy  # seconds, where it needs torch

        return load_policy(config.checkpoint, device=config.device, threads=config.threads)
    from robot_policy.serving.remote_policy import RemotePolicy
    from robot_policy.serving.token import read_token

    return RemotePolicy.connect(
        config.server,
        token=read_token(_path(config.server_token_file)),
        deadline_s=config.server_deadline_s,
        authority=_path(config.server_ca),
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
