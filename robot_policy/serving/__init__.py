"""A policy asked over a websocket: the server beside the GPU, the client beside the arm."""
