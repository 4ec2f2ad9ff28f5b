"""What primitives cost, in the twin."""

from sim.primitive_replay import replay
from sim.registry import make_environment, make_expert


def test_demonstrations_survive_becoming_primitives() -> None:
    environment = make_environment("lift")
    try:
        found = [
            replay(environment, make_expert("lift"), seed=seed, noise=0.1) for seed in (300, 301)
        ]
    finally:
        environment.close()
    assert all(r.demonstrated and r.replayed for r in found)
    assert all(r.composed > 0 and r.error_m < 0.02 for r in found)
