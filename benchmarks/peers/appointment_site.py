"""A site of django-appointment, the peer on the Python index: settings, addresses and people, in one module.

Runs in a virtual environment of its own (.tools/appointment) behind the same gunicorn on the same PostgreSQL.
`python -m benchmarks.peers.appointment_site CLIENTS` makes the tables and prints a session of each client.
"""

import os
import sys
from urllib.parse import unquote, urlsplit

_url = urlsplit(os.environ["DATABASE_URL"])
_host = dict(part.split("=", 1) for part in _url.query.split("&") if "=" in part).get("host", "")

SECRET_KEY = "benchmark-only"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = WSGI_MODULE = __name__
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "phonenumber_field",
    "appointment",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path[1:],
        "USER": _url.username or "",
        "PASSWORD": unquote(_url.password or ""),
        "HOST": unquote(_host) or _url.hostname or "",
        "PORT": _url.port or "",
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 4, "timeout": 30}},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
DEFAULT_FROM_EMAIL = "bench@example.com"
USE_DJANGO_Q_FOR_EMAILS = False
STATIC_URL = "/static/"
LOGGING = {"version": 1, "root": {"level": "ERROR"}}


def __getattr__(name: str) -> object:
    """`urlpatterns` and `application` when they are asked for: both need Django to be set up."""
    if name == "urlpatterns":
        from django.urls import include, path

        return [path("appointment/", include("appointment.urls"))]
    if name == "application":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    raise AttributeError(name)


def _set_up(clients: int) -> None:
    import django

    django.setup()
    from datetime import time, timedelta
    from importlib import import_module

    from appointment.models import Service, StaffMember, WorkingHours  # type: ignore[import-not-found] # .tools/
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)  # it ships no migrations of its own
    service = Service.objects.create(name="Tap repair", duration=timedelta(hours=1), price=85)
    for number in range(20):
        user = User.objects.create_user(f"staff{number}", f"staff{number}@example.com")
        staff = StaffMember.objects.create(user=user)
        staff.services_offered.add(service)
        for day in range(7):
            WorkingHours.objects.create(staff_member=staff, day_of_week=day, start_time=time(8), end_time=time(18))
    for number in range(clients):
        user = User.objects.create_user(f"client{number}", f"client{number}@example.com", first_name="Client")
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        print(session.session_key)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.peers.appointment_site"
    _set_up(int(sys.argv[1]))
