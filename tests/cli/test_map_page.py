"""The page of a map, in a real browser: it draws the points, and tells which one is under the pointer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icon.cli.map_report import page
from icon.labels import read_labels

POINTS = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [5, 5]], dtype=np.float32)


@pytest.fixture
def opened(driver: Any, tmp_path: Path) -> Any:
    def go(labels: Any, width: int = 900, scheme: str = "light") -> Any:
        named = None if labels is None else read_labels(labels)
        page(tmp_path / "map.html", POINTS, named, "t-SNE </script>")
        size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        driver.get((tmp_path / "map.html").as_uri())
        return driver

    driver.get_log("browser")
    yield go
    assert [entry for entry in driver.get_log("browser") if entry["source"] != "rendering"] == []


INK = """const c = document.querySelector("canvas"), p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
let n = 0; for (let k = 3; k < p.length; k += 4) n += p[k] > 0; return n;"""
MIDDLE = """const c = document.querySelector("canvas"), b = c.getBoundingClientRect();
const middle = {clientX: b.x + b.width / 2, clientY: b.y + b.height / 2, bubbles: true};
c.dispatchEvent(new PointerEvent("pointermove", middle));
return document.querySelector("#told").textContent;"""


@pytest.mark.parametrize(("width", "scheme"), [(900, "light"), (380, "dark")])
def test_it_draws_and_tells(width: int, scheme: str, opened: Any) -> None:
    browser = opened(["cat", "cat", "<b>dog", "<b>dog", None], width, scheme)
    assert browser.title == "t-SNE </script>, 5 points"
    all_of_them = browser.execute_script(INK)
    assert all_of_them > 100
    assert browser.execute_script(MIDDLE) == "row 4, label unknown"
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [each.text for each in browser.find_elements("css selector", "#legend button")] == [
        "<b>dog",
        "cat",
        "unknown",
    ]
    first = browser.find_element("css selector", "#legend button")
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    assert 0 < browser.execute_script(INK) < all_of_them


def test_without_labels(opened: Any) -> None:
    browser = opened(None)
    assert browser.execute_script(MIDDLE) == "row 4"
    assert browser.find_elements("css selector", "#legend button") == []
