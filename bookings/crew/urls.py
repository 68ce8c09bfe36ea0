"""A handyman's pages. All but the worker script ask for the whole login of staff, and for a handyman's record."""

from django.urls import path

from bookings.crew import views

urlpatterns = [
    path("", views.own(views.days), name="crew"),
    path("visits/<int:pk>/", views.own(views.visit), name="crew_visit"),
    path("time-off/", views.own(views.time_off), name="crew_time_off"),
]
