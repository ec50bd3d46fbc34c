"""Pages that say how often they were made."""

from itertools import count

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import cache_page

made = count(1)


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"page {next(made)}", headers={"X-Made": "here"})


def fragment(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "fragment.html", {"made": lambda: next(made), "name": name})


def visits(request: HttpRequest) -> JsonResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


urlpatterns = [
    path("plain/", plain),
    path("cached/", cache_page(60)(plain)),
    path("fragment/<name>/", fragment),
    path("visits/", visits),
]
