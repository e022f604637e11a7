"""`pillion compare`: the main job, from the pair file to the table and the JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pillion.compare.histogram import Histogram
from pillion.compare.proc import descendants
from pillion.compare.report.markdown import markdown
from pillion.compare.report.page import page
from tests.conftest import ENTRY, ORDERS, PairFile, argv_of, eventually, free_port, listens

pytestmark = pytest.mark.usefixtures("nothing_left")
SHORT = ("--rounds", "2", "--duration", "0.5", "--rate", "100")
LAYOUTS = ["direct", "shared", "separate"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What a short comparison prints and writes."""
    folder = tmp_path_factory.mktemp("compared")
    written = folder / "result.json"
    pages = ("--html", folder / "result.html", "--markdown", "-", "--header", "X-Token: a-secret")
    command = [ENTRY, "compare", PairFile(folder).write(), *SHORT, "--json", written, *pages]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    document = json.loads(written.read_text())
    assert (folder / "result.html").read_text() == page(json.loads(written.read_text()))
    summary = markdown(document)
    assert ended.stdout.startswith(summary) and "a-secret" not in ended.stdout + json.dumps(document)
    return ended.stdout.removeprefix(summary), document


def test_every_layout_is_measured(compared: tuple[str, dict[str, Any]]) -> None:
    """With no failed request, at the rate asked for, and figures that are real."""
    printed, document = compared
    assert list(document["layouts"]) == LAYOUTS and document["engine"] == "process"
    for layout, found in document["layouts"].items():
        assert found["failed"] == 0 and found["requests"] == 100, layout
        latency = found["latency_us"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"]
        assert found["memory_bytes"] > 2**20 and found["cpu_s_per_1000"] > 0 and found["ready_s"] > 0
        assert 50 < found["rate"] <= 110  # what is answered late, on a busy machine, is not in it
        rounds = [Histogram.decode(each["histogram"]) for each in found["rounds"]]
        assert Histogram.merged(rounds).percentiles() == latency
    processes = {name: found["processes"] for name, found in document["layouts"].items()}
    # The backend; with the proxy's master and worker; with supervisord, too.
    assert processes == {"direct": 1, "separate": 3, "shared": 4}
    assert all(name in printed for name in LAYOUTS)
    # A terminal of 80 columns shows the tables whole; only the path of the pair may be longer.
    assert [line for line in printed.splitlines() if len(line) > 80 and "pod.yaml" not in line] == []
    assert "Not measured on this engine" in printed


def test_rounds_are_kept_with_all_that_moved_them(compared: tuple[str, dict[str, Any]]) -> None:
    """Padding that differs from start to start, what else the machine did, the seed; two rounds are no verdict."""
    printed, document = compared
    rounds = [each for found in document["layouts"].values() for each in found["rounds"]]
    assert len({each["padding"]["backend"] for each in rounds}) > 1
    assert all(each["conditions"]["wall_s"] > 0.5 and each["conditions"]["other_cpu_s"] >= 0 for each in rounds)
    assert document["schedule"]["seed"] == 0 and document["margins"]["latency_us"] == 100
    assert len(document["differences"]) == 12
    assert sorted({claim["number"] for claim in document["claims"]}) == list(range(1, 12))
    seen = document["evidence"]["seen"]
    assert {(each["layout"], each["program"]) for each in seen} >= {("shared", "proxy"), ("separate", "backend")}
    assert all(each["own"] and not each["other"] for each in seen) and document["experiments"] == []
    assert {each["outcome"] for each in document["differences"]} == {"inconclusive"}
    assert "2 rounds are too few for a verdict" in printed and "Noise: two rounds of one layout" in printed


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--request", "GET /"), "is not WEIGHT METHOD PATH [BODY]"),
        (("--request", "x GET /"), "is not a weight"),
        (("--request", "-1 GET /"), "targets[0]: weight: it is not above 0"),
        (("--header", "Accept"), "is not NAME:VALUE"),
        (("--closed-loop", "0"), "is not a whole number"),
        (("--margin-latency", "0"), "is not above 0"),
        (("--against", "nowhere.json"), "cannot read nowhere.json: No such file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    pair_file: PairFile, options: tuple[str, ...], why: str
) -> None:
    """Exit code 2 and one line."""
    command = [ENTRY, "compare", pair_file.write(), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and why in done.stderr and "Traceback" not in done.stderr


def test_a_mix_in_a_closed_loop_against_an_earlier_run(pair_file: PairFile, tmp_path: Path) -> None:
    """Of few rounds each, with margins that everything fits into."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    base = [ENTRY, "compare", pair_file.write(), "--layout", "direct", "--rounds", "5", "--duration", "0.2"]
    base += ["--warm-up", "0.1", "--closed-loop", "2", "--request", "2 GET /", "--request", "1 GET /?again"]
    margins = ["--margin-latency", "60000000", "--margin-memory", "10000"]
    for more in (["--json", old], ["--json", new, "--against", old, *margins]):
        done = subprocess.run([*base, *more], capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr
    assert f"Since {old}" in done.stdout and "direct, now - then" in done.stdout
    document = json.loads(new.read_text())
    says = document["against"]["says"]["direct, now - then"]
    assert len(says) == 4 and all("the same within" in each for each in says[:3])
    assert document["schedule"]["closed_loop"] and document["layouts"]["direct"]["failed"] == 0


def test_what_repeats_the_run_is_kept(compared: tuple[str, dict[str, Any]]) -> None:
    """The command without what headers say, the versions, the machine, the date; of each program its memory and CPU."""
    document = compared[1]
    assert document["command"][:2] == ["pillion", "compare"] and "X-Token: ..." in document["command"]
    assert document["when"].endswith("Z") and document["took_s"] > 2 and document["pillion"] and not document["partial"]
    assert document["machine"]["processors"] >= 1 and document["machine"]["memory_bytes"] > 2**20
    programs = {layout: set(found["programs"]) for layout, found in document["layouts"].items()}
    assert programs["direct"] == {"backend"} and programs["separate"] == {"backend", "proxy"}
    assert programs["shared"] == {"backend", "proxy", "supervisord"}
    for found in document["layouts"].values():
        sums = sum(each["memory_bytes"] for each in found["programs"].values())
        assert sums == pytest.approx(found["memory_bytes"], rel=0.3)
        assert len(found["latency_curve"]) == 31 and found["latency_curve"][-1][1] >= found["latency_us"]["p99"]


def test_conflicts_are_reported_with_their_resolution(compared: tuple[str, dict[str, Any]]) -> None:
    """And are no failure: exit code 0."""
    printed, document = compared
    by_name = {conflict["name"]: conflict for conflict in document["conflicts"]}
    assert by_name["PORT"]["severity"] == "S1" and by_name["LOG_LEVEL"]["severity"] == "S2"
    assert by_name["LOG_LEVEL"]["programs"] == ["proxy", "backend"] and by_name["LOG_LEVEL"]["resolution"]
    assert "LOG_LEVEL" in printed and "loud" not in printed + json.dumps(document)


def test_a_layout_that_the_pair_cannot_is_refused_or_left_out(
    pair_file: PairFile, compared: tuple[str, dict[str, Any]]
) -> None:
    """Left out, and that is said, where nobody asked for it."""
    command = [ENTRY, "compare", pair_file.write(), "--layout", "embedded"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "pillion.dev/embeddable" in done.stderr
    assert compared[1]["notices"][0].startswith("without layout embedded: it does not say")


def test_the_sample_is_compared_embedded(tmp_path: Path) -> None:
    """It costs no process more than the backend alone."""
    port, inner = free_port(), free_port()
    text = (ORDERS / "pod.yaml").read_text().replace("8080", str(port)).replace("8000", str(inner))
    pair = tmp_path / "pod.yaml"
    pair.write_text(text.replace("command: [gunicorn]", f"command: [gunicorn]\n      workingDir: {ORDERS}"))
    short = ["--quick", "--rounds", "1", "--duration", "0.5", "--rate", "50"]
    command = [ENTRY, "compare", pair, *short, "--layout", "direct,embedded", "--json", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    layouts = json.loads((tmp_path / "out").read_text())["layouts"]
    assert list(layouts) == ["direct", "embedded"]
    assert all(found["failed"] == 0 and found["requests"] == 25 for found in layouts.values())
    assert layouts["embedded"]["processes"] == layouts["direct"]["processes"]


def test_failed_requests_are_counted(pair_file: PairFile, tmp_path: Path) -> None:
    """A path that the backend answers with 404 fails every request, and the comparison still ran: exit code 0."""
    written = tmp_path / "result.json"
    short = ("--rounds", "1", "--duration", "0.5", "--rate", "100")
    command = [ENTRY, "compare", pair_file.write(), *short, "--json", written, "--path", "/missing"]
    assert subprocess.run(command, capture_output=True, timeout=100, check=False).returncode == 0
    layouts = json.loads(written.read_text())["layouts"]
    assert {name: found["failed"] for name, found in layouts.items()} == dict.fromkeys(LAYOUTS, 50)
    assert layouts["direct"]["latency_us"] is None and layouts["direct"]["failures"]["status"] == 50


def test_a_link_is_followed_and_a_pipe_is_written_to(pair_file: PairFile, tmp_path: Path) -> None:
    """`--json` replaces nothing but a regular file."""
    real, link, pipe = tmp_path / "real.json", tmp_path / "link.json", tmp_path / "pipe.json"
    real.touch()
    link.symlink_to(real)
    os.mkfifo(pipe)
    short = ("--layout", "direct", "--rounds", "1", "--duration", "0.2")
    for where in (link, pipe):
        command = [ENTRY, "compare", pair_file.write(), *short, "--json", where]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        written = pipe.read_text() if where is pipe else ""
        assert process.wait(60) == 0
        assert json.loads(written or real.read_text())["layouts"]["direct"]["failed"] == 0
    assert link.is_symlink() and pipe.is_fifo()
    command = [ENTRY, "compare", pair_file.path, *short, "--json", "/dev/stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stderr[done.stderr.index("{") :])["layouts"]["direct"]["failed"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_leaves_nothing(pair_file: PairFile, tmp_path: Path, number: int) -> None:
    """In the middle of the load: no process, no port, no half of a result."""
    written = tmp_path / "result.json"
    command = [ENTRY, "compare", pair_file.write(), "--json", written, "--layout", "shared"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(lambda: any("pillion.compare.load" in argv_of(pid) for pid in descendants([process.pid])))
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "Traceback" not in errors
    assert not listens(pair_file.front) and not listens(pair_file.inner)
    assert list(tmp_path.iterdir()) == [pair_file.path]


def test_an_interrupted_experiment_leaves_nothing_running(pair_file: PairFile) -> None:
    """Neither a program that was stopped nor the load; what was asked for, and how long it takes, is said before. What
    the rounds measured is kept: exit code 1, as the rest is missing."""
    command = [ENTRY, "compare", pair_file.write(), "--layout", "shared", "--experiments", "hang"]
    schedule = ["--rounds", "1", "--duration", "0.5", "--quick"]
    process = subprocess.Popen([*command, *schedule], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = ""
    while "experiments follow" not in said:
        said = process.stderr.readline()
        assert said, "it ended"
    assert "2 experiments follow; they take about " in said
    eventually(lambda: any(_stopped(pid) for pid in descendants([process.pid])))
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in errors
    assert "the comparison is partial: experiments: stopped by SIGINT" in errors and "latency p50, ms" in printed
    assert not listens(pair_file.front) and not listens(pair_file.inner)


def _stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
