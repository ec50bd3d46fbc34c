"""Addresses of the cookbook's pages."""

from django.urls import path

from cookbook import views

app_name = "cookbook"
urlpatterns = [
    path("", views.home_view, name="home"),
    path("search/", views.search_view, name="search"),
    path("category/<slug:slug>/", views.category_view, name="category"),
    path("recipe/<slug:slug>/", views.recipe_view, name="recipe"),
]
