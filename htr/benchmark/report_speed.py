"""What a report says of whole pages, of speed and size, and of one's own hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from htr.alphabet import named
from htr.benchmark.blocks import Block, Heading, Table, Text
from htr.benchmark.results import (
    Result,
    collection_of,
    has_seen,
    interval,
    named_language,
    named_reader,
    pages_of,
    reader_of,
)
from htr.cli import counted


def whole_pages(shown: list[Result], measured: list[Result]) -> Iterator[Block]:
    """How well lines are found on pages, and pages read.

    Args:
        shown: results of pages.
        measured: these and those that they replaced, which tell of other finders too.
    """
    if not shown:
        return
    yield Heading(2, "Whole pages")
    rows, told = [], []
    for result in shown:
        name, scores, seconds = pages_of(result["pages"]), result["scores"], result["seconds_a_page"]
        helped = f", with {named_language(result)}" if result["language"] else ", without language"
        only = f" {result['split']}" if result["split"] else ""
        rows.append(
            [
                f"{name}{only}, {named_reader(result)}{helped}",
                f"{result['count']} pages, {result['counts']['true']} lines{_learnt_pages(result)}",
                *_found(result["lines"]),
                interval(scores["CER"]) if scores else "",
                f"{scores['CER minus CER of the true lines']:+.2f}" if scores else "",
                f"{seconds['finding']:.2f}",
                "",
                f"{sum(seconds.values()):.2f}",
            ]
        )
        # What others find does not depend on our weights: an earlier result of the same pages and machine tells it too.
        alike = [other for other in measured if other.get("peers") and _same_pages(other, result)]
        finding = alike[-1]["seconds_a_page"]["finding"] if alike else 0.0
        for peer in alike[-1]["peers"] if alike and alike[-1] not in told else []:
            rows.append(
                [
                    f"{name}{only}, {peer['title']}",
                    "the same",
                    *_found(peer["lines"]),
                    "",
                    "",
                    f"{peer['seconds_a_page']:.2f}",
                    f"{peer['seconds_a_page'] / finding:.1f}" if finding else "",
                    "",
                ]
            )
        told += alike[-1:]
    yield Table(
        [
            "pages", "how many", "lines found: F1 of boxes, IoU 0.5", "IoU 0.75", "F1 of polygons, IoU 0.5", "IoU 0.75",
            "CER of the page", "cost", "s to find lines", "times htr's", "s in all",
        ],
        rows,
    )  # fmt: skip
    yield Text(
        "The cost is the page's CER minus that of its true lines, in points: what finding and ordering the lines adds to the errors. "
        "`htr/benchmark/pages.py` says how found and true lines are compared. Other finders read nothing; their time is also "
        "given as a multiple of htr's in the same run."
    )
    yield from _left_out(shown)
    # Other weights and languages find the same.
    columns = {pages_of(result["pages"]): result for result in shown if result.get("distortions")}
    if columns:
        names = dict.fromkeys(name for result in columns.values() for name in result["distortions"])
        yield Text("Lines found on the same pages as careless hands and cameras take them, F1 of polygons, IoU 0.5:")
        yield Table(
            ["pages", *columns],
            [["as they are", *(_found(result["lines"])[2] for result in columns.values())]]
            + [[name, *(_f1(result["distortions"].get(name)) for result in columns.values())] for name in names],
        )
    if any(map(_learnt_pages, shown)):
        yield Text(
            "Weights that have learnt from the train split know the lines of its pages: their CER is flattering, and so may be what "
            "is found."
        )


def _learnt_pages(result: Result) -> str:
    learnt = sum(page["split"] == "train" for page in result.get("per_page", []))
    return f" ({'all' if learnt == result['count'] else learnt} of the train split)" if learnt else ""


def _left_out(results: list[Result]) -> Iterator[Block]:
    """Which other readers or finders are missing from some results, and why."""
    why = {f"{name} ({reason})" for result in results for name, reason in result.get("left_out", {}).items()}
    if why:
        yield Text("Left out: " + "; ".join(sorted(why)) + ".")


def _same_pages(one: Result, other: Result) -> bool:
    return all(one.get(key) == other.get(key) for key in ("labels_sha256", "split", "leave_out", "machine"))


def _f1(distorted: dict[str, float] | None) -> str:
    return f"{distorted['F1']:.1f}" if distorted else ""


def _found(lines: dict[str, Any]) -> list[str]:
    return [
        f"{lines[shape][threshold]['F1']:.1f}"
        for shape, threshold in (("boxes", "0.5"), ("boxes", "0.75"), ("polygons", "0.5"), ("polygons", "0.75"))
    ]


def speed(speeds: list[Result], peers: list[Result]) -> Iterator[Block]:
    """How fast lines and pages are read, beside other readers, and what that takes."""
    if not speeds and not peers:
        return
    yield Heading(2, "Speed and size")
    for result in speeds:
        machine = result["machine"]
        size, first, on_gpu = result["size"], result["first"], machine["device"] != "cpu"
        yield Heading(3, f"htr {reader_of(result)} on {machine['processor']}, {machine['precision']}")
        batches = list(dict.fromkeys(row["batch"] for row in result["lines"]))
        threads = list(dict.fromkeys(row["threads"] for row in result["lines"]))
        rate = {(row["threads"], row["batch"]): row["lines_per_second"] for row in result["lines"]}
        yield Table(
            ["batches of", *("lines/s" if on_gpu else f"lines/s, {counted(n, 'thread')}" for n in threads)],
            [[batch, *(f"{rate[count, batch]:.1f}" for count in threads)] for batch in batches],
        )
        page = result["page"]
        # Each step is timed by itself, so that together they may take a little longer than the whole.
        whole = max(page["seconds"], sum(page["steps"].values()))
        steps = {**page["steps"], "the rest": whole - sum(page["steps"].values())}
        alone = "".join(
            f", {values['seconds']:.2f} s with {counted(values['threads'], 'thread')}"
            for values in page.get("with", [])
        )
        yield Text(
            "Lines are read without language models here; with them the page below. "
            "The lines were prepared beforehand. "
            f"A page of {page['lines']} lines ({page['pixels'] / 1e6:.1f} million pixels) takes {page['seconds']:.2f} s{alone}. "
            "Shares of the steps: "
            + ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in steps.items())
            + "."
        )
        yield Table(
            ["of a fresh process", "seconds to the first result", "peak memory, MB", *["of the GPU, MB"] * on_gpu],
            [
                [
                    name,
                    f"{values['seconds']:.1f}",
                    f"{values['peak_megabytes']:,}",
                    *([f"{values['peak_gpu_megabytes']:,}"] if on_gpu else []),
                ]
                for name, values in first.items()
            ],
        )
        trained = result["weights"]["training"]
        learning = (
            f" Training read {trained['lines_per_second']:.0f} lines/s ({trained['speed_of']})."
            if "speed_of" in trained
            else ""
        )
        yield Text(
            f"{size['parameters'] / 1e6:.1f} million parameters, {size['bytes'] / 1e6:.1f} MB; {size['operations'] / 1e9:.1f} billion "
            f"operations for a line {size['width']} pixels wide.{learning}"
        )
    for result in peers:
        ours = next(reader for reader in result["readers"] if reader["name"] == "htr")
        yield Heading(
            3,
            f"Beside other readers: {result['name']}, {result['machine']['processor']}, {counted(result['threads'], 'thread')}",
        )
        yield Table(
            [
                "reader", "version", "CER", "in any case", "lines/s", "time / htr's", "s to start", "/ htr's", "peak memory, MB",
                "/ htr's",
            ],
            [
                [
                    reader["title"], reader["version"],
                    *(f"{reader['scores'][name]['value']:.2f}" for name in ("CER", "CER, any case")),
                    f"{reader['lines_per_second']:.1f}", f"{ours['lines_per_second'] / reader['lines_per_second']:.1f}",
                    f"{reader['seconds_to_start']:.1f}", f"{reader['seconds_to_start'] / ours['seconds_to_start']:.1f}",
                    f"{reader['peak_megabytes']:,}", f"{reader['peak_megabytes'] / ours['peak_megabytes']:.1f}",
                ]
                for reader in result["readers"]
            ],
        )  # fmt: skip
        if result is peers[0] or result["how"] != peers[0]["how"]:
            yield Text(f"{result['how'][:1].upper()}{result['how'][1:]}.")
        yield from _left_out([result])
    # The same for all collections.
    notes = dict.fromkeys(
        f"{reader['title']}: {reader['notes']}"
        for result in peers
        for reader in result["readers"]
        if reader.get("notes")
    )
    if notes:
        yield Text(". ".join(notes) + ".")
    if peers:
        yield Text(
            "htr reads with its language models here; what it reads of one line alone may differ by a character now and then from "
            "what it reads of many."
        )


def _learnt(run: Result) -> str:
    """How many lines a fine-tuning learnt from."""
    if "unread" not in run:
        return f"{run['lines']:,}"
    found = f"{run['unread']['found']:,} unread"
    if not run["lines"]:
        return found if run["unread"]["learnt"] else f"({found}, left out)"
    return f"{run['lines']:,} and {found}" if run["unread"]["learnt"] else f"{run['lines']:,} (and {found}, left out)"


def own_hand(taught: list[Result], transcripts: list[Result]) -> Iterator[Block]:
    """What fine-tuning brings, and how many lines of pages find their text."""
    if not (taught or transcripts):
        return
    yield Heading(2, "Taught one's own hand")
    for result in taught:
        name, general = collection_of(result["data"]), collection_of(result["general"])
        seen = "has seen training lines of" if has_seen(result, name) else "never saw"
        start = result["start"]
        models = sorted(
            {model for run in result["runs"] if "unread" in run for model in run["unread"]["language"]["models"]}
        )
        labelled = "fine-tuned with few of its lines (a part of them held out at first)"
        if not models:
            how = f"{labelled}, and the same network trained from ImageNet on the same lines for as many minutes"
        elif any(run["lines"] for run in result["runs"]):
            how = (
                f"{labelled}, and with other train lines that were given without their texts, read with what the first had taught and "
                f"the language model {', '.join(models)}, and learnt as they were read (`python -m htr.finetune --unread`)"
            )
        else:
            how = (
                "fine-tuned without a labelled line, with train lines that were given without their texts, read with the language "
                f"model {', '.join(models)}, and learnt as they were read, again and again (`python -m htr.finetune --unread` alone)"
            )
        yield Text(
            f"`{reader_of(result)}`, which {seen} {name}, {how}; CER on {name}'s test lines, and on those of {general}, for what was "
            "lost:"
        )
        for helped in ("", " with language"):
            test, lost = f"test{helped}", f"general{helped}"
            if test not in start:  # of an earlier release
                continue
            heads = [f"{name}, fine-tuned", f"{general}, fine-tuned", *([] if models else [f"{name}, from ImageNet"])]
            rows = [
                ["none", "", "", interval(start[test]["CER"]), interval(start[lost]["CER"]), *([] if models else [""])]
            ]
            for run in result["runs"]:
                untaught = interval(run["ImageNet"][test]["CER"]) if "ImageNet" in run else ""
                rows.append([
                    _learnt(run), f"{run['minutes']:g}", f"{run.get('minutes in all', '')}",
                    *(interval(run["tuned"][lines]["CER"]) for lines in (test, lost)), *([] if models else [untaught]),
                ])  # fmt: skip
            yield Table(["labelled lines", "minutes of training", "in all", *(head + helped for head in heads)], rows)
        # Results of an earlier release do not tell.
        new = start.get("new characters", {"count": 0})
        if new["count"]:
            read = "; ".join(
                f"{run['tuned']['new characters']['read']:,} after {_learnt(run)} lines"
                + (f" ({run['ImageNet']['new characters']['read']:,} from ImageNet)" if "ImageNet" in run else "")
                for run in result["runs"]
                if "new characters" in run["tuned"]
            )
            yield Text(
                f"Of {counted(new['count'], 'character')} of {name}'s test lines that the weights could not write before "
                f"({named(new['characters'])}), so many are read, with language: {read}."
            )
    if taught:
        yield Text(
            "With language, mind that the models that come along have read the train lines' texts of some collections."
        )
    for result in transcripts:
        found = "; ".join(
            f"{name}, {counts['right']} of {counts['true']} lines got their text and {counts['wrong']} another one"
            for name, counts in result["results"].items()
        )
        yield Text(
            f"Pages and their plain text ({result['count']} pages of {pages_of(result['pages'])}, {named_reader(result)}): {found}."
        )
