"""A passkey in Chromium, by its virtual authenticator, on the real site: added, used twice, removed."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from harness.stack import Stack
from tests.test_admin_browser import looks_well

MAKE_STAFF = (
    "from django.contrib.auth.models import User; from django_otp.plugins.otp_totp.models import TOTPDevice;"
    "from django_otp.plugins.otp_static.models import StaticDevice, StaticToken;"
    "user = User.objects.create_superuser('office', password='a-pass-1');"
    "TOTPDevice.objects.create(user=user, name='App', confirmed=True);"
    "codes = StaticDevice.objects.create(user=user, name='Codes', confirmed=True);"
    "StaticToken.objects.create(device=codes, token='abcd2345')"
)
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def give_password(page: Page) -> None:
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()


def log_out(page: Page, login: str) -> None:
    page.goto(login)
    page.get_by_role("button", name="Log out").click()
    page.goto(login)


def test_it_is_added_used_in_both_ways_and_removed(stack: Callable[..., Stack], page: Page) -> None:
    site = stack(env={"STAFF_SECOND_FACTOR": "on"})
    site.manage("shell", "-v0", "-c", MAKE_STAFF)
    address = site.url.replace("127.0.0.1", "localhost")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Policy" in line.text else None)
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(reduced_motion="reduce")
    today = page.get_by_role("heading", name="Who is where")

    page.goto(f"{address}/admin/")
    give_password(page)
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    page.get_by_label("Code").fill("abcd2345")
    page.get_by_role("button", name="Log in").click()
    expect(today).to_be_visible()
    page.get_by_role("link", name="Passkeys").click()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Office laptop")
    page.get_by_label("Your password").fill("a-pass-1")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".messagelist")).to_contain_text("“Office laptop” is added")
    looks_well(page)

    log_out(page, f"{address}/admin/")
    give_password(page)
    expect(page.get_by_role("button", name="Use a passkey")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    looks_well(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(today).to_be_visible()

    log_out(page, f"{address}/admin/")
    looks_well(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(today).to_be_visible()

    page.get_by_role("link", name="Passkeys").click()
    page.get_by_label("Remove Office laptop").check()
    page.get_by_label("Your password").fill("a-pass-1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("log in again")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator(".messagelist")).to_contain_text("That passkey was not taken")
    assert faults == []
    assert [line["second_factor"] for line in site.log_events("staff_logged_in")] == ["static", "passkey", "passkey"]
