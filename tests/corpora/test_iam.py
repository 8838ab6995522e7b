import shutil
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from htr.corpora.iam import FULL_SPLIT_LINES, aachen_split, check_disjoint, holds_iam, load_iam, natural_text
from htr.corpora.sample import Sample
from htr.errors import InputError


@pytest.fixture
def folder(iam_folder, tmp_path):
    """A copy that a test may break."""
    shutil.copytree(iam_folder, tmp_path / "iam")
    return tmp_path / "iam"


def rows(folder):
    return folder / "ascii" / "lines.txt"


@pytest.mark.parametrize(
    ("tokens", "natural"),
    [
        ("support , a", "support, a"),
        ("it 's what they 'll do .", "it's what they'll do."),
        ('said : " I do n\'t know . "', 'said: "I don\'t know."'),
        ('and the " gross and', 'and the "gross and'),
        ('demonstrations . " Yesterday Sir', 'demonstrations." Yesterday Sir'),
        ('affair " , he said', 'affair", he said'),
        ("' What an event ! ' he wrote . ' I tremble", "'What an event!' he wrote. 'I tremble"),
        ("National Congress ( 400,000 ) will", "National Congress (400,000) will"),
        ("told them , ' the police will act . ' At", "told them, 'the police will act.' At"),
        ("of the '30s - or later ...", "of the '30s - or later..."),
        ("M Ps tomorrow", "M Ps tomorrow"),
    ],
)
def test_natural_text(tokens, natural):
    assert natural_text(tokens) == natural
    assert natural_text(natural) == natural


def test_official_layout(iam_folder):
    samples = load_iam(iam_folder)
    assert Counter(sample.split for sample in samples) == {"train": 24, "val": 12, "test": 12}
    first = samples[0]
    assert first.id == f"{first.form}-00"
    assert first.writer == f"train-{first.form}"
    assert " ," not in first.text
    assert first.image().dtype == np.uint8


def test_err_lines_are_kept(folder):
    rows(folder).write_text(rows(folder).read_text().replace(" ok ", " err "))
    assert len(load_iam(folder)) == 48


def test_lines_without_an_image_are_skipped_and_counted(folder, caplog):
    for image in sorted(folder.rglob("*.png"))[:5]:
        image.unlink()
    assert len(load_iam(folder)) == 43
    assert "5 lines have no image and are left out, 43 have one" in caplog.text


def test_incomplete_splits_are_said(iam_folder, caplog):
    load_iam(iam_folder)
    assert "incomplete Aachen split (train 24 of 6482, val 12 of 976, test 12 of 2915)" in caplog.text


def test_xml_text_is_preferred(folder):
    first, second, *_ = load_iam(folder)
    (folder / "xml").mkdir()
    (folder / "xml" / f"{first.form}.xml").write_text(
        f'<form><handwritten-part><line id="{first.id}" text="&amp;quot;Yes&quot;, he said"/></handwritten-part></form>'
    )
    changed = load_iam(folder)
    assert changed[0].text == '"Yes", he said'
    assert changed[1].text == second.text
    (folder / "xml" / f"{first.form}.xml").write_text("<form>")
    with pytest.raises(InputError, match=rf"{first.form}\.xml: not well-formed XML"):
        load_iam(folder)


def test_damaged_image_is_named(folder):
    image = sorted(folder.rglob("*.png"))[0]
    image.write_bytes(image.read_bytes()[:200])
    broken = next(sample for sample in load_iam(folder) if sample.id == image.stem)
    with pytest.raises(InputError, match=rf"{image.name}: damaged"):
        broken.image()


@pytest.mark.parametrize("row", ["a01-000u-00 ok 154", "nonsense", "a01-000u-00 maybe 1 2 3 4 5 6 word"])
def test_malformed_row_is_named(folder, row):
    rows(folder).write_text(f"# head\n{row}\n" + rows(folder).read_text())
    with pytest.raises(InputError, match=r"lines\.txt: line 2 is malformed"):
        load_iam(folder)


def test_missing_folder_and_missing_table(tmp_path):
    with pytest.raises(InputError, match="no such folder.*data/README.md"):
        load_iam(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no ascii/lines\.txt"):
        load_iam(tmp_path)


def test_a_table_that_an_editor_has_put_a_mark_before_is_read(folder):
    before = load_iam(folder)
    rows(folder).write_bytes(b"\xef\xbb\xbf" + rows(folder).read_bytes())
    assert [sample.id for sample in load_iam(folder)] == [sample.id for sample in before]


@pytest.mark.parametrize(
    ("content", "what"), [(b"\x89PNG\xff\x00\x01", "not a text file"), (b"\xff\xfe\x00\x01", "line 1 is malformed")]
)
def test_binary_table_is_named(folder, content, what):
    rows(folder).write_bytes(content)
    with pytest.raises(InputError, match=rf"lines\.txt: {what}"):
        load_iam(folder)


def test_parquet_gives_the_same_samples(iam_folder, tmp_path):
    official = load_iam(iam_folder)
    for split, name in {"train": "train", "val": "validation", "test": "test"}.items():
        chosen = [sample for sample in official if sample.split == split]
        images = [{"bytes": (iam_folder / "lines" / s.form[:3] / s.form / f"{s.id}.png").read_bytes()} for s in chosen]
        tokens = [sample.text.replace(",", " ,") for sample in chosen]
        columns = {"image": images, "text": tokens, "id": [s.id for s in chosen], "writer": [s.writer for s in chosen]}
        parquet.write_table(pa.table(columns), tmp_path / f"{name}-00000-of-00001.parquet")
    stored = load_iam(tmp_path)
    facts = {(s.id, s.text, s.split, s.writer, s.form) for s in stored}
    assert facts == {(s.id, s.text, s.split, s.writer, s.form) for s in official}
    by_id = {sample.id: sample for sample in stored}
    assert all(np.array_equal(by_id[sample.id].image(), sample.image()) for sample in official)
    # Words are lent by either.
    assert holds_iam(tmp_path) and holds_iam(iam_folder) and not holds_iam(iam_folder / "lines")


def test_parquet_without_ids(iam_folder, tmp_path):
    image = sorted(iam_folder.rglob("*.png"))[0]
    table = pa.table({"image": [{"bytes": image.read_bytes(), "path": None}], "text": ["support , a"]})
    parquet.write_table(table, tmp_path / "test.parquet")
    [sample] = load_iam(tmp_path / "test.parquet")
    assert (sample.id, sample.text, sample.split, sample.form) == ("test-0", "support, a", "test", None)


def test_broken_parquet_is_named(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match=r"train\.parquet: not a readable parquet file"):
        load_iam(tmp_path)
    parquet.write_table(pa.table({"words": ["a"]}), tmp_path / "train.parquet")
    with pytest.raises(InputError, match="has no columns image and text"):
        load_iam(tmp_path)
    for image, text in (({"bytes": None}, "a"), ({"bytes": b"x"}, None), (None, "a")):
        parquet.write_table(
            pa.table({"image": [{"bytes": b"x"}, image], "text": ["a", text]}), tmp_path / "train.parquet"
        )
        with pytest.raises(InputError, match="row 1 has no picture or no text"):
            load_iam(tmp_path)


def test_hub_that_does_not_answer(monkeypatch):
    import huggingface_hub

    def no_network(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", no_network)
    with pytest.raises(InputError, match="Teklia/IAM-line: the hub does not answer"):
        load_iam("Teklia/IAM-line")


def test_shipped_splits_are_the_aachen_forms():
    assert Counter(aachen_split().values()) == {"train": 747, "val": 116, "test": 336}
    assert sum(FULL_SPLIT_LINES.values()) == 10_373


@pytest.mark.parametrize("kind", ["form", "writer"])
def test_shared_forms_and_writers_are_refused(kind):
    samples = [Sample(split, "text", split, lambda: None, **{kind: "x7"}) for split in ("train", "test")]
    with pytest.raises(InputError, match=f"{kind} x7 is in both train and test"):
        check_disjoint(samples)


def test_a_writer_in_two_splits_is_refused(folder):
    table = folder / "ascii" / "forms.txt"
    first, *_, last = [row.split()[1] for row in table.read_text().splitlines()[1:]]
    assert first.startswith("train-") and last.startswith("test-")
    table.write_text(table.read_text().replace(f" {last} ", f" {first} "))
    with pytest.raises(InputError, match=f"writer {first} is in both train and test"):
        load_iam(folder)


def test_forms_outside_the_split_are_left_out(folder):
    first = load_iam(folder)[0]
    other = folder / "lines" / "z99" / "z99-000" / "z99-000-00.png"
    other.parent.mkdir(parents=True)
    shutil.copy(folder / "lines" / first.form[:3] / first.form / f"{first.id}.png", other)
    rows(folder).write_text(f"z99-000-00 ok 150 9 10 20 30 40 words\n{rows(folder).read_text()}")
    samples = load_iam(folder)
    assert len(samples) == 48 and samples[0].id == first.id


def test_without_forms_txt_writers_are_not_known(folder, caplog):
    (folder / "ascii" / "forms.txt").unlink()
    assert {sample.writer for sample in load_iam(folder)} == {None}
    assert "forms.txt: missing, so writers are not known" in caplog.text


def test_real_database(shared_iam):
    samples = load_iam(shared_iam)
    assert Counter(sample.split for sample in samples) == {"train": 4542, "val": 345, "test": 788}
    assert samples[0].text == "A MOVE to stop Mr. Gaitskell from"
    assert samples[0].writer == "000"
