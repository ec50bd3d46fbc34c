"""The app's configuration; it connects the signals that freshen the pages."""

from importlib import import_module

from django.apps import AppConfig


class CookbookConfig(AppConfig):
    """The cookbook app."""

    name = "cookbook"

    def ready(self) -> None:
        """Connect the receivers of `cookbook.freshen`, once the models exist."""
        import_module("cookbook.freshen")
