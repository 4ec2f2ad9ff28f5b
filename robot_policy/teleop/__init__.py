"""Driving an arm by hand: devices, what they mean, and the session that records it."""
