"""Square: put the square nut onto the square peg."""

from sim.envs.task import Task

TASK = Task(
    name="square",
    environment="NutAssemblySquare",
    instruction="put the square nut onto the square peg",
    objects={"nut": "SquareNut_main"},
    offsets=(("ee", "nut"),),
    max_steps=400,
)
