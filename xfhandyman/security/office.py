"""The admin's site: who gets in (a password, then a code), and hand-typed addresses that mean nothing."""

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.views.decorators.cache import never_cache
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from bookings.ratelimit import limits
from xfhandyman.security import accounts, lists, logins, passkey_pages, passkeys, second_factor, sessions

# What packages register and nobody has use for: tables that stay empty, and the recovery codes of others.
_LEFT_OUT = {"axes.accesslog", "axes.accessfailurelog", "otp_static.staticdevice"}
_TITLES = {
    "axes": "Failed logins",
    "otp_totp": "Authenticator apps",
    "django_otp_webauthn": "Passkeys",
    "auth": "Staff",
}
_BUSINESS = "bookings"
_LONGEST_NAME = User._meta.get_field("username").max_length or 150
_UNREADABLE = (ValueError, OverflowError, DataError, IncorrectLookupParameters)


class PasswordForm(AdminAuthenticationForm):
    """Django's, which leaves a name that no account can have to the database."""

    def clean_username(self) -> str:
        name = str(self.cleaned_data["username"])
        if len(name) > _LONGEST_NAME:
            raise self.get_invalid_login_error()
        return name


class PasswordStep(LoginView):
    """The name and the password. Nobody is logged in by them alone where a second factor is asked for."""

    authentication_form = PasswordForm
    template_name = "admin/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """429 where a client, or everybody, tries too often: a hash takes 50 ms of a processor, so it is not begun."""
        with logins.turn(limits.wait(request, logins.purpose(request))) as seconds:
            if seconds:
                return logins.wait(self, seconds)
            if "passkey" in request.POST:
                return second_factor.begin_with_passkey(request, self.get_success_url())
            return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        if not settings.STAFF_SECOND_FACTOR:
            return super().form_valid(form)
        second_factor.begin(self.request, form.get_user(), self.get_success_url())
        return redirect("admin:second_factor")


class Office(admin.AdminSite):
    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: Any = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        used = [each for each in models if each._meta.label_lower not in _LEFT_OUT]
        own = {User: accounts.AccountsMixin, TOTPDevice: accounts.AppsMixin, WebAuthnCredential: accounts.AppsMixin}
        extra = [own[model] for model in used if model in own]
        super().register(used, lists.bounded(admin_class or admin.ModelAdmin, *extra), **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """The business alone, or the application that is named: the tables of packages have a page of their own."""
        return [app for app in self._apps(request, app_label) if app_label or app["app_label"] == _BUSINESS]

    def _apps(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        apps = super().get_app_list(request, app_label)
        return [app | {"name": _TITLES.get(app["app_label"], app["name"])} for app in apps]

    def system(self, request: HttpRequest) -> HttpResponse:
        """The tables that keep the site going and are no part of the day: accounts, logins, tasks."""
        apps = [app for app in self._apps(request) if app["app_label"] != _BUSINESS]
        context = self.each_context(request) | {"title": "System", "app_list": apps}
        return TemplateResponse(request, "admin/system.html", context)

    def has_permission(self, request: HttpRequest) -> bool:
        verified = not settings.STAFF_SECOND_FACTOR or request.user.is_verified()  # type: ignore[union-attr]  # django-otp's
        return super().has_permission(request) and verified and sessions.is_in_use(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Django's, whether there is a second factor, and whether the user may see any table of the system."""
        system = any(app["app_label"] != _BUSINESS for app in self._apps(request))
        return super().each_context(request) | {"second_factor": settings.STAFF_SECOND_FACTOR, "has_system": system}

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("second-factor/", never_cache(self.second_factor), name="second_factor"),
            path("login/passkey/", never_cache(self.passkey_login), name="passkey_login"),
            path("passkeys/", self.admin_view(self.passkeys), name="passkeys"),
            path("passkeys/add/", self.admin_view(self.passkey_add), name="passkey_add"),
            path("passkeys/confirm/", self.admin_view(self.passkey_confirm), name="passkey_confirm"),
            path("authenticator-app/", self.admin_view(self.authenticator_app), name="authenticator_app"),
            path("system/", self.admin_view(self.system), name="system"),
            path("sessions/", self.admin_view(self.own_sessions), name="own_sessions"),
            path("recovery-codes/", self.admin_view(self.recovery_codes), name="recovery_codes"),
            # Django's `r/` sends any member of staff to any object's own address, asking for no permission.
            *(each for each in super().get_urls() if getattr(each, "name", None) != "view_on_site"),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's, with our first step in the place of its only one."""
        index = reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return redirect(index)
        given = request.POST.get("next", request.GET.get("next"))
        context = self.each_context(request) | {
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            "passkeys": passkeys.offered(request),
            **({} if given else {"next": index}),
            **(extra_context or {}),
        }
        response = cast(HttpResponse, PasswordStep.as_view(extra_context=context)(request))
        return logins.know_again(request, response)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Django's, with a form that knows who asks: the old password is no more open to guesses than the login."""
        form = type("PasswordForm", (accounts.NewPasswordForm,), {"request": request})
        done = reverse("admin:password_change_done", current_app=self.name)
        context = self.each_context(request) | (extra_context or {})
        page = PasswordChangeView.as_view(
            form_class=form,
            success_url=done,
            extra_context=context,
            template_name="registration/password_change_form.html",
        )
        return cast(TemplateResponse, page(request))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Django's, and the browser forgets what it kept of the pages."""
        response = super().logout(request, extra_context)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """The code of the authenticator app; before that, for who has none yet, its set-up."""
        response = second_factor.page(request, self.each_context(request) | {"has_permission": False})
        return logins.know_again(request, response)

    def passkey_login(self, request: HttpRequest) -> HttpResponse:
        """A passkey in the place of the password and the code."""
        response = second_factor.passkey_login(request, self.each_context(request) | {"has_permission": False})
        return logins.know_again(request, response)

    def passkeys(self, request: HttpRequest) -> HttpResponse:
        return passkey_pages.page(request, self.each_context(request))

    def passkey_add(self, request: HttpRequest) -> HttpResponse:
        return passkey_pages.add(request, self.each_context(request))

    def passkey_confirm(self, request: HttpRequest) -> HttpResponse:
        return passkey_pages.confirm(request, self.each_context(request))

    def authenticator_app(self, request: HttpRequest) -> HttpResponse:
        return second_factor.app_page(request, self.each_context(request))

    def recovery_codes(self, request: HttpRequest) -> HttpResponse:
        return second_factor.recovery_codes(request, self.each_context(request))

    def own_sessions(self, request: HttpRequest) -> HttpResponse:
        """Where one is logged in, and how to end that."""
        return sessions.page(request, self.each_context(request))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return super().admin_view(_readable(view), cacheable)


def _readable(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer 400 where a query string holds what no filter can be asked for: Django's change lists would answer 500.

    Telling the address's fault from ours: only with a query string and, but for what a list cannot look up, only
    pages that are read.
    """

    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.META.get("QUERY_STRING"):
            return view(request, *args, **kwargs)
        unreadable = _UNREADABLE if request.method in ("GET", "HEAD") else IncorrectLookupParameters
        try:
            response = view(request, *args, **kwargs)
            return response.render() if isinstance(response, TemplateResponse) else response
        except unreadable as error:
            raise BadRequest("The address asks for something that cannot be read.") from error

    checked.__dict__.update(view.__dict__)  # csrf_exempt and the like
    return checked
