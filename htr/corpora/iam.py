"""The IAM Handwriting Database: its official folder, and the parquet files of Teklia/IAM-line.

IAM may be used for non-commercial research; see `data/README.md` for how to get it and where to put it.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

from htr.alphabet import normalise
from htr.corpora.sample import SPLITS, Sample
from htr.errors import InputError, first_line
from htr.files import read_text
from htr.pages.images import open_image

FULL_SPLIT_LINES = {"train": 6482, "val": 976, "test": 2915}
"""Lines of each split in the complete database."""

HUB_NAME = "Teklia/IAM-line"

log = logging.getLogger(__name__)


def load_iam(path: str | Path) -> list[Sample]:
    """Reads IAM from the official folder, from parquet files, or from the hub.

    Args:
        path: the folder that holds `ascii/lines.txt`, a folder or file of parquet in Teklia/IAM-line's form (its file
            names tell the split), or the name `Teklia/IAM-line`.

    Returns:
        Lines of the Aachen split in the database's order, with natural text. `err` lines are kept: only their word
        segmentation failed. Lines without an image file are left out and counted in one log line.

    Raises:
        InputError: nothing usable there, a malformed row, or splits that share a form or a writer.
    """
    samples = _load(path)
    check_disjoint(samples)
    found = {split: sum(sample.split == split for sample in samples) for split in SPLITS}
    if found != FULL_SPLIT_LINES:
        log.warning(
            "%s: an incomplete Aachen split (%s), so figures are not comparable with published ones",
            path, ", ".join(f"{split} {found[split]} of {FULL_SPLIT_LINES[split]}" for split in SPLITS),
        )  # fmt: skip
    return samples


def _load(path: str | Path) -> list[Sample]:
    if str(path) == HUB_NAME and not Path(path).exists():
        return _load_parquet(_download())
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such folder; data/README.md tells how to get IAM and where to put it")
    if path.is_file() and path.suffix != ".parquet":
        raise InputError(
            f"{path}: is no folder of the database; give the folder that holds its ascii and lines folders"
        )
    if path.is_file() or (not (path / "ascii").is_dir() and any(path.rglob("*.parquet"))):
        return _load_parquet([path] if path.is_file() else sorted(path.rglob("*.parquet")))
    return _load_official(path)


def holds_iam(path: Path) -> bool:
    """Whether the database lies there, as its official tables or as parquet, rather than lines of one's own."""
    return (path / "ascii").is_dir() or path.suffix == ".parquet" or any(path.rglob("*.parquet"))


def aachen_split() -> dict[str, str]:
    """Maps the 1,199 form ids of the Aachen (RWTH) split to `train`, `val` or `test`."""
    folder = resources.files("htr.corpora") / "splits"
    return {form: split for split in SPLITS for form in (folder / f"aachen-{split}.txt").read_text().split()}


def natural_text(tokens: str) -> str:
    """Turns the database's token form into text as people write it: `support , a` becomes `support, a`.

    Marks join the word that they belong to; contractions (`it 's`) and brackets close up. Of double and single quotes
    the line alone tells whether they open or close: by what stands before, else in turn. Natural text passes
    unchanged.
    """
    words: list[str] = []
    joins_next = False
    open_quotes: dict[str, bool] = {}
    parts = normalise(tokens).split(" ")
    for index, part in enumerate(parts):
        joins_last = part in _CLOSING or bool(_CONTRACTION.fullmatch(part))
        opens = part == "("
        if part in ('"', "'"):
            last = index + 1 == len(parts)
            if part in open_quotes:
                opens = not last and not open_quotes[part]
            else:
                opens = index == 0 or (not last and _quote_opens(parts[index - 1], parts[index + 1]))
            open_quotes[part] = opens
            joins_last = not opens
        if words and (joins_last or joins_next):
            words[-1] += part
        else:
            words.append(part)
        joins_next = opens
    return " ".join(words)


_CLOSING = frozenset([",", ".", ";", ":", "!", "?", ")", "..."])
_CONTRACTION = re.compile(r"'(s|d|m|ll|re|ve|t)|n't", re.IGNORECASE)


def _quote_opens(before: str, after: str) -> bool:
    # The line may begin inside a quotation, so a quote may close one that was not seen open.
    return before not in {".", "!", "?", "..."} and after not in _CLOSING | {"-"}


def _load_official(folder: Path) -> list[Sample]:
    table = folder / "ascii" / "lines.txt"
    if not table.is_file():
        raise InputError(f"{folder}: has no ascii/lines.txt; give the folder that holds IAM's ascii and lines folders")
    writers = writers_of_forms(folder)
    splits = aachen_split()
    samples, without_image = [], 0
    texts: dict[str, dict[str, str]] = {}
    for number, row in table_rows(table):
        fields = row.split(" ", 8)
        name = re.fullmatch(r"([a-z]\d\d)-(\d{3}[a-z]?)-\d+", fields[0])
        if len(fields) != 9 or not name or fields[1] not in ("ok", "err") or not fields[8].strip("| "):
            raise malformed(table, number, row)
        form = f"{name[1]}-{name[2]}"
        if form not in splits:
            continue
        image = folder / "lines" / name[1] / form / f"{fields[0]}.png"
        if not image.is_file():
            without_image += 1
            continue
        if form not in texts:
            texts[form] = xml_texts(folder / "xml" / f"{form}.xml")
        text = texts[form].get(fields[0]) or natural_text(fields[8].replace("|", " "))
        samples.append(Sample(fields[0], text, splits[form], partial(open_image, image), writers.get(form), form))
    if without_image:
        log.warning("%s: %d lines have no image and are left out, %d have one", folder, without_image, len(samples))
    if not samples:
        raise InputError(f"{folder}: no line of lines.txt has its image under lines/; unpack lines.tgz there")
    return samples


def table_rows(table: Path) -> Iterator[tuple[int, str]]:
    """Rows of one of the database's tables with their numbers from 1, without comments.

    Raises:
        InputError: not a text file, or one that cannot be read.
    """
    for number, row in enumerate(read_text(table).splitlines(), 1):
        if row.strip() and not row.startswith("#"):
            yield number, row.rstrip()


def malformed(table: Path, number: int, row: str) -> InputError:
    """What is wrong with such a row of a table of IAM's."""
    return InputError(f"{table}: line {number} is malformed ({row[:60]!r}); copy the file again from the database")


def writers_of_forms(folder: Path) -> dict[str, str]:
    """Who wrote the forms of a folder of IAM; none, with a warning, where `ascii/forms.txt` is missing.

    Raises:
        InputError: a row is malformed; it is named.
    """
    table = folder / "ascii" / "forms.txt"
    if not table.is_file():
        log.warning("%s: missing, so writers are not known", table)
        return {}
    writers = {}
    for number, row in table_rows(table):
        fields = row.split()
        if len(fields) < 2:
            raise malformed(table, number, row)
        writers[fields[0]] = fields[1]
    return writers


def xml_texts(file: Path) -> dict[str, str]:
    """Natural text of a form's lines by id, where the database's xml/ is there.

    Raises:
        InputError: not XML.
    """
    if not file.is_file():
        return {}
    try:
        return {
            # The database escapes its texts twice.
            line.get("id", ""): normalise(html.unescape(line.get("text", "")))
            for line in ElementTree.parse(file).iter("line")
        }
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{file}: not well-formed XML ({error}); copy it again from the database") from None


def check_disjoint(samples: list[Sample]) -> None:
    """Makes sure that no form and no writer is in two splits.

    Raises:
        InputError: one is; it is named.
    """
    for kind in ("form", "writer"):
        seen: dict[str, str] = {}
        for sample in samples:
            name = getattr(sample, kind)
            if name is not None and seen.setdefault(name, sample.split) != sample.split:
                raise InputError(
                    f"{kind} {name} is in both {seen[name]} and {sample.split}; splits may share no {kind}"
                )


def _load_parquet(files: list[Path]) -> list[Sample]:
    import pyarrow.parquet as parquet

    samples = []
    for file in files:
        split = next((split for split in SPLITS if file.name.startswith(split)), None)  # validation… too
        if split is None:
            raise InputError(
                f"{file}: its name tells no split; name it like train-00000.parquet, validation-… or test-…"
            )
        try:
            rows = parquet.read_table(file).to_pylist()
        except Exception as error:
            raise InputError(f"{file}: not a readable parquet file ({first_line(error)}); download it again") from None
        for number, row in enumerate(rows):
            if not {"image", "text"} <= row.keys():
                raise InputError(f"{file}: has no columns image and text; give files of {HUB_NAME}")
            data = row["image"].get("bytes") if isinstance(row["image"], dict) else None
            if not isinstance(data, bytes) or not isinstance(row["text"], str):
                raise InputError(f"{file}: row {number} has no picture or no text; download the file again")
            # Teklia's files hold no ids; files that do (column id) give the same samples as the official folder.
            name = str(row.get("id") or f"{file.stem}-{number}")
            form = re.fullmatch(r"([a-z]\d\d-\d{3}[a-z]?)-\d+", name)
            image = partial(open_image, data, name)
            samples.append(
                Sample(name, natural_text(row["text"]), split, image, row.get("writer"), form[1] if form else None)
            )
    return samples


def _download() -> list[Path]:
    import huggingface_hub

    fetch = partial(huggingface_hub.snapshot_download, HUB_NAME, repo_type="dataset", allow_patterns="*.parquet")
    try:
        # Asked first, since the download itself retries for most of a minute where there is no network.
        huggingface_hub.HfApi().dataset_info(HUB_NAME, timeout=10)
        folder = fetch()
    except Exception as error:
        try:
            folder = fetch(local_files_only=True)  # what it answered once
        except Exception:
            raise InputError(
                f"{HUB_NAME}: the hub does not answer ({first_line(error)}); go online, or give a folder of its parquet files"
            ) from None
    return sorted(Path(folder).rglob("*.parquet"))
