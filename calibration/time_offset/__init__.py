"""How far the clocks of a camera and of an arm are apart."""
