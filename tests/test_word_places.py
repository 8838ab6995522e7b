"""Where words lie in a line, against the places that IAM gives."""

import csv
from difflib import SequenceMatcher
from pathlib import Path

import htr
from htr.corpora.iam import load_iam


def test_words_lie_where_iam_says(shared_iam):
    places = _places(shared_iam / "words.tsv")
    samples = [sample for sample in load_iam(shared_iam) if sample.split == "val" and sample.id in places][:40]
    shares = []
    for sample, line in zip(samples, htr.load().read_lines([sample.image() for sample in samples]), strict=True):
        true = places[sample.id]
        pairs = SequenceMatcher(None, [text for text, *_ in true], [word.text for word in line.words], autojunk=False)
        for block in pairs.get_matching_blocks():
            for number in range(block.size):
                _, left, right = true[block.a + number]
                found_left, _, found_right, _ = line.words[block.b + number].box
                shared = min(right, found_right) - max(left, found_left)
                shares.append(shared / (max(right, found_right) - min(left, found_left)))
    assert len(shares) > 100
    assert sum(share > 0.75 for share in shares) > 0.95 * len(shares)


def _places(table: Path) -> dict[str, list[tuple[str, float, float]]]:
    """Text, left and right edge of the words of each line."""
    places: dict[str, list[tuple[str, float, float]]] = {}
    with table.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            places.setdefault(row["line"], []).append((row["text"], float(row["x0"]), float(row["x1"])))
    return places
