"""The pages of the business."""

from django.contrib import admin
from django.contrib.sitemaps.views import sitemap
from django.urls import include, path
from django.views.decorators.http import require_safe

from bookings.crew.photos import photo as visit_photo
from bookings.sitemaps import SITEMAPS
from bookings.views import (
    add_job,
    booking,
    contact,
    correct,
    manage,
    own_page,
    payment,
    photos,
    proof,
    quotes,
    review,
    site,
    waitlist,
)

urlpatterns = [
    path("", site.home, name="home"),
    path("services/", site.services, name="services"),
    path("services/<slug:slug>/", site.service, name="service"),
    path("book/<slug:slug>/", booking.book, name="book"),
    path("book/<slug:slug>/jobs/", booking.jobs, name="book_jobs"),
    path("book/<slug:slug>/details/", booking.details, name="booking_details"),
    path("book/<slug:slug>/earlier/", waitlist.join, name="waitlist_join"),
    path("api/availability", booking.availability, name="availability"),
    path("bookings/<str:token>/", manage.manage, name="manage_booking"),
    path("bookings/<str:token>/details/", correct.correct, name="booking_correct"),
    path("bookings/<str:token>/photos/", photos.manage, name="booking_photos"),
    path("bookings/<str:token>/photo.jpg", photos.own, name="booking_photo"),
    path("visits/photos/<int:pk>.jpg", admin.site.admin_view(visit_photo), name="visit_photo"),
    path("bookings/<str:token>/review/", review.review, name="booking_review"),
    path("people/<int:pk>.jpg", review.portrait, name="portrait"),
    path("bookings/<str:token>/earlier/", waitlist.join_with, name="booking_waitlist"),
    path("waitlist/thanks/", waitlist.thanks, name="waitlist_thanks"),
    path("waitlist/<str:token>/", waitlist.entry, name="waitlist_entry"),
    path("bookings/<str:token>/jobs/", add_job.add_job, name="booking_add_job"),
    path("bookings/<str:token>/prove/", proof.prove, name="booking_prove"),
    path("bookings/<str:token>/pay/", payment.pay, name="booking_pay"),
    path("bookings/<str:token>/paid/", payment.paid, name="booking_paid"),
    path("bookings/<str:token>/confirmed/", manage.confirmed, name="booking_confirmed"),
    path("bookings/<str:token>/calendar.ics", manage.ics, name="booking_ics"),
    path("quotes/<str:token>/", quotes.quote, name="quote"),
    path("api/stripe", payment.webhook, name="stripe_webhook"),
    path("contact/", contact.contact, name="contact"),
    path("contact/thanks/", contact.thanks, name="contact_thanks"),
    path("contact/photos/<int:pk>.jpg", admin.site.admin_view(contact.photo), name="message_photo"),
    path("crew/", include("bookings.crew.urls")),
    path("my-visits/", own_page.ask, name="own_ask"),
    path("my-visits/sent/", own_page.sent, name="own_sent"),
    path("my-visits/erased/", own_page.erased, name="own_erased"),
    path("my-visits/open/<str:token>/", own_page.opened, name="own_open"),
    path("my-visits/<str:token>/", own_page.page, name="own_page"),
    path("my-visits/<str:token>/again/", own_page.again, name="own_again"),
    path("my-visits/<str:token>/copy/", own_page.export, name="own_export"),
    path("my-visits/<str:token>/erase/", own_page.erase, name="own_erase"),
    path("privacy/", site.privacy, name="privacy"),
    path("favicon.ico", site.favicon, name="favicon"),
    path("robots.txt", site.robots, name="robots"),
    path("manifest.webmanifest", site.manifest, name="manifest"),
    path("sitemap.xml", require_safe(sitemap), {"sitemaps": SITEMAPS}, name="sitemap"),
]
