"""Configuration: what is written is what is used, and every mistake is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamfx.config.loading import load_config, schema
from streamfx.config.transcode import LimitsConfig, QueueConfig, TranscodeConfig
from streamfx.engine.factors import FACTORS
from streamfx.errors import ConfigError

FILES = {"input": "a.mp4", "output": "b.mp4"}


class Write(Protocol):
    """Writes a configuration, by default with input and output on the first two lines."""

    def __call__(self, text: str, *, files: bool = True) -> Path: ...


def problems(path: Path | None = None, *overrides: str, **options: object) -> list[str]:
    """Return the lines of the error that these settings must give."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, options)
    return str(caught.value).splitlines()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a configuration, called c.yaml in messages."""
    monkeypatch.chdir(tmp_path)

    def write_text(text: str, *, files: bool = True) -> Path:
        path = Path("c.yaml")
        path.write_text(("input: a.mp4\noutput: b.mp4\n" if files else "") + text, encoding="utf-8")
        return path

    return write_text


def test_every_problem_of_a_file_is_named_at_once_with_line_column_key_and_hint(write: Write) -> None:
    path = write(
        "qualty: 20\n"
        "effects: wave\n"
        "factor: 5\n"
        "factor: 4\n"
        "backend: openvin\n"
        "threads: yes\n"
        "limits:\n"
        "  frames: 0\n"
        "  frame: 3\n"
        "queue: 3\n"
    )
    assert problems(path) == [
        "c.yaml:3:1: unknown key 'qualty'; did you mean 'quality'?",
        "c.yaml:4:10: effects: must be a list, found 'wave'",
        "c.yaml:5:9: factor: must be 'auto' or one of 1, 1.5, 2, 3, 4, 6, 8, found 5",
        "c.yaml:6:1: key 'factor' is there already, on line 5",
        "c.yaml:7:10: backend: must be 'auto', 'eager', 'openvino', 'inductor' or 'tensorrt' "
        "(did you mean 'openvino'?), found 'openvin'",
        "c.yaml:8:10: threads: must be a whole number, found True",
        "c.yaml:10:11: limits.frames: must be greater than or equal to 1, found 0",
        "c.yaml:11:3: unknown key 'limits.frame'; did you mean 'frames'?",
        "c.yaml:12:8: queue: must be a section of settings, found 3",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quality: '20'", "c.yaml:3:10: quality: must be a whole number, found '20'"),
        ("quality: .nan", "c.yaml:3:10: quality: must be a whole number, found nan"),
        ("quality: [1]", "c.yaml:3:10: quality: must be a whole number, found [1]"),
        ("overwrite: 1", "c.yaml:3:12: overwrite: must be true or false, found 1"),
        ("codec: 264", "c.yaml:3:8: codec: must be text, found 264"),
        ("codec: ''", "c.yaml:3:8: codec: must not be empty, found ''"),
        ("codec: 2024-01-01", "c.yaml:3:8: codec: must be text, found datetime.date(2024, 1, 1)"),
        ("threads: 1.5", "c.yaml:3:10: threads: must be a whole number, found 1.5"),
        ("threads: -1", "c.yaml:3:10: threads: must be greater than or equal to 1, found -1"),
        ("factor: true", "c.yaml:3:9: factor: must be 'auto' or one of 1, 1.5, 2, 3, 4, 6, 8, found True"),
        ("speed: fast", "c.yaml:3:8: speed: must be how many times faster than real time, 2 or 2x for "
                        "instance, found 'fast'"),
        ("speed: 0", "c.yaml:3:8: speed: must be how many times faster than real time, 2 or 2x for "
                     "instance, found 0"),
        ("start: 1:99", "c.yaml:3:8: start: must be seconds or a timecode, 12.5 or 1:02:03.250 for instance, "
                        "found '1:99'"),
        ("start: 9\nend: 0:00:08.5", "c.yaml:4:6: end: must come after the start, 9 s, found '0:00:08.5'"),
        ("end: 9\nduration: 2", "c.yaml:4:11: duration: cannot be given together with end; leave one of them "
                               "out, found 2"),
        ("duration: 0", "c.yaml:3:11: duration: must be longer than nothing, found 0"),
        ("size: 0x200", "c.yaml:3:7: size: must be a size: 1280x720, 1280x (a width), x720 (a height) or "
                        "720p, for instance, found 512"),
        ("crop: 720", "c.yaml:3:7: crop: must be a part of the picture: 640x480 (from its middle), "
         "640x480+LEFT+TOP or a shape, 16:9, for instance; or auto, without the black bars, found 720"),
        ("subtitles: no", "c.yaml:3:12: subtitles: must be one of auto, copy, convert, none, srt, ass, "
                          "webvtt, mov_text (did you mean 'none'?), found False"),
        ("size: 8p", "c.yaml:3:7: size: must have sides of 16 to 16384 pixels, not 8, found '8p'"),
        ("crop: 1:2:3", "c.yaml:3:7: crop: must be a part of the picture: 640x480 (from its middle), "
         "640x480+LEFT+TOP or a shape, 16:9, for instance; or auto, without the black bars, found '1:2:3'"),
        ("rotate: 45", "c.yaml:3:9: rotate: must be 0, 90, 180 or 270, found 45"),
        ("flip: up", "c.yaml:3:7: flip: must be 'horizontal' or 'vertical', found 'up'"),
        ("fps: 0", "c.yaml:3:6: fps: must be above 0 and at most 1000 frames per second, found 0"),
        ("fps: true", "c.yaml:3:6: fps: must be a rate such as 25 or 30000/1001, found True"),
        ("effects: [wave, 3]", "c.yaml:3:17: effects.1: must be text, found 3"),
        ("effects:\n  - wave\n  - a: 1", "c.yaml:5:5: effects.1: must be text, found {'a': 1}"),
        ("1: 2", f"c.yaml:3:1: unknown key '1'; there is {', '.join(sorted(TranscodeConfig.model_fields))}"),
        ("? [a, b]\n: 1", "c.yaml:3:3: a key must be one word"),
        ("limits:\n  <<: {frames: 1}", "c.yaml:4:3: a key must be one word"),
        ("limits: &l {frames: 1}\nqueue: *l",
         "c.yaml:3:9: aliases (*name) are not supported; write the value out"),
        ("codec: !!python/object:os.system x",
         "c.yaml:3:8: cannot be read as a value: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object:os.system'"),
        ("codec: 2024-13-01", "c.yaml:3:8: cannot be read as a value: month must be in 1..12"),
    ],
)  # fmt: skip
def test_a_problem_is_named_with_its_place(write: Write, text: str, expected: str) -> None:
    assert problems(write(text)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1, 2", "c.yaml:1:9: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("\tb: 1", "c.yaml:1:1: not valid YAML: found character '\\t' that cannot start any token"),
        ("- wave", "c.yaml:1:1: settings must be 'key: value' lines, found a list"),
        ("wave", "c.yaml:1:1: settings must be 'key: value' lines, found a single value"),
        ("a: 1\n---\nb: 2", "c.yaml:2:1: not valid YAML: but found another document"),
        ("a: *b", "c.yaml:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: \x00", "c.yaml: not valid YAML: unacceptable character #x0000: special characters are not "
                    'allowed\n  in "<unicode string>", position 3'),
    ],
)  # fmt: skip
def test_a_text_that_is_no_configuration_is_refused_with_its_place(
    write: Write, text: str, expected: str
) -> None:
    assert problems(write(text, files=False)) == expected.splitlines()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff")
    assert problems(tmp_path / "none.yaml") == [
        f"{tmp_path}/none.yaml: cannot read the configuration: No such file or directory"
    ]
    assert problems(tmp_path / "binary.yaml") == [
        f"{tmp_path}/binary.yaml: the configuration is not UTF-8 text: invalid start byte"
    ]


def test_an_empty_file_is_no_settings(write: Write) -> None:
    assert load_config(write("# nothing yet\n", files=False), options=FILES) == load_config(options=FILES)


def test_missing_settings_are_named_with_the_file(write: Write) -> None:
    assert problems(write("factor: 4", files=False)) == [
        "c.yaml: 'input' is missing",
        "c.yaml: 'output' is missing",
    ]
    assert problems() == ["'input' is missing", "'output' is missing"]


def test_what_is_said_later_wins(write: Write) -> None:
    path = write("quality: 1\nthreads: 1\nfactor: 1\nlimits: {frames: 1, decode_failures: 1}\n")
    config = load_config(path, ["quality=2", "factor=2", "limits.frames=2"], {"quality": "3", "codec": None})
    assert (config.quality, config.factor, config.threads) == (3, 2, 1)
    assert config.limits == LimitsConfig(frames=2, decode_failures=1)


def test_a_mistake_in_a_file_is_mended_by_an_override(write: Write) -> None:
    assert load_config(write("quality: high"), ["quality=20"]).quality == 20


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("quality", "--set quality: must be KEY=VALUE, for example quality=20"),
        ("=3", "--set =3: must be KEY=VALUE, for example quality=20"),
        ("limits.=3", "--set limits.=3: must be KEY=VALUE, for example quality=20"),
        ("quality=abc", "--set quality=abc: quality: must be a whole number, found 'abc'"),
        ("qualty=20", "--set qualty=20: unknown key 'qualty'; did you mean 'quality'?"),
        ("limits.frame=3", "--set limits.frame=3: unknown key 'limits.frame'; did you mean 'frames'?"),
        ("quality.x=3", "--set quality.x=3: quality: must be a whole number, found {'x': 3}"),
        ("limits=3", "--set limits=3: limits: must be a section of settings, found 3"),
    ],
)
def test_a_wrong_override_is_named(override: str, expected: str) -> None:
    assert problems(None, override, **FILES) == [expected]


def test_problems_of_file_override_and_option_come_together(write: Write) -> None:
    path = write("codec: 1")
    assert problems(path, "quality=x", threads="many") == [
        "c.yaml:3:8: codec: must be text, found 1",
        "threads: must be a whole number, found 'many'",
        "--set quality=x: quality: must be a whole number, found 'x'",
    ]


def test_text_from_a_command_line_becomes_what_the_setting_needs() -> None:
    overrides = ["output=1", "effects=[wave, 'restore:strength=1']", "verify=false"]
    options = {"input": "2", "factor": "1.5", "quality": "20", "threads": "2", "codec": "264"}
    config = load_config(None, overrides, options)
    assert (config.input, config.output) == ("2", "1")
    assert config.effects == ("wave", "restore:strength=1")
    assert (config.factor, config.quality, config.threads, config.codec) == (1.5, 20, 2, "264")
    assert config.verify is False


def test_a_configuration_cannot_be_changed() -> None:
    config = load_config(options=FILES)
    with pytest.raises(ValueError, match="frozen"):
        config.quality = 3


def _error_lines(path: Path, **further: Any) -> list[str]:
    """Return the lines of the ConfigError that loading gives, if it gives one."""
    try:
        load_config(path, **further)
    except ConfigError as error:
        return str(error).splitlines() or [""]
    return []


CONFIGS = st.builds(
    TranscodeConfig,
    input=st.text(min_size=1),
    output=st.text(min_size=1),
    effects=st.lists(st.text(min_size=1), max_size=3).map(tuple),
    factor=st.sampled_from(("auto", *FACTORS)),
    speed=st.floats(0.01, 1000),
    backend=st.sampled_from(("auto", "eager", "openvino")),
    quality=st.none() | st.integers(0, 100),
    codec=st.none() | st.text(min_size=1),
    threads=st.none() | st.integers(1, 64),
    overwrite=st.booleans(),
    report=st.none() | st.text(min_size=1),
    queue=st.builds(
        QueueConfig, policy=st.sampled_from(("auto", "wait", "drop_newest")), capture=st.integers(1, 9)
    ),
    limits=st.builds(LimitsConfig, frames=st.none() | st.integers(1), read_seconds=st.none() | st.just(0.5)),
)


@given(CONFIGS)
def test_what_a_report_stores_can_be_read_again_as_a_configuration(
    tmp_path_factory: pytest.TempPathFactory, config: TranscodeConfig
) -> None:
    path = tmp_path_factory.getbasetemp() / "stored.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.model_dump_json())), encoding="utf-8")
    assert load_config(path) == config


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=5
    )
)
def test_whatever_is_in_a_file_it_is_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    lines = _error_lines(path, options=FILES)
    assert all(line.startswith(f"{path}:") for line in lines)


@given(st.text())
def test_no_text_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    assert all(_error_lines(path, overrides=[text]))


def test_the_schema_knows_every_key_and_refuses_others() -> None:
    described = schema()
    assert described["$schema"].startswith("https://json-schema.org/")
    assert set(described["properties"]) == set(TranscodeConfig.model_fields)
    assert described["additionalProperties"] is False
    assert described["required"] == ["input", "output"]
    assert described["properties"]["factor"]["enum"] == ["auto", *FACTORS]
    assert all(
        detail.get("description") for detail in described["properties"].values() if "$ref" not in detail
    )
    json.dumps(described)


@pytest.mark.parametrize("given", ["2x", "2", 2, 2.0])
def test_a_speed_may_be_written_with_its_x(given: object) -> None:
    assert load_config(options={"input": "a.mp4", "output": "b.mp4", "speed": given}).speed == 2


def test_what_is_written_with_colons_is_what_it_says(write: Write) -> None:
    path = write("crop: 16:9\nstart: 1:30\nend: 1:02:03.25")
    config = load_config(path)
    assert (config.crop, config.start, config.end) == ("16:9", 90.0, 3723.25)


def test_a_shape_that_is_none_is_shown_as_it_was_written() -> None:
    with pytest.raises(ConfigError, match="found '200:1'"):
        load_config(overrides=["crop=200:1"], options={"input": "in.mp4", "output": "out.mp4"})
