"""What lies behind an error rate: which hands, lengths, characters and confusions, and what the confidence is worth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from htr.alphabet import normalise
from htr.metrics import align, count_edits

# Lines are put together by their length in steps of so many characters.
_STEP = 10

# The commonest confusions that are kept.
_CONFUSIONS = 40

# Groups of like confidence.
_GROUPS = 10

ACCEPTED_CER = 1.0
"""In percent: how wrong text may be that is accepted without being looked at."""

FEWEST_ACCEPTED = 30
"""Of fewer lines chance decides whether they are right."""


def details(readings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Breaks the errors of some lines down.

    Args:
        readings: of each line, `truth`, `reading`, `confidence` and `writer` (None where not known), as
            `htr.benchmark.lines.evaluate_lines` gives them.

    Returns:
        Lists for tables and plots, small and without any line's text: `writers`, `lengths`, `characters`, `confusions`,
        `insertions`, `deletions`, `confidence` and `accepted`; rates are in percent.
    """
    counted = [
        (line, *count_edits(line["truth"], line["reading"]))
        for line in sorted(readings, key=lambda line: -line["confidence"])
    ]
    by_writer: dict[str, list[tuple[int, int]]] = defaultdict(list)
    by_length: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for line, edits, length in counted:
        if line["writer"]:
            by_writer[line["writer"]].append((edits, length))
        by_length[length // _STEP * _STEP].append((edits, length))
    return {
        "writers": sorted((_rate(counts) for counts in by_writer.values()), key=lambda rate: rate["CER"]),
        "lengths": [{"from": first, "to": first + _STEP - 1, **_rate(by_length[first])} for first in sorted(by_length)],
        **_characters(readings),
        "confidence": _confidence(counted),
        "accepted": _accepted(counted),
    }


def _rate(counts: Sequence[tuple[int, int]]) -> dict[str, Any]:
    edits, length = (sum(column) for column in zip(*counts))
    return {"lines": len(counts), "characters": length, "CER": round(100 * edits / max(length, 1), 2)}


def _characters(readings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """How often each character is wrong, and what is read for what."""
    seen, found = Counter(), Counter()
    for line in readings:
        seen.update(normalise(line["truth"]))
        found.update(mistakes(line["truth"], line["reading"]))
    wrong = Counter[str]()
    for (true, _), count in found.items():
        wrong[true] += count
    confused = Counter({mistake: count for mistake, count in found.items() if all(mistake)})
    inserted = Counter({read: count for (true, read), count in found.items() if not true})
    deleted = Counter({true: count for (true, read), count in found.items() if not read})
    return {
        "characters": [
            {"character": character, "count": count, "wrong": wrong[character]} for character, count in seen.most_common()
        ],
        "confusions": [
            {"true": true, "read": read, "count": count}
            for (true, read), count in confused.most_common(_CONFUSIONS)
        ],
        "insertions": _commonest(inserted),
        "deletions": _commonest(deleted),
    }  # fmt: skip


def mistakes(truth: str, reading: str) -> Iterator[tuple[str, str]]:
    """Each character that is read wrongly, and what is read in its place; one of them is empty where it was passed over, or
    where nothing stands."""
    for true, read in align(truth, reading):
        if true != read:
            yield from zip_longest(true, read, fillvalue="")


def mistake_counts(details: dict[str, Any], most: int | None = None) -> dict[tuple[str, str], int]:
    """How often each mistake, as `mistakes` gives it, was made.

    Args:
        details: as `details` gives them.
        most: of confusions, of insertions and of deletions, so many of the commonest; all that are kept if None.
    """
    return {
        **{(row["true"], row["read"]): row["count"] for row in details["confusions"][:most]},
        **{("", row["character"]): row["count"] for row in details["insertions"][:most]},
        **{(row["character"], ""): row["count"] for row in details["deletions"][:most]},
    }


def told(mistake: tuple[str, str]) -> str:
    """A mistake in words."""
    true, read = map(sign, mistake)
    if not mistake[0]:
        return f"{read} read where none is"
    return f"{true} read as {read}" if mistake[1] else f"{true} passed over"


def sign(character: str) -> str:
    """A character so that it is seen in a text."""
    return "space" if character == " " else f"`{character}`" if character != "`" else "backtick"


def _commonest(counts: Counter[str]) -> list[dict[str, Any]]:
    return [{"character": character, "count": count} for character, count in counts.most_common(_CONFUSIONS // 2)]


def _confidence(counted: Sequence[tuple[dict[str, Any], int, int]]) -> list[dict[str, Any]]:
    """Groups of equally many lines of like confidence, surest first: what is their confidence worth?"""
    groups = []
    count = min(_GROUPS, len(counted))
    for number in range(count):
        group = counted[number * len(counted) // count : (number + 1) * len(counted) // count]
        groups.append(
            {
                "confidence": round(100 * sum(line["confidence"] for line, _, _ in group) / len(group), 2),
                **_rate([(edits, length) for _, edits, length in group]),
            }
        )
    return groups


def _accepted(counted: Sequence[tuple[dict[str, Any], int, int]]) -> dict[str, Any]:
    """How much text can be taken unseen, surest lines first, until `ACCEPTED_CER` is reached."""
    total = sum(length for _, _, length in counted)
    edits = characters = 0
    share, threshold = 0.0, None
    curve = []
    for number, (line, wrong, length) in enumerate(counted, 1):
        edits, characters = edits + wrong, characters + length
        rate = 100 * edits / max(characters, 1)
        # Equally sure lines are accepted together.
        last = number == len(counted) or counted[number][0]["confidence"] < line["confidence"]
        if last and rate <= ACCEPTED_CER and number >= FEWEST_ACCEPTED:
            share, threshold = 100 * characters / total, line["confidence"]
        if number == len(counted) or number * 50 // len(counted) > (number - 1) * 50 // len(counted):
            curve.append({"share": round(100 * characters / max(total, 1), 1), "CER": round(rate, 2)})
    return {"CER": ACCEPTED_CER, "share": round(share, 1), "confidence": threshold, "curve": curve}
