from pathlib import Path
from types import SimpleNamespace

import pytest

from htr.benchmark import finetuning
from htr.benchmark.details import details
from htr.benchmark.finetuning import labelled, new_characters
from htr.corpora import load_corpus
from htr.corpora.sample import Sample
from htr.errors import InputError


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
    code, _, err = command_line(finetuning.main, f"iam:{iam_folder}", "--lines", "-20", "--out", iam_folder)
    assert code == 2
    assert "error: --lines -20: give how many lines are labelled, or 0" in err


def test_what_is_measured_is_written_at_once_with_a_file_for_each_number_of_lines(command_line, tmp_path, monkeypatch):
    def measured(data, counts, *_):
        scores = {name: {"CER": {"value": 9.0, "low": 8.0, "high": 10.0}} for name in ("test", "test with language")}
        for count in counts:
            if count == 500:
                raise InputError("stopped")
            run = {"lines": count, "minutes": 1, "tuned": scores, "ImageNet": scores}
            machine = {"processor": "AMD EPYC", "threads": 2, "precision": "bf16"}
            about = {"weights": {"sha256": "0123456789"}, "machine": machine, "date": "2026-01-01", "command": "c"}
            yield {"start": scores, "runs": [run], **about}

    monkeypatch.setattr(finetuning, "evaluate_finetuning", measured)
    code, out, _ = command_line(finetuning.main, "lines:letters", "--lines", "20", "100", "500", "--out", tmp_path)
    assert code == 2
    assert "CER with 100 lines: 9.00 [8.00, 10.00] % before, 9.00 [8.00, 10.00] % after 1 minutes" in out
    names = [f"finetuning-letters-{count}_01234567_amd-epyc-2t-bf16_2026-01-01.json" for count in (100, 20)]
    assert sorted(file.name for file in tmp_path.iterdir()) == names


def test_characters_that_the_start_cannot_write_are_counted_where_they_are_read():
    def line(truth, reading):
        return {"truth": truth, "reading": reading, "confidence": 0.9, "writer": None}

    told = details([line("été à", "eté a"), line("là", "là"), line("abc", "abç")])
    assert new_characters(told, "abcelt ") == {"characters": "éà", "count": 4, "read": 2}
    assert new_characters(told, "abcelt éà")["count"] == 0


@pytest.mark.parametrize("imagenet", [True, False])
def test_what_is_fine_tuned_and_trained_from_imagenet_is_scored_on_the_test_lines(monkeypatch, tmp_path, imagenet):
    def learn(source, out, weights, overrides, unread, language):
        texts = [sample.text for sample in load_corpus(f"lines:{source}")]
        learnt.append(("fine-tuned", len(texts), all(texts), unread))
        outcome = {
            "kept": False,
            "weights": str(tmp_path / "tuned"),
            "minutes": 1.5,
            "config": {"epochs": 3, "seed": 4, "encoder": "ppocrv6_small"},
        }
        return SimpleNamespace(lines={"lines": len(texts)}, before={"scores": 50.0}, after={"scores": 40.0}, **outcome)

    def train(config):
        assert config.encoder == "tf_efficientnet_lite0"
        learnt.append((config.pretrained, config.minutes, config.start, config.seed))
        return {"weights": str(tmp_path / "untaught")}

    def evaluate(corpus, split, file):
        assert split == "test"
        cer = {"tuned": 30.0, "untaught": 60.0}.get(Path(file).name, 45.0) + (corpus == "general")
        return {"scores": cer, "scores_with_language": cer - 5, "details": {"characters": []}}

    learnt = []
    for name in ("tuned", "untaught"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(finetuning, "_RUNS", tmp_path / "runs")
    monkeypatch.setattr("htr.finetuning.run.finetune", learn)
    monkeypatch.setattr("htr.training.run.train", train)
    monkeypatch.setattr("htr.benchmark.lines.evaluate_lines", evaluate)
    (result,) = finetuning.evaluate_finetuning("sample", [10], "iam", "general", imagenet=imagenet)
    (run,) = result["runs"]
    assert (result["start"]["test"], result["start"]["general"]) == (45.0, 46.0)
    assert (run["tuned"]["test"], run["tuned"]["general with language"]) == (30.0, 26.0)
    assert learnt[0] == ("fine-tuned", 10, True, None)
    # As long as it was fine-tuned, on the same lines.
    assert learnt[1:] == [("imagenet", 1.5, None, 4)] * imagenet
    assert run.get("ImageNet", {}).get("test") == (60.0 if imagenet else None)
