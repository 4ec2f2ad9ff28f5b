"""openpi's own client, as published, asks our server."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_policy.core.errors import RobotPolicyError
from robot_policy.serving.openpi_request import OpenpiKeys

client_policy = pytest.importorskip("openpi_client.websocket_client_policy")


TOKEN = "a-token-of-these-tests"


def observation(policy: Any, value: float = 0.5) -> dict[str, Any]:
    return {
        "observation/state": np.full(policy.spec.state.shape, value),
        "observation/wrist": np.full((6, 8, 3), 7, np.uint8),
        "prompt": "lift the cube",
    }


def client_of(server: Any) -> Any:
    return client_policy.WebsocketClientPolicy("127.0.0.1", server.port, api_key=TOKEN)


def close(client: Any) -> None:
    client._ws.close()


@pytest.fixture
def client(server: Any) -> Any:
    made = client_of(server)
    yield made
    close(made)


def test_it_gets_metadata_and_actions(client: Any, policy: Any) -> None:
    metadata = client.get_server_metadata()
    assert metadata["protocol"] == "robot-policy"
    assert metadata["spec"]["robot"] == "panda_twin"
    reply = client.infer(observation(policy))
    assert reply["actions"].shape == (4, 7)
    assert reply["actions"].dtype == np.float32
    assert reply["server_timing"]["infer_ms"] > 0
    assert "prev_total_ms" not in reply["server_timing"]
    assert client.infer(observation(policy))["server_timing"]["prev_total_ms"] > 0
    seen = policy.batches[0]
    assert seen.instructions == ("lift the cube",)
    assert seen.images["wrist"].shape == (1, 2, 6, 8, 3)
    assert (seen.images["wrist"] == 7).all()
    assert seen.valid.tolist() == [[False, True]]
    assert not seen.past_valid.any()


def test_its_chunk_broker_hands_out_the_actions(client: Any, policy: Any) -> None:
    broker = pytest.importorskip("openpi_client.action_chunk_broker")
    one_by_one = broker.ActionChunkBroker(client, action_horizon=3)
    given = [one_by_one.infer(observation(policy))["actions"] for _ in range(4)]
    assert [action.shape for action in given] == [(7,)] * 4
    assert len(policy.batches) == 2


def test_a_policy_with_a_history_sees_the_last_calls(client: Any, policy: Any) -> None:
    for value in (0.1, 0.2, 0.3):
        client.infer(observation(policy, value))
    assert policy.batches[-1].state[0, :, 0].tolist() == pytest.approx([0.2, 0.3])
    assert policy.batches[-1].valid.all()
    client.infer({**observation(policy, 0.9), "reset": True})
    assert policy.batches[-1].valid.tolist() == [[False, True]]
    window = {
        "observation.state": np.arange(2.0)[:, None] + np.zeros((2, 17)),
        "observation.images.wrist": np.zeros((2, 6, 8, 3), np.uint8),
        "observation/past_actions": np.full((1, 7), 0.25),
    }
    client.infer(window)
    assert policy.batches[-1].state[0, :, 0].tolist() == [0.0, 1.0]
    assert policy.batches[-1].past.tolist() == [[[0.25] * 7]]
    assert policy.batches[-1].past_valid.all()


def test_a_seed_fixes_the_draws(server: Any, policy: Any) -> None:
    first, second = client_of(server), client_of(server)
    ask = {**observation(policy), "seed": 3, "num_samples": 2}
    one, two = first.infer(ask), second.infer(ask)
    np.testing.assert_array_equal(one["candidates"], two["candidates"])
    assert one["candidates"].shape == (2, 4, 7)
    np.testing.assert_array_equal(one["actions"], one["candidates"][0])
    free = [c.infer(observation(policy))["actions"] for c in (first, second, client_of(server))]
    np.testing.assert_array_equal(free[0], free[1])
    assert np.abs(free[0] - free[2]).max() > 0.1, "a client that names no seed has its own draws"
    for client in (first, second):
        close(client)


def test_clients_keep_their_names_of_entries(serve: Any, policy: Any) -> None:
    server = serve(renamed=("observation/wrist_image=observation.images.wrist",))
    client = client_of(server)
    asked = observation(policy)
    asked["observation/wrist_image"] = asked.pop("observation/wrist")
    assert client.infer(asked)["actions"].shape == (4, 7)
    close(client)
    with pytest.raises(RobotPolicyError, match=r"valid: observation\.state"):
        OpenpiKeys.parse(["a=observation.images.front"], policy.spec)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"observation/state": None}, "'observation/state' is missing"),
        ({"observation/wrist": None}, "'observation/images/wrist' is missing; got observation/s"),
        ({"observation/state": np.zeros(3)}, "observation.state: wrong shape; expected (17,)"),
        ({"observation/state": [0.0] * 17}, "observation.state: no array; got list"),
        ({"observation/state": np.full(17, np.nan)}, "not finite"),
        ({"observation/state": np.full(17, 1e300)}, "not finite"),
        ({"observation/wrist": np.zeros((6, 8, 3))}, "wrong type; expected uint8"),
        ({"observation/wrist": np.zeros((3, 6, 8), np.uint8)}, "wrong shape"),
        ({"observation/past_actions": np.zeros((2, 7))}, "observation/past_actions: wrong shape"),
        ({"prompt": 3}, "prompt: no text; got int"),
        ({"seed": -1}, "seed: out of range"),
        ({"num_samples": 10**6}, "num_samples: out of range"),
    ],
)
def test_a_wrong_entry_is_answered_by_one_line_and_the_client_goes_on(
    client: Any, policy: Any, change: dict[str, Any], line: str
) -> None:
    asked = {**observation(policy), **change}
    with pytest.raises(RuntimeError) as caught:
        client.infer({key: value for key, value in asked.items() if value is not None})
    assert line in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert client.infer(observation(policy))["actions"].shape == (4, 7)


def test_an_instruction_is_asked_for_where_it_is_read(serve: Any, policy: Any) -> None:
    policy.spec = replace(policy.spec, needs_instruction=True)
    client = client_of(serve(policy))
    asked = observation(policy)
    del asked["prompt"]
    with pytest.raises(RuntimeError, match="prompt: missing"):
        client.infer(asked)
    close(client)


def test_without_the_token_it_is_refused(server: Any) -> None:
    for key in (None, "another-token-than-that"):
        with pytest.raises(Exception, match="401"):
            client_policy.WebsocketClientPolicy("127.0.0.1", server.port, api_key=key)
