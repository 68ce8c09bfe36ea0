"""Reading the e-mail files that the site writes when it has no mail server."""

from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage
from typing import Any, cast

from icalendar import Calendar

from harness.stack import Stack, wait_for


@dataclass(frozen=True)
class Letter:
    """One e-mail: its subject, its text, and the calendar entry that came with it."""

    subject: str
    text: str
    calendar: Any
    event: Any


def letters(site: Stack, to: str) -> list[EmailMessage]:
    """The e-mails sent to an address so far, oldest first."""
    contents = "".join(path.read_text() for path in site.emails)
    # Django's file backend closes every message with a line of dashes.
    messages = [message_from_string(part, policy=policy.default) for part in contents.split("-" * 79 + "\n")]
    return [message for message in messages if to in str(message["to"])]


def wait_for_letter(site: Stack, to: str, number: int) -> Letter:
    """The number-th e-mail (from 1) to an address, with its invitation."""
    message = wait_for(f"e-mail {number} to {to}", lambda: letters(site, to)[number - 1 : number], 20)[0]
    text = message.get_body(("plain",))
    parts = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert text is not None
    assert parts, f"no calendar entry in {message['subject']}"
    calendar = Calendar.from_ical(cast(bytes, parts[0].get_payload(decode=True)))
    return Letter(str(message["subject"]), text.get_content(), calendar, calendar.walk("VEVENT")[0])
