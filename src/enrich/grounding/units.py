"""The words and signs that give a number its unit: currencies, scales, units of measure."""

from __future__ import annotations

SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW"}
DOLLARS = {"us": "USD", "a": "AUD", "au": "AUD", "c": "CAD", "ca": "CAD", "hk": "HKD", "nz": "NZD", "s": "SGD", "r": "BRL"}
CODES = {"usd": "USD", "eur": "EUR", "gbp": "GBP", "jpy": "JPY", "cny": "CNY", "rmb": "CNY", "inr": "INR", "chf": "CHF", "cad": "CAD",
          "aud": "AUD", "krw": "KRW"}  # fmt: skip
MONEY = {
    "dollar": "USD",
    "dollars": "USD",
    "euro": "EUR",
    "euros": "EUR",
    "pound": "GBP",
    "pounds": "GBP",
    "yen": "JPY",
    "yuan": "CNY",
    **CODES,
}
ATTACHED_SCALES = {"k": 10**3, "K": 10**3, "M": 10**6, "MM": 10**6, "mn": 10**6, "mln": 10**6, "B": 10**9, "bn": 10**9, "Bn": 10**9,
                    "BN": 10**9, "b": 10**9, "T": 10**12, "tn": 10**12, "trn": 10**12}  # fmt: skip
_UNIT_NAMES = """
    year years yr yrs, month months mo mos, week weeks wk wks, day days, hour hours hr hrs h, minute minutes min mins,
    second seconds sec secs, millisecond milliseconds ms, century centuries, watt watts w, kilowatt kilowatts kw, megawatt
    megawatts mw, gigawatt gigawatts gw, terawatt tw, kwh, mwh, gwh, twh, byte bytes, kb, mb, gb, tb, pb, km kilometers
    kilometres, meter meters metre metres, mile miles, kg kilogram kilograms, ton tons tonne tonnes, nm nanometer nanometers
    nanometre, flop flops, degree degrees, bps, token tokens, parameter parameters params
"""
UNITS = {alias: names.split()[0] for names in _UNIT_NAMES.split(",") for alias in names.split()}
# Nouns that are units only in name: `70B parameters` and `70B` are the same thing, and so are `8 tokens` and `8`.
LOOSE_UNITS = frozenset({"token", "parameter", "flop"})
