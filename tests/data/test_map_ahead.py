import threading
from collections.abc import Iterator

import pytest

from robot_policy.data.map_ahead import map_ahead


def test_results_come_in_order() -> None:
    assert list(map_ahead(lambda x: x * x, range(10), ahead=2)) == [x * x for x in range(10)]
    assert not list(map_ahead(lambda x: x, ()))


def test_items_are_taken_here_and_results_made_elsewhere_ahead_of_their_use() -> None:
    here = threading.get_ident()
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(6):
            assert threading.get_ident() == here
            taken.append(number)
            yield number

    results = map_ahead(lambda _: threading.get_ident(), items(), ahead=2)
    assert next(results) != here
    assert taken == [0, 1, 2]


def test_an_error_comes_in_its_place_and_ends_the_thread() -> None:
    results = map_ahead(lambda x: 1 // x, [1, 0, 1], ahead=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not _workers()


def test_who_stops_early_leaves_no_thread() -> None:
    results = map_ahead(str, range(1000), ahead=3)
    assert next(results) == "0"
    assert _workers()
    results.close()
    assert not _workers()


def _workers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("map_ahead")]
