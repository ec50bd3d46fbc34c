"""The 300 recipes, composed from the families of families.toml. Pure: the same recipes on every machine, and no database."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FAMILIES = Path(__file__).with_name("families.toml")
AUTHORS = (
    "Ada Lindqvist",
    "Amara Okafor",
    "Bram de Wit",
    "Clara Beaumont",
    "Darius Petrou",
    "Elif Yıldız",
    "Hana Sato",
    "Inés Carvajal",
    "Marek Nowak",
    "Priya Raman",
    "Rosa Ferrante",
    "Tom Ashworth",
)
LAST_EDIT = datetime(2025, 9, 21, 18, 40, tzinfo=UTC)
QUICK_MINUTES = 30

_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?] ))[a-zà-ÿ]")


@dataclass(frozen=True, slots=True)
class Draft:
    """A recipe before it is in a database; ingredients are pairs of name and amount."""

    title: str
    description: str
    category: str
    author: str
    labels: tuple[str, ...]
    ingredients: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]
    minutes: int
    servings: int
    updated_at: datetime


def compose_recipes() -> list[Draft]:
    """All recipes, in the order of the book."""
    families = tomllib.loads(FAMILIES.read_text(encoding="utf-8"))["family"]
    cooked = [(family, dish) for family in families for dish in range(len(family["mains"]))]
    return [_compose(family, dish, number) for number, (family, dish) in enumerate(cooked)]


def _compose(family: dict[str, Any], dish: int, number: int) -> Draft:
    main = list(family["mains"])[dish]
    accents = list(family["accents"])
    accent = accents[dish % len(accents)]
    finish = family["accents"][accent]

    def fill(text: str) -> str:
        return _capitalised(text.replace("{finish}", finish["step"]).replace("{main}", main).replace("{accent}", accent))

    minutes = family["minutes"] + dish % 3 * 5
    return Draft(
        title=fill(family["title"]),
        description=fill(family["about"][dish % len(family["about"])]),
        category=family["category"],
        author=AUTHORS[number * 7 % len(AUTHORS)],
        labels=(*family["labels"], *(["Quick"] if minutes <= QUICK_MINUTES else [])),
        ingredients=tuple(_merged([*family["mains"][main], *finish["add"], *family["base"]])),
        steps=tuple(fill(step) for step in family["steps"]),
        minutes=minutes,
        servings=family["servings"],
        # A stride that is coprime with 300 spreads the edits over the book.
        updated_at=LAST_EDIT - timedelta(hours=number * 77 % 300 * 31),
    )


def _merged(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Name and amount of each line; an ingredient that is used twice becomes one line, "30 g and 50 g"."""
    amounts: dict[str, str] = {}
    for line in lines:
        name, amount = line.rsplit(", ", 1)
        amounts[name] = f"{amounts[name]} and {amount}" if name in amounts else amount
    yield from amounts.items()


def _capitalised(text: str) -> str:
    return _SENTENCE_START.sub(lambda match: match[0].upper(), text)
