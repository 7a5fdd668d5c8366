"""The page of a small synthetic table, clicked through in a headless Chromium."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from table import run
from table.page import palette
from tests.combinations import few_are_fast
from tests.tables import COLUMNS, HOSTILE, ROWS, make_table, study

# Keys as WebDriver spells them, so that this file can be read in without selenium.
TAB, ENTER, ESCAPE, END, HOME, LEFT, RIGHT, DOWN = "\ue004\ue007\ue00c\ue010\ue011\ue012\ue014\ue015"

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.figure, "draw", lambda *_: None)  # whose picture the page does not show
        run.write(make_table(), out)
    return f"{out.as_uri()}/index.html"


@pytest.fixture
def visit(driver: Any, address: str) -> Iterator[Open]:
    """Open the page anew at a width, a colour scheme and a place; afterwards its console must be empty."""

    def go(
        place: str = "", width: int = 1400, scheme: str = "light", page: str = "index.html", height: int = 900
    ) -> Any:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [feature]})
        driver.get("about:blank")
        driver.get(address.replace("index.html", page) + place)
        driver.execute_script("try { localStorage.clear() } catch {}")
        return driver

    driver.get_log("browser")
    yield go
    assert driver.get_log("browser") == []


def press(driver: Any, *keys: str) -> None:
    for key in keys:
        driver.switch_to.active_element.send_keys(key)


def find(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def find_all(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def opened(driver: Any) -> list[str]:
    """The cells that the dialog shows, waiting for the browser to follow the address."""
    return driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => setTimeout(() => done("
        "[...document.querySelectorAll('dialog[open] .side:not([hidden])')].map((side) => side.id)), 0))"
    )


def focused(driver: Any) -> str | None:
    return driver.execute_script("return document.activeElement.dataset.opens ?? null")


def side(driver: Any, place: str) -> Any:
    return find(driver, f"[id='{place}']")


def set_value(driver: Any, selector: str, value: str) -> None:
    """As a user would set a field: with the events that follow."""
    driver.execute_script(
        "const field = document.querySelector(arguments[0]); field.value = arguments[1];"
        "for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }))",
        selector,
        value,
    )


def colours(driver: Any, canvas: Any) -> dict[str, int]:
    """How many pixels of a canvas have which colour; those that are not fully covered are left out."""
    return driver.execute_script(
        "const { width, height } = arguments[0];"
        "const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });"
        "copy.drawImage(arguments[0], 0, 0); const { data } = copy.getImageData(0, 0, width, height); const count = {};"
        "for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) {"
        "  const colour = '#' + [0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, '0')).join('');"
        "  count[colour] = (count[colour] ?? 0) + 1 } return count",
        canvas,
    )


def drawn(driver: Any, canvas: Any) -> int:
    """How many pixels of a canvas are covered."""
    return sum(colours(driver, canvas).values())


# The grid ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_cells_open(every: int, visit: Open) -> None:
    driver = visit()
    cells = find_all(driver, "#grid .cell")
    places = [(row, column) for row in ROWS for column in COLUMNS]
    assert len(cells) == len(places)
    for cell, (row, column) in list(zip(cells, places, strict=True))[:: every + (every > 1)]:
        assert drawn(driver, find(cell, "canvas")) > 20
        cell.click()
        assert opened(driver) == [f"{row}/{column}"]
        shown = side(driver, f"{row}/{column}")
        assert find(shown, "h2").text == f"{ROWS[row]} × {COLUMNS[column]}"
        assert len(find_all(shown, ".parts math")) == 3
        assert find(shown, ".seen").text == f"Groups of {row} and {column} <seen>."
        assert find(shown, ".when").text.startswith("Use it when ")
        assert drawn(driver, find(shown, ".view > canvas")) > 100
        assert find(shown, "pre").text.startswith("import icon")
        assert f'icon.loss("{row}", "{column}")' in find(shown, "pre").text
        assert bool(find_all(shown, "article")) != ("has no name" in shown.text)
        find(driver, "dialog .close").click()
        assert opened(driver) == []


def test_grid_is_on_the_first_screen(visit: Open) -> None:
    driver = visit(width=1280, height=800)
    assert driver.execute_script("return document.getElementById('grid').getBoundingClientRect().bottom") <= 800


def test_keyboard(visit: Open) -> None:
    driver = visit()
    for _ in range(20):
        press(driver, TAB)
        if focused(driver):
            break
    assert focused(driver) == "gaussian/gaussian"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert driver.execute_script(outline) == "solid"
    press(driver, RIGHT, DOWN)
    assert focused(driver) == "gaussian-wide/student-t"
    press(driver, END)
    assert focused(driver) == "gaussian-wide/data-label"
    press(driver, RIGHT)
    assert focused(driver) == "gaussian-wide/data-label"
    press(driver, HOME, ENTER)
    assert opened(driver) == ["gaussian-wide/gaussian"]
    press(driver, ESCAPE)
    assert opened(driver) == []
    assert focused(driver) == "gaussian-wide/gaussian"
    assert len(find_all(driver, "#grid .cell[tabindex='0']")) == 1


def test_grid_semantics(visit: Open) -> None:
    driver = visit(width=420)  # the layout that gives up the display of a table must keep its roles
    assert len(find_all(driver, "[role=grid] [role=row]")) == 6
    assert len(find_all(driver, "th[scope=col][role=columnheader]")) == 10
    assert len(find_all(driver, "th[scope=row][role=rowheader]")) == 5
    assert len(find_all(driver, "[role=gridcell] > button[aria-haspopup=dialog]")) == 45
    label = find(driver, "[data-opens='gaussian/pairs']").get_attribute("aria-label")
    assert label == "Gaussian × Positive pairs: InfoNCE (2018, verified), SimCLR (2020, verified)"


def test_family_filter(visit: Open) -> None:
    driver = visit()
    button = find(driver, "[data-filter='unimodal-ssl']")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    bright = find_all(driver, ".cell:not(.dim) .entry:not(.dim)")
    assert {entry.get_attribute("data-family") for entry in bright} == {"unimodal-ssl"}
    assert len(bright) == 2
    assert find(driver, "#filtered").get_attribute("textContent") == "Unimodal SSL: 2 methods"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert find_all(driver, ".dim") == []


def test_search(visit: Open) -> None:
    driver = visit()
    press(driver, "/")
    assert driver.execute_script("return document.activeElement.id") == "search"
    press(driver, "t-sne uni")
    assert [item.text for item in find_all(driver, "#found li:not([hidden])")] == [
        "t-SNE with Uniform Affinities Student-t × Uniform k-NN"
    ]
    assert [cell.get_attribute("data-opens") for cell in find_all(driver, ".cell:not(.dim)")] == ["student-t/knn"]
    press(driver, ENTER)
    assert opened(driver) == ["student-t/knn"]
    press(driver, ESCAPE)
    assert opened(driver) == []
    assert find_all(driver, ".dim") == []
    search = find(driver, "#search")
    search.send_keys("n")
    search.send_keys(ENTER)  # the first name that begins so, not the first that has it
    assert opened(driver) == ["clusters/graph"]
    press(driver, ESCAPE)
    for words, address in (("neighbourhood", "studies/scan.html"), ("scan", "#scan"), ("wide × classes", None)):
        search.clear()
        search.send_keys(words)
        found = find_all(driver, "#found li:not([hidden]) a")
        assert bool(found) == (address is not None)
        assert address is None or found[0].get_attribute("href").endswith(address)
    search.send_keys(ESCAPE)
    assert not find(driver, "#found").is_displayed()


# An opened cell ------------------------------------------------------------------------------------------------------


def test_cell_details(visit: Open) -> None:
    driver = visit("#simclr")
    assert opened(driver) == ["gaussian/pairs"]
    article = find(driver, "[id='method/simclr']")
    assert find(article, "math").is_displayed()
    links = [link.get_attribute("href") for link in find_all(article, "a")]
    assert links == ["https://arxiv.org/abs/2002.05709", "https://doi.org/10.1000/182"]
    assert 'icon.method("simclr")' in article.text
    assert not find(article, ".numbers").is_displayed()
    find(article, "summary").click()
    numbers = find(article, ".numbers").text
    assert "3.1×10⁻¹⁶" in numbers
    assert "≤ 10⁻⁹" in numbers
    agrees, absent = find_all(article, ".peers li")
    assert "✓ lightly agrees" in agrees.text
    assert "openTSNE not installed" in absent.text
    assert not find_all(absent, ".pass")


@pytest.mark.parametrize("place", ["#simclr", pytest.param("#gaussian/pairs", marks=pytest.mark.slow)])
def test_the_picture_comes_first(visit: Open, place: str) -> None:
    driver = visit(place)
    assert opened(driver) == ["gaussian/pairs"]
    top, bottom = driver.execute_script(
        "const box = document.querySelector('.side:not([hidden]) .view').getBoundingClientRect();"
        "return [box.top, box.bottom]"
    )
    assert 0 < top < bottom <= 900
    find(driver, ".side:not([hidden]) .names [href='#simclr']").click()
    opened(driver)
    assert driver.execute_script("return document.activeElement.id") == "method/simclr"


def test_deep_link_to_nowhere(visit: Open) -> None:
    assert opened(visit("#nowhere")) == []


@pytest.mark.slow
def test_closing_clears_the_address(visit: Open) -> None:
    driver = visit("#simclr")
    press(driver, ESCAPE)
    assert opened(driver) == []
    assert focused(driver) == "gaussian/pairs"
    assert "#" not in driver.current_url


@pytest.mark.slow
def test_back_closes(visit: Open) -> None:
    driver = visit()
    find(driver, "[data-opens='student-t/knn']").click()
    assert opened(driver) == ["student-t/knn"]
    driver.back()
    assert opened(driver) == []


def test_zoom_and_hover(visit: Open) -> None:
    driver = visit("#student-t/knn")
    shown = side(driver, "student-t/knn")
    canvas, point = find(shown, ".view > canvas"), find(shown, ".point")
    assert not point.is_displayed()
    before = drawn(driver, canvas)
    find(shown, "[aria-label='Zoom in']").click()
    assert drawn(driver, canvas) != before
    find(shown, "[aria-label='Show the whole map']").click()
    assert drawn(driver, canvas) == before
    canvas.send_keys("+", RIGHT)  # the keyboard names the point in the middle
    assert point.is_displayed()
    number = int(point.text.split()[1].rstrip(","))
    assert point.text == f"Row {number}, label {number % 10}"  # the first digits of the data are 0 to 9, over and over
    assert drawn(driver, find(point, "canvas")) == 64
    driver.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "arguments[0].dispatchEvent(new WheelEvent('wheel', { deltaY: -300, cancelable: true }));"
        "arguments[0].dispatchEvent(new PointerEvent('pointerleave'))",
        canvas,
    )
    assert not point.is_displayed()


@pytest.mark.slow
def test_mouse(visit: Open) -> None:
    from selenium.webdriver import ActionChains

    driver = visit("#student-t/knn")
    assert opened(driver) == ["student-t/knn"]
    shown = side(driver, "student-t/knn")
    canvas = find(shown, ".view > canvas")
    where = (
        "const [plot] = plots.values(); const [x, y] = placing(plot.canvas, plot.points, plot.view)(arguments[0]);"
        "return [x - plot.canvas.clientWidth / 2, y - plot.canvas.clientHeight / 2]"
    )
    mouse = ActionChains(driver, duration=0)
    x, y = driver.execute_script(where, 7)
    mouse.move_to_element_with_offset(canvas, round(x), round(y)).perform()
    assert find(shown, ".point").text == "Row 7, label 7"
    find(shown, "[aria-label='Zoom in']").click()
    x, y = driver.execute_script(where, 7)
    mouse.move_to_element(canvas).click_and_hold().move_by_offset(40, -25).release().perform()
    assert driver.execute_script(where, 7) == pytest.approx([x + 40, y - 25], abs=2)


@pytest.mark.slow
def test_pinch(visit: Open) -> None:
    driver = visit("#student-t/knn", width=420)
    opened(driver)
    scale = "return [...plots.values()][0].view.scale"
    left, top, width, height = driver.execute_script(
        "const box = document.querySelector('.side:not([hidden]) .view').getBoundingClientRect();"
        "return [box.left, box.top, box.width, box.height]"
    )

    def touch(kind: str, apart: float) -> None:
        middle = left + width / 2
        points = [{"x": middle + part * apart, "y": top + height / 2, "id": n} for n, part in enumerate((-1, 1))]
        driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points if apart else []})

    assert driver.execute_script(scale) == 1
    for kind, apart in (("touchStart", 20), ("touchMove", 30), ("touchMove", 50), ("touchMove", 80), ("touchEnd", 0)):
        touch(kind, apart)
    assert driver.execute_script(scale) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("motion", ["no-preference", pytest.param("reduce", marks=pytest.mark.slow)])
def test_knobs(driver: Any, visit: Open, motion: str) -> None:
    visit("#student-t/knn")
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": motion}]}
    )
    shown = side(driver, "student-t/knn")
    walks, share = (find(shown, f"[data-knob='{knob}']") for knob in ("walks", "debias"))
    assert [find(label, "output").text for label in find_all(shown, ".knob")] == ["0.1", "2"]
    assert find(shown, ".seen").is_displayed()
    walks.send_keys(RIGHT, RIGHT)
    share.send_keys(RIGHT)  # the frames vary one knob at a time
    assert [find(label, "output").text for label in find_all(shown, ".knob")] == ["0.5", "2"]
    assert walks.get_attribute("value") == "1"
    assert " ".join(find(shown, ".measured").text.split()) == "k-NN accuracy 5.0 % clustering accuracy 50.0 %"
    assert not find(shown, ".seen").is_displayed()  # it was said of the default
    share.send_keys(LEFT)
    assert find(shown, ".seen").is_displayed()


@pytest.mark.slow
def test_clusters_can_be_coloured_by_label(visit: Open) -> None:
    driver = visit("#clusters/graph")
    shown = side(driver, "clusters/graph")
    picture = "return arguments[0].toDataURL()"
    before = driver.execute_script(picture, find(shown, ".view > canvas"))
    find(shown, "[data-colours]").click()
    assert driver.execute_script(picture, find(shown, ".view > canvas")) != before
    assert "sizes of the clusters 8, 6, 7" in find(shown, ".measured").text


def test_compare(visit: Open) -> None:
    driver = visit("#simclr")
    set_value(driver, "#with", "student-t/knn")
    assert opened(driver) == ["gaussian/pairs", "student-t/knn"]
    assert driver.current_url.endswith("#simclr&with=student-t/knn")
    left, right = (side(driver, place).rect for place in ("gaussian/pairs", "student-t/knn"))
    assert left["x"] + left["width"] <= right["x"] + 1
    assert all(drawn(driver, canvas) > 100 for canvas in find_all(driver, ".side:not([hidden]) .view > canvas"))
    driver.back()
    assert opened(driver) == ["gaussian/pairs"]
    visit("#student-t/knn&with=sne", width=420)
    assert opened(driver) == ["student-t/knn", "gaussian/gaussian"]  # in the order of the address
    assert find(driver, "#with").get_attribute("value") == "gaussian/gaussian"
    press(driver, ESCAPE)
    assert opened(driver) == []
    assert driver.execute_script("return document.activeElement.dataset.opens") == "student-t/knn"
    assert "#" not in driver.current_url


@pytest.mark.slow
def test_copy_button(visit: Open) -> None:
    driver = visit("#simclr")
    button = find(driver, "[id='method/simclr'] .copy")
    button.click()
    opened(driver)
    assert button.text in ("Copied", "Selected")


# Compose -------------------------------------------------------------------------------------------------------------


COMPOSED = [
    ("", 'icon.loss("gaussian", "gaussian")', ["Loss", "p", "q"]),
    (
        "#compose&row=student-t&column=knn&symmetrize=union&walks=3&debias=0.1&normalization=joint&divergence=js",
        'icon.loss( "student-t", "knn", symmetrize="union", walks=3, debias=0.1, normalization="joint", '
        'divergence="js", )',
        ["Loss", "p", "Symmetrised", "Walks, K = 3", "Debiased, α = 0.1", "Joint p", "q", "Joint q"],
    ),
    ("#compose&row=clusters&column=graph&walks=2", 'icon.loss("clusters", "graph", walks=2)',
     ["Loss", "p", "Walks, K = 2", "q"]),
    ("#compose&row=clusters&column=cross-modal&normalization=joint",
     'icon.loss("clusters", "cross-modal", normalization="joint")', ["Loss", "p", "Joint p", "q", "Joint q"]),
    # What cannot be combined is taken back.
    ("#compose&row=gaussian-wide&column=classes&divergence=tv&normalization=joint&debias=0.2",
     'icon.loss("gaussian-wide", "classes", debias=0.2)', ["Loss", "p", "Debiased, α = 0.2", "q"]),
    ("#compose&row=clusters&column=data-label&walks=4&symmetrize=average&divergence=hellinger",
     'icon.loss("clusters", "data-label", divergence="hellinger")', ["Loss", "p", "q"]),
    ("#compose&row=gaussian&column=pairs&divergence=reverse-kl",
     'icon.loss( "gaussian", "pairs", debias=0.1, divergence="reverse-kl", )',
     ["Loss", "p", "Debiased, α = 0.1", "q"]),
    ("#compose&row=student-t&column=classes&divergence=alpha&debias=7", 'icon.loss("student-t", "classes", '
     'divergence="alpha")', ["Loss", "p", "q"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "call", "parts"),
    [pytest.param(*case, marks=[] if k in (1, 4) else [pytest.mark.slow]) for k, case in enumerate(COMPOSED)],
)
def test_composed_code_runs(
    visit: Open, place: str, call: str, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    driver = visit(place)
    assert [item.text for item in find_all(driver, "#formula dt")] == parts
    assert len(find_all(driver, "#formula math")) >= len(parts)
    code = find(driver, ".compose code").text
    assert call.replace("( ", "(") in " ".join(code.split()).replace("( ", "(")
    torch.manual_seed(0)
    exec(compile(code, place, "exec"), {})
    assert math.isfinite(float(capsys.readouterr().out))


def test_compose_is_driven_by_its_form(visit: Open) -> None:
    driver = visit()
    set_value(driver, "[name=row]", "gaussian-narrow")
    set_value(driver, "[name=column]", "data-label")
    assert not find(driver, "[name=divergence]").is_enabled()
    assert not find(driver, "[name=walks]").is_enabled()
    assert "rescaled" in find(driver, "#composed-note").text
    set_value(driver, "[name=row]", "student-t")
    assert find(driver, "[name=divergence]").is_enabled()
    assert "row=student-t&column=data-label" in driver.current_url
    kept = driver.current_url.partition("#")[2]
    visit(f"#{kept}")
    assert 'icon.loss("student-t", "data-label")' in find(driver, ".compose code").text
    visit("#clusters/knn")
    find(driver, ".side:not([hidden]) [href^='#compose']").click()
    assert opened(driver) == []
    assert 'icon.loss("clusters", "knn")' in find(driver, ".compose code").text
    assert driver.execute_script("return document.activeElement.id") == "compose"


# The rest of the page ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_link_opens_a_variant(visit: Open) -> None:
    driver = visit("#scan")
    assert opened(driver) == []
    assert find(driver, ".variants details").get_attribute("open") == "true"
    assert driver.execute_script("return document.activeElement.id") == "method/scan"
    top, height = driver.execute_script(
        "return [document.getElementById('method/scan').getBoundingClientRect().top, innerHeight]"
    )
    assert 0 <= top < height
    visit()
    assert not find(driver, "[id='method/scan']").is_displayed()
    driver.execute_script("document.querySelector('.methods a[href=\"#scan\"]').click()")
    assert opened(driver) == []
    assert find(driver, "[id='method/scan']").is_displayed()


@pytest.mark.parametrize("width", [pytest.param(1400, marks=pytest.mark.slow), 420])
def test_variants_are_a_list(visit: Open, width: int) -> None:
    driver = visit(width=width)
    summary = find(driver, ".variants summary")
    assert summary.text.split("\n") == ["SCAN", "2020", "clusters, an entropy beside it", "✓", "verified"]
    name, place = (find(summary, part).rect for part in ("strong", ".place"))
    assert (place["y"] > name["y"] + 10) == (width == 420)  # under the name where there is no room beside it


def test_verification_has_a_column_for_each_kind(visit: Open) -> None:
    driver = visit()
    heads = [head.text.split("\n")[0] for head in find_all(driver, ".methods thead th")]
    assert heads == ["Method", "Value", "Gradient", "Limit", "Minimiser and other properties", "Other packages",
                     "Authors’ program"]  # fmt: skip
    lines = {find(line, "a").text: line for line in find_all(driver, ".methods tbody tr:not(.group)")}
    entropy = [cell.text for cell in find_all(lines["Cross-Entropy"], "td")]
    assert entropy[:3] == ["3.1×10⁻¹⁶", "4.2×10⁻¹³", "slope 2.01, expected 2"]
    assert [cell.text for cell in find_all(lines["SimCLR"], "td")][4] == "lightly: agrees (10⁻¹²)"
    assert "failed" in lines["Normalized Cuts"].get_attribute("class")
    note = find(lines["SCAN"], "sup a")
    assert find(driver, f"[id='{note.get_attribute('href').partition('#')[2]}']").text.startswith("A second term")


@pytest.mark.parametrize("width", [pytest.param(1400, marks=pytest.mark.slow), 420])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_study(visit: Open, width: int, scheme: str) -> None:
    driver = visit(width=width, scheme=scheme)
    entry = find(driver, ".studies a")
    assert entry.text.startswith("Width of the neighbourhood\nHow wide?")
    entry.click()
    assert driver.current_url.endswith("/studies/scan.html")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert find(driver, "h1").text == "Width of the neighbourhood"
    assert [item.text for item in find_all(driver, ".findings li")] == study()["findings"]
    assert find(driver, ".question").text == f"How wide? {HOSTILE}"
    image = find(driver, "main img")
    natural, shown, top = driver.execute_script(
        "const image = arguments[0];"
        "return image.decode().then(() => [image.naturalWidth, image.clientWidth, image.getBoundingClientRect().top])",
        image,
    )
    assert natural == 1320
    assert shown >= 640  # no smaller than can be read; its box scrolls
    assert top < 400
    assert len(find_all(driver, "main img")) == 1
    assert not find(driver, "tbody").is_displayed()
    find(driver, "summary").click()
    assert find(driver, "tbody tr").text.startswith("ten 0.9123 – 0 10⁻⁴ 2×10⁻⁴")
    find(driver, "header a").click()
    assert driver.current_url.endswith("/index.html")


@pytest.mark.parametrize(
    ("place", "width"), few_are_fast(["", "#simclr", "#gaussian-wide/classes&with=clusters/knn"], [1400, 390, 1000])
)
def test_no_horizontal_overflow(visit: Open, place: str, width: int) -> None:
    driver = visit(place, width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    outside = """
      const clipped = [];
      for (const box of document.querySelectorAll(".cell, .entry, .name, dialog[open], .side:not([hidden])"))
        if (box.scrollWidth > box.clientWidth + 1 && box.clientWidth) clipped.push(box.textContent);
      return clipped;"""
    assert driver.execute_script(outside) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "place",
    ["", "#simclr", "#student-t/knn&with=clusters/graph", "#compose&row=clusters&divergence=js", "found", "study"],
)
def test_accessible(visit: Open, place: str, scheme: str) -> None:
    from axe_core_python.selenium import Axe

    page = "studies/scan.html" if place == "study" else "index.html"
    driver = visit(place if place.startswith("#") else "", scheme=scheme, page=page)
    if place == "found":
        find(driver, "#search").send_keys("clip")
    for details in find_all(driver, "dialog[open] .side:not([hidden]) summary, main.study summary"):
        details.click()
    found = Axe().run(driver)["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


def background(driver: Any) -> str:
    return driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")


def test_themes(visit: Open) -> None:
    driver = visit()
    picture = "return document.querySelector('#grid canvas').toDataURL()"
    light, map_in_light = background(driver), driver.execute_script(picture)
    toggle = find(driver, "#theme")
    assert toggle.get_attribute("aria-pressed") == "false"
    toggle.click()
    dark = background(driver)
    assert toggle.get_attribute("aria-pressed") == "true"
    assert dark != light
    assert driver.execute_script(picture) != map_in_light
    visit(scheme="dark")
    assert background(driver) == dark
    assert find(driver, "#theme").get_attribute("aria-pressed") == "true"
    find(driver, "#theme").click()
    assert background(driver) == light
    assert driver.execute_script(picture) == map_in_light


def test_nothing_is_fetched(visit: Open) -> None:
    driver = visit("#gaussian/pairs")
    names = driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in names if not name.startswith("data:")] == []


def test_failure_is_obvious(visit: Open) -> None:
    driver = visit()
    entry = find(driver, "[data-opens='clusters/graph'] .entry")
    colour = driver.execute_script("return getComputedStyle(arguments[0]).backgroundColor", entry)
    assert "✗" in entry.text
    assert "✓" not in entry.text
    assert colour == "rgb(179, 38, 30)"
    assert "not verified" in find(driver, "[data-opens='clusters/graph']").get_attribute("aria-label")
    assert "failed" in find(driver, ".summary").get_attribute("class")
    visit("#ncut")
    assert "not verified" in find(driver, "[id='method/ncut'] .state").text


@pytest.mark.slow
def test_reduced_motion(driver: Any, visit: Open) -> None:
    visit()
    feature = {"name": "prefers-reduced-motion", "value": "reduce"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    style = "return getComputedStyle(document.querySelector('.cell')).transitionDuration"
    assert driver.execute_script(style) == "0s"


def test_print_shows_the_grid(driver: Any, visit: Open) -> None:
    visit(scheme="dark")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [dark]})
    opened(driver)  # lets the page draw
    assert find(driver, "#grid").is_displayed()
    assert not find(driver, ".filters").is_displayed()
    covered = colours(driver, find(driver, "#grid canvas"))
    assert sorted(covered, key=lambda colour: -covered[colour])[0] in palette.LABELS["light"]
    assert not set(covered) & set(palette.LABELS["dark"])
