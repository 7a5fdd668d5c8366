"""Methods whose papers have two views of each image take them as a pair; one-sided ones keep anchors and candidates."""

from __future__ import annotations

import pytest
import torch

import icon
from tests.cases import assert_same, normal

A, B, C = (normal(7, 3, seed=seed, grad=True) for seed in range(3))
IDS = torch.arange(7)
BOTH = ["simclr", "t-simcne", "t-simclr", "decoupled-contrastive", "debiased-contrastive", "hard-negatives"]


@pytest.mark.parametrize("slug", BOTH)
def test_a_pair_of_views_is_all_views_at_once(slug: str) -> None:
    loss = icon.method(slug).double()
    expected = loss(torch.cat([A, B]), IDS.repeat(2))
    assert_same(loss((A, B)), expected, [A, B])
    assert_same(loss(A, B), expected, [A, B])
    assert_same(loss((A, B), IDS), expected, [A, B])


def test_more_views_of_each_image() -> None:
    loss = icon.method("simclr").double()
    assert_same(loss([A, B, C]), loss(torch.cat([A, B, C]), IDS.repeat(3)), [A, B, C])


@pytest.mark.parametrize("slug", ["supcon", "t-supcon"])
def test_labels_are_those_of_the_images(slug: str) -> None:
    labels = torch.tensor([0, 1, 0, 1, 2, 2, 0])
    loss = icon.method(slug).double()
    assert_same(loss((A, B), labels), loss(torch.cat([A, B]), labels.repeat(2)), [A, B])
    soft = torch.nn.functional.one_hot(labels).double()
    assert_same(loss((A, B), soft), loss((A, B), labels), [A, B])


@pytest.mark.parametrize("slug", ["infonce", "mocov3", "clip", "barlow-twins", "byol", "vi-reg"])
def test_two_sets_stay_two_sets(slug: str) -> None:
    loss = icon.method(slug).double()
    assert_same(loss(A, B), loss((A, B)), [A, B])


def test_infonce_is_one_sided() -> None:
    scores = torch.nn.functional.cosine_similarity(A[:, None], B, dim=2) / 0.1
    expected = torch.nn.functional.cross_entropy(scores, IDS)
    assert_same(icon.method("infonce").double()(A, B), expected, [A, B])
