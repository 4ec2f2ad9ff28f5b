"""Can: move the can from the left bin into its compartment of the right bin."""

from sim.envs.task import Task

TASK = Task(
    name="can",
    environment="PickPlaceCan",
    instruction="put the can into the bin",
    objects={"can": "Can_main"},
    offsets=(("ee", "can"),),
    max_steps=300,
)
