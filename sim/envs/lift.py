"""Lift: pick the cube up."""

from sim.envs.task import Task

TASK = Task(
    name="lift",
    environment="Lift",
    instruction="lift the red cube",
    objects={"cube": "cube_main"},
    offsets=(("ee", "cube"),),
    max_steps=150,
)
