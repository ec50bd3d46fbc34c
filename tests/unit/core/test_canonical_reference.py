"""The reference of keys says what the tables say, and the tables say what is so."""

from __future__ import annotations

import re

import pytest

from afresh.core.canonical import KINDS
from afresh.core.canonical.identify import CONTENT, RULES, _known_bases
from afresh.core.canonical.rule import class_name
from scripts.generate_key_reference import _NAMES, PAGE, page

EXAMPLES = {
    ".".join(name): rule.example for name, rule in RULES.items() if rule.example and re.match(r"numpy|pandas", rule.example) is None
}


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), "run: python scripts/generate_key_reference.py"


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_rules_are_examples_of_their_class(name):
    value = eval(EXAMPLES[name], dict(_NAMES))
    rule = RULES[tuple(name.rsplit(".", 1))]

    assert RULES[class_name(_known_bases(type(value))[0])] is rule


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_examples_of_plain_values_are_of_their_class(cls):
    assert type(eval(KINDS[cls].example)) is cls


def test_subclasses_of_every_plain_class_that_can_have_one_have_their_content_keyed():
    assert set(KINDS) - set(CONTENT) == {type(None), bool}
