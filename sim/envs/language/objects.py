"""What lies on the table of the language suite."""

CUBES = {"red_cube": (0.85, 0.1, 0.1, 1.0), "green_cube": (0.1, 0.7, 0.15, 1.0)}
CYLINDERS = {"blue_cylinder": (0.1, 0.2, 0.85, 1.0), "yellow_cylinder": (0.9, 0.8, 0.1, 1.0)}
MOVABLE = (*CUBES, *CYLINDERS)
TRAY = "tray"
HALF_SIZE_M = 0.02
"""Half the width and height of everything but the tray."""
TRAY_SIZE_M = (0.13, 0.13, 0.03)
TABLE_M = -0.112
"""Height of the table's top in the base frame [m]."""

BODIES = {**{name: f"{name}_main" for name in MOVABLE}, TRAY: f"{TRAY}_root"}
"""Objects and their MuJoCo bodies."""
