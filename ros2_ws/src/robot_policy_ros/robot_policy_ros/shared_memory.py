"""Room for large images between processes of one machine. Imports nothing of ROS.

Fast DDS hands messages over in shared memory, by default in 512 KiB of it. A larger image, which
640 x 480 pixels in colour are, is cut into pieces that drop each other out of there: nine of ten
are lost. With more room all arrive.
"""

import os
from collections.abc import Mapping
from pathlib import Path

SEGMENT_BYTES = 32 * 1024 * 1024
"""Some thirty images of 640 x 480 pixels."""

_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Of ROS 2 Jazzy and later, and of those before."""

_PROFILE = f"""<?xml version="1.0" encoding="UTF-8" ?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>shared_memory</transport_id>
        <type>SHM</type>
        <segment_size>{SEGMENT_BYTES}</segment_size>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="large_images" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>shared_memory</transport_id>
          <transport_id>udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


def large_images(folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Writes a profile, and returns the environment variables that make Fast DDS take it.

    Whoever has a profile of their own keeps it.

    Args:
        folder: Where the profile goes; it is read when a process joins.
        environment: That there is; this process's if None.
    """
    there = os.environ if environment is None else environment
    if any(there.get(name) for name in _VARIABLES):
        return {}
    path = folder / "large_images.xml"
    path.write_text(_PROFILE)
    return dict.fromkeys(_VARIABLES, str(path))
