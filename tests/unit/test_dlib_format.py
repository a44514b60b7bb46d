"""The reader of dlib's files: by hand-made bytes, and by damage to the real ones."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import ModelFault
from countenance.vision import dlib_format, packs
from countenance.vision.dlib_bytes import Reader, integers

READERS = {
    "detector": dlib_format.read_detector,
    "landmarks": dlib_format.read_shape_model,
    "embedder": dlib_format.read_embedder,
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    pack = packs.load()
    return {role: pack.read(role) for role in READERS}


def packed(value: int) -> bytes:
    body = abs(value).to_bytes(max(1, (abs(value).bit_length() + 7) // 8), "little")
    return bytes([len(body) | (0x80 if value < 0 else 0)]) + body


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x01\x00", 0),
        (b"\x01\x50", 80),
        (b"\x02\xf4\x01", 500),
        (b"\x81\x0a", -10),
        (b"\x08" + b"\xff" * 7 + b"\x7f", 2**63 - 1),
    ],
)
def test_integers_by_hand(data: bytes, value: int) -> None:
    assert Reader(data).integer() == value


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x09" + bytes(9), b"\x11\x00", b"\x02\x01"])
def test_what_is_no_integer(data: bytes) -> None:
    with pytest.raises(ModelFault) as caught:
        Reader(data).integer()
    assert caught.value.code == "model-file-malformed"


def test_reals_are_mantissa_and_exponent_of_two() -> None:
    assert Reader(packed(-3) + packed(-2)).real() == -0.75
    assert Reader(b"\x03\x62\x90\xf5\x81\x11").real() == pytest.approx(122.782, abs=1e-5)
    for exponent in (32000, 32001, 32002):  # dlib's infinities and not-a-number
        with pytest.raises(ModelFault):
            Reader(packed(0) + packed(exponent)).real()


def test_a_tensor_by_hand() -> None:
    sizes = b"".join(map(packed, (2, 1, 2, 3, 1)))
    read = Reader(sizes + struct.pack("<6f", 0, 1, 2, 3, 4, 5)).tensor()
    assert read.shape == (1, 2, 3, 1)
    assert read[0, 1, :, 0].tolist() == [3, 4, 5]


def test_a_tensor_that_claims_more_than_memory_is_refused_unread() -> None:
    sizes = b"".join(map(packed, (2, 8_000_000, 8_000_000, 8_000_000, 8_000_000)))
    with pytest.raises(ModelFault):
        Reader(sizes).tensor()


def test_a_tensor_of_numbers_that_are_none_is_refused() -> None:
    sizes = b"".join(map(packed, (2, 1, 1, 1, 1)))
    for value in (float("nan"), float("inf")):
        with pytest.raises(ModelFault):
            Reader(sizes + struct.pack("<f", value)).tensor()


@given(st.lists(st.integers(-(2**55), 2**55), max_size=30))
def test_many_integers_at_once_are_those_one_by_one(values: list[int]) -> None:
    assert integers(b"".join(map(packed, values))).tolist() == values


def test_the_detector_is_what_is_published(files: dict[str, bytes]) -> None:
    read = dlib_format.read_detector(files["detector"])
    assert read.window == (80, 80)
    assert read.mean_rgb == pytest.approx((122.782, 117.001, 104.298), abs=1e-5)
    shapes = [layer.arrays["weights"].shape for layer in read.layers if layer.kind == "con"]
    assert shapes == [
        (16, 3, 5, 5), (32, 16, 5, 5), (32, 32, 5, 5), (45, 32, 5, 5), (45, 45, 5, 5), (45, 45, 5, 5),
        (1, 45, 9, 9),
    ]
    assert [layer.numbers["pad_y"] for layer in read.layers if layer.kind == "con"] == [0, 0, 0, 2, 2, 2, 4]


def test_the_embedder_has_29_convolutions(files: dict[str, bytes]) -> None:
    kinds = [layer.kind for layer in dlib_format.read_embedder(files["embedder"]).layers]
    assert kinds.count("con") == kinds.count("affine") == 29
    assert kinds[-1] == "fc"


def test_the_shape_model_has_five_points(files: dict[str, bytes]) -> None:
    model = dlib_format.read_shape_model(files["landmarks"])
    assert model.initial.shape == (5, 2)
    assert model.leaves.shape == (15, 500, 16, 5, 2)
    assert model.offset.shape == (15, 800, 2)
    # The eye on the right of the picture comes first; the nose is between the eyes and below.
    assert model.initial[0, 0] > model.initial[4, 0] > model.initial[2, 0]
    assert model.initial[4, 1] == model.initial[:, 1].max()
    assert np.abs(model.leaves).max() < 1


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.5, 0.99, 0.9999999])
def test_a_file_cut_short(files: dict[str, bytes], role: str, share: float) -> None:
    data = files[role]
    with pytest.raises(ModelFault) as caught:
        READERS[role](data[: int(len(data) * share)])
    assert caught.value.code == "model-file-malformed"


@pytest.mark.parametrize("role", READERS)
def test_a_file_with_something_after_its_end(files: dict[str, bytes], role: str) -> None:
    with pytest.raises(ModelFault):
        READERS[role](files[role] + b"\x01\x00")


@pytest.mark.parametrize("role", ["embedder", "detector"])
def test_one_network_is_not_read_as_another(files: dict[str, bytes], role: str) -> None:
    (other,) = {"embedder", "detector"} - {role}
    with pytest.raises(ModelFault):
        READERS[role](files[other])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_found_or_leaves_a_whole_model(files: dict[str, bytes], data: st.DataObject) -> None:
    """Bytes of the detector's head, where sizes and counts are, and of any place: never another error."""
    original = files["detector"]
    at = data.draw(st.one_of(st.integers(0, 300), st.integers(0, len(original) - 1)))
    by = data.draw(st.binary(min_size=1, max_size=4))
    try:
        read = dlib_format.read_detector(original[:at] + by + original[at + len(by) :])
    except ModelFault as fault:
        assert fault.code == "model-file-malformed"
    else:
        assert len(read.layers) == 19


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_at_all(data: bytes) -> None:
    for read in READERS.values():
        with pytest.raises(ModelFault):
            read(data)
