"""Recipes and what they are made of."""

from typing import Self

from django.db import models
from django.urls import reverse


class Category(models.Model):
    """A chapter of the cookbook, such as "Soups"."""

    name = models.CharField(max_length=40, unique=True)
    slug = models.SlugField(unique=True, help_text="Also the name of the chapter's drawing and colour.")
    position = models.PositiveSmallIntegerField(default=0, help_text="Order of the chapters, lowest first.")

    class Meta:
        ordering = ("position", "name")
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page that lists this chapter."""
        return reverse("cookbook:category", args=[self.slug])


class Author(models.Model):
    """Who wrote a recipe down."""

    name = models.CharField(max_length=80, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Label(models.Model):
    """A short word that several recipes share, such as "Vegetarian"."""

    name = models.CharField(max_length=30, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Ingredient(models.Model):
    """Something to buy."""

    name = models.CharField(max_length=80, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RecipeQuerySet(models.QuerySet["Recipe"]):
    """Recipes with what the pages need of them."""

    def for_cards(self) -> Self:
        """Recipes with what a card shows. Cost: four queries, however many recipes."""
        return self.select_related("category", "author").prefetch_related("labels", "lines__ingredient")

    def matching(self, words: str) -> Self:
        """Recipes with every one of the words in their title or among their ingredients."""
        found = self
        for word in words.split():
            using = RecipeIngredient.objects.filter(ingredient__name__icontains=word).values("recipe")
            found = found.filter(models.Q(title__icontains=word) | models.Q(pk__in=using))
        return found


class Recipe(models.Model):
    """One dish."""

    title = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    description = models.TextField()
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="recipes")
    author = models.ForeignKey(Author, on_delete=models.PROTECT, related_name="recipes")
    labels = models.ManyToManyField(Label, blank=True, related_name="recipes")
    ingredients = models.ManyToManyField(Ingredient, through="RecipeIngredient", related_name="recipes")
    steps = models.TextField(help_text="One step a line.")
    minutes = models.PositiveSmallIntegerField(help_text="From start to table.")
    servings = models.PositiveSmallIntegerField()
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = RecipeQuerySet.as_manager()

    class Meta:
        ordering = ("category__position", "title")

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The recipe's own page."""
        return reverse("cookbook:recipe", args=[self.slug])

    def step_list(self) -> list[str]:
        """The steps, in order."""
        return [step for step in self.steps.splitlines() if step.strip()]


class RecipeIngredient(models.Model):
    """One line of a recipe's shopping list."""

    recipe = models.ForeignKey(Recipe, on_delete=models.CASCADE, related_name="lines")
    ingredient = models.ForeignKey(Ingredient, on_delete=models.PROTECT, related_name="lines")
    amount = models.CharField(max_length=40, blank=True, help_text='Such as "200 g" or "1 bunch".')
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("position", "id")

    def __str__(self) -> str:
        return f"{self.amount} {self.ingredient}".strip()
