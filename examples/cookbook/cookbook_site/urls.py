"""The site's addresses: the cookbook at the root, the admin to edit it."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("cookbook.urls")),
]
