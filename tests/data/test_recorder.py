"""The recorder gives back what was appended, and refuses what does not fit at once."""

from dataclasses import replace

import numpy as np
import pytest

from robot_policy.core.episode import Success
from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec
from robot_policy.data.recorder import EpisodeRecorder


def seen(t: int) -> Observation:
    return Observation(
        stamp_ns=t * 100,
        state=np.array([t, -t], np.float32),
        environment_state=np.array([t], np.float32),
        images={"wrist": np.full((2, 2, 3), t, np.uint8)},
        instruction="push",
    )


ACTION = np.array([0.5, 1.0], np.float32)


def test_records_an_episode_and_begins_the_next(counting_spec: PolicySpec) -> None:
    recorder = EpisodeRecorder(counting_spec)
    for t in range(3):
        recorder.append(seen(t), ACTION * t, reward=float(t), success=t == 1)
    episode = recorder.finish(metadata={"operator": "anna"})
    assert episode.stamps_ns.tolist() == [0, 100, 200]
    assert episode.state.tolist() == [[0, 0], [1, -1], [2, -2]]
    assert episode.actions.tolist() == [[0, 0], [0.5, 1], [1, 2]]
    assert episode.rewards.tolist() == [0, 1, 2]
    assert episode.images["wrist"][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert episode.environment_state is not None
    assert episode.environment_state.tolist() == [[0], [1], [2]]
    assert (episode.success, episode.task) == (Success.YES, "push")
    assert episode.metadata == {"operator": "anna"}
    assert len(recorder) == 0
    recorder.append(seen(0), ACTION)
    assert recorder.finish().success == Success.NO


def test_what_is_appended_is_copied(counting_spec: PolicySpec) -> None:
    recorder = EpisodeRecorder(counting_spec)
    observation, action = seen(1), ACTION.copy()
    recorder.append(observation, action)
    observation.state[:] = 9
    observation.images["wrist"][:] = 9
    action[:] = 9
    episode = recorder.finish(Success.UNKNOWN)
    assert episode.state.tolist() == [[1, -1]]
    assert episode.images["wrist"].max() == 1
    assert episode.actions.tolist() == [[0.5, 1.0]]
    assert episode.success == Success.UNKNOWN


def test_discard(counting_spec: PolicySpec) -> None:
    recorder = EpisodeRecorder(counting_spec)
    recorder.append(seen(0), ACTION, success=True)
    recorder.discard()
    with pytest.raises(SpecError, match="nothing has been recorded"):
        recorder.finish()


BAD = {
    "capture times must increase": {"stamp_ns": 0},
    "another instruction": {"instruction": "pull"},
    "observation.state: wrong shape": {"state": np.zeros(3, np.float32)},
    "observation.environment_state: missing": {"environment_state": None},
    "camera 'wrist' is missing": {"images": {}},
    "observation.images.wrist: wrong shape": {"images": {"wrist": np.zeros((3, 3, 3), np.uint8)}},
}


@pytest.mark.parametrize(("message", "changes"), BAD.items(), ids=BAD)
def test_a_bad_step_is_refused_and_the_others_stay(
    counting_spec: PolicySpec, message: str, changes: dict[str, object]
) -> None:
    recorder = EpisodeRecorder(counting_spec)
    recorder.append(seen(0), ACTION)
    with pytest.raises(SpecError, match=f"step 1.*{message}"):
        recorder.append(replace(seen(1), **changes), ACTION)  # pyright: ignore
    with pytest.raises(SpecError, match="step 1, action: not finite"):
        recorder.append(seen(1), ACTION * np.float32(np.nan))
    with pytest.raises(SpecError, match="step 1, reward"):
        recorder.append(seen(1), ACTION, reward=np.inf)
    assert len(recorder) == 1
