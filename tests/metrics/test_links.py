"""Links that could cite a resource, canonical addresses, and JavaScript's numbers (exact values of record fields)."""

from __future__ import annotations

import pytest

from enrich.metrics.javascript import js_round, number, number_text
from enrich.metrics.links import canonical_href, links, referenced_resources, resource_map, unconverted_links
from enrich.wiki.data import Resource
from tests.demo import cases

CASES = cases(__file__)

KNOWN = resource_map([Resource("aa", "https://Example.org/Paper/", "The paper"), Resource("bb", "http://www.other.org:80", None)])


def test_a_link_is_found_with_and_without_final_slash_and_www() -> None:
    body = (
        "[a](https://example.org/Paper) [b](https://www.example.org/Paper/) ![i](https://example.org/Paper) [c](/Paper) [d](#x) [e](mailto:q)\n"
        "[f](https://example.org/paper) [g](http://other.org) [a](https://example.org/Paper)"
    )
    assert unconverted_links(links(body).outside, KNOWN) == [
        {"text": "a", "url": "https://example.org/Paper", "resourceId": "aa", "resourceTitle": "The paper"},
        {"text": "b", "url": "https://www.example.org/Paper/", "resourceId": "aa", "resourceTitle": "The paper"},
        {"text": "g", "url": "http://other.org", "resourceId": "bb"},
        {"text": "a", "url": "https://example.org/Paper", "resourceId": "aa", "resourceTitle": "The paper"},
    ]


def test_later_resources_overwrite_earlier_ones() -> None:
    known = resource_map([Resource("one", "https://e.org"), Resource("two", "https://e.org/")])
    assert known["https://e.org"].id == "two"


def test_references_are_valid_cited_ids_and_known_links_once_each() -> None:
    found = links('<R id="aa">x</R> <R n="1" id="aa">x</R> <R id="cc">y</R> <R id="zz-not-hex">z</R> [g](http://other.org/)')
    assert found.cited == ("aa", "cc")
    assert referenced_resources(found, KNOWN, {"aa", "bb"}) == {"aa", "bb"}


def test_entity_links_are_named_once_in_order() -> None:
    found = links('<EntityLink id="b">x</EntityLink> <EntityLink name="q" id="a"/> <EntityLink id="b">y</EntityLink> <EntityLinks id="no">')
    assert found.entities == ("b", "a")
    assert links('<Ref id="x">', entity_link_component="Ref").entities == ("x",)


@pytest.mark.parametrize(("url", "href"), CASES["addresses_become_what_a_browser_makes_of_them"])
def test_addresses_become_what_a_browser_makes_of_them(url: str, href: str | None) -> None:
    assert canonical_href(url) == href


def test_numbers_are_rounded_and_written_as_javascript_does() -> None:
    assert [js_round(value) for value in (0.5, 1.5, 2.5, -0.5, 0.49)] == [1, 2, 3, 0, 0]
    assert repr(number(63.0)) == "63"
    assert [number_text(value) for value in (7.0, 0.5, 1e-7, 0.00001, 1e21)] == ["7", "0.5", "1e-7", "0.00001", "1e+21"]
