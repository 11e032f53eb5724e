from dataclasses import replace

import pytest

from edge_runtime.live.status import BoardStatus, FollowStatus
from edge_runtime.sinks.sink import SinkStatus
from edge_runtime.web.metrics import exposition

parser = pytest.importorskip("prometheus_client.parser")


def parsed(live) -> dict[tuple, float]:
    """{(name, *sorted labels): value}, as Prometheus' own parser reads it; no series twice."""
    text = exposition(live, {"video": 2, "live values": 1}).decode()
    families = list(parser.text_string_to_metric_families(text))
    assert all(family.documentation and family.samples for family in families)
    samples = [(s.name, *sorted(s.labels.items())) for family in families for s in family.samples]
    assert len(samples) == len(set(samples)) and len(families) == len({family.name for family in families})
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_prometheus_reads_the_state(loop, eventually):
    loop.sinks = (
        SinkStatus("mqtt", True, 7, 2, 1, ""),
        SinkStatus("webhook", False, 0, 9, 0, "refused"),
        SinkStatus("webhook", True, 3, 0, 0, ""),
    )
    found = parsed(loop)
    assert found[("litelens_health", ("level", "degraded"))] == 1
    assert found[("litelens_health", ("level", "ok"))] == 0
    assert found[("litelens_state", ("label", "red"))] == 1
    assert found[("litelens_state", ("label", "unknown"))] == 0
    assert found[("litelens_score", ("label", "red"))] > 0.9
    assert found[("litelens_board_temperature_celsius",)] == 51.5
    assert found[("litelens_sink_delivered_total", ("sink", "mqtt"))] == 7
    assert found[("litelens_sink_waiting", ("sink", "webhook"))] == 9
    assert found[("litelens_sink_delivered_total", ("sink", "webhook_2"))] == 3
    assert found[("litelens_web_clients", ("stream", "video"))] == 2
    assert found[("process_resident_memory_bytes",)] > 2**20
    before = found[("litelens_frames_classified_total",)]
    eventually(lambda: parsed(loop)[("litelens_frames_classified_total",)] > before)


def test_following_is_told_where_there_is_any(loop):
    assert not any("follow" in name for name, *_ in parsed(loop))
    loop.follow = FollowStatus(True, "http://models", "beta", "2", "", False, None, 12.0)
    found = parsed(loop)
    assert found[("litelens_follow_offered_info", ("channel", "beta"), ("version", "2"))] == 1
    assert (found[("litelens_follow_ok",)], found[("litelens_follow_refused",)]) == (1, 0)
    assert ("litelens_follow_looked_seconds",) not in found, "not looked yet"
    loop.follow = replace(loop.follow, ok=False, refused=True, looked_s_ago=90.0)
    found = parsed(loop)
    assert (found[("litelens_follow_ok",)], found[("litelens_follow_refused",)]) == (0, 1)
    assert found[("litelens_follow_looked_seconds",)] == 90


def test_what_the_board_does_not_tell_is_left_out(loop):
    loop.board = BoardStatus(None, None)
    names = {name for name, *_ in parsed(loop)}
    assert "litelens_board_temperature_celsius" not in names and "litelens_board_throttled" not in names


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\nb", "a\\nb", "{}", "größer", "a}b 1", "", "\udcff"])
def test_any_label_is_one_label(loop, label):
    loop.labels = (label, "green", "red")
    # What is no Unicode is shown as "?".
    shown = label.encode(errors="replace").decode()
    assert parsed(loop)[("litelens_state", ("label", shown))] == 0


def test_a_score_that_is_no_number_does_not_break_the_rest(loop):
    observation = loop.newest()
    loop.newest = lambda: replace(observation, scores=observation.scores * float("nan"))
    assert parsed(loop)[("litelens_frames_per_second",)] > 0
