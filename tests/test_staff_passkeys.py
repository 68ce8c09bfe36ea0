"""Passkeys of staff: added after the password, taken as a second factor or alone, removed, and notified of."""

import json
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.signals import pre_save
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnAttestation, WebAuthnCredential, WebAuthnUserHandle
from pytest_django import Settings
from structlog.testing import capture_logs

from bookings.ratelimit.rates import Limit
from tests.authenticator import Passkey
from tests.test_staff_step_up import told as notices
from xfhandyman.security.passkeys import MOST
from xfhandyman.security.relying_party import relying_party

pytestmark = pytest.mark.django_db
ORIGIN, PASSWORD, RECOVERY = "http://localhost:8000", "correct horse battery", "abcd2345"
LOGIN, CODE, ALONE = "/admin/login/", "/admin/second-factor/", "/admin/login/passkey/"
PASSKEYS, ADD, CONFIRM = "/admin/passkeys/", "/admin/passkeys/add/", "/admin/passkeys/confirm/"


@pytest.fixture(autouse=True)
def strict(settings: Settings) -> None:
    settings.STAFF_SECOND_FACTOR = True
    settings.OTP_WEBAUTHN_RP_ID, settings.OTP_WEBAUTHN_ALLOWED_ORIGINS = relying_party(ORIGIN, ["localhost"])


@pytest.fixture
def grace() -> User:
    """With an authenticator app and recovery codes."""
    user = User.objects.create_superuser("grace", "grace@example.com", PASSWORD)
    TOTPDevice.objects.bulk_create([TOTPDevice(user=user, name="App", confirmed=True)])
    codes = StaticDevice.objects.create(user=user, name="Codes", confirmed=True)
    StaticToken.objects.bulk_create([StaticToken(device=codes, token=RECOVERY), StaticToken(device=codes, token="x")])
    return user


def browser() -> Client:
    return Client(headers={"host": "localhost:8000"})


def give_password(client: Client) -> None:
    answer = client.post(LOGIN, {"username": "grace", "password": PASSWORD, "next": "/admin/operations/"})
    assert answer["Location"] == CODE


@pytest.fixture
def inside(grace: User) -> Client:
    """A browser in which she is logged in, by a recovery code."""
    client = browser()
    give_password(client)
    assert client.post(CODE, {"code": RECOVERY}).status_code == 302
    return client


def is_inside(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def added(client: Client, name: str = "Work phone", **options: Any) -> Passkey:
    assert client.post(ADD, {"name": name, "password": PASSWORD})["Location"] == CONFIRM
    passkey = Passkey(ORIGIN, **options)
    answer = client.post(CONFIRM, {"passkey": passkey.make(client.get(CONFIRM).context["question"]["options"])})
    assert answer["Location"] == PASSKEYS
    return passkey


def options_of(client: Client, page: str) -> str:
    options: str = client.get(page).context["question"]["options"]
    return options


def begin(client: Client) -> None:
    assert client.post(LOGIN, {"passkey": "login", "next": "/admin/operations/"})["Location"] == ALONE


def test_it_takes_the_place_of_the_code(inside: Client) -> None:
    passkey = added(inside, verifies=False)
    client = browser()
    give_password(client)
    with capture_logs() as lines:
        answer = client.post(CODE, {"passkey": passkey.use(options_of(client, CODE))})
    assert answer["Location"] == "/admin/operations/"
    assert is_inside(client)
    (line,) = (line for line in lines if line["event"] == "staff_logged_in")
    assert line["second_factor"] == "passkey"


def test_it_takes_the_place_of_the_password_and_the_code(inside: Client) -> None:
    passkey = added(inside)
    client = browser()
    begin(client)
    before = client.session.session_key
    answer = client.post(ALONE, {"passkey": passkey.use(options_of(client, ALONE))})
    assert answer["Location"] == "/admin/operations/"
    assert is_inside(client)
    assert client.session.session_key != before
    assert 300 < client.session.get_expiry_age() <= 12 * 3600
    assert "known" in client.cookies
    assert len(inside.get("/admin/sessions/").context["others"]) == 1


def test_alone_it_must_ask_for_a_finger_or_a_pin(inside: Client) -> None:
    passkey = added(inside, verifies=False)
    client = browser()
    begin(client)
    assert client.post(ALONE, {"passkey": passkey.use(options_of(client, ALONE))})["Location"] == LOGIN
    assert not is_inside(client)


def test_each_question_is_answered_once_in_its_time_and_place(inside: Client) -> None:
    passkey = added(inside)
    client = browser()
    give_password(client)
    after_password = passkey.use(options_of(client, CODE))
    wrong = json.loads(after_password)
    wrong["response"]["signature"] = "AAAA"
    assert client.post(CODE, {"passkey": json.dumps(wrong)}).status_code == 422
    assert client.post(CODE, {"passkey": after_password}).status_code == 422, "another question was asked meanwhile"
    session = client.session
    answer = passkey.use(session["passkey"]["options"])
    session["passkey"] |= {"at": session["passkey"]["at"] - 301}
    session.save()
    assert client.post(CODE, {"passkey": answer}).status_code == 422
    options = client.session["passkey"]["options"]
    session = client.session
    session["second_factor"] |= {"at": session["second_factor"]["at"] - 601}
    session.save()
    assert client.post(CODE, {"passkey": passkey.use(options)})["Location"] == LOGIN
    assert client.post(ALONE, {"passkey": passkey.use(options)})["Location"] == LOGIN, "nor without the password"
    elsewhere = Passkey("https://evil.example", passkey.id, passkey.key)
    begin(client)
    assert client.post(ALONE, {"passkey": elsewhere.use(options_of(client, ALONE))})["Location"] == LOGIN
    assert not is_inside(client)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, None])
def test_an_account_that_may_not_log_in_stays_out(inside: Client, grace: User, change: dict[str, bool] | None) -> None:
    passkey = added(inside)
    alone, after_password = browser(), browser()
    begin(alone)
    give_password(after_password)
    answers = [passkey.use(options_of(alone, ALONE)), passkey.use(options_of(after_password, CODE))]
    if change:
        User.objects.filter(pk=grace.pk).update(**change)
    else:
        grace.delete()
        assert not WebAuthnCredential.objects.exists()
        assert not WebAuthnAttestation.objects.exists()
        assert not WebAuthnUserHandle.objects.exists()
    assert alone.post(ALONE, {"passkey": answers[0]})["Location"] == LOGIN
    assert after_password.post(CODE, {"passkey": answers[1]})["Location"] == LOGIN
    assert not is_inside(alone)
    assert not is_inside(inside)


def test_the_passkey_of_another_is_refused(inside: Client, grace: User) -> None:
    passkey = added(inside)
    other = User.objects.create_superuser("other", password=PASSWORD)
    TOTPDevice.objects.create(user=other, name="App", confirmed=True)
    WebAuthnCredential.objects.create(user=other, name="Own", credential_id=b"own", public_key=b"k", aaguid="")
    client = browser()
    client.post(LOGIN, {"username": "other", "password": PASSWORD})
    assert client.post(CODE, {"passkey": passkey.use(options_of(client, CODE))}).status_code == 422
    assert not is_inside(client)
    mine = WebAuthnCredential.objects.get(user=grace)
    client.force_login(other)
    inside.post(PASSKEYS, {"password": PASSWORD, f"name_{mine.pk}": "Mine"})
    theirs = WebAuthnCredential.objects.get(user=other)
    removal = {"password": PASSWORD, f"name_{mine.pk}": "Mine", f"name_{theirs.pk}": "X", f"remove_{theirs.pk}": "on"}
    inside.post(PASSKEYS, removal)
    assert WebAuthnCredential.objects.get(user=other).name == "Own"


def test_adding_naming_and_removing_ask_for_the_password_again(inside: Client) -> None:
    for password in ({}, {"password": "guess"}):
        assert inside.post(ADD, {"name": "Phone", **password}).status_code == 422
        assert inside.get(CONFIRM)["Location"] == ADD
    added(inside)
    pk = WebAuthnCredential.objects.get().pk
    for change in ({f"name_{pk}": "Stolen"}, {f"name_{pk}": "Work phone", f"remove_{pk}": "on"}):
        for password in ({}, {"password": "guess"}):
            assert inside.post(PASSKEYS, change | password).status_code == 422
            assert WebAuthnCredential.objects.get().name == "Work phone"
        AccessAttempt.objects.all().delete()


def test_its_owner_is_notified_and_it_is_written_down(
    inside: Client, grace: User, django_capture_on_commit_callbacks: Any
) -> None:
    with capture_logs() as lines, django_capture_on_commit_callbacks(execute=True):
        passkey = added(inside, "Grace at work")
    assert [line["change"] for line in lines if line["event"] == "staff_access_changed"] == ["passkey_added"]
    assert "Grace" not in str(lines)
    client = browser()
    begin(client)
    client.post(ALONE, {"passkey": passkey.use(options_of(client, ALONE))})
    assert [change for _, change in notices()] == ["a recovery code was used to log in", "a passkey was added"]
    pk = WebAuthnCredential.objects.get().pk
    inside.post(PASSKEYS, {"password": PASSWORD, f"name_{pk}": "Old phone"})
    inside.post(PASSKEYS, {"password": PASSWORD, f"name_{pk}": "Old phone", f"remove_{pk}": "on"})
    assert notices()[-1] == ("grace@example.com", "a passkey was removed")
    written = {entry.get_change_message() for entry in LogEntry.objects.filter(user=grace)}
    assert written == {
        "Added the passkey “Grace at work”.", "Named the passkey “Old phone”.", "Removed the passkey “Old phone”."
    }  # fmt: skip
    assert not is_inside(client), "what was logged in by it is no longer"
    assert is_inside(inside)


def test_removing_the_one_in_use_ends_the_login(inside: Client) -> None:
    passkey = added(inside)
    client = browser()
    begin(client)
    client.post(ALONE, {"passkey": passkey.use(options_of(client, ALONE))})
    pk = WebAuthnCredential.objects.get().pk
    assert "removing it logs you out" in client.get(PASSKEYS).content.decode()
    removal = {"password": PASSWORD, f"name_{pk}": "Phone", f"remove_{pk}": "on"}
    assert client.post(PASSKEYS, removal)["Location"] == LOGIN
    assert not is_inside(client)
    assert "log in again" in client.get(LOGIN).content.decode()


def test_the_owner_takes_a_passkey_away_and_sets_none_up(inside: Client) -> None:
    added(inside)
    page = "/admin/django_otp_webauthn/webauthncredential/"
    pk = WebAuthnCredential.objects.get().pk
    assert inside.get(page).status_code == 200
    assert inside.get(f"{page}add/").status_code == 403
    assert inside.post(f"{page}{pk}/change/", {"name": "Other"}).status_code == 403
    assert inside.post(f"{page}{pk}/delete/", {"post": "yes"}).status_code == 302
    assert notices()[-1][1] == "a passkey was removed"


def test_who_has_a_passkey_alone_sets_no_app_up_by_the_password(inside: Client, grace: User) -> None:
    passkey = added(inside)
    TOTPDevice.objects.all().delete()
    client = browser()
    give_password(client)
    page = client.get(CODE)
    assert 'class="qr"' not in page.content.decode()
    assert client.post(CODE, {"code": "123456"}).status_code == 422
    assert not TOTPDevice.objects.exists()
    client.post(CODE, {"passkey": passkey.use(options_of(client, CODE))})
    assert "/admin/authenticator-app/" in client.get(PASSKEYS).content.decode()
    assert 'class="qr"' in client.get("/admin/authenticator-app/").content.decode()
    assert is_inside(client)


def test_strangers_begin_no_more_often_than_they_may_guess(settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": Limit.parse("2/d 30/m")}
    client = browser()
    assert [client.post(LOGIN, {"passkey": "login"}).status_code for _ in range(3)] == [302, 302, 429]
    assert Session.objects.count() == 1
    stranger = browser()
    assert stranger.post(ALONE, {"passkey": "{}"})["Location"] == LOGIN
    assert Session.objects.count() == 1


def test_an_account_has_no_more_than_it_may(inside: Client, grace: User) -> None:
    WebAuthnCredential.objects.bulk_create(
        WebAuthnCredential(user=grace, name="P", credential_id=b"", credential_id_sha256=str(number), public_key=b"")
        for number in range(MOST)
    )
    refused = inside.post(ADD, {"name": "One more", "password": PASSWORD})
    assert refused.status_code == 422
    assert "Remove one before" in refused.content.decode()


def test_a_name_or_counter_that_cannot_be_kept_is_refused(inside: Client) -> None:
    for name in ("", "x" * 65, "a\0b"):
        assert inside.post(ADD, {"name": name, "password": PASSWORD}).status_code == 422
    inside.post(ADD, {"name": "Key", "password": PASSWORD})
    largest = Passkey(ORIGIN, uses=2**32 - 1)
    assert inside.post(CONFIRM, {"passkey": largest.make(options_of(inside, CONFIRM))})["Location"] == ADD
    assert not WebAuthnCredential.objects.exists()
    assert notices()[-1][1] != "a passkey was added"


_JUNK: tuple[Any, ...] = (None, 7, "", "é", "w" * 12_000, {}, {"rk": 1}, [[]])
_ONLY_OF_NEW_ONES = {"make": ["clientExtensionResults"], "use": []}
_NO_ANSWERS = ("", "{", "null", "[]", "7", "[" * 9000, "9" * 5000, '"' + "x" * 17_000 + '"')


def test_one_that_is_removed_while_it_is_judged_lets_no_one_in(inside: Client) -> None:
    passkey = added(inside)
    client = browser()
    begin(client)
    answer = passkey.use(options_of(client, ALONE))

    def remove(**_: Any) -> None:
        WebAuthnAttestation.objects.all().delete()
        WebAuthnCredential.objects.all().delete()

    pre_save.connect(remove, sender=WebAuthnCredential, dispatch_uid="test")
    assert client.post(ALONE, {"passkey": answer})["Location"] == LOGIN
    pre_save.disconnect(sender=WebAuthnCredential, dispatch_uid="test")


@pytest.mark.parametrize("kind", ["make", "use"])
def test_no_answer_is_a_fault_of_the_site(inside: Client, kind: str) -> None:
    """A right answer with each of its values replaced by junk, and what is no answer at all."""
    client = browser()
    if kind == "make":
        client, page = inside, CONFIRM
        client.post(ADD, {"name": "Key", "password": PASSWORD})
        passkey = Passkey(ORIGIN)
    else:
        page, passkey = CODE, added(inside)
        give_password(client)
    right = json.loads(getattr(passkey, kind)(options_of(client, page)))
    asked = client.session["passkey"]
    bad = [right | {name: junk} for name in (*right, *_ONLY_OF_NEW_ONES[kind]) for junk in _JUNK]
    bad += [right | {"response": right["response"] | {name: junk}} for name in right["response"] for junk in _JUNK]
    for answer in (*map(json.dumps, bad), *_NO_ANSWERS):
        session = client.session
        session["passkey"] = asked
        session.save()
        status = client.post(page, {"passkey": answer}).status_code
        assert status == (302 if kind == "make" else 422), answer[:200]
        WebAuthnCredential.objects.filter(name="Key").delete()


def test_where_browsers_have_none_the_page_names_the_address(inside: Client) -> None:
    inside.defaults["HTTP_HOST"] = "127.0.0.1:8000"
    assert f"{ORIGIN}/admin/passkeys/" in inside.get(PASSKEYS).content.decode()
    assert inside.get(ADD)["Location"] == PASSKEYS
    assert "Use a passkey" not in Client(headers={"host": "127.0.0.1:8000"}).get(LOGIN).content.decode()
    assert "Use a passkey" in browser().get(LOGIN).content.decode()


def test_only_the_office_lets_scripts_ask_for_one() -> None:
    office, shop = (browser().get(page)["Permissions-Policy"] for page in (LOGIN, "/"))
    assert "publickey-credentials-get=(self)" in office
    assert "publickey-credentials-get=()" in shop
