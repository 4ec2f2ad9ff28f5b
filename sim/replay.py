"""Videos of episodes, made after the evaluation from seeds and actions.

The twin gives the same trajectory for the same seed and actions, so nothing is rendered while
the policy is evaluated, and only what is shown is rendered at all.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.environment import Environment
from robot_policy.core.files import replacing
from sim.episode_runner import Rollout
from sim.registry import make_environment

_MAX_FRAMES = 200


@dataclass(frozen=True, slots=True)
class Video:
    """A rendered episode.

    Attributes:
        path: The MP4 file.
        seed: Of the episode.
        success: In the evaluation.
        steps: Of the episode.
        reproduced: Whether the replay ended as the evaluation did. If not, the twin was not
            deterministic and the video shows something else than what was counted.
    """

    path: Path
    seed: int
    success: bool
    steps: int
    reproduced: bool


def choose_rollouts(rollouts: Sequence[Rollout], *, each: int) -> list[Rollout]:
    """Returns the first `each` successes and the first `each` failures, by seed."""
    ordered = sorted(rollouts, key=lambda rollout: rollout.result.seed)
    successes = [rollout for rollout in ordered if rollout.result.success]
    failures = [rollout for rollout in ordered if not rollout.result.success]
    return successes[:each] + failures[:each]


def record_videos(
    rollouts: Sequence[Rollout],
    folder: Path,
    *,
    task: str,
    robot: str,
    camera: str = "sideview",
    size: int = 256,
    progress: Callable[[], None] | None = None,
) -> list[Video]:
    """Replays `rollouts` and writes one H.264 file each, ``<seed>_<outcome>.mp4``.

    Args:
        rollouts: What to show.
        folder: Where the files go.
        task: Name of the task.
        robot: Name of the robot.
        camera: Camera of the twin that films; this one shows the whole arm.
        size: Height and width [px], even.
        progress: Called after every video.

    Raises:
        SimulationError: If nothing can be rendered here.
    """
    if not rollouts:
        return []
    environment = make_environment(task, robot=robot)
    try:
        videos: list[Video] = []
        for rollout in rollouts:
            videos.append(_record(environment, rollout, folder, camera=camera, size=size))
            if progress is not None:
                progress()
        return videos
    finally:
        environment.close()


def _record(
    environment: Environment, rollout: Rollout, folder: Path, *, camera: str, size: int
) -> Video:
    result = rollout.result
    path = folder / f"{result.seed}_{'success' if result.success else 'failure'}.mp4"
    # A long failure needs no more pictures than a short success; it still plays in real time.
    stride = -(-result.steps // _MAX_FRAMES)
    replay = _Replay(environment, rollout, camera=camera, size=size, stride=stride)
    with replacing(path) as temporary:
        write_mp4(temporary, replay.frames(), rate_hz=1 / (environment.spec.dt_s * stride))
    return Video(path, result.seed, result.success, result.steps, replay.success == result.success)


class _Replay:
    """The pictures of an episode, and how it ended this time."""

    def __init__(
        self, environment: Environment, rollout: Rollout, *, camera: str, size: int, stride: int
    ) -> None:
        self._environment = environment
        self._rollout = rollout
        self._camera = camera
        self._size = size
        self._stride = stride
        self.success = False

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        self._environment.reset(self._rollout.result.seed)
        yield self._render()
        last = len(self._rollout.actions) - 1
        for index, action in enumerate(self._rollout.actions):
            step = self._environment.step(action)
            self.success = step.success
            if (index + 1) % self._stride == 0 or index == last:
                yield self._render()
            if step.done:
                return

    def _render(self) -> NDArray[np.uint8]:
        return self._environment.render(self._camera, height=self._size, width=self._size)


def write_mp4(path: Path, frames: Iterator[NDArray[np.uint8]], *, rate_hz: float) -> None:
    """Writes (h, w, 3) uint8 frames as H.264 that every browser plays.

    Args:
        path: Is overwritten.
        frames: All of one even size; at least one.
        rate_hz: Frames per second.
    """
    first = next(frames)
    height, width, _ = first.shape
    # The index goes to the front, so that a browser can start before it has all.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=round(rate_hz), options={"crf": "25"})
        stream.height, stream.width = height, width
        stream.pix_fmt = "yuv420p"
        for frame in itertools.chain([first], frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
