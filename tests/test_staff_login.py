"""Who of the staff gets in: guesses, locks, the second factor, and nothing told about names."""

import time
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django_otp.oath import TOTP, hotp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings
from structlog.testing import capture_logs

from bookings.models import ContactMessage, MessagePhoto
from xfhandyman import settings as production

pytestmark = pytest.mark.django_db
LOGIN, CODE, INDEX = "/admin/login/", "/admin/second-factor/", "/admin/"
NAME, PASSWORD = "grace.hopper@example.com", "correct horse battery"


@pytest.fixture
def grace() -> User:
    return User.objects.create_superuser(NAME, password=PASSWORD)


@pytest.fixture
def strict(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True


def log_in(client: Client, name: str = NAME, password: str = PASSWORD, **headers: Any) -> HttpResponse:
    return client.post(LOGIN, {"username": name, "password": password, "next": INDEX}, **headers)  # type: ignore[return-value]  # what the client adds to it is not used


def inside(client: Client) -> bool:
    return client.get(INDEX).status_code == 200


def lock(client: Client, name: str = NAME, **headers: Any) -> list[int]:
    return [log_in(client, name, f"guess {number}", **headers).status_code for number in range(6)]


def test_it_locks_a_name_at_an_address_after_five_guesses(client: Client, grace: User) -> None:
    assert lock(client) == [200, 200, 200, 200, 429, 429]
    refused = log_in(client)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "900"
    assert "Wait 15 minutes" in refused.content.decode()
    assert not inside(client)


def test_it_locks_out_nobody_else(client: Client, grace: User) -> None:
    User.objects.create_superuser("colleague", password=PASSWORD)
    lock(client, REMOTE_ADDR="203.0.113.7")
    assert log_in(Client(), "colleague", REMOTE_ADDR="203.0.113.7").status_code == 302
    assert log_in(Client(), REMOTE_ADDR="198.51.100.4").status_code == 302, "the same person, from home"


def test_it_counts_through_every_disguise(client: Client, grace: User) -> None:
    """Another browser's name, another address of the same IPv6 network, a forged header of a proxy."""
    for number in range(5):
        log_in(
            Client(),
            password="guess",
            HTTP_USER_AGENT=f"Browser {number}",
            REMOTE_ADDR=f"2001:db8:0:1::{number + 1}",
            HTTP_X_FORWARDED_FOR=f"192.0.2.{number}",
        )
    assert log_in(Client(), REMOTE_ADDR="2001:db8:0:1:ffff::9").status_code == 429
    assert log_in(Client(), REMOTE_ADDR="2001:db8:0:2::1").status_code == 302


def test_it_lets_them_try_again_after_a_quarter_of_an_hour(client: Client, grace: User) -> None:
    lock(client)
    attempt = AccessAttempt.objects.get()
    AccessAttempt.objects.update(attempt_time=attempt.attempt_time - timedelta(minutes=14))
    lock(client)  # knocking on does not keep the door shut
    assert log_in(client).status_code == 429
    AccessAttempt.objects.update(attempt_time=attempt.attempt_time - timedelta(minutes=15, seconds=1))
    assert log_in(client).status_code == 302
    assert inside(client)


def test_it_answers_a_name_it_does_not_know_in_the_same_way(grace: User) -> None:
    clerk = User.objects.create_user("clerk", password=PASSWORD)  # a right password, and no right to come in
    names = (grace.username, clerk.username, "nobody")
    wrong = [lock(Client(REMOTE_ADDR="203.0.113.9"), name) for name in names]
    assert wrong[0] == wrong[1] == wrong[2]
    tries = ((NAME, "x"), (clerk.username, PASSWORD), ("nobody", "x"))
    pages = [log_in(Client(), *each).content.decode() for each in tries]
    texts = [page.partition('class="errornote"')[2].partition("</p>")[0] for page in pages]
    assert texts[0]
    assert len(set(texts)) == 1


def test_it_takes_as_long_for_a_name_it_does_not_know(settings: Settings) -> None:
    """In CPU time, the best of two each, interleaved: without the hash for unknown names it would be a tenth."""
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS
    User.objects.create_superuser(NAME, password=PASSWORD)
    spent: dict[str, list[float]] = {NAME: [], "nobody@example.com": []}
    for number in range(2):
        for name, times in spent.items():
            client = Client(REMOTE_ADDR=f"203.0.113.{number}")
            started = time.process_time()
            log_in(client, name, "guess")
            times.append(time.process_time() - started)
    known, unknown = (min(times) for times in spent.values())
    assert 0.4 < unknown / known < 2.5


def test_it_tells_of_logins_without_names(client: Client, grace: User) -> None:
    with capture_logs() as lines:
        lock(client)
        log_in(Client(), REMOTE_ADDR="198.51.100.4")
    events = [line["event"] for line in lines]
    assert events.count("staff_login_failed") >= 5
    assert "staff_login_locked" in events
    assert {"user_id": grace.pk, "second_factor": "none"}.items() <= next(
        line for line in lines if line["event"] == "staff_logged_in"
    ).items()
    assert NAME not in str(lines)


def test_it_refuses_weak_passwords(client: Client, grace: User) -> None:
    log_in(client)
    for weak in ("xfhandyman rules", "the-office-door-1", "short-one-1", "password1234", "123456789012", f"{NAME}1"):
        data = {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak}
        assert client.post("/admin/password_change/", data).status_code == 200, weak


def code(device: TOTPDevice, *, ahead: int = 0) -> str:
    """What the authenticator app shows now, or `ahead` × 30 s later."""
    device.refresh_from_db()
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits)
    totp.time = time.time() + ahead * device.step
    return f"{totp.token():06d}"


def enrol(client: Client) -> tuple[TOTPDevice, list[str]]:
    """Log in for the first time; returns the app and the recovery codes."""
    assert log_in(client).headers["Location"] == CODE
    assert "<svg" in client.get(CODE).content.decode()
    device = TOTPDevice.objects.get()
    done = client.post(CODE, {"code": code(device), "password": PASSWORD})
    codes: list[str] = done.context["codes"]
    return device, codes


def test_it_sets_a_newcomer_up(client: Client, grace: User, strict: None) -> None:
    _, codes = enrol(client)
    assert len(set(codes)) == 8
    assert inside(client)
    assert TOTPDevice.objects.get().confirmed
    assert LogEntry.objects.get(user=grace).get_change_message() == "Set up the second factor."
    assert Client().get(CODE).status_code == 302


def test_it_lets_nobody_in_by_the_password_alone(client: Client, grace: User, strict: None) -> None:
    message = ContactMessage.objects.create(name="N", email="n@example.com", body="B")
    photo = MessagePhoto.objects.create(message=message, jpeg=b"x")
    enrol(Client())
    assert log_in(client).status_code == 302
    for path in (INDEX, "/admin/operations/", "/admin/bookings/booking/", f"/contact/photos/{photo.pk}.jpg"):
        answer = client.get(path)
        assert answer.status_code == 302, path
        assert "/admin/login/" in answer["Location"]
    client.force_login(grace)  # a session from before the second factor was asked for
    assert not inside(client)


def test_it_takes_each_code_once(client: Client, grace: User, strict: None) -> None:
    device, _ = enrol(Client())
    log_in(client)
    device.refresh_from_db()
    used = f"{hotp(device.bin_key, device.last_t, digits=device.digits):06d}"
    replayed = client.post(CODE, {"code": used})
    assert replayed.status_code == 422
    assert "was used before" in replayed.content.decode() or "Wait" in replayed.content.decode()
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert client.post(CODE, {"code": code(device, ahead=1)}).headers["Location"] == INDEX
    assert inside(client)


def test_it_slows_guesses_of_the_code(client: Client, grace: User, strict: None) -> None:
    device, _ = enrol(Client())
    log_in(client)
    for _ in range(4):
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
        assert client.post(CODE, {"code": "000000"}).status_code == 422
    right = client.post(CODE, {"code": code(device, ahead=1)})
    assert right.status_code == 422
    assert "Wait" in right.content.decode()
    assert not inside(client)


def test_it_takes_a_recovery_code_once(client: Client, grace: User, strict: None) -> None:
    _, codes = enrol(Client())
    log_in(client)
    typed = f" {codes[0][:4].upper()}-{codes[0][4:]} "
    assert client.post(CODE, {"code": typed}).headers["Location"] == INDEX
    assert inside(client)
    again = Client()
    log_in(again)
    assert again.post(CODE, {"code": typed}).status_code == 422
    assert StaticToken.objects.count() == 7
    made = client.post("/admin/recovery-codes/", {"password": PASSWORD}).context["codes"]
    assert not set(made) & set(codes)
    assert StaticToken.objects.count() == 8


def test_it_forgets_the_password_after_ten_minutes(client: Client, grace: User, strict: None) -> None:
    device, _ = enrol(Client())
    log_in(client)
    session = client.session
    session["second_factor"] |= {"at": time.time() - 601}
    session.save()
    assert client.post(CODE, {"code": code(device, ahead=1)}).headers["Location"] == LOGIN
    assert not inside(client)


def test_it_leads_on_to_pages_of_its_own_alone(client: Client, grace: User, strict: None) -> None:
    device, _ = enrol(Client())
    for asked, led in (("https://evil.example/", INDEX), ("/admin/operations/", "/admin/operations/")):
        TOTPDevice.objects.update(last_t=-1, throttling_failure_timestamp=None)
        client = Client()
        client.post(LOGIN, {"username": NAME, "password": PASSWORD, "next": asked})
        assert client.post(CODE, {"code": code(device)}).headers["Location"] == led


def test_it_asks_for_no_code_in_development(client: Client, grace: User) -> None:
    assert log_in(client).headers["Location"] == INDEX
    assert inside(client)


def test_it_starts_a_new_session_at_each_step(client: Client, grace: User, strict: None) -> None:
    device, _ = enrol(Client())
    client.get(LOGIN)
    keys = [client.session.session_key]
    log_in(client)
    keys.append(client.session.session_key)
    client.post(CODE, {"code": code(device, ahead=1)})
    keys.append(client.session.session_key)
    assert len(set(keys)) == 3
    assert client.session.get_expiry_age() <= 12 * 3600
