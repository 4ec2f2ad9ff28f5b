"""Installs the package where ROS 2 looks for it; read by colcon."""

from glob import glob

from setuptools import setup

PACKAGE = "robot_policy_ros"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE, f"{PACKAGE}.devices", f"{PACKAGE}.interfaces"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
        (f"share/{PACKAGE}/config/robots", glob("config/robots/*.yaml")),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="robot-policy developers",
    maintainer_email="robot-policy@example.org",
    description="Runs learned manipulation policies on an arm, or on its simulated twin.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            f"policy_node = {PACKAGE}.policy_node:main",
            f"twin_node = {PACKAGE}.twin_node:main",
            f"recorder_node = {PACKAGE}.recorder_node:main",
            f"autostart = {PACKAGE}.autostart:main",
        ],
    },
)
