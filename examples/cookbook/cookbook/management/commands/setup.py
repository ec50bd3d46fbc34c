"""`python manage.py setup`: everything that the site needs before its first visit."""

import secrets

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from cookbook.stock import stock_recipes

ADMIN = "admin"


class Command(BaseCommand):
    """Make the tables, the recipes and a user for the admin; what is there already stays as it is."""

    help = "Make the tables, 300 recipes and a user for the admin. Safe to run again: what exists is left alone."

    def handle(self, **_options: object) -> None:
        """Run the three steps, saying what each did."""
        call_command("migrate", verbosity=0)
        self.stdout.write("Tables    ready")
        written = stock_recipes()
        self.stdout.write(f"Recipes   {written} written" if written else "Recipes   kept as they are")
        self.stdout.write(f"Admin     {self._make_admin()}")
        self.stdout.write(self.style.SUCCESS("Now run:  python manage.py runserver"))

    def _make_admin(self) -> str:
        users = get_user_model().objects
        if users.filter(username=ADMIN).exists():
            return f"{ADMIN} exists already (new password: python manage.py changepassword {ADMIN})"
        password = secrets.token_urlsafe(12)
        users.create_superuser(ADMIN, password=password)
        return f"user {ADMIN}, password {password} (shown only this once)"
