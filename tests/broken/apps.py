"""The pages and tasks that break, as an app of their own."""

from django.apps import AppConfig


class BrokenConfig(AppConfig):
    name = "tests.broken"
