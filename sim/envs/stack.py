"""Stack: put the small red cube onto the green one."""

from sim.envs.task import Task

TASK = Task(
    name="stack",
    environment="Stack",
    instruction="stack the red cube on the green cube",
    objects={"red_cube": "cubeA_main", "green_cube": "cubeB_main"},
    offsets=(("ee", "red_cube"), ("red_cube", "green_cube")),
    max_steps=300,
)
