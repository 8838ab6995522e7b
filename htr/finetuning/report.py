"""What fine-tuning did, in Markdown."""

from __future__ import annotations

from math import sqrt
from typing import Any

from htr.alphabet import named
from htr.benchmark.blocks import markdown_table
from htr.benchmark.details import sign
from htr.finetuning.run import Outcome
from htr.finetuning.selftraining import SelfTaught
from htr.messages import counted, of_some

# Confusions that are listed.
_CONFUSIONS = 12

# More lines help much where the second half of the lines took so large a share of the errors away.
_MUCH, _LITTLE = 0.15, 0.05

# Held-out lines below which chance decides that.
_FEW = 8

# So few characters are chance, however few are wrong.
_CHANCE = 5

_INTERVALS = "In brackets: 95 % bootstrap intervals over lines, of ten lines or more."
_LOST = "Lines in fonts were learnt on the way too, so that other people's hands may have lost more than they show."


def verdict(outcome: Outcome) -> str:
    """The outcome in a sentence or two."""
    cer_before, cer = _rate(outcome.before, "CER"), _rate(outcome.after, "CER")
    if outcome.kept:
        return (
            f"No weights read the {outcome.lines['held out']} held-out lines better than those from which they came "
            f"({cer_before}), so {outcome.weights} holds these unchanged. {more_lines(outcome)}"
        )
    return (
        f"Of the {outcome.before['characters']} characters of the held-out lines {cer} are wrong, {cer_before} before. "
        f"{more_lines(outcome)}"
    )


def more_lines(outcome: Outcome) -> str:
    """What the learning curve says."""
    _, half, whole = outcome.curve
    gain = (half["CER"] - whole["CER"]) / max(half["CER"], 1e-9)
    labelled = "Of labelled lines alone: with" if outcome.unread and outcome.unread["learnt"] else "With"
    seen = (
        f"{labelled} {half['lines']} lines it was {half['CER']:.1f} %, with {whole['lines']} it is {whole['CER']:.1f} %"
    )
    if outcome.lines["held out"] < _FEW:
        return f"{seen}: too few held-out lines to say whether more lines would help."
    if gain > _MUCH:
        return f"{seen}: more lines will help."
    if gain > _LITTLE:
        return f"{seen}: more lines will help a little."
    if gain < -_LITTLE:
        return f"{seen}, which says nothing of more lines."
    return f"{seen}: more lines of this kind would hardly help."


def of_unread(outcome: Outcome) -> str:
    """What came of lines that nobody transcribed; nothing where there were none."""
    facts = outcome.unread
    if not facts:
        return ""
    found = counted(facts["found"], "unread line")
    if outcome.kept:
        return f"{found} stayed unread, since what was learnt of the others did not help."
    if not facts["lines"]:
        return f"Nothing could be read in {found}."
    change = f"of the characters of the held-out lines, {facts['with']:.1f} % are wrong with them, {facts['without']:.1f} % without"
    end = "learnt as they were read" if facts["learnt"] else "tried, and left out in the end"
    return f"{facts['lines']} of {found} were read and {end}: {change}."


def verdict_alone(outcome: SelfTaught) -> str:
    """What came of unread lines alone."""
    lines, language = f"the {outcome.held_out} held-out lines", " or ".join(outcome.language)
    bits = f"{outcome.bits_after:.2f} bits a character, {outcome.bits_before:.2f} before"
    if not outcome.kept:
        return (
            f"What the network alone reads in {lines} is more like {language} ({bits}), which is no proof that it is right: compare "
            "the readings in the report."
        )
    if outcome.bits_after < outcome.bits_before:
        why = f"only {outcome.characters_after} characters in {lines}, {outcome.characters_before} before"
    else:
        why = f"{lines} no more like {language} ({bits})"
    return f"What was learnt reads {why}, so {outcome.weights} holds the weights from which it came unchanged."


def report_alone(outcome: SelfTaught) -> str:
    """The whole report of learning from unread lines alone."""
    parent = outcome.parent
    parts = [
        f"# {outcome.weights}",
        f"Went on from {parent['file']} ({parent['sha256'][:12]}…) with {outcome.learnt} of {outcome.found} lines that nobody "
        f"transcribed on {outcome.date}, in {outcome.minutes:g} minutes of training "
        f"({outcome.machine['processor']}, {counted(outcome.machine['threads'], 'thread')}). They were read with the help of "
        f"language, and learnt as they were read; {outcome.held_out} other ones were held out to check by.",
        verdict_alone(outcome),
        "How many characters are wrong, nobody can tell without a transcription. Are the pages in another language than those named, "
        "make a model of it (`python -m htr.language`) and give it with `--language`. And correct some lines, for a hundred that are "
        "right teach more (`python -m htr.suggest`, then `python -m htr.finetune SOURCE --unread …`).",
    ]
    if outcome.readings:
        rows = [[f"`{row['picture']}`", row["before"], row["after"]] for row in outcome.readings]
        parts += ["## Held-out lines, before and after", markdown_table(["picture", "before", "after"], rows)]
    parts += [
        "## What was lost",
        markdown_table(
            [f"{outcome.sample_before['lines']} lines in fonts", "before", "after"],
            [[name, _rate(outcome.sample_before, name), _rate(outcome.sample_after, name)] for name in ("CER", "WER")],
        ),
        f"{_INTERVALS} {_LOST}",
        "## Values of each training",
        _values(outcome.config),
    ]
    return "\n\n".join(parts) + "\n"


def _of_known(outcome: Outcome) -> str:
    return (
        f"{outcome.parent['file']} had learnt from {', '.join(outcome.known)} before, and may have known some of these lines: "
        "then the figures before are too good, and too little seems to be gained."
    )


def report(outcome: Outcome) -> str:
    """The whole report."""
    parent, lines = outcome.parent, outcome.lines
    pages = f" of {counted(outcome.pages, 'page')}" if outcome.pages else ""
    parts = [
        f"# {outcome.weights}",
        f"Went on from {parent['file']} ({parent['sha256'][:12]}…) with {lines['learnt']} lines{pages} in the folder "
        f"`{outcome.source}` on {outcome.date}, in "
        f"{outcome.minutes:g} minutes of training ({outcome.machine['processor']}, {counted(outcome.machine['threads'], 'thread')}). "
        f"{lines['held out']} lines were held out{of_some(outcome.checked_by)}: the best state was chosen by them, so that the "
        "figures on them are a little too good."
        + (" Then all lines were learnt: the new weights know those held out, too." if outcome.all_learnt else ""),
        *([_of_known(outcome)] if outcome.known else []),
        verdict(outcome),
        *([of_unread(outcome)] if outcome.unread else []),
        markdown_table(
            ["", "before", "after"],
            [
                [f"{what}, {name}", _rate(before, name, scores), _rate(after, name, scores)]
                for what, before, after, scores in (
                    (f"{lines['held out']} held-out lines", outcome.before, outcome.after, "scores"),
                    *[("the same with language models", outcome.before, outcome.after, "scores_with_language")]
                    * bool(outcome.language),
                    (f"{outcome.sample_before['lines']} lines in fonts, for what was lost",
                     outcome.sample_before, outcome.sample_after, "scores"),
                )
                for name in ("CER", "WER")
            ],
        ),
        f"{_INTERVALS} {_language(outcome)}{_LOST}",
        "## More lines?",
        markdown_table(["learnt lines", "CER on held-out lines"], [[row["lines"], f"{row['CER']:.2f} %"] for row in outcome.curve]),
    ]  # fmt: skip
    if outcome.new and not outcome.kept:
        parts.append(f"New characters: {named(outcome.new)} ({len(outcome.new)}).")
    if outcome.mended:
        rows = [
            [_shown(row["true"]), _shown(row["read"]), row["before"], row["after"]]
            for row in outcome.mended[:_CONFUSIONS]
        ]
        parts += [
            "## Confusions that became fewer" + " (with language models)" * bool(outcome.language),
            markdown_table(["written", "read", "before", "after"], rows),
        ]
    if outcome.doubts:
        rows = [[doubt.line, doubt.reason, doubt.text] for doubt in outcome.doubts]
        parts += ["## Lines that were set aside", markdown_table(["line", "why", "its text"], rows)]
    parts += ["## Values", _values(outcome.config)]
    return "\n\n".join(parts) + "\n"


def _values(config: dict[str, Any]) -> str:
    own = ("run", "data", "trainer", "alphabet")
    return "\n".join(f"- {name}: {value}" for name, value in config.items() if name not in own)


def language_harms(outcome: Outcome) -> bool:
    """Whether the new weights read the held-out lines worse with the help of the language models, by more than is chance: some two
    standard deviations, if a quarter of the mistakes are others than without."""
    if not outcome.language:
        return False
    plain, helped = (
        outcome.after[scores]["CER"]["value"] / 100 * outcome.after["characters"]
        for scores in ("scores", "scores_with_language")
    )
    return helped - plain > max(_CHANCE, sqrt(plain))


def _language(outcome: Outcome) -> str:
    if not outcome.language:
        return ""
    end = "they do harm, so read with `--language none`" if language_harms(outcome) else "they do not harm"
    return f"The language models are those of {' and '.join(outcome.language)}; on these lines {end}. "


def _rate(figures: dict[str, Any], name: str, scores: str = "scores") -> str:
    rate = figures[scores][name]
    known = rate["low"] is not None
    return f"{rate['value']:.1f} %" + (f" [{rate['low']:.1f}, {rate['high']:.1f}]" if known else "")


def _shown(character: str) -> str:
    return sign(character) if character else "nothing"
