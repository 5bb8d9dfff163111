"""Damaged bytes of a file: cuts, repetitions, exchanged bits, and pieces that readers trip over."""

from __future__ import annotations

from hypothesis import strategies as st

_PIECES = (
    *(
        b"[",
        b"{",
        b"]",
        b"}",
        b'"',
        b"'",
        b",",
        b":",
        b"\n",
        b"\r",
        b"\0",
        b"\x1b[2J",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\\",
        b"\\u0000",
    ),
    *(b"\\ud800", b'"\\ud800"', b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 5000, b"null", b"true", b'"x"', b"[]", b"{}", b"0", b"''"),
    *(
        b"[" * 30_000,
        b"- " * 30_000,
        b"{a: " * 30_000,
        b'{"a":' * 30_000,
        b"\n---\n",
        b"&a [*a]",
        b"!!python/name:os.system x",
        b"<<: *a",
        b"? ",
    ),
    *(
        b"2026-02-30",
        b"{% for a in range(99999) %}",
        b"{{ 9 ** 9 ** 9 }}",
        b"\xc2\x9b",
        b"\xe2\x80\xae",
        b"../../x",
        b"/etc/passwd",
        b"a" * 70_000,
    ),
)
# Long pieces by name: hypothesis prints what fails.
PIECES = {(repr(piece) if len(piece) < 60 else f"{piece[:4]!r} and so on"): piece for piece in _PIECES}
_PLACE = st.integers(0, 10_000)
MUTATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), _PLACE, st.sampled_from(list(PIECES))),
        st.tuples(st.just("replace"), _PLACE, st.sampled_from(list(PIECES))),
        st.tuples(st.just("value"), _PLACE, st.sampled_from(list(PIECES))),
        st.tuples(st.just("cut"), _PLACE, _PLACE),
        st.tuples(st.just("repeat"), _PLACE, _PLACE),
        st.tuples(st.just("bit"), _PLACE, st.integers(0, 7)),
    ),
    min_size=1,
    max_size=4,
)
_VALUE_ENDS = b",}]\n"


def mutated(raw: bytes, mutations: list[tuple[str, int, str | int]]) -> bytes:
    """The bytes after all mutations; places are in ten-thousandths of the length."""
    for kind, place, what in mutations:
        at = len(raw) * place // 10_000
        if isinstance(what, str):
            piece = PIECES[what]
            end = at + len(piece) if kind == "replace" else at
            if kind == "value":  # from a colon to the end of the value
                at = raw.find(b":", at) + 1
                end = next((spot for spot in range(at, len(raw)) if raw[spot] in _VALUE_ENDS), len(raw))
            raw = raw[:at] + piece + raw[end:]
        elif kind == "bit" and raw:
            at = min(at, len(raw) - 1)
            raw = raw[:at] + bytes([raw[at] ^ 1 << what]) + raw[at + 1 :]
        else:
            start, end = sorted((at, len(raw) * what // 10_000))
            raw = raw[:start] + (raw[start:end] * 2 if kind == "repeat" else b"") + raw[end:]
    return raw
