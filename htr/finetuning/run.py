"""Fine-tuning from start to end: lines gathered and checked, weights trained, compared with those they came from, written."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from htr.alphabet import named
from htr.benchmark.details import mistakes
from htr.benchmark.lines import evaluate_lines
from htr.corpora import load_corpus
from htr.corpora.sample import Doubt, Sample
from htr.corpora.source import load_source
from htr.finetuning.claim import claim, gathering, tell_taught, train_in
from htr.finetuning.lines import are_written, choose_lines, learn_all, read_doubts, write_lines, written_lines
from htr.finetuning.mixing import mix, mixture_of, write_taught
from htr.finetuning.recipe import Read, pace, recipe
from htr.finetuning.unread import find_unread, keep_unread, read_unread
from htr.language import AUTO, NONE, LanguageModel, find_models, load_languages
from htr.messages import NAMED, counted, of_some
from htr.reader import Reader
from htr.training.config import TrainConfig
from htr.weights import TAUGHT, Weights, load_weights

log = logging.getLogger(__name__)

ALL_LINES = "all-lines"
"""Of a run, the folder of the corpus from which the new weights have learnt."""

# From this CER on, in percent, weights do not read at all, however much worse they were before.
_UNREADABLE = 90.0

# In the folder of a run's lines, the table of those that are set aside.
_ASIDE = "set-aside.tsv"


@dataclass(frozen=True)
class Outcome:
    """What fine-tuning came to.

    Attributes:
        weights: the new file.
        parent: name and checksum of the weights that it went on from.
        kept: whether the new weights are the parent's, since no others read the held-out lines better.
        source: name of the folder of the lines.
        known: names of the folders that the parent had learnt and that may hold some of them.
        lines: how many were learnt, held out (and learnt once the weights had passed), and set aside.
        all_learnt: whether the lines held out were learnt, too, in the end.
        pages: how many the learnt lines are of; 0 where that is not known.
        checked_by: the pages that the held-out lines are of, where these are known.
        new: characters that the parent could not write.
        before, after: figures of `htr.benchmark.lines.evaluate_lines` on the held-out lines, without the readings; `after` of
            weights that had not learnt these.
        sample_before, sample_after: the same on the test lines of the embedded sample, for what was lost.
        mended: confusions (what stands there, what was read) with their numbers before and after, most mended first.
        curve: numbers of learnt lines and CER on the held-out ones in percent, from 0 lines on.
        doubts: the lines that were set aside.
        language: the models that helped.
        unread: of lines that nobody transcribed, where such were given: how many were `found`, how many `lines` were read and tried,
            whether they were `learnt` in the end, and, if tried, the CER on the held-out lines `without` and `with` them in percent.
        minutes: of all trainings.
        config: of the training with all lines.
        machine: that it ran on.
        date: of the day.
    """

    weights: str
    parent: dict[str, str]
    kept: bool
    source: str
    known: list[str]
    lines: dict[str, int]
    all_learnt: bool
    pages: int
    checked_by: list[str]
    new: str
    before: dict[str, Any]
    after: dict[str, Any]
    sample_before: dict[str, Any]
    sample_after: dict[str, Any]
    mended: list[dict[str, Any]]
    curve: list[dict[str, float]]
    doubts: list[Doubt]
    language: list[str]
    unread: dict[str, Any] | None
    minutes: float
    config: dict[str, Any]
    machine: dict[str, Any]
    date: str


def finetune(
    source: Path,
    out: Path,
    start: str | None = None,
    overrides: Sequence[str] = (),
    unread: Path | None = None,
    language: str = AUTO,
) -> Outcome:
    """Teaches weights the lines of a source, or goes on where that was stopped.

    Weights that have learnt all but some held-out lines must read these better than the parent does. If they do, all lines are
    learnt in another training, and the new weights are those of both, mixed with the parent's. Before that last training, the
    weights read lines that nobody transcribed, if there are any, and learn from these as well; where that does not help, they are
    left out.

    Args:
        source: labelled lines; see `htr.corpora.source.load_source`.
        out: the new weights file. What a run needs to go on, and the lines that were set aside, lie in a folder beside it
            whose name ends in `.run`; a report in Markdown has the name of `out`.
        start: weights to go on from: a file, or the name of weights that come along; the usual ones if None.
        overrides: `key=value` words to lay over the recipe; see `htr.training.config.TrainConfig`.
        unread: a folder of pages, or lines, of the same hand; see `htr.finetuning.unread.find_unread`.
        language: that helps in reading these, pages that have a plain text beside them, and the held-out lines; see
            `htr.language.load_languages`.

    Raises:
        InputError: something about the arguments or the data will not do.
    """
    overrides = list(overrides)
    parent = load_weights(start)
    recipe(parent, source, out, 1, 1.0, overrides)  # a wrong word is found before anything is written
    languages = load_languages(language)
    folder = claim(source, out, parent, overrides, unread, language)
    known = tell_taught(source, parent)
    corpus = folder / "lines"
    if not are_written(corpus):
        # Weights of its own: on a GPU the reader takes them there, and the parent's are mixed on the CPU.
        with gathering():
            _gather(source, unread, Reader(load_weights(start), languages), folder)
    samples, doubts = load_corpus(f"lines:{corpus}"), read_doubts(corpus / _ASIDE)
    learnt = [sample for sample in samples if sample.split == "train"]
    pages = {sample.form for sample in learnt if sample.form}
    checked_by = sorted({sample.form for sample in samples if sample.split == "val" and sample.form})
    counts = {"learnt": len(learnt), "held out": len(samples) - len(learnt), "set aside": len(doubts)}
    new = parent.alphabet.missing([sample.text for sample in samples])
    folder = folder.resolve()  # whatever folder the command is given in the next time
    _say(counts, pages, checked_by, doubts, new, folder / "lines")

    course = _Course(parent, folder, samples, overrides, parent.alphabet.characters + new, language)
    passed, half = course.learn("all", 1.0), course.learn("half", 0.5)
    kept = not _passes(passed.held_out, course.before)
    curve = [
        {"lines": lines, "CER": _cer(figures)}
        for lines, figures in (
            (0, course.before), (course.runs[-1]["train_lines"], half.held_out), (len(learnt), passed.held_out)
        )
    ]  # fmt: skip
    read, of_unread = None, None
    if unread:
        of_unread = {"found": len(written_lines(folder / "unread")), "lines": 0, "learnt": False}
        if not kept:
            passed, read, tried = course.try_unread(passed, languages)
            of_unread |= tried
    sample_after, mixed, learnt_from, all_learnt = course.sample_before, None, {}, False
    if not kept:
        mixed = folder / "mixed.safetensors"
        whole = course.finish(passed, read, mixed)
        sample_after = whole.sample
        all_learnt = len(whole.tuned) > 1
        learnt_from = {
            "data": [source.resolve().name],
            "train_lines": len(samples if all_learnt else learnt),
            **(
                {"unread": unread.resolve().name, "unread_lines": read.lines if all_learnt else of_unread["lines"]}
                if read
                else {}
            ),
            "encoder_weights": course.runs[0]["encoder_weights"],
            "averaged": f"{whole.share:g} {TAUGHT}",
        }
    write_taught(out, parent, mixed, learnt_from)
    return Outcome(
        weights=str(out), parent={"file": Path(parent.file).name, "sha256": parent.sha256}, kept=kept,
        source=source.resolve().name, known=known, lines=counts,
        all_learnt=all_learnt, pages=len(pages), checked_by=checked_by, new=new,
        before=without_readings(course.before), after=without_readings(course.before if kept else passed.held_out),
        sample_before=without_readings(course.sample_before), sample_after=without_readings(sample_after),
        mended=[] if kept else _mended(course.before, passed.held_out), curve=curve, doubts=doubts,
        language=[file.stem for file in find_models(language)], unread=of_unread,
        minutes=round(sum(run["minutes"] for run in course.runs), 1), config=course.runs[0]["config"],
        machine=course.runs[0]["machine"], date=date.today().isoformat(),
    )  # fmt: skip


def _gather(source: Path, unread: Path | None, reader: Reader, folder: Path) -> None:
    """Writes the lines of a source, and those unread, to the folder of a run; the labelled ones last, as a sign that all are there."""
    same = bool(unread) and unread.samefile(source)
    without = find_unread(unread, same) if unread else None  # if all has a text, that is said before long work
    found = load_source(source, reader.read_page, same)
    corpus, stride = folder / "lines", reader.weights.header.network["width_stride"]
    chosen = choose_lines(found, corpus / _ASIDE, reader.weights.header.height, stride)
    if without:
        # Of a page of which htr wrote the XML, the lines are labelled if it is found in SOURCE, and else unread.
        known = {sample.form for sample in found.samples if sample.form} if same else set()
        count = keep_unread(without, folder / "unread", found.samples, reader, but=known, pages=found.pages)
        log.warning("%s without a text will be read and learnt from", counted(count, "line"))
    write_lines(corpus, chosen)


def _say(
    counts: dict[str, int], pages: set[str], checked_by: list[str], doubts: list[Doubt], new: str, corpus: Path
) -> None:
    of_pages = f" of {counted(len(pages), 'page')}" if pages else ""
    log.warning(
        "%d lines%s to learn from, %d held out to check by%s",
        counts["learnt"], of_pages, counts["held out"], of_some(checked_by),
    )  # fmt: skip
    if doubts:
        are = "is" if len(doubts) == 1 else "are"
        log.warning("%s %s set aside (%s):", counted(len(doubts), "line"), are, corpus / _ASIDE)
        for doubt in doubts[:NAMED]:
            log.warning("  %s %s", doubt.line, ": ".join(filter(None, (doubt.reason, doubt.text))))
    if new:
        are = "is" if len(new) == 1 else "are"
        log.warning("%s %s new to the weights and %s learnt: %s", counted(len(new), "character"), are, are, named(new))


def _read(weights: str | Path, checks: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [evaluate_lines(data, split, str(weights), language) for data, split, language in checks]


def _cer(result: dict[str, Any]) -> float:
    return result["scores"]["CER"]["value"]


def _passes(after: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether held-out lines are read better than before, or, as a few lines may have been before too, without an error."""
    return _cer(after) < min(_cer(before), _UNREADABLE) or _cer(after) == 0


class _Mixture(NamedTuple):
    """What one or more trainings have learnt, mixed with the parent's weights.

    Attributes:
        tuned: the trainings' weights.
        share: of what was learnt.
        held_out: figures of the held-out lines.
        sample: of the embedded sample's, where these were read too.
    """

    tuned: list[Path]
    share: float
    held_out: dict[str, Any]
    sample: dict[str, Any] | None = None


class _Course:
    """The trainings of a run, one after the other, and what they are judged by.

    Args:
        parent: weights to go on from.
        folder: of the run, whose labelled lines are there.
        samples: these lines.
        overrides: `key=value` words to lay over the recipe.
        alphabet: of the new weights.
        language: that helps in reading the held-out lines.

    Attributes:
        runs: what `htr.training.run.train` gave of each training, in order.
        before, sample_before: the parent's figures on the held-out lines and on those of the embedded sample.
    """

    def __init__(
        self, parent: Weights, folder: Path, samples: list[Sample], overrides: list[str], alphabet: str, language: str
    ) -> None:
        self._parent, self._folder, self._samples = parent, folder, samples
        self._overrides, self._alphabet = overrides, alphabet
        # Lines that are read before and after: corpus, split, and the language that helps.
        self._checks = [(f"lines:{folder / 'lines'}", "val", language), ("sample", "test", NONE)]
        self.runs: list[dict[str, Any]] = []
        self.before, self.sample_before = _read(parent.file, self._checks)

    def learn(self, name: str, share: float) -> _Mixture:
        """Learns a share of the lines that are not held out, in a folder of this name."""
        return self._checked(self._train(self._recipe(name, share)))

    def try_unread(
        self, passed: _Mixture, languages: list[LanguageModel]
    ) -> tuple[_Mixture, Read | None, dict[str, Any]]:
        """Goes on with unread lines, as what has passed reads them.

        Returns:
            What passed in the end; the lines, read again, if they helped; and facts for `Outcome.unread`.
        """
        read = self._read_unread("read", passed, languages)
        if not read.lines:
            return passed, None, {}
        taught = self._checked(self._train(self._recipe("taught", 1.0, read)))
        without, with_unread = _cer(passed.held_out), _cer(taught.held_out)
        helped = with_unread < without
        facts = {"lines": read.lines, "learnt": helped, "without": without, "with": with_unread}
        if not helped:
            return passed, None, facts
        # They are read better now.
        return taught, self._read_unread("read-again", taught, languages), facts

    def finish(self, passed: _Mixture, read: Read | None, out: Path) -> _Mixture:
        """Learns all lines, those held out and those read too, and mixes that with what has passed, to a file."""
        corpus = self._folder / ALL_LINES
        if not are_written(corpus):
            write_lines(corpus, learn_all(self._samples))
        config = recipe(self._parent, corpus, self._folder / "whole", len(self._samples), 1.0, self._overrides, read)
        # Another order of the lines, and, as all are learnt, nothing to choose by before the end.
        last = {**config.trainer, "check_val_every_n_epoch": 1 if config.minutes else config.epochs}
        tuned = self._train(replace(config, seed=(config.seed + 1) % 2**32, trainer=last))
        # Should the last training have failed, what passed is there.
        choices = [(trainings, passed.share) for trainings in ([*passed.tuned, tuned], passed.tuned)]
        return _mixed(self._parent, choices, out, self._checks, self.before)

    def _recipe(self, name: str, share: float, read: Read | None = None) -> TrainConfig:
        """The recipe for a share of the lines that are not held out."""
        learnt = sum(sample.split == "train" for sample in self._samples)
        return recipe(self._parent, self._folder / "lines", self._folder / name, learnt, share, self._overrides, read)

    def _train(self, config: TrainConfig) -> Path:
        self.runs.append(train_in(self._folder, replace(config, alphabet=self._alphabet)))
        return Path(self.runs[-1]["weights"])

    def _checked(self, tuned: Path) -> _Mixture:
        """Mixes a training with the parent, and reads the held-out lines."""
        choices = [([tuned], pace(self._parent).share), ([tuned], 1.0)]
        return _mixed(self._parent, choices, mixture_of(tuned), self._checks[:1], self.before)

    def _read_unread(self, name: str, passed: _Mixture, languages: list[LanguageModel]) -> Read:
        """Reads the unread lines with what has passed, or takes what was read before."""
        corpus, (tuned, *_) = self._folder / name, passed.tuned
        if not are_written(corpus):
            read_unread(self._folder / "unread", corpus, Reader(load_weights(mixture_of(tuned)), languages))
        return Read(f"lines:{corpus}", len(written_lines(corpus)), tuned)


def _mixed(
    parent: Weights,
    choices: list[tuple[list[Path], float]],
    out: Path,
    checks: list[tuple[str, str, str]],
    before: dict[str, Any],
) -> _Mixture:
    """Writes the first mixture (trainings, share of what they learnt) that passes on the lines of the first check, or the last."""
    for tuned, share in choices:
        mix(parent, tuned, out, share)
        figures = _read(out, checks)
        if _passes(figures[0], before):
            break
    return _Mixture(tuned, share, *figures)


def without_readings(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("lines", "characters", "scores", "scores_with_language")}


def _mended(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """Confusions, insertions (nothing stands there) and deletions (nothing was read) that became fewer."""

    old, new = (
        Counter(mistake for line in result["readings"] for mistake in mistakes(line["truth"], line["reading"]))
        for result in (before, after)
    )
    rows = [
        {"true": true, "read": read, "before": count, "after": new[true, read]} for (true, read), count in old.items()
    ]
    return sorted((row for row in rows if row["after"] < row["before"]), key=lambda row: row["after"] - row["before"])
