"""What a report says of whole pages, of speed and size, and of one's own hand."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from htr.alphabet import named
from htr.benchmark.blocks import Block, Heading, Table, Text
from htr.benchmark.report_lines import measured_alone
from htr.benchmark.results import (
    Result,
    collection_of,
    comes_along,
    exchanged_models,
    has_seen,
    interval,
    learnt_pages,
    measured_by,
    named_language,
    named_machine,
    named_reader,
    reader_of,
    what_was_learnt,
)
from htr.corpora import pages_of
from htr.messages import counted
from htr.weights import data_seen


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
                f"{result['count']} pages, {result['counts']['true']} lines{learnt_pages(result)}{_apart(result)}",
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
            "CER of the page", "added by finding, points", "s to find lines", "times htr's s", "s in all",
        ],
        rows,
    )  # fmt: skip
    if any(map(learnt_pages, shown)):
        yield Text(
            "Weights that have learnt from the train split know the lines of its pages: their CER is flattering, and so may be what "
            "is found."
        )
    yield Text(
        "F1 is 100 if all lines are found and nothing else; a line counts as found if found and true line share so much (IoU 0.5: "
        "half) of the ground that they cover together. Polygons follow the letters, and how closely is a matter of taste; boxes "
        "stand around them. What finding and ordering the lines adds to the errors is the page's CER minus that of its true lines, in "
        "points. `htr/benchmark/pages.py` says how found and true lines are compared. Other finders read nothing; their "
        "time is also given as a multiple of htr's in the same run."
    )
    yield from _left_out(shown, {peer["title"] for result in shown for peer in result.get("peers", [])})
    columns = {
        f"{pages_of(result['pages'])}, {named_reader(result)}": result for result in shown if result.get("distortions")
    }
    if columns:
        names = dict.fromkeys(name for result in columns.values() for name in result["distortions"])
        yield Text("Lines found on the same pages as careless hands and cameras take them, F1 of polygons, IoU 0.5:")
        yield Table(
            ["pages", *columns],
            [["as they are", *(_found(result["lines"])[2] for result in columns.values())]]
            + [[name, *(_f1(result["distortions"].get(name)) for result in columns.values())] for name in names],
        )


def _apart(result: Result) -> str:
    return f", without `{result['leave_out']}`" if result["leave_out"] else ""


def _left_out(results: list[Result], present: Container[str]) -> Iterator[Block]:
    """Which other readers or finders are missing, and why, but for those that another result of the table has."""
    why = {
        f"{name} ({reason})"
        for result in results
        for name, reason in result.get("left_out", {}).items()
        if name not in present
    }
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


def speed(speeds: list[Result], lines: list[Result], peers: list[Result]) -> Iterator[Block]:
    """How fast lines and pages are read, beside other readers, and what that takes."""
    timed = [result for result in lines if "speed" in result]
    if not (speeds or timed or peers):
        return
    yield Heading(2, "Speed and size")
    if timed:
        rates: dict[str, dict[str, str]] = {}
        for result in timed:
            given = [result["speed"].get(f"lines_per_second{helped}") for helped in ("", "_with_language")]
            rates.setdefault(named_reader(result), {})[result["name"]] = " / ".join(
                _rate(rate) for rate in given if rate
            )
        names = dict.fromkeys(name for of in rates.values() for name in of)
        yield Text(
            f"Lines a second, greedily / with language, in {timed[0]['speed']['batch']}, on {named_machine(timed[0])} where nothing "
            "else is said:"
        )
        yield Table(["lines", *rates], [[name, *(of.get(name, "") for of in rates.values())] for name in names])
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
            f", {values['seconds']:.2f} s with {counted(values['threads'], 'thread')}" for values in page["with"]
        )
        yield Text(
            "Lines are read without language models here, and were prepared beforehand; the page below is read with them. "
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
    yield from _beside_others(peers)


def _rate(lines_per_second: float) -> str:
    return f"{lines_per_second:.{0 if lines_per_second >= 10 else 1}f}"


def _beside_others(peers: list[Result]) -> Iterator[Block]:
    """How fast other readers are, and what they take."""
    by_machine: dict[str, list[Result]] = {}
    for result in peers:
        by_machine.setdefault(named_machine(result), []).append(result)
    for machine, results in by_machine.items():
        yield Heading(3, f"Beside other readers, on {machine}")
        readers: dict[str, dict[str, Any]] = {}
        for result in results:
            for reader in result["readers"]:
                readers.setdefault(reader["title"], {})[result["name"]] = reader
        names = dict.fromkeys(result["name"] for result in results)
        yield Text("Lines a second, one line after the other:")
        yield Table(
            ["reader", *names],
            [
                [title, *(_rate(of[name]["lines_per_second"]) if name in of else "" for name in names)]
                for title, of in readers.items()
            ],
        )
        for how in dict.fromkeys(result["how"] for result in results):
            told = [result["name"] for result in results if result["how"] == how]
            yield Text(f"{', '.join(told)}: {how}.")
        yield Table(
            ["reader", "version", "seconds to start", "peak memory, MB"],
            [
                [
                    title,
                    next(iter(of.values()))["version"],
                    f"{max(reader['seconds_to_start'] for reader in of.values()):.1f}",
                    f"{max(reader['peak_megabytes'] for reader in of.values()):,}",
                ]
                for title, of in readers.items()
            ],
        )
        yield from _left_out(results, readers)
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
            "htr reads with its language models here, each line alone; of many lines, it knows better in which language they are. "
            "Its memory is that of a process that has read one line, and it started three times, of which the middle one counts; the "
            "others have read all lines of a collection, and started once."
        )


def _learnt(run: Result) -> str:
    """How many lines a fine-tuning learnt from."""
    if "unread" not in run:
        return f"{run['lines']:,}"
    found = f"{run['unread']['found']:,} unread"
    if not run["lines"]:
        return found if run["unread"]["learnt"] else f"({found}, left out)"
    return f"{run['lines']:,} and {found}" if run["unread"]["learnt"] else f"{run['lines']:,} (and {found}, left out)"


def own_hand(taught: list[Result], transcripts: list[Result], lines: list[Result]) -> Iterator[Block]:
    """What fine-tuning brings, and how many lines of pages find their text.

    Args:
        taught, transcripts: results of fine-tunings and of texts laid beside lines, each with its `where`.
        lines: results of lines, which may tell of the weights that fine-tunings start from.
    """
    if not (taught or transcripts):
        return
    yield Heading(2, "Taught one's own hand")
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in taught:
        key = reader_of(result) + result["where"], collection_of(result["data"]), collection_of(result["general"])
        groups.setdefault(key, []).append(result)
    if taught:
        yield Text(
            "What fine-tuning brings (`python -m htr.finetune`), with few lines of a collection, of which a part is held out at "
            "first: CER on its test lines, and on those of another one, for what was lost. From ImageNet: the same network (with the "
            "usual encoder, where its own has no ImageNet weights), trained on the same lines for as many minutes."
        )
    models = {
        model for result in taught for run in result["runs"] if "unread" in run for model in run["unread"]["language"]["models"]
    }  # fmt: skip
    if models:
        yield Text(
            "Unread lines (`--unread`) are other train lines of the same, given without their texts: read with what the labelled "
            f"ones had taught, if any, and with language models that know none of these texts ({', '.join(sorted(models))}), and "
            "learnt as they were read."
        )
    for (reader, name, general), results in groups.items():
        yield from _taught(reader, name, general, results, lines)
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
            f"Pages and their plain text ({result['count']} pages of {pages_of(result['pages'])}"
            + ", as if all their lines had been found" * result["pages"].startswith("lines:")
            + f", {named_reader(result)}): {found}."
        )


def _taught(reader: str, name: str, general: str, results: list[Result], lines: list[Result]) -> Iterator[Block]:
    """What lines of a collection taught a reader, few lines first."""
    newest = max(results, key=lambda result: result["date"])
    seen = "has seen training lines of" if has_seen(newest, name) else "never saw"
    start = newest["start"]
    yield Heading(3, f"{name}, from htr {reader}, which {seen} it")
    runs = [run for result in results for run in result["runs"]]
    runs.sort(key=lambda run: (run["lines"], "unread" in run and run["unread"]["found"]))
    from_imagenet = any("ImageNet" in run for run in runs)
    helps = "", " with language"
    rows = [["nothing", "", *_rates(start), *[""] * (from_imagenet * len(helps))]]
    for run in runs:
        whole = f" ({run['minutes in all']:g})" if "minutes in all" in run else ""
        untaught = (
            [interval(run["ImageNet"][f"test{helped}"]["CER"]) for helped in helps] if "ImageNet" in run else None
        )
        mark = "" if run["measured by"] == measured_by(newest) else "²"
        rows.append([
            f"{_learnt(run)}{mark}", f"{run['minutes']:g}{whole}", *_rates(run["tuned"]),
            *((untaught or [""] * len(helps)) if from_imagenet else []),
        ])  # fmt: skip
    kinds = [name, general, *([f"{name} from ImageNet"] if from_imagenet else [])]
    yield Table(
        ["learnt from lines", "minutes of training (in all)", *(kind + helped for kind in kinds for helped in helps)],
        rows,
    )
    if not comes_along(newest) and (learnt := data_seen(newest["weights"]["training"])):
        yield Text(what_was_learnt(newest, [*dict.fromkeys(map(collection_of, learnt))]))
    if alone := measured_alone(newest, lines):
        rates = " and ".join(
            f"{alone[scores]['CER']['value']:.2f} %{helped}"
            for scores, helped in (("scores", ""), ("scores_with_language", " with language"))
        )
        yield Text(f"Measured by itself, as in the tables above, `{reader_of(newest)}` reads {name} with {rates}.")
    if others := exchanged_models(newest):
        yield Text(f"Read with language models of which one is not that which comes along: {', '.join(others)}.")
    if any("²" in row[0] for row in rows):
        yield Text("² By an earlier state of the code, or language models; see the end.")
    new = start.get("new characters", {"count": 0})
    if new["count"]:
        read = "; ".join(
            f"{run['tuned']['new characters']['read']:,} after {_learnt(run)} lines"
            + (f" ({run['ImageNet']['new characters']['read']:,} from ImageNet)" if "ImageNet" in run else "")
            for run in runs
            if "new characters" in run["tuned"]
        )
        yield Text(
            f"Of {counted(new['count'], 'character')} of {name}'s test lines that the weights could not write before "
            f"({named(new['characters'])}), so many are read, with language: {read}."
        )


def _rates(scores: dict[str, Any]) -> list[str]:
    return [
        interval(scores[lines]["CER"]) for lines in ("test", "test with language", "general", "general with language")
    ]
