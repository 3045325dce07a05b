"""Pictures that are larger than a fit can use."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dist_engine import shrinking
from dist_engine.cameras import Cameras
from dist_engine.protocol import PRIOR_FILE, Request, Result
from dist_engine.reconstruct import reconstruct
from dist_engine.reporting import Reporter
from dist_engine.shrinking import shrunk

from blender_tests.support.views import PRIOR, SIZE, orbit, request


@pytest.fixture(autouse=True)
def longest(monkeypatch) -> None:
    monkeypatch.setattr(shrinking, "LONGEST", SIZE)


def discs() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    return np.repeat((np.hypot(x - SIZE / 2, y - SIZE / 2) < SIZE / 4)[None], 4, axis=0).astype(np.uint8) * 255


def enlarged(small: Request, factor: int) -> Request:
    """The same with each pixel repeated, and a few more pixels than fill blocks."""

    def grow(pictures: np.ndarray) -> np.ndarray:
        large = pictures.repeat(factor, 1).repeat(factor, 2)
        return np.pad(large, [(0, 0), (0, factor - 1), (0, 0), *[(0, 0)] * (pictures.ndim - 3)], mode="edge")

    views = [replace(view, K=np.diag([factor, factor, 1]) @ view.K) for view in small.views]
    made = {name: grow(getattr(small, name)) for name in ("masks", "depths") if getattr(small, name) is not None}
    if small.pictures is not None:
        made["pictures"] = grow(small.pictures)
    return replace(small, views=views, **made)


def test_small_pictures_stay_as_they_are() -> None:
    small = request(discs(), orbit(4))
    assert shrunk(small) == (small, 1)


def test_repeated_pixels_become_the_pictures_they_were(monkeypatch) -> None:
    monkeypatch.setattr(shrinking, "LONGEST", SIZE + 2)
    depths = np.random.default_rng(0).uniform(1, 3, (4, SIZE, SIZE)).astype(np.float32)
    depths[depths < 2] = np.nan
    pictures = np.random.default_rng(1).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    small = replace(request(discs(), orbit(4), compare_colours=True), depths=depths, pictures=pictures)
    again, factor = shrunk(enlarged(small, 3))
    assert factor == 3
    for name in ("masks", "depths", "pictures"):
        np.testing.assert_array_equal(getattr(again, name), getattr(small, name))
    for one, other in zip(again.views, small.views, strict=True):
        np.testing.assert_allclose(one.K, other.K, rtol=1e-12)
    cameras = Cameras.from_views(again.views, torch.device("cpu")).enlarged(factor)
    np.testing.assert_allclose(cameras.K, [view.K for view in enlarged(small, 3).views], rtol=1e-6)


def test_depths_are_taken_not_mixed_and_sparse_ones_are_kept() -> None:
    depths = np.full((4, 2 * SIZE, 2 * SIZE), np.nan, np.float32)
    depths[0, ::8, 1::8] = 2.0
    depths[1, :, ::2], depths[1, :, 1::2] = 1.0, 5.0
    again, _ = shrunk(
        replace(enlarged(request(discs(), orbit(4)), 2), masks=np.zeros_like(depths, np.uint8), depths=depths)
    )
    assert np.isfinite(again.depths[0]).sum() == (SIZE // 4) ** 2
    assert set(np.unique(again.depths[1])) <= {1.0, 5.0} and np.isnan(again.depths[2:]).all()


def test_the_known_depth_nearest_to_a_blocks_middle_is_taken(monkeypatch) -> None:
    monkeypatch.setattr(shrinking, "LONGEST", SIZE + 2)
    whole = enlarged(request(discs(), orbit(4)), 3)
    depths = np.full(whole.masks.shape, np.nan, np.float32)
    # A block's middle pixel is its second, down and across: of the first block, one pixel from the first depth, and
    # further from the second.
    depths[0, 0, 1], depths[0, 2, 2] = 1.0, 2.0
    depths[1, 2, 2], depths[1, 2, 1] = 2.0, 1.0
    again, _ = shrunk(replace(whole, depths=depths))
    assert again.depths[0, 0, 0] == 1.0 and again.depths[1, 0, 0] == 1.0
    assert np.isfinite(again.depths).sum() == 2


@pytest.mark.slow
def test_a_fit_to_large_pictures_is_that_to_small_ones(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shrinking, "LONGEST", SIZE + 2)
    pictures = np.full((4, SIZE, SIZE, 3), (200, 100, 50), np.uint8)
    small = request(discs(), orbit(4), iterations=3, refine_cameras=True, compare_colours=False, threads=1)
    results = []
    for name, asked in (("small", small), ("large", enlarged(replace(small, pictures=pictures), 3))):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copyfile(PRIOR, folder / PRIOR_FILE)
        asked.save(folder)
        reconstruct(folder, Reporter(io.StringIO()))
        results.append(Result.load(folder))
    one, other = results
    np.testing.assert_allclose(other.vertices, one.vertices, atol=1e-4)
    assert one.colours is None and np.abs(other.colours.astype(int) - (200, 100, 50)).max() <= 1
    for before, after in zip(one.report["cameras"], other.report["cameras"], strict=True):
        np.testing.assert_allclose(after["K"][0], 3 * np.array(before["K"][0]), rtol=1e-4)
        assert (after["width"], after["height"]) == (3 * SIZE, 3 * SIZE + 2)


def test_a_block_is_known_where_all_of_its_pixels_are() -> None:
    known = np.ones((4, SIZE, SIZE), bool)
    known[0, 3, 5] = known[1:, 10:20, 10:20] = False
    large = known.repeat(2, 1).repeat(2, 2)
    # A pixel of a block of four is enough.
    large[2, 40, 40] = False
    enough = known.copy()
    enough[2, 20, 20] = False
    masks = np.repeat(discs(), 2, 1).repeat(2, 2)
    again, factor = shrunk(replace(request(masks, orbit(4)), mask_known=large))
    assert factor == 2
    np.testing.assert_array_equal(again.mask_known, enough)
    np.testing.assert_array_equal(again.masks, discs())
