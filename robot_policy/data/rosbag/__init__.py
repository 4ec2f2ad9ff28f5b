"""ROS 2 bags (rosbag2 folders of MCAP files) written and read without ROS."""
