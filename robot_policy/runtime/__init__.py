"""What runs on the control path, without torch or ROS."""
