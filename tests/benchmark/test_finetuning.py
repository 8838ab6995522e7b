from htr.benchmark import finetuning
from htr.benchmark.details import details
from htr.benchmark.finetuning import labelled, new_characters
from htr.corpora.sample import Sample


def test_lines_are_labelled_page_by_page_and_more_hold_fewer():
    samples = [Sample(f"{page}-{line}", "text", "train", None, form=page) for line in range(5) for page in "abcd"]
    chosen = labelled(samples, 12)
    pages = [sample.form for sample in chosen]
    assert [pages.count(page) for page in dict.fromkeys(pages)] == [5, 5, 2]
    assert chosen[:7] == labelled(samples, 7)


def test_more_lines_than_there_are_cannot_be_labelled(command_line, iam_folder):
    code, _, err = command_line(finetuning.main, f"iam:{iam_folder}", "--lines", "10", "5000", "--out", iam_folder)
    assert code == 2
    assert f"error: iam:{iam_folder}: has 24 train lines, not 5000; ask for fewer with --lines" in err


def test_characters_that_the_start_cannot_write_are_counted_where_they_are_read():
    def line(truth, reading):
        return {"truth": truth, "reading": reading, "confidence": 0.9, "writer": None}

    told = details([line("été à", "eté a"), line("là", "là"), line("abc", "abç")])
    assert new_characters(told, "abcelt ") == {"characters": "éà", "count": 4, "read": 2}
    assert new_characters(told, "abcelt éà")["count"] == 0
