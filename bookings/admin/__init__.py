"""What staff work with: the schedule, bookings, messages, people and the catalogue."""

from django.contrib import admin

from bookings.admin import booking, catalogue, inbox, payments, people, reports, trust, waitlist

__all__ = ["booking", "catalogue", "inbox", "payments", "people", "reports", "trust", "waitlist"]

admin.site.site_title = admin.site.index_title = "Office"
