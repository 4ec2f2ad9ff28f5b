"""From a trained policy to an artefact that runs without torch."""
