"""The Django project around the cookbook app: settings, URLs, and a way to drive the site from a program (`measure`)."""
