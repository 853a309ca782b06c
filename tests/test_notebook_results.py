"""How answers show: as kubectl's text, as a table in a page, as data."""

from __future__ import annotations

import re
from typing import Any

import pytest

from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.errors import explain
from k8snb.notebook.results import Result
from k8snb.notebook.style import BAD, BUSY, DONE, GOOD, PLAIN, TONES, tone_of


def pods(*lines: tuple[Any, ...], wide: bool = False, **more: Any) -> Result:
    columns = (Column("NAME"), Column("READY"), Column("STATUS"), Column("RESTARTS"), Column("IP", 1))
    rows = tuple(Row(line, {"kind": "Pod", "metadata": {"name": line[0]}}) for line in lines)
    table = Table(columns=columns, rows=rows, wide=wide)
    return Result(Output(text=table.text, tables=[table], objects=[row.object for row in rows], **more))


WEB = ("web", "1/1", "Running", 0, "10.0.0.1")
BATCH = ("batch", "0/1", "Completed", 0, "10.0.0.2")


def cells(html: str) -> list[str]:
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html)]


def test_a_terminal_shows_the_text_of_kubectl() -> None:
    assert repr(pods(WEB)) == "NAME   READY   STATUS    RESTARTS\nweb    1/1     Running   0"


def test_the_page_shows_what_the_text_says() -> None:
    assert cells(pods(WEB)._repr_html_()) == ["web", "1/1", "✓Running", "0"]
    assert cells(pods(WEB, wide=True)._repr_html_())[-1] == "10.0.0.1"


@pytest.mark.parametrize(
    ("word", "tone"),
    [
        ("Running", GOOD),
        ("Pending", BUSY),
        ("Init:0/2", BUSY),
        ("Init:CrashLoopBackOff", BAD),
        ("ImagePullBackOff", BAD),
        ("RuntimeError", BAD),
        ("Completed", DONE),
        ("Ready,SchedulingDisabled", BUSY),
        ("NotReady,SchedulingDisabled", BAD),
        ("ClusterIP", PLAIN),
    ],
)
def test_every_status_has_a_tone(word: str, tone: Any) -> None:
    assert tone_of(word) is tone


def test_no_tone_shows_by_colour_alone() -> None:
    symbols = [tone.symbol for tone in TONES if tone is not PLAIN]
    assert all(symbols) and len(set(symbols)) == len(symbols)
    assert "✕</b>Error" in pods(("x", "0/1", "Error", 0, ""))._repr_html_()


def test_numbers_stand_at_the_right_below_their_name_whatever_the_column_is_called() -> None:
    columns = (Column("NAME"), Column("READY"), Column("NODE"))
    rows = tuple(Row((name, ready, node), {}) for name, ready, node in (("a", 1, "n"), ("b", 10, "1")))
    html = Result(Output(tables=[Table(columns=columns, rows=rows)]))._repr_html_()
    assert '<th class="k8snb-num">READY</th>' in html and '<td class="k8snb-num">10</td>' in html
    assert "<th>NODE</th>" in html and "<td>1</td>" in html


def test_what_is_done_lacks_nothing() -> None:
    assert cells(pods(BATCH)._repr_html_()) == ["batch", "0/1", "■Completed", "0"]
    assert cells(pods(("x", "0/1", "Running", 0, ""))._repr_html_())[1] == "◐0/1"


def test_names_cannot_break_the_page() -> None:
    assert "<script>" not in pods(("<script>", "1/1", "<b>", 0, ""))._repr_html_().partition("</style>")[2]


def test_a_page_shows_the_first_rows_of_very_many_and_says_so() -> None:
    result = pods(*((f"web-{i}", "1/1", "Running", 0, "") for i in range(5000)))
    assert len(cells(result._repr_html_())) == 4 * 300
    assert "4,700 more rows" in result._repr_html_()
    assert "more lines" in repr(result) and len(result.df) == 5000


def test_hints_and_warnings_stand_below_the_answer() -> None:
    result = pods(WEB, warnings=["Warning: old"], hints=["look there"])
    assert repr(result).splitlines()[-2:] == ["Warning: old", "Hint: look there"]
    assert "look there" in result._repr_html_()


def test_yaml_is_coloured_and_unchanged() -> None:
    html = Result(Output(text="a: 1\nb: <x>\n", format="yaml"))._repr_html_()
    assert '<span class="nt">a</span>' in html
    assert re.sub("<[^>]+>", "", html.partition('k8snb-code">')[2]) == "a: 1\nb: &lt;x&gt;\n"


def test_the_objects_are_at_hand() -> None:
    result = pods(WEB, BATCH)
    assert [obj["metadata"]["name"] for obj in result] == ["web", "batch"]
    assert result[0] is result["web"] and len(result) == 2
    assert pods(WEB).object["metadata"]["name"] == "web"
    with pytest.raises(LookupError, match="2 objects"):
        result.object  # noqa: B018
    with pytest.raises(LookupError, match='no object "nope"'):
        result["nope"]


def test_an_answer_without_objects_is_still_true() -> None:
    assert Result(Output(text="x"))


def test_data_frames_have_the_columns_of_the_table() -> None:
    assert list(pods(WEB).df.columns) == ["NAME", "READY", "STATUS", "RESTARTS"]
    frame = Result(Output(objects=[{"kind": "Pod", "metadata": {"name": "x"}}])).df
    assert frame["metadata.name"].tolist() == ["x"]


# errors


def test_a_fault_in_a_cell_is_quoted_with_the_line_of_the_cell() -> None:
    error = KubectlError("error: bad (line 2)", line=2, source="STDIN")
    assert explain(error, "a: 1\nb: x\n") == "error: bad (cell line 3)\n  line 3: b: x"


def test_every_line_that_a_message_names_is_one_of_the_cell() -> None:
    body = "a: 1\nb: x\nc: 3\n"
    twice = KubectlError('error: error parsing STDIN: line 2: key "b" is already set at line 1', line=2, source="STDIN")
    message = 'error: error parsing the cell: key "b" is already set at line 2 (cell line 3)\n  line 3: b: x'
    assert explain(twice, body) == message
    several = KubectlError("invalid:\n* a: bad (line 1)\n* c: bad (line 3)", line=1, source="STDIN")
    assert explain(several, body).splitlines()[1:3] == ["* a: bad (cell line 2)", "* c: bad (cell line 4)"]


def test_a_fault_in_a_file_quotes_no_cell() -> None:
    error = KubectlError("error: bad (line 2)", line=2, source="web.yaml")
    assert explain(error, "a: 1\nb: x\n") == "error: bad (line 2)"


def test_a_fault_without_a_place_is_one_line() -> None:
    assert explain(KubectlError("error: bad"), None) == "error: bad"


def test_a_cells_manifest_is_shown_in_colours_with_the_cells_own_line_numbers() -> None:
    shown = Result(Output(text="pod/web created\n"), source="apiVersion: v1\nkind: Pod\n")._repr_html_()
    assert "<details" in shown and 'class="nt"' in shown
    assert re.findall(r'<i class="k8snb-dim">(\d+)</i>', shown) == ["2", "3"]
    assert "<details" not in Result(Output(text="pod/web created\n"))._repr_html_()
