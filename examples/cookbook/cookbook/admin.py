"""The kitchen: where recipes are edited. Saving here freshens the pages (see freshen.py)."""

from typing import ClassVar

from django import forms
from django.contrib import admin
from django.db import models

from cookbook.models import Author, Category, Ingredient, Label, Recipe, RecipeIngredient

admin.site.site_header = "Cookbook kitchen"
admin.site.site_title = "Cookbook kitchen"
admin.site.index_title = "What is cooking"
admin.site.enable_nav_sidebar = False  # the list of recipes needs the room


class LineInline(admin.TabularInline):
    """The shopping list inside a recipe's form."""

    model = RecipeIngredient
    fields = ("position", "amount", "ingredient")
    autocomplete_fields = ("ingredient",)
    extra = 1
    verbose_name = "ingredient"


@admin.register(Recipe)
class RecipeAdmin(admin.ModelAdmin):
    """Recipes, with their lists of ingredients."""

    list_display = ("title", "category", "author", "minutes", "servings", "updated_at")
    list_filter = ("category", "labels", "author")
    list_select_related = ("category", "author")
    list_per_page = 50
    search_fields = ("title", "ingredients__name")
    prepopulated_fields: ClassVar = {"slug": ("title",)}
    readonly_fields = ("updated_at",)
    inlines = (LineInline,)
    save_on_top = True
    formfield_overrides: ClassVar = {
        models.CharField: {"widget": forms.TextInput(attrs={"size": 80})},
        models.TextField: {"widget": forms.Textarea(attrs={"rows": 6, "cols": 90})},
        models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple},
    }
    fieldsets = (
        (None, {"fields": ("title", "slug", "description")}),
        ("In the book", {"fields": (("category", "author"), "labels", "updated_at")}),
        ("Method", {"fields": (("minutes", "servings"), "steps")}),
    )


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    """Categories and their order."""

    list_display = ("name", "position")
    list_editable = ("position",)
    prepopulated_fields: ClassVar = {"slug": ("name",)}


@admin.register(Author, Label, Ingredient)
class NameAdmin(admin.ModelAdmin):
    """Whatever is only a name."""

    search_fields = ("name",)
