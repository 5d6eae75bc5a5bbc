"""The small histograms of components on the page of an analysis."""

import numpy as np
import pytest
from made_rewards import analyse, rows

from rlctl.calibration.page import bars_in_percent, page
from rlctl.calibration.summary import histogram
from tests.reports.html_page import Page, self_contained


def test_bars_stand_where_their_values_are():
    found = bars_in_percent(histogram(np.array([0.0] * 2 + [1.0] * 8 + [4.0] * 4)).as_dict())
    # Each is 2 of 100 wide; the other 98 reach from 0 to 4.
    assert [(one["left"], one["width"], one["height"]) for one in found] == [
        (0.0, 2.0, 25.0),
        (24.5, 2.0, 100.0),
        (98.0, 2.0, 50.0),
    ]
    assert found[1]["says"].startswith("1: 8 (57")
    assert bars_in_percent(histogram(np.array([3.0])).as_dict())[0]["width"] == 2.0


def test_ranges_fill_the_width():
    values = np.append(np.random.default_rng(0).normal(size=500), 1e6)
    found = bars_in_percent(histogram(values).as_dict())
    assert sum(one["width"] for one in found) == pytest.approx(100, abs=0.2)
    assert found[0]["left"] == 0.0
    assert max(one["width"] for one in found) < 2 * found[1]["width"]  # the last does not reach to a million
    assert max(one["height"] for one in found) == 100.0


def test_every_component_with_scores_has_one(tmp_path):
    parts = {"name": "first"}, {"name": "second"}
    document = analyse(tmp_path, rows([[0.0, 1.0, 2.0, 2.0]] * 2, [[None] * 4] * 2), *parts)
    html = page(document, title="t", config_text="")
    assert "first, 0 to 2" in self_contained(html).words
    drawn = [one for _, one in Page(html).elements if one.get("aria-label") == "Histogram of 8 raw scores"]
    assert len(drawn) == 1  # second applies to nothing
    assert "2: 4 (50%)" in [one.get("title") for _, one in Page(html).elements]
