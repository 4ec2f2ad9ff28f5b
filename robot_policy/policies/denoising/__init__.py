"""Ways from noise to an action chunk: what diffusion, flow and consistency policies share."""
