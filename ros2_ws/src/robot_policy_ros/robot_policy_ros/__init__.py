"""ROS 2 nodes: a policy that drives an arm, and a simulated arm for it."""
