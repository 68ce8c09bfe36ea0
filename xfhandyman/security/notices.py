"""Members of staff get an e-mail when what lets them in changes, whoever changed it: they, the owner or a command.

Passwords are watched through Django's hook for validators, accounts and devices through their signals. The notice is a
task of the same transaction: it is sent if the change was made, and only then.
"""

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.hashers import is_password_usable
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.template.loader import render_to_string
from django.utils import timezone
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential
from procrastinate.contrib.django import app

log = structlog.get_logger("xfhandyman.notices")

CHANGES = {
    "password": "the password was changed",
    "account": "the user name or the e-mail address was changed",
    "app_added": "an authenticator app was added or changed",
    "app_removed": "an authenticator app was removed",
    "passkey_added": "a passkey was added",
    "passkey_removed": "a passkey was removed",
    "codes_made": "new recovery codes were made",
    "code_used": "a recovery code was used to log in",
}

_DEVICES = {TOTPDevice: ("app", "key"), WebAuthnCredential: ("passkey", "credential_id_sha256")}
"""What each kind of device is called above, and the field that tells one from another."""


def notify(user: User, change: str, *, to: str = "") -> None:
    """Log the change, and send the account's owner a notice, at `to` where its address is not theirs any more."""
    transaction.on_commit(lambda: log.info("staff_access_changed", user_id=user.pk, change=change))
    if to or user.email:
        at = timezone.now()
        key = f"security:{user.pk}:{change}:{at.isoformat()}"
        app.configure_task("send_security_notice").defer(
            user_id=user.pk, change=change, at=at.isoformat(), key=key, to=to
        )


def email(user: User, change: str, at: Any, to: str = "") -> EmailMessage:
    """What the notice says: what changed and when, and what to do about it."""
    context = {"user": user, "change": CHANGES[change], "at": at, "business": settings.BUSINESS_NAME}
    context |= {"site_url": settings.SITE_URL, "contact": settings.SECURITY_CONTACT}
    return EmailMessage(
        subject=f"{settings.BUSINESS_NAME}: {CHANGES[change]}",
        body=render_to_string("emails/security.txt", context),
        to=[to or user.email],
    )


class PasswordNotice:
    """A validator that accepts every password: Django calls `password_changed` once a new one is kept."""

    def validate(self, password: str, user: object = None) -> None:
        """Accept it."""

    def get_help_text(self) -> str:
        return "You get an e-mail when your password is changed."

    def password_changed(self, password: str, user: User) -> None:
        notify(user, "password")


def watch_accounts() -> None:
    """Connect the signals; called once, when the apps are ready."""
    pre_save.connect(_account_changes, sender=User, dispatch_uid="xfhandyman.notices")
    for device in _DEVICES:
        pre_save.connect(_device_changes, sender=device, dispatch_uid="xfhandyman.notices")
        post_delete.connect(_device_deleted, sender=device, dispatch_uid="xfhandyman.notices")
    post_save.connect(_code_added, sender=StaticToken, dispatch_uid="xfhandyman.notices")


def _account_changes(instance: User, update_fields: Any = None, **_: Any) -> None:
    watched = {"username", "email", "password"}
    if update_fields is not None and not watched & set(update_fields):
        return  # a login writes its time
    before = User.objects.filter(pk=instance.pk).first()
    if before is None:
        return
    if (before.username, before.email) != (instance.username, instance.email):
        notify(instance, "account", to=before.email)
    if is_password_usable(before.password) and not is_password_usable(instance.password):
        notify(instance, "password")  # a password taken away is no new one, so the validators are not called


def _device_changes(sender: type[Device], instance: Device, **_: Any) -> None:
    kind, secret = _DEVICES[sender]
    before = sender.objects.filter(pk=instance.pk).first()
    was, now = (each and (each.user_id, getattr(each, secret), each.confirmed) for each in (before, instance))
    if was == now:
        return  # a login writes when a code was last used
    if before and before.confirmed and (before.user_id != instance.user_id or not instance.confirmed):
        notify(before.user, f"{kind}_removed")
    if instance.confirmed:
        notify(instance.user, f"{kind}_added")


def _device_deleted(sender: type[Device], instance: Device, **_: Any) -> None:
    kind, _secret = _DEVICES[sender]
    owner = User.objects.filter(pk=instance.user_id).first()  # none where the account itself is being deleted
    if instance.confirmed and owner:
        notify(owner, f"{kind}_removed")


def _code_added(instance: StaticToken, created: bool, **_: Any) -> None:
    if created:
        notify(instance.device.user, "codes_made")
