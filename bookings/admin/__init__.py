"""What staff work with: the schedule, bookings, messages, people and the catalogue."""

from django.contrib import admin

from bookings.admin import booking, catalogue, inbox, people

__all__ = ["booking", "catalogue", "inbox", "people"]

admin.site.site_title = admin.site.index_title = "Office"
