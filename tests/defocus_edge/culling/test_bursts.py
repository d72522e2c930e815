"""bursts.py: which frames belong together."""

from datetime import datetime, timedelta

import pytest

from defocus_edge.culling.bursts import Frame, find_bursts
from defocus_edge.files.sidecars.captures import Capture

START = datetime(2026, 5, 1, 10)


def make_frame(picture, second, camera="A"):
    return Frame(picture, Capture(camera, START + timedelta(seconds=second)))


def name(bursts):
    return [[frame.picture for frame in burst] for burst in bursts]


def test_frames_follow_each_other_by_time():
    seconds = {"c.jpg": 0, "a.jpg": 2, "b.jpg": 3.5, "d.jpg": 5.75, "e.jpg": 60}
    frames = [make_frame(picture, second) for picture, second in seconds.items()]
    assert name(find_bursts(frames, by="time", gap=2)) == [["c.jpg", "a.jpg", "b.jpg"], ["d.jpg"], ["e.jpg"]]
    assert name(find_bursts(reversed(frames), by="time", gap=2.25)) == [["c.jpg", "a.jpg", "b.jpg", "d.jpg"], ["e.jpg"]]
    assert name(find_bursts(frames, by="time", gap=0)) == [["a.jpg"], ["b.jpg"], ["c.jpg"], ["d.jpg"], ["e.jpg"]]


def test_cameras_folders_and_raw_files_are_apart():
    frames = [make_frame("a.jpg", 0), make_frame("b.jpg", 0, "B"), make_frame("x/c.jpg", 0), make_frame("a.CR2", 0)]
    frames += [make_frame("d.jpg", 1), make_frame("d.CR2", 1)]
    assert name(find_bursts(frames, by="time", gap=2)) == [
        ["a.CR2", "d.CR2"],
        ["a.jpg", "d.jpg"],
        ["b.jpg"],
        ["x/c.jpg"],
    ]


def test_a_frame_without_a_time_is_a_burst_of_its_own():
    frames = [Frame("a.jpg"), Frame("b.jpg"), make_frame("c.jpg", 0, "")]
    assert name(find_bursts(frames, by="time", gap=2)) == [["a.jpg"], ["b.jpg"], ["c.jpg"]]


@pytest.mark.parametrize(
    ("by", "expected"), [("folder", [["a.jpg", "b.jpg"], ["x/a.jpg"]]), ("all", [["a.jpg", "b.jpg", "x/a.jpg"]])]
)
def test_other_rules_need_no_time(by, expected):
    frames = [Frame(picture) for picture in ("x/a.jpg", "b.jpg", "a.jpg")]
    assert name(find_bursts(frames, by=by, gap=2)) == expected


def test_no_frames():
    assert find_bursts([], by="time", gap=2) == []
