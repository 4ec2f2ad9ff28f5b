"""Records of the last seconds, and no more of them than fit."""

import numpy as np

from robot_policy.runtime.black_box import BlackBox


def stamps(box: BlackBox) -> list[int]:
    return [record.stamp_ns // 1_000_000_000 for record in box.records()]


def test_it_keeps_the_last_seconds_in_order() -> None:
    box = BlackBox(seconds=3)
    for second in range(10):
        box.put("decision", str(second), stamp_ns=second * 1_000_000_000)
    assert stamps(box) == [6, 7, 8, 9]
    assert [record.value for record in box.records()] == ["6", "7", "8", "9"]


def test_it_drops_the_oldest_where_memory_runs_out() -> None:
    box = BlackBox(seconds=100, max_bytes=4000)
    for second in range(10):
        box.put("chunk", np.zeros(250, np.float32), stamp_ns=second * 1_000_000_000)
    assert stamps(box) == [6, 7, 8, 9]


def test_it_thins_images_in_time_and_size() -> None:
    box = BlackBox()
    pixels = np.arange(480 * 640 * 3, dtype=np.uint8).reshape(480, 640, 3)
    for frame in range(30):
        box.put_image("wrist", pixels, stamp_ns=frame * 33_400_000)
    kept = box.records()
    assert len(kept) == 10
    assert kept[0].value.shape == (160, 214, 3)
    np.testing.assert_array_equal(kept[0].value, pixels[::3, ::3])
    assert not np.shares_memory(kept[0].value, pixels)


def test_small_images_stay_as_they_are_and_cameras_do_not_crowd_each_other_out() -> None:
    box = BlackBox()
    for camera in ("wrist", "agentview"):
        box.put_image(camera, np.full((84, 84, 3), 7, np.uint8), stamp_ns=0)
    assert [record.channel for record in box.records()] == ["wrist", "agentview"]
    assert {record.value.shape for record in box.records()} == {(84, 84, 3)}


def test_a_clock_that_jumps_back_does_not_keep_what_is_old() -> None:
    box = BlackBox(seconds=3)
    box.put("decision", "before", stamp_ns=100_000_000_000)
    box.put("decision", "after", stamp_ns=0)
    assert [record.value for record in box.records()] == ["after"]
    box.put_image("wrist", np.zeros((4, 4, 3), np.uint8), stamp_ns=50_000_000_000)
    box.put_image("wrist", np.ones((4, 4, 3), np.uint8), stamp_ns=0)
    assert [record.value.max() for record in box.records()] == [1]


def test_it_can_be_emptied() -> None:
    box = BlackBox()
    box.put("decision", "x", stamp_ns=0)
    box.clear()
    assert box.records() == ()
