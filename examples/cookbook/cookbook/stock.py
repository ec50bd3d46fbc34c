"""Put the composed recipes into the database."""

from django.db import transaction
from django.utils.text import slugify

from cookbook.drafts import Draft, compose_recipes
from cookbook.freshen import freshen_pages
from cookbook.models import Author, Category, Ingredient, Label, Recipe, RecipeIngredient


@transaction.atomic
def stock_recipes() -> int:
    """Write all recipes, unless there are recipes already: edits are never overwritten.

    Returns:
        How many recipes were written, 0 or all of them.
    """
    if Recipe.objects.exists():
        return 0
    drafts = compose_recipes()
    recipes = _write_recipes(drafts)
    _write_relations(recipes, drafts)
    transaction.on_commit(freshen_pages)  # bulk writes send no signals
    return len(recipes)


def _write_recipes(drafts: list[Draft]) -> list[Recipe]:
    names = dict.fromkeys(draft.category for draft in drafts)
    categories = {name: Category(name=name, slug=slugify(name), position=position) for position, name in enumerate(names, start=1)}
    authors = {name: Author(name=name) for name in sorted({draft.author for draft in drafts})}
    Category.objects.bulk_create(categories.values())
    Author.objects.bulk_create(authors.values())
    recipes = [
        Recipe(
            title=draft.title,
            slug=slugify(draft.title),
            description=draft.description,
            category=categories[draft.category],
            author=authors[draft.author],
            steps="\n".join(draft.steps),
            minutes=draft.minutes,
            servings=draft.servings,
        )
        for draft in drafts
    ]
    Recipe.objects.bulk_create(recipes)
    for recipe, draft in zip(recipes, drafts, strict=True):
        recipe.updated_at = draft.updated_at
    Recipe.objects.bulk_update(recipes, ["updated_at"], batch_size=100)  # creating them set it to now
    return recipes


def _write_relations(recipes: list[Recipe], drafts: list[Draft]) -> None:
    labels = {name: Label(name=name) for name in sorted({name for draft in drafts for name in draft.labels})}
    ingredients = {name: Ingredient(name=name) for name in sorted({name for draft in drafts for name, _ in draft.ingredients})}
    Label.objects.bulk_create(labels.values())
    Ingredient.objects.bulk_create(ingredients.values())
    pairs = list(zip(recipes, drafts, strict=True))
    labelled = Recipe.labels.through
    labelled.objects.bulk_create(labelled(recipe=recipe, label=labels[name]) for recipe, draft in pairs for name in draft.labels)
    RecipeIngredient.objects.bulk_create(
        RecipeIngredient(recipe=recipe, ingredient=ingredients[name], amount=amount, position=position)
        for recipe, draft in pairs
        for position, (name, amount) in enumerate(draft.ingredients, start=1)
    )
