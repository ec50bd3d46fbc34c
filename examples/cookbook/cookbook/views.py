"""The pages. All of them are cached, and all of them are the same for everybody.

They read neither the session nor the user: one copy can serve every visitor, and what an editor sees cannot leak to the next.

Browsers may keep a page but must ask before they show it again (`no_cache`). Without that, `cache_page` tells them to reuse their
own copy for the whole CACHE_TTL, and no edit reaches them.
"""

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control, cache_page

from cookbook.models import Author, Category, Recipe

CACHE_TTL = getattr(settings, "CACHE_TTL", DEFAULT_TIMEOUT)
SHELF = 4
LONGEST_SEARCH = 100  # characters; SQLite refuses patterns and expressions without bound


@cache_control(no_cache=True)
@cache_page(CACHE_TTL)
def home_view(request: HttpRequest) -> HttpResponse:
    """The whole book: the latest edits, then every recipe by category."""
    recipes = Recipe.objects.for_cards()
    context = {"recipes": recipes, "latest": recipes.order_by("-updated_at")[:SHELF], "cooks": Author.objects.count()}
    return render(request, "cookbook/recipes.html", _with_categories(context))


@cache_control(no_cache=True)
@cache_page(CACHE_TTL)
def category_view(request: HttpRequest, slug: str) -> HttpResponse:
    """The recipes of one category."""
    category = get_object_or_404(Category, slug=slug)
    context = {"recipes": category.recipes.for_cards(), "heading": category.name, "current": category}
    return render(request, "cookbook/recipes.html", _with_categories(context))


@cache_control(no_cache=True)
@cache_page(CACHE_TTL)
def search_view(request: HttpRequest) -> HttpResponse:
    """The recipes that have all the words of `?q=` in their title or ingredients."""
    words = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    context = {
        "recipes": Recipe.objects.for_cards().matching(words),
        "heading": f"“{words}”" if words else "All recipes",
        "words": words,
    }
    return render(request, "cookbook/recipes.html", _with_categories(context))


@cache_control(no_cache=True)
@cache_page(CACHE_TTL)
def recipe_view(request: HttpRequest, slug: str) -> HttpResponse:
    """One recipe, and a few of its neighbours."""
    recipe = get_object_or_404(Recipe.objects.for_cards(), slug=slug)
    neighbours = Recipe.objects.for_cards().filter(category=recipe.category).exclude(pk=recipe.pk).order_by("-updated_at")[:SHELF]
    context = {"recipe": recipe, "current": recipe.category, "neighbours": neighbours}
    return render(request, "cookbook/recipe.html", _with_categories(context))


def _with_categories(context: dict[str, object]) -> dict[str, object]:
    return {**context, "categories": Category.objects.all()}
