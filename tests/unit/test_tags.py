"""Templates of tags: checked where a function is decorated, filled where it is called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest

from afresh import ConfigurationError
from afresh.tags import TagTemplates, rendered_by

PARAMETERS = {"self": 0, "user_id": 1, "lang": 2}


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Tenant:
    name: str
    owner: Any = None


def rendered(*templates: str, values: tuple[object, ...] = (None, 7, "en")) -> tuple[str, ...]:
    return TagTemplates(templates, PARAMETERS).render(values)


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("all", "all"),
        ("user:{user_id}", "user:7"),
        ("{user_id}", "7"),
        ("{lang}:{user_id}:{lang}", "en:7:en"),
        ("{{literally}} {lang}", "{literally} en"),
        ("{{}}", "{}"),
        ("é:{lang}", "é:en"),
    ],
)
def test_a_template_is_filled_with_the_arguments(template: str, tag: str) -> None:
    assert rendered(template) == (tag,)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (0, "0"),
        (-1, "-1"),
        (UUID(int=5), str(UUID(int=5))),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (10**30, str(10**30)),
    ],
)
def test_only_values_that_cannot_be_mistaken_are_filled_in(value: object, text: str) -> None:
    assert rendered("t:{lang}", values=(None, 7, value)) == (f"t:{text}",)


@pytest.mark.parametrize("value", [None, True, 1.5, b"a", ["a"], Tenant("t")])
def test_values_that_could_be_mistaken_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"a tag needs \{lang\} to be a str, int, UUID or enum, not "):
        rendered("t:{lang}", values=(None, 7, value))


def test_attributes_are_reached() -> None:
    values = (Tenant("acme", owner=Tenant("ada")), 7, "en")

    assert rendered("tenant:{self.name}", "owner:{self.owner.name}", values=values) == ("tenant:acme", "owner:ada")


def test_an_attribute_that_is_not_there_is_pythons_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        rendered("{self.nothing}", values=(Tenant("acme"), 7, "en"))


def test_tags_without_fields_are_known_beforehand() -> None:
    templates = TagTemplates(["all", "{{braces}}"], PARAMETERS)

    assert templates.constant == ("all", "{braces}")
    assert templates.render((None, 7, "en")) is templates.constant


def test_constant_tags_come_first() -> None:
    assert rendered("{lang}", "all", "{user_id}") == ("all", "en", "7")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("user:{user}", r"names 'user', which is no parameter\. There are: self, user_id, lang\."),
        ("{user_id.}", "must be a parameter, or an attribute of one"),
        ("{}", "must be a parameter, or an attribute of one"),
        ("{0}", "must be a parameter, or an attribute of one"),
        ("{lang[0]}", "must be a parameter, or an attribute of one"),
        ("{lang!r}", "must be a parameter, or an attribute of one"),
        ("{user_id:03}", "must be a parameter, or an attribute of one"),
        ("{lang", r"Write \{\{ and \}\} for braces\."),
        ("lang}", r"Write \{\{ and \}\} for braces\."),
        ("", "is not a template: give text such as 'user:{user_id}'"),
        (None, "is not a template"),
        (b"all", "is not a template"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_at_once(template: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TagTemplates([template], PARAMETERS)


def test_a_function_without_parameters_has_none_to_name() -> None:
    with pytest.raises(ConfigurationError, match="There are: none"):
        TagTemplates(["{x}"], {})


def test_one_string_is_no_list() -> None:
    with pytest.raises(ConfigurationError, match=r"tags='user' is one string: give a list, tags=\['user'\]"):
        TagTemplates("user", PARAMETERS)


def test_a_function_gives_the_tags_of_a_call() -> None:
    assert rendered_by(lambda x, *, y: (f"{x}:{at}" for at in y), ["a"], {"y": [1, 2]}) == ("a:1", "a:2")
    assert rendered_by(list, [], {}) == ()


@pytest.mark.parametrize("given", ["tag", [""], [None], [1], [b"tag"]])
def test_what_a_function_gives_must_be_tags(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="must return an iterable of non-empty str"):
        rendered_by(lambda: given, [], {})
