"""Invented personal data goes the site's every way, and is then looked for wherever it must not be.

Before its erasure it may stand in the business's own tables and in the e-mails to whom they concern. After it, nowhere.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import psycopg
import requests
from django.conf import settings
from PIL import Image
from psycopg import sql

from harness.peers.bugsink import Project
from harness.peers.collector import Collector
from harness.stack import BASE_DIR, Stack, wait_for
from tests import broken, visitor
from tests.mailbox import letters

CANARY = {
    "name": "Zebedee Quillfeather",
    "email": "zebedee.quillfeather@example.com",
    "phone": "07700 900987",
    "postcode": "SE1 9QF",
    "address": "13 Quillfeather Mews",
    "notes": "The key is under the pelican",
    "token": "canarytoken0123456789ABCDEF",
}
SECRETS = (*CANARY.values(), *broken.CANARY)
FORM = {
    **{name: CANARY[name] for name in ("name", "email", "phone", "postcode", "address", "notes")},
    **{f"customer_{name}": CANARY[name] for name in ("name", "email", "phone")},
    "username": CANARY["email"],
    "password": CANARY["token"],
    "key": CANARY["token"],
    "body": f"Call {CANARY['name']} on {CANARY['phone']}. {CANARY['notes']}",
    "topic": CANARY["name"],
    "consent": "on",
}
KEEPS_PEOPLE = {
    "bookings_booking",
    "bookings_contactmessage",
    "bookings_messageanswer",
    "bookings_quote",
    "bookings_visitreport",
}
STAFF = """
from django.contrib.auth.models import User
from bookings.models import Booking, ContactMessage, Handyman, Service
booking = Booking.objects.latest("pk")
Handyman.objects.filter(pk=booking.handyman_id).update(user=User.objects.create_superuser("staff", password="a-pass-1"))
print("keys", booking.pk, ContactMessage.objects.latest("pk").pk, Service.objects.get(slug="tap-repair").pk)
"""


def test_personal_data_stays_in_the_business_and_leaves_it_when_erased(
    stack: Callable[..., Stack], project: Project, collector: Collector
) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "tests.broken.settings", "RUM_COUNT_AUTOMATION": "on", "RELEASE": "r1"}
    environment |= {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_BLRP_SCHEDULE_DELAY": "100"}
    site = stack(env={**environment, **collector.environment, "SENTRY_DSN": project.dsn}, worker=True)
    _measure(site)
    wait_for("the browser's error", lambda: _transactions(project) & {"/"}, 60)
    _visit(site)
    _write_with_photo(site)
    _work_as_staff(site)
    _be_hostile(site)
    sent = {"confirmation", "message", "answer", "quote"}
    wait_for("the e-mails", lambda: sent <= {line["kind"] for line in site.log_events("email_sent")}, 60)
    wait_for("the server's error", lambda: _transactions(project) & {"/broken/canary/"}, 60)
    wait_for("the spans", lambda: collector.named("send_booking_email"), 60)
    exported = {"request_failed", "booking_created", "page_view", "email_sent", "task_failed"}
    wait_for("the exported log lines", lambda: exported <= {record.name for record in collector.records}, 60)
    wait_for("the row of the page view", lambda: "telemetry_rumsample" in _rows(site), 60)

    heads = [f"{name}: {value}" for letter in letters(site, "@") for name, value in letter.items()]
    concerned = [head for head in heads if head.startswith(("To: ", "Reply-To: "))]
    assert _found("\n".join(concerned)), "the one place of an e-mail's head where a customer stands"
    _, metrics = site.get(site.metrics_url)
    _, tasks = site.get(site.worker_metrics_url)
    places = {
        "the logs": site.log_text,
        "the metrics": metrics + tasks,
        "the traces and exported log lines": "".join(collector.text),
        "Sentry": json.dumps(project.events()),
        "the heads of e-mails": "\n".join(set(heads) - set(concerned)),
        "the browsers' measurements": "".join(
            text for table, text in _rows(site).items() if table.startswith("telemetry_")
        ),
        "the queue": "".join(text for table, text in _rows(site).items() if table.startswith("procrastinate_")),
    }
    for place, text in places.items():
        assert text, f"nothing arrived in {place}"
        assert not _found(text), f"in {place}: {_found(text)}"
    happened = {line["event"] for line in site.log_events()}
    assert {"request_failed", "booking_created", "contact_message_received", "email_sent", "page_view"} <= happened
    assert {"visit_reported", "contact_message_answered", "quote_sent"} <= happened
    assert _tables_that_know(site) >= KEEPS_PEOPLE, "or the search below proves nothing"

    said = _erase(site)
    assert not _found(said), _found(said)
    assert '"event": "personal_data_erased"' in said or '"event":"personal_data_erased"' in said
    assert not _tables_that_know(site)
    assert not _files_that_know(site.directory / "emails", Path(settings.MEDIA_ROOT))
    with psycopg.connect(site.env["DATABASE_URL"]) as database:
        books = "SELECT status, postcode, price_pence > 0 FROM bookings_booking WHERE erased_at IS NOT NULL"
        assert database.execute(books).fetchall() == [("cancelled", "SE1", True)], "the numbers stay"
    site.stop()
    assert not _found(site.log_text), "nor what was logged since"


def _visit(site: Stack) -> None:
    """Every form, filled in well and badly; every page with a query string; a booking."""
    for path in (
        "/",
        "/contact/",
        "/book/tap-repair/",
        "/book/tap-repair/details/",
        "/admin/login/",
        "/broken/canary/",
    ):
        site.get(f"{path}?{urlencode(FORM)}")
        visitor.submit(site, path, **FORM)
        visitor.submit(site, path, **{**FORM, "topic": "other"})
    assert visitor.book(site, **{**FORM, "key": "0123456789abcdef"}) == 302
    token = CANARY["token"]
    for path in (f"/bookings/{token}/", f"/bookings/{token}/calendar.ics", f"/book/{token}/", f"/{token}/{token}"):
        site.get(path)
        visitor.submit(site, path, **FORM)
    site.get(f"/api/availability?{urlencode(FORM)}")


def _write_with_photo(site: Stack) -> None:
    """A message, written in a human's time, whose photo carries a name in its metadata."""
    photo = BytesIO()
    picture = Image.new("RGB", (60, 40), "teal")
    exif = picture.getexif()
    exif[0x010E] = f"{CANARY['name']} {CANARY['email']}"  # ImageDescription
    picture.save(photo, "JPEG", exif=exif, comment=CANARY["notes"].encode())
    with requests.Session() as session:
        page = session.get(f"{site.url}/contact/", timeout=20).text
        opened = time.monotonic()
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        files = {"photos": (f"{CANARY['name']}.jpg", photo.getvalue(), "image/jpeg")}
        fields = {**hidden, **FORM, "topic": "question", "key": "a-letter", "website": ""}
        wait_for("the time that nobody types faster in", lambda: time.monotonic() - opened > 3.5)
        answer = session.post(f"{site.url}/contact/", fields, files=files, allow_redirects=False, timeout=20)
    assert answer.status_code == 302, answer.text


def _work_as_staff(site: Stack) -> None:
    """The customer's handyman opens his day and reports in their words; the office answers and quotes with them."""
    booking, message, job = re.findall(r"keys (\d+) (\d+) (\d+)", site.manage("shell", "-v0", "-c", STAFF))[0]
    visit = f"/crew/visits/{booking}/"
    with requests.Session() as session:
        post(session, site.url + "/admin/login/", username="staff", password="a-pass-1")
        for page in ("/crew/", "/crew/kept/today/", "/crew/kept/tomorrow/", "/crew/phone/", "/crew/time-off/"):
            assert session.get(site.url + page, timeout=20).status_code == 200, page
        assert CANARY["name"] in session.get(site.url + visit, timeout=20).text
        told = {"kind": "could_not", "key": "a-tap", "words": FORM["body"]}
        assert post(session, site.url + visit, **told).status_code in (302, 409), "kept, also before its day"
        inbox = f"{site.url}/admin/bookings/contactmessage/{message}/change/"
        assert post(session, inbox, answer=FORM["body"], send_answer="1").status_code == 302
        quoted = {"quote_job_1": job, "quote_price_1": "90", "quote_until": f"{date.today() + timedelta(days=9)}"}
        assert post(session, inbox, **quoted, quote_note=FORM["body"], send_quote="1").status_code == 302


def post(session: requests.Session, page: str, **fields: str) -> requests.Response:
    """Open a page and post its form with its hidden fields."""
    opened = session.get(page, timeout=20).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', opened))
    headers = {"Referer": page}
    return session.post(page, {**hidden, **fields}, headers=headers, allow_redirects=False, timeout=20)


def _be_hostile(site: Stack) -> None:
    """What no page of ours sends."""
    site.get("/", headers={"Host": f"{CANARY['token']}.example"})
    headers = ("User-Agent", "Referer", "X-Request-ID", "X-Forwarded-For", "Cookie", "Authorization", "traceparent")
    for header in headers:
        for value in CANARY.values():
            site.get("/broken/canary/", headers={header: value})
    site.get("/broken/defer/broken/")
    visitor.request(site, f"X{CANARY['token']}", "/", "", {})
    visitor.request(site, "POST", "/api/telemetry", json.dumps({**FORM, "token": CANARY["token"]}), BEACON)


BEACON = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}


def _measure(site: Stack) -> None:
    """A page view with a script error, as the beacon of our own page would send it from a page full of people."""
    _, page = site.get("/")
    token = re.search(r'data-token="([^"]+)"', page)
    assert token
    path = f"/bookings/{CANARY['token']}/?{urlencode(FORM)}"
    hidden = CANARY["token"]
    beacon = {
        "token": token[1],
        "view": 0,
        "part": 0,
        "navigation": "navigate",
        "vitals": {"LCP": 1200, "TTFB": 90},
        "age": 5000,
        "fetches": [{"path": path, "status": 200, "at": 100, "duration": 50}],
        "views": [{"path": path}],
        "causes": {"LCP": [f"main>{hidden}.{hidden}#{CANARY['token']}>img", CANARY["name"], 90, 0, 1000, 110]},
        "script": [f"/static/{hidden}.js", CANARY["token"], 400],
        "connection": CANARY["phone"],
        "memory": CANARY["postcode"],
        "errors": [
            {
                "type": "TypeError",
                "message": f"no reply to {CANARY['email']} on {CANARY['phone']} at {CANARY['postcode']}",
                "stack": f"TypeError\n    at pick ({site.url}/static/build/book.js?{urlencode(FORM)}:12:34)\n"
                f"    at {site.url}/bookings/{CANARY['token']}/:1:1",
            }
        ],
        **FORM,
    }
    assert visitor.request(site, "POST", "/api/telemetry", json.dumps(beacon), BEACON)[0] == 204


def _transactions(project: Project) -> set[str]:
    return {event.get("transaction", "") for event in project.events()}


def _erase(site: Stack) -> str:
    """What the command says, and logs."""
    command = [sys.executable, "manage.py", "customer", "erase", CANARY["email"].upper(), "--cancel"]
    done = subprocess.run(command, cwd=BASE_DIR, env=site.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 bookings, 1 cancelled" in done.stdout
    return done.stdout + done.stderr


def _found(text: str) -> list[str]:
    """Each secret that stands in a text in some form, with what is around it."""
    return [text.lower()[max(0, at - 200) : at + 80] for form in _forms() if (at := text.lower().find(form)) >= 0]


def _forms(secrets: Iterable[str] = SECRETS) -> Iterator[str]:
    for secret in secrets:
        yield from {form.lower() for form in (secret, secret.replace(" ", ""), quote(secret), quote_plus(secret))}


def _rows(site: Stack) -> dict[str, str]:
    """Every row of every table as text, by table; binary columns as text too."""
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    found = {}
    with psycopg.connect(site.env["DATABASE_URL"]) as database:
        for (table,) in database.execute(tables).fetchall():
            rows = [
                row[0] for row in database.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            ]
            if rows:
                found[table] = "\n".join(rows)
    return found


def _tables_that_know(site: Stack) -> set[str]:
    """The tables in which a secret stands in any column, also as bytes (which PostgreSQL writes as hexadecimal)."""
    forms = list(_forms(CANARY.values()))
    return {
        table
        for table, text in _rows(site).items()
        if any(form in text.lower() or form.encode().hex() in text.lower() for form in forms)
    }


def _files_that_know(*directories: Path) -> set[Path]:
    files = [path for directory in directories if directory.is_dir() for path in directory.rglob("*") if path.is_file()]
    return {path for path in files if _found(path.read_bytes().decode("latin-1"))}
