import pickle
from dataclasses import replace

import numpy as np
import pytest

from htr.alphabet import Alphabet
from htr.corpora.iam import load_iam
from htr.errors import InputError
from htr.lineimage import collate, padded_width
from htr.training.augmentation import SHORTEST, augment, augmentation, stretch
from htr.training.data import LineData, Lines, WidthBatches

WIDTHS = np.random.default_rng(0).integers(50, 1500, 500).tolist()


def lines(samples, alphabet=None, **changes):
    values = {"height": 32, "width_stride": 8, "batch_pixels": 60_000, "augmentation": 1.0, "workers": 0, "seed": 1}
    alphabet = alphabet or Alphabet.of(sample.text for sample in samples)
    return Lines(samples, alphabet, **{**values, **changes})


def test_batches_hold_every_line_once_and_keep_to_the_pixels():
    batches = list(WidthBatches(WIDTHS, 64, 300_000, seed=1, strength=1.0))
    assert sorted(index for batch in batches for index, _, _ in batch) == list(range(500))
    for batch in batches:
        images, _ = collate([stretch(np.zeros((64, WIDTHS[index]), np.uint8), width) for index, _, width in batch], 8)
        assert images.numel() <= 300_000 or len(batch) == 1


@pytest.mark.parametrize("lines", [6, 130, 500])
def test_later_epochs_keep_to_the_pixels_nearly(lines):
    sampler = WidthBatches(WIDTHS[:lines], 64, 300_000, seed=1, strength=1.0)
    for epoch in range(20):
        sampler.set_epoch(epoch)
        for batch in sampler:
            padded = 64 * len(batch) * max(padded_width(width) for _, _, width in batch)
            assert padded <= 1.15 * 300_000 or len(batch) == 1


def test_a_few_lines_of_many_widths_do_not_come_one_by_one():
    batches = list(WidthBatches(range(500, 1000, 40), 64, 700_000, seed=1, strength=1.0))
    assert len(batches) <= 4


def test_epochs_differ_and_repeat_with_the_seed():
    sampler, again = (WidthBatches(WIDTHS, 64, 300_000, seed=1, strength=1.0) for _ in range(2))
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(again) == first


def test_every_epoch_has_as_many_batches_as_the_first():
    sampler = WidthBatches(WIDTHS, 64, 300_000, seed=1, strength=1.0)
    for epoch in range(12):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == sampler.count
        assert sorted(index for batch in batches for index, _, _ in batch) == list(range(500))


def test_drawn_lines_grow_from_words_to_lines_and_are_all_different():
    sampler = WidthBatches(WIDTHS[:100], 64, 300_000, seed=1, strength=1.0, drawn=200, like=[1000], growth=4)
    means, counts = [], []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        items = [item for batch in sampler for item in batch]
        drawn = [item for item in items if item[0] >= 100]
        assert len(items) - len(drawn) == 100
        assert all(index < 300 for index, _, _ in drawn)
        assert len({seed for _, seed, _ in drawn}) == len(drawn)
        means.append(np.mean([width for _, _, width in drawn]))
        counts.append(len(drawn))
    assert means == pytest.approx([150, 250, 500, 750, 1000, 1000], rel=0.05)
    assert counts == [1333, 800, 400, 267, 200, 200]


def test_batches_of_single_lines_are_never_empty():
    sampler = WidthBatches([], 64, 1000 * 64, seed=1, strength=1.0, drawn=20, like=[900], growth=2)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert batches and all(batches)


def test_without_augmentation_lines_stay_as_they_are():
    batches = list(WidthBatches(WIDTHS, 64, 300_000, seed=1))
    assert {item[1:] for batch in batches for item in batch} == {(-1, width) for width in WIDTHS}


def test_processes_share_the_batches_evenly():
    shares = []
    for rank in range(3):
        sampler = WidthBatches(WIDTHS, 64, 300_000, seed=1, strength=1.0)
        sampler.rank, sampler.ranks = rank, 3
        shares.append(list(sampler))
        assert len(sampler) == len(shares[0])
    assert {index for share in shares for batch in share for index, _, _ in batch} == set(range(500))
    # Shared out but for the few that make the shares even.
    assert sum(len(batch) for share in shares for batch in share) < 1.1 * 500


def test_more_processes_than_batches_are_refused():
    sampler = WidthBatches([30, 31], 64, 300_000, seed=1, strength=1.0)
    sampler.ranks = 2
    with pytest.raises(InputError, match="2 lines make 1 batches, too few for 2 processes"):
        list(sampler)


def test_loader_processes_may_be_spawned(iam_folder):
    """Not all systems fork: what the loader carries must be picklable."""
    data = lines(load_iam(iam_folder))
    data.trainer = None
    pickle.loads(pickle.dumps(data.train_dataloader().collate_fn))
    pickle.loads(pickle.dumps(data.train))


def test_batches_tell_targets_and_columns(iam_folder):
    data = lines(load_iam(iam_folder))
    data.trainer = None
    batch = next(iter(data.train_dataloader()))
    assert len(batch.texts) == len(batch.lengths) == len(batch.columns) == len(batch.images)
    start = 0
    for text, length in zip(batch.texts, batch.lengths.tolist(), strict=True):
        assert data.alphabet.decode(batch.targets[start : start + length].tolist()) == text
        start += length
    assert batch.images.shape[1:3] == (1, 32)
    assert batch.columns.max() <= batch.images.shape[3] / 8


def test_a_seed_gives_the_same_changed_line_in_every_process(iam_folder):
    data = LineData(load_iam(iam_folder)[:3], 32, 1.0)
    changed, _ = data[1, 77, 400]
    assert changed.shape == (32, 400)
    data[0, 5, 300]
    assert np.array_equal(data[1, 77, 400][0], changed)
    assert not np.array_equal(data[1, 78, 400][0], changed)
    assert np.array_equal(data[1, -1, 0][0], data.lines[1])


class Bars:
    """Draws as many bars as its text has letters."""

    characters = "l"

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
        count = int(rng.integers(2, max(3, int(2 * aspect))))
        picture = np.full((40, 20 * count), 255, np.uint8)
        picture[5:35, 5::20] = 0
        return picture, "l" * count


def test_drawn_lines_come_beside_the_real_ones_and_are_new_in_each_epoch(iam_folder):
    samples = load_iam(iam_folder)
    alphabet = Alphabet.of([*(sample.text for sample in samples), "l"])
    data = lines(samples, alphabet, drawn=[(Bars(), 40)])
    data.trainer = None

    def texts(epoch: int) -> list[str]:
        data._sampler["train"].set_epoch(epoch)
        return [text for batch in data.train_dataloader() for text in batch.texts]

    first, second = texts(0), texts(1)
    for drawn in first, second:
        assert len(drawn) == 24 + 40
        assert sum(set(text) == {"l"} for text in drawn) == 40
    assert first == texts(0)
    assert sorted(first) != sorted(second)


def test_drawn_lines_are_squeezed_into_their_width():
    data = LineData([], 32, 1.0, [(Bars(), 3)])
    for seed in range(20):
        line, _ = data[1, seed, 32]
        assert line.shape == (32, 32)


def test_narrow_drawn_lines_say_less_rather_than_being_squeezed():
    class NarrowBars(Bars):
        def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
            count = max(1, round(5 * aspect))
            picture = np.full((40, 8 * count), 255, np.uint8)
            picture[5:35, 3::8] = 0
            return picture, "l" * count

    data = LineData([], 64, 1.0, [(NarrowBars(), 3)])
    for seed in range(20):
        line, text = data[1, seed, 1000]
        assert 850 < line.shape[1] <= 1000
        # Widened to 18 pixels a bar, and stretched by up to a fifth.
        assert 0.75 * 18 < line.shape[1] / len(text) < 1.25 * 18


def test_drawn_lines_alone_suffice_for_training(iam_folder):
    val = [sample for sample in load_iam(iam_folder) if sample.split == "val"]
    data = lines(val, Alphabet("l"), drawn=[(Bars(), 40)])
    assert len(data.train) == 40


def test_augmentation_keeps_the_form_and_the_writing():
    line = np.zeros((64, 700), np.uint8)
    for column in range(2):  # strokes as thin as a pen's
        line[20:44, 50 + column : 650 : 30] = 255
    pipeline = augmentation(1.0)
    for seed in range(40):
        changed = augment(pipeline, line, seed)
        assert changed.shape == line.shape
        assert changed.dtype == np.uint8
        assert changed.max() > 60


def test_hardly_any_line_stays_as_it_is_and_a_change_does_not_tell_the_others():
    line = np.zeros((64, 300), np.uint8)
    line[20:44, 50:250:30] = 255
    pipeline = augmentation(1.0)
    changed = [augment(pipeline, line, seed) for seed in range(200)]
    assert sum(np.array_equal(line, each) for each in changed) < 10
    # Noise shows on the paper at the left edge; each change comes without the other too.
    noisy = np.array([len(np.unique(each[:, :4])) > 30 for each in changed])
    thick = np.array([np.count_nonzero(each > 100) > 1.3 * np.count_nonzero(line) for each in changed])
    assert noisy.any() and thick.any()
    assert (noisy & ~thick).any() and (thick & ~noisy).any()


def test_how_a_line_was_drawn_does_not_tell_how_it_is_changed():
    """Both come of one seed; what draws a line takes the first numbers of its generator."""

    class Noted:
        def set_random_state(self, generator, _):
            self.numbers = generator.random(2)

        def __call__(self, image):
            return {"image": image}

    noted = Noted()
    changes, drawings = [], []
    for seed in range(300):
        augment(noted, np.zeros((8, 8), np.uint8), seed)
        changes.append(noted.numbers)
        drawings.append(np.random.default_rng(seed).random(2))
    correlations = np.corrcoef(np.array(changes).T, np.array(drawings).T)[:2, 2:]
    assert np.abs(correlations).max() < 0.25


def test_drawn_lines_are_stretched_too():
    class SameBars(Bars):
        def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
            return super().draw(np.random.default_rng(1), 12.0)

    data = LineData([], 32, 1.0, [(SameBars(), 3)])
    widths = [data[1, seed, 900][0].shape[1] for seed in range(40)]
    assert max(widths) > 1.3 * min(widths)


def test_the_same_seed_changes_a_line_alike():
    line = np.zeros((64, 300), np.uint8)
    line[20:44, 50:250:30] = 255
    pipeline = augmentation(1.0)
    first = augment(pipeline, line, 7)
    augment(pipeline, line, 8)
    np.testing.assert_array_equal(first, augment(augmentation(1.0), line, 7))
    np.testing.assert_array_equal(first, augment(pipeline, line, 7))


def test_the_narrowest_lines_can_be_augmented():
    pipeline = augmentation(1.0)
    for seed in range(40):
        assert augment(pipeline, np.full((64, SHORTEST), 90, np.uint8), seed).shape == (64, SHORTEST)


def test_characters_that_the_alphabet_lacks_are_named(iam_folder):
    with pytest.raises(InputError, match="lacks characters of the training text: space .* A C D.* y z;"):
        lines(load_iam(iam_folder), Alphabet("abcdefgh"))


def test_texts_too_long_for_their_pictures_are_named(iam_folder, caplog):
    samples = load_iam(iam_folder)
    first = next(sample for sample in samples if sample.split == "train")
    long = replace(first, text=first.text * 20)
    lines([*(sample for sample in samples if sample is not first), long, long])
    assert (
        f"1 line for training: nothing can be learnt, as the text is too long for the picture; do they belong together? {long.id}"
        in caplog.text
    )
    caplog.clear()
    lines(samples)
    assert not caplog.text
