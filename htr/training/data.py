"""Line images on their way into training: prepared once, augmented anew each epoch, batched by width."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import cv2
import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from htr.alphabet import Alphabet, named
from htr.corpora.sample import Drawer, Sample
from htr.decoding import columns_needed
from htr.errors import InputError
from htr.lineimage import batches_of_like_width, collate, columns_of, prepare
from htr.messages import NAMED, counted
from htr.training.augmentation import SHORTEST, STRETCH, augment, augmentation, stretch

log = logging.getLogger(__name__)

# How much wider than the narrowest line of a batch the widest may be.
_SPREAD = 1.5

# From how many times its width on a drawn line is drawn anew rather than squeezed.
_TOO_WIDE = 1.1

# Width of a word, as a share of a line's.
_WORD = 0.15

Item = tuple[int, int, int]


class Batch(NamedTuple):
    """Lines of like width.

    Attributes:
        images: shape (batch, 1, height, width), 0 = paper, 1 = ink.
        columns: network columns that each line fills, shape (batch,).
        targets: classes of all texts, one after the other, shape (sum of lengths,).
        lengths: characters of each text, shape (batch,).
        texts: the true texts.
    """

    images: Tensor
    columns: Tensor
    targets: Tensor
    lengths: Tensor
    texts: list[str]


class LineData(Dataset):
    """Prepared lines in memory, and after them lines that are drawn when they are asked for.

    An item is asked for with (index, seed, width): the seed decides how the line is changed, or drawn, so that a run gives
    the same lines however many loader processes it has and after it was resumed; the width, in pixels, is what the line is
    stretched to, or, once it is drawn and stretched too, may have at most. Seed -1 leaves a line as it is.

    Args:
        samples: real lines; one that stands there twice is kept once, and seen twice in an epoch.
        height: of prepared lines, in pixels.
        strength: of the augmentation.
        drawn: who draws lines, and how many indices each has.

    Attributes:
        distinct: how many real lines there are, each counted once.
    """

    def __init__(
        self, samples: Sequence[Sample], height: int, strength: float, drawn: Sequence[tuple[Drawer, int]] = ()
    ) -> None:
        self.texts = [sample.text for sample in samples]
        self.height = height
        # OpenCV's thread pool hangs in forked loader processes, and a line is too small to gain from it.
        cv2.setNumThreads(0)
        # One pass over the files also finds every damaged one before training starts.
        progress = tqdm(samples, desc="preparing lines", unit=" lines", leave=False, disable=None)
        prepared: dict[int, np.ndarray] = {}
        for sample in progress:
            if id(sample) not in prepared:
                prepared[id(sample)] = sample.prepared(height).picture
        self.lines = [prepared[id(sample)] for sample in samples]
        self.distinct = len(prepared)
        self.widths = [line.shape[1] for line in self.lines]
        self.drawers = [drawer for drawer, count in drawn for _ in range(count)]
        self.limit = STRETCH * strength
        self.pipeline = augmentation(strength)

    def __len__(self) -> int:
        return len(self.lines) + len(self.drawers)

    def __getitem__(self, item: Item) -> tuple[np.ndarray, str]:
        index, seed, width = item
        if index < len(self.lines):
            line, text = self.lines[index], self.texts[index]
            if seed < 0:
                return line, text
            line = stretch(line, width)
        else:
            line, text = self._drawn(self.drawers[index - len(self.lines)], seed, width)
        return augment(self.pipeline, line, seed), text

    def _drawn(self, drawer: Drawer, seed: int, width: int) -> tuple[np.ndarray, str]:
        """A line of about the width in pixels, at most."""

        def draw(room: float) -> tuple[np.ndarray, str]:
            rng = np.random.default_rng(seed)
            factor = rng.uniform(1 - self.limit, 1 + self.limit)
            picture, text = drawer.draw(rng, room / self.height / factor)
            line = prepare(picture, self.height).picture
            return stretch(line, max(SHORTEST, round(factor * line.shape[1]))), text

        line, text = draw(width)
        if line.shape[1] > _TOO_WIDE * width:
            # Narrow writing was widened: the same hand writes less.
            line, text = draw(width * width / line.shape[1])
        return (stretch(line, width) if line.shape[1] > width else line), text


class WidthBatches(Sampler):
    """Batches of lines of like width, each of at most so many pixels (a longer line is alone), in a new order each epoch.

    All epochs have as many as the first: where there would be more, each may hold some hundredths more pixels.

    Yields lists of (index, seed, width) for `LineData`. With several processes each takes every n-th batch, and all the same
    number of them.

    Args:
        widths: of the real lines, in pixels.
        height: of the lines, in pixels.
        batch_pixels: of a batch at most, padding included.
        seed: another seed gives another order and other changes.
        strength: of the augmentation; None for lines as they are, in the order of their widths.
        drawn: how many lines more are drawn; they are given widths of `like`.
        like: widths to choose from for drawn lines, in pixels.
        growth: epochs in which drawn lines grow from words to whole lines; the shorter they are, the more of them.
    """

    def __init__(
        self,
        widths: Sequence[int],
        height: int,
        batch_pixels: int,
        seed: int,
        strength: float | None = None,
        drawn: int = 0,
        like: Sequence[int] = (),
        growth: float = 0.0,
    ) -> None:
        self.growth = growth
        self.widths = widths
        self.drawn = drawn
        self.like = like
        self.batch_pixels = batch_pixels
        self.height = height
        self.seed = seed
        self.strength = strength
        self.epoch = 0
        self.count: int | None = None  # of batches in every epoch, for all processes
        self.rank, self.ranks = 0, 1
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch, also after resuming."""
        if self.count is None:
            len(self)  # the first epoch's number, whichever epoch a run goes on with
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._share())

    def __iter__(self) -> Iterator[list[Item]]:
        return iter(self._share())

    def _share(self) -> list[list[Item]]:
        batches = self._batches()
        if len(batches) < self.ranks:
            raise InputError(
                f"{len(self.widths) + self.drawn} lines make {len(batches)} batches, too few for {self.ranks} processes; lower "
                "batch_pixels or use fewer devices"
            )
        if self.strength is not None:
            # All processes must take the same number of steps.
            batches += batches[: -len(batches) % self.ranks]
        return batches[self.rank :: self.ranks]

    def _batches(self) -> list[list[Item]]:
        if self.strength is None:
            batches = batches_of_like_width(self.widths, self.height, self.batch_pixels)
            return [[(index, -1, self.widths[index]) for index in batch] for batch in batches]
        rng = np.random.default_rng([self.seed, self.epoch])
        limit = STRETCH * self.strength
        grown = min(1.0, max(_WORD, self.epoch / self.growth)) if self.growth else 1.0
        drawn = round(self.drawn / grown)
        widths = [*self.widths, *(grown * rng.choice(self.like, drawn)).tolist()] if drawn else self.widths
        factors = rng.uniform(1 - limit, 1 + limit, len(widths)).tolist()
        seeds = rng.integers(0, 2**31, len(widths)).tolist()
        # Stretched before they are sorted: little padding, and new neighbours in each epoch.
        widths = [max(SHORTEST, round(width * factor)) for width, factor in zip(widths, factors)]
        batches = batches_of_like_width(widths, self.height, self.batch_pixels, _SPREAD)
        self.count = self.count or len(batches)
        looser = 1.0
        while len(batches) > self.count:
            looser *= 1.01
            batches = batches_of_like_width(widths, self.height, round(looser * self.batch_pixels), looser * _SPREAD)
        # Lightning leaves the validation out in an epoch with fewer batches than the first.
        while len(batches) < self.count:
            largest = max(batches, key=len)
            # Where each holds a single line, that comes twice.
            batches.append([largest.pop() for _ in range(len(largest) // 2)] or list(largest))
        # Where more are drawn than there are indices, the seeds still tell them apart.
        real = len(self.widths)
        asked = [index if index < real else real + (index - real) % self.drawn for index in range(len(widths))]
        return [
            [(asked[index], seeds[index], widths[index]) for index in batches[i]] for i in rng.permutation(len(batches))
        ]


class Lines(L.LightningDataModule):
    """The train and val lines of a corpus, checked against the alphabet and ready to be batched.

    Args:
        samples: real lines of both splits, of val some at least, of train where none are drawn.
        alphabet: the characters to be learnt.
        height: of prepared lines, in pixels.
        width_stride: of the network.
        batch_pixels: of a batch at most, padding included.
        augmentation: its strength.
        workers: processes that load lines for training.
        seed: of the order and the changes of lines.
        drawn: who draws lines for training, and how many in each epoch.
        growth: epochs in which drawn lines grow from words to whole lines.

    Raises:
        InputError: the alphabet lacks characters of the training text (they are named).
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        alphabet: Alphabet,
        height: int,
        width_stride: int,
        batch_pixels: int,
        augmentation: float,
        workers: int,
        seed: int,
        drawn: Sequence[tuple[Drawer, int]] = (),
        growth: float = 0.0,
    ) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.width_stride = width_stride
        self.workers = workers
        splits = {split: [s for s in samples if s.split == split and s.text] for split in ("train", "val")}
        texts = [*(s.text for s in splits["train"]), *(drawer.characters for drawer, _ in drawn)]
        if missing := alphabet.missing(texts):
            raise InputError(
                f"the alphabet lacks characters of the training text: {named(missing)}; add them, or leave alphabet "
                "empty to take all that occur"
            )
        if unknown := alphabet.missing(s.text for s in splits["val"]):
            log.warning(
                "the alphabet lacks characters of the validation text, which count as errors: %s", named(unknown)
            )
        self.train = LineData(splits["train"], height, augmentation, drawn)
        narrow = dict.fromkeys(
            sample.id
            for sample, width in zip(splits["train"], self.train.widths)
            if columns_needed(sample.text) > columns_of(width, width_stride)
        )
        if narrow:
            log.warning(
                "%s for training: nothing can be learnt, as the text is too long for the picture; do they belong together? %s",
                counted(len(narrow), "line"),
                ", ".join(list(narrow)[:NAMED]) + (", ..." if len(narrow) > NAMED else ""),
            )
        self.val = LineData(splits["val"], height, augmentation)
        self._sampler = {
            "train": WidthBatches(
                self.train.widths,
                height,
                batch_pixels,
                seed,
                augmentation,
                drawn=len(self.train.drawers),
                like=self.train.widths or self.val.widths,
                growth=growth,
            ),
            "val": WidthBatches(self.val.widths, height, batch_pixels, seed),
        }

    def state_dict(self) -> dict[str, int]:
        return {"next_epoch": self.trainer.current_epoch + 1}

    def load_state_dict(self, state: dict[str, int]) -> None:
        # Lightning begins to load a resumed run's first epoch before it tells the sampler which one that is.
        self._sampler["train"].set_epoch(state["next_epoch"])

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", self.train)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", self.val)

    def _loader(self, name: str, data: LineData) -> DataLoader:
        sampler = self._sampler[name]
        if self.trainer is not None:
            sampler.rank, sampler.ranks = self.trainer.global_rank, self.trainer.world_size
        workers = self.workers if name == "train" else 0
        return DataLoader(
            data,
            batch_sampler=sampler,
            collate_fn=partial(make_batch, alphabet=self.alphabet, width_stride=self.width_stride),
            num_workers=workers,
            persistent_workers=workers > 0,
        )


def make_batch(items: list[tuple[np.ndarray, str]], alphabet: Alphabet, width_stride: int) -> Batch:
    """Lays items of `LineData` together."""
    images, columns = collate([line for line, _ in items], width_stride)
    texts = [text for _, text in items]
    # Validation texts may hold characters that training does not: no class stands for them.
    encoded = [alphabet.encode("".join(c for c in text if c in alphabet.characters)) for text in texts]
    targets = torch.tensor([index for classes in encoded for index in classes], dtype=torch.long)
    return Batch(images, columns, targets, torch.tensor([len(classes) for classes in encoded]), texts)
