"""A handyman's pages: the whole login of staff and a handyman's record, but for what a browser asks for by itself."""

from django.urls import path

from bookings.crew import feed, offline, phones, photos, views

urlpatterns = [
    path("", views.own(views.days), name="crew"),
    path("visits/<int:pk>/", views.own(views.visit), name="crew_visit"),
    path("visits/<int:pk>/photos/", views.own(photos.photos), name="crew_photos"),
    path("kept/<str:which>/", views.own(views.kept), name="crew_kept"),
    path("worker.js", offline.worker, name="crew_worker"),
    path("manifest.webmanifest", offline.manifest, name="crew_manifest"),
    path("phone/", views.own(phones.phone), name="crew_phone"),
    path("calendar/<str:token>.ics", feed.feed, name="crew_feed"),
    path("time-off/", views.own(views.time_off), name="crew_time_off"),
]
