"""The admin with our own site in it."""

from django.contrib.admin.apps import AdminConfig


class OfficeConfig(AdminConfig):
    default_site = "xfhandyman.security.office.Office"
