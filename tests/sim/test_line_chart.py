"""Lines as SVG."""

import xml.etree.ElementTree as ET

from sim.line_chart import Line, line_chart


def test_every_line_with_points_is_drawn_inside_the_picture() -> None:
    lines = [
        Line("a & b", "plain", [(0.0, -5.0), (1.0, 5.0)]),
        Line("one", "success", [(0.5, 0.0)]),
        Line("none", "failure", []),
    ]
    svg = ET.fromstring(line_chart(lines, label="<chart>", x_label="x", y_label="y"))
    drawn = [element for element in svg if element.tag == "polyline"]
    assert [element.get("class") for element in drawn] == ["plain", "success"]
    _, _, width, height = map(float, (svg.get("viewBox") or "").split())
    for element in drawn:
        for point in (element.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_constant_lines_and_no_lines_can_be_drawn() -> None:
    for lines in ([], [Line("flat", "plain", [(0.0, 2.0), (1.0, 2.0)])]):
        ET.fromstring(line_chart(lines, label="chart", x_label="x", y_label="y"))
