"""Augmentation of a batch at once, against a plain loop over images and pixels."""

import pytest
import torch

from advnb.data.augment import CropFlip
from advnb.models import cifar_cnn
from advnb.training import Unsecured, fit


def images(n=20, c=3, h=7, w=5):
    return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(1))


def by_loop(x, padding, flip, seed):
    """The same draws, one image and one pixel after the other."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(2 * padding + 1, (2, len(x), 1), generator=generator)
    sides = torch.randint(2, (len(x), 1), generator=generator) if flip else torch.zeros(len(x), 1)
    out = torch.zeros_like(x)
    h, w = x.shape[2:]
    for k in range(len(x)):
        for i in range(h):
            for j in range(w):
                row = i + int(places[0, k]) - padding
                column = (w - 1 - j if sides[k] else j) + int(places[1, k]) - padding
                if 0 <= row < h and 0 <= column < w:
                    out[k, :, i, j] = x[k, :, row, column]
    return out


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_it_is_what_a_plain_loop_makes(padding, flip):
    x = images()
    here = CropFlip(padding, flip)(x, torch.Generator().manual_seed(3))
    assert torch.equal(here, by_loop(x, padding, flip, 3))


def test_nothing_but_the_generator_decides_and_the_images_stay():
    x = images()
    before, state = x.clone(), torch.random.get_rng_state()
    one, same, other = (CropFlip()(x, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_places_and_sides_are_even():
    x = torch.zeros(20_000, 1, 3, 3)
    x[:, 0, 1, 0] = 1.0
    out = CropFlip(1)(x, torch.Generator().manual_seed(0))
    share = out.flatten(1).mean(0)
    # the pixel leaves the image at one of three places across, on either side
    assert torch.allclose(out.sum() / len(x), torch.tensor(2 / 3), atol=0.02)
    assert torch.allclose(share.view(3, 3).sum(1), torch.full((3,), 2 / 9), atol=0.02)


def test_the_layout_in_memory_stays():
    x = images()
    assert CropFlip()(x, torch.Generator()).is_contiguous()
    last = x.to(memory_format=torch.channels_last)
    out = CropFlip()(last, torch.Generator().manual_seed(1))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(out, CropFlip()(x, torch.Generator().manual_seed(1)))


def test_it_is_an_augmentation_of_fit_and_resumes(tmp_path):
    x, y = torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 10

    def run(epochs, path):
        net = cifar_cnn(width=0.1, generator=torch.Generator().manual_seed(0))
        fit(net, (x, y), Unsecured(), epochs=epochs, batch=12, augment=CropFlip(), checkpoint=path, progress=False)
        return [weight.clone() for weight in net.state_dict().values()]

    run(1, tmp_path / "part.pt")
    for a, b in zip(run(2, tmp_path / "part.pt"), run(2, tmp_path / "whole.pt"), strict=True):
        assert torch.equal(a, b)


def test_what_are_no_images_is_refused():
    with pytest.raises(ValueError, match=r"images of shape \(n, c, h, w\); got \(4, 9\)"):
        CropFlip()(torch.rand(4, 9), torch.Generator())
    with pytest.raises(ValueError, match="padding must be"):
        CropFlip(-1)
