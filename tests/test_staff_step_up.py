"""What would let somebody else in permanently asks for the password again and is told; other sessions can be ended."""

import time
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from bookings.ratelimit.rates import Limit
from tests import forms
from xfhandyman.tasks import send_security_notice

pytestmark = pytest.mark.django_db
PASSWORD, NEXT = "correct horse battery", "staple of another sort"
CODE, CODES, SESSIONS = "/admin/second-factor/", "/admin/recovery-codes/", "/admin/sessions/"


@pytest.fixture(autouse=True)
def strict(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def grace() -> User:
    return User.objects.create_superuser("grace", "grace@example.com", PASSWORD)


def code(device: TOTPDevice, *, ahead: int = 0) -> str:
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits)
    totp.time = time.time() + ahead * device.step
    return f"{totp.token():06d}"


def give_password(client: Client, agent: str = "") -> None:
    form = {"username": "grace", "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", form, HTTP_USER_AGENT=agent).status_code == 302


def log_in(client: Client, agent: str = "") -> Client:
    """With the password and the code, setting the app up the first time."""
    give_password(client, agent)
    client.get(CODE)
    device = TOTPDevice.objects.get()
    if device.confirmed:
        TOTPDevice.objects.update(last_t=-1)
    answer = client.post(CODE, {"code": code(device), "password": PASSWORD}, HTTP_USER_AGENT=agent)
    assert answer.status_code in (200, 302)
    return client


def told() -> list[tuple[str, str]]:
    """Send what is queued; returns (recipient, what changed) of each notice so far."""
    for job in ProcrastinateJob.objects.filter(task_name="send_security_notice").order_by("id"):
        send_security_notice(**{name: value for name, value in job.args.items() if not name.startswith("_")})
    return [(letter.to[0], letter.subject.partition(": ")[2]) for letter in mail.outbox]


def test_a_first_app_asks_for_the_password_again(client: Client, grace: User) -> None:
    give_password(client)
    client.get(CODE)
    device = TOTPDevice.objects.get()
    for password in ({}, {"password": "guess"}):
        refused = client.post(CODE, {"code": code(device), **password})
        assert refused.status_code == 422
        assert not TOTPDevice.objects.get().confirmed
        assert client.get("/admin/").status_code == 302
    assert client.post(CODE, {"code": code(device), "password": PASSWORD}).status_code == 200
    assert client.get("/admin/").status_code == 200


def test_a_key_that_was_shown_and_not_confirmed_is_forgotten(client: Client, grace: User) -> None:
    give_password(client)
    client.get(CODE)
    shown = TOTPDevice.objects.get().key
    other = Client()
    give_password(other)
    other.get(CODE)
    assert TOTPDevice.objects.get().key != shown


def test_new_recovery_codes_ask_for_the_password_again(client: Client, grace: User) -> None:
    log_in(client)
    before = set(StaticToken.objects.values_list("token", flat=True))
    for data in ({}, {"password": "guess"}):
        assert client.post(CODES, data).status_code == 422
        assert set(StaticToken.objects.values_list("token", flat=True)) == before
    assert AccessAttempt.objects.get().failures_since_start == 1, "guesses here count as they do at the login"
    assert len(client.post(CODES, {"password": PASSWORD}).context["codes"]) == 8
    assert not before & set(StaticToken.objects.values_list("token", flat=True))


def test_guessing_here_locks_as_it_does_at_the_login(client: Client, grace: User) -> None:
    log_in(client)
    assert [client.post(CODES, {"password": "guess"}).status_code for _ in range(6)] == [422] * 4 + [429] * 2
    assert client.post(CODES, {"password": PASSWORD}).status_code == 429


def test_the_old_password_is_no_more_open_to_guesses_than_the_login(
    client: Client, grace: User, settings: Settings
) -> None:
    log_in(client)
    new = {"new_password1": "violet-kettle-93", "new_password2": "violet-kettle-93"}
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        client.post("/admin/password_change/", new | {"old_password": "guess"})
    client.post("/admin/password_change/", new | {"old_password": PASSWORD})
    grace.refresh_from_db()
    assert grace.check_password(PASSWORD), "it was locked before"


def test_strangers_cannot_use_up_the_turns_of_who_is_logged_in(client: Client, grace: User, settings: Settings) -> None:
    log_in(client)
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": Limit.parse("2/d 2/d")}
    strangers = [Client(REMOTE_ADDR=f"203.0.113.{number}") for number in range(6)]
    tries = [each.post("/admin/login/", {"username": "grace", "password": "guess"}) for each in strangers]
    assert tries[-1].status_code == 429, "everybody's turns are used up"
    assert not Session.objects.exclude(pk=client.session.session_key).exists(), "none for strangers"
    assert client.post(CODES, {"password": PASSWORD}).status_code == 200


@pytest.mark.parametrize("own", [{}, {"own_password": "guess"}])
def test_an_open_page_is_not_enough_to_take_an_account_over(client: Client, grace: User, own: dict[str, str]) -> None:
    log_in(client)
    page = f"/admin/auth/user/{grace.pk}/password/"
    assert "Your own password" in client.get(page).content.decode()
    new = {"usable_password": "true", "password1": NEXT, "password2": NEXT, "set-password": "1", **own}
    assert "own_password" in client.post(page, new).context["form"].errors
    taken = {"usable_password": "false", "unset-password": "1", **own}
    assert "own_password" in client.post(page, taken).context["form"].errors
    grace.refresh_from_db()
    assert grace.check_password(PASSWORD)
    device = TOTPDevice.objects.get()
    apps = "/admin/otp_totp/totpdevice/"
    assert client.get(f"{apps}add/").status_code == 403
    known = forms.posted(client.get("/admin/recovery-codes/").content, user=str(grace.pk), key="ab" * 20)
    assert client.post(f"{apps}{device.pk}/change/", known).status_code == 403


def change_password(client: Client, grace: User) -> None:
    data = {"old_password": PASSWORD, "new_password1": NEXT, "new_password2": NEXT}
    assert client.post("/admin/password_change/", data).status_code == 302


def set_password_as_owner(client: Client, grace: User) -> None:
    data = {"usable_password": "true", "password1": NEXT, "password2": NEXT, "own_password": PASSWORD}
    assert client.post(f"/admin/auth/user/{grace.pk}/password/", data).status_code == 302


def take_password_away(client: Client, grace: User) -> None:
    data = {"usable_password": "false", "password1": "", "password2": "", "unset-password": "1"}
    data["own_password"] = PASSWORD
    assert client.post(f"/admin/auth/user/{grace.pk}/password/", data).status_code == 302


def add_a_code_by_command(client: Client, grace: User) -> None:
    call_command("addstatictoken", "grace")


def delete_the_app_as_owner(client: Client, grace: User) -> None:
    page = f"/admin/otp_totp/totpdevice/{TOTPDevice.objects.get().pk}/delete/"
    assert client.post(page, {"post": "yes"}).status_code == 302


def make_codes(client: Client, grace: User) -> None:
    client.post(CODES, {"password": PASSWORD})


def use_a_code(client: Client, grace: User) -> None:
    other = Client()
    give_password(other)
    other.post(CODE, {"code": StaticToken.objects.values_list("token", flat=True)[0]})


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        (change_password, "the password was changed"),
        (set_password_as_owner, "the password was changed"),
        (take_password_away, "the password was changed"),
        (add_a_code_by_command, "new recovery codes were made"),
        (delete_the_app_as_owner, "an authenticator app was removed"),
        (make_codes, "new recovery codes were made"),
        (use_a_code, "a recovery code was used to log in"),
    ],
)
def test_its_owner_is_told_of_a_change_whoever_made_it(client: Client, grace: User, change: Any, notice: str) -> None:
    log_in(client)
    assert told() == [("grace@example.com", "an authenticator app was added or changed")]
    change(client, grace)
    assert told() == [("grace@example.com", "an authenticator app was added or changed"), ("grace@example.com", notice)]
    letter = str(mail.outbox[-1].body)
    assert notice in letter
    assert SESSIONS in letter
    assert NEXT not in letter


def test_a_changed_address_is_told_at_the_one_before(grace: User) -> None:
    grace.email = "attacker@example.com"
    grace.save()
    assert told() == [("grace@example.com", "the user name or the e-mail address was changed")]


def test_what_logins_hang_on_changes_after_the_owners_password(client: Client, grace: User) -> None:
    log_in(client)
    clerk = User.objects.create_user("clerk", "clerk@example.com", is_staff=True)
    page = f"/admin/auth/user/{clerk.pk}/change/"
    for change in ({"email": "attacker@example.com"}, {"username": "boss"}, {"is_superuser": "on"}):
        for password in ({}, {"own_password": "guess"}):
            refused = forms.submit(client, page, **change, **password)
            assert "own_password" in refused.context["adminform"].form.errors
            clerk.refresh_from_db()
            assert (clerk.email, clerk.username, clerk.is_superuser) == ("clerk@example.com", "clerk", False)
        AccessAttempt.objects.all().delete()
    forms.submit(client, page, first_name="Carl")
    forms.submit(client, page, email="new@example.com", own_password=PASSWORD)
    clerk.refresh_from_db()
    assert (clerk.first_name, clerk.email) == ("Carl", "new@example.com")


def test_a_login_tells_nobody_anything(client: Client, grace: User) -> None:
    log_in(client)
    number = len(told())
    log_in(Client())
    assert len(told()) == number


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1"


def test_one_sees_and_ends_ones_other_sessions(client: Client, grace: User) -> None:
    log_in(client, FIREFOX)
    phone, tablet = log_in(Client(), SAFARI), log_in(Client())
    half = Client()
    give_password(half)
    stranger = User.objects.create_superuser("stranger")
    elsewhere = Client()
    elsewhere.force_login(stranger)
    page = client.get(SESSIONS)
    text = page.content.decode()
    assert "Firefox on Linux" in text
    assert "Safari on iPhone" in text
    for key in Session.objects.values_list("session_key", flat=True):
        assert key not in text
    (chosen,) = [each for each in page.context["others"] if each.browser == "Safari on iPhone"]
    refused = client.post(SESSIONS, {"session": chosen.name, "chosen": "1", "password": "guess"})
    assert refused.status_code == 422
    assert phone.get("/admin/").status_code == 200
    client.post(SESSIONS, {"session": chosen.name, "chosen": "1", "password": PASSWORD})
    assert [each.get("/admin/").status_code for each in (phone, tablet, client)] == [302, 200, 200]
    client.post(SESSIONS, {"all": "1", "password": PASSWORD})
    assert [each.get("/admin/").status_code for each in (tablet, client)] == [302, 200]
    assert half.get(CODE).status_code == 302, "a login half done is ended too"
    assert Session.objects.filter(session_key=elsewhere.session.session_key).exists()
    assert LogEntry.objects.filter(change_message="Ended 1 other session.").exists()


def test_a_session_ends_when_it_is_not_used_and_after_a_day_in_any_case(client: Client, grace: User) -> None:
    log_in(client)
    session = client.session
    ends = session.get_expiry_date()
    session["login"] |= {"seen": time.time() - 119 * 60}
    session.save()
    assert client.get("/admin/").status_code == 200
    assert time.time() - client.session["login"]["seen"] < 60, "noted as used"
    assert client.session.get_expiry_date() == ends, "and no longer for it"
    session = client.session
    session["login"] |= {"seen": time.time() - 121 * 60}
    session.save()
    assert client.get("/admin/").status_code == 302
    assert not Session.objects.filter(pk=session.session_key).exists()


def test_logging_out_clears_what_the_browser_kept(client: Client, grace: User) -> None:
    log_in(client)
    assert client.post("/admin/logout/")["Clear-Site-Data"] == '"cache", "storage"'


def test_asking_again_gives_the_session_a_new_key(client: Client, grace: User) -> None:
    log_in(client)
    before = client.session.session_key
    client.post(CODES, {"password": PASSWORD})
    assert client.session.session_key != before
    assert not Session.objects.filter(pk=before).exists()


def test_the_owner_ends_the_sessions_of_another(client: Client, grace: User, settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = False
    clerk = User.objects.create_user("clerk", is_staff=True)
    theirs = Client()
    theirs.force_login(clerk)
    client.force_login(grace)
    client.post("/admin/auth/user/", {"action": "end_sessions", "_selected_action": [clerk.pk, grace.pk]})
    assert theirs.get("/admin/").status_code == 302
    assert client.get("/admin/").status_code == 200
    assert LogEntry.objects.get(object_id=str(clerk.pk)).change_message == "Ended all their sessions."
