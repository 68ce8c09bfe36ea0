"""Forms of a page as a browser would post them."""

from html.parser import HTMLParser
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.test import Client

from bookings.admin.compared import shown

Posted = dict[str, list[str]]


class _Forms(HTMLParser):
    """Collects each form's fields with the values that they have on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str | None], Posted]] = []
        self._select = self._textarea = ""
        self._multiple = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name, value = given.get("name") or "", given.get("value")
        if tag == "form":
            self.forms.append((given, {}))
        if not self.forms or "disabled" in given:
            return
        fields = self.forms[-1][1]
        if tag == "select":
            self._select, self._multiple = name, "multiple" in given
        elif tag == "option" and self._select:
            if "selected" in given or (not self._multiple and self._select not in fields):
                kept = fields.get(self._select, []) if self._multiple else []
                fields[self._select] = [*kept, value or ""]
        elif tag == "textarea":
            self._textarea = name
            fields[name] = [""]
        elif tag == "input" and name:
            kind = given.get("type") or "text"
            if kind in ("checkbox", "radio"):
                if "checked" in given:
                    fields.setdefault(name, []).append(value or "on")
            elif kind not in ("submit", "button", "file"):
                fields.setdefault(name, []).append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            fields = self.forms[-1][1]
            fields[self._textarea] = [(fields[self._textarea][0] + data).removeprefix("\n")]


def posted(page: bytes | str, **changed: str | list[str] | None) -> Posted:
    """What the page's largest POST form sends when only `changed` is touched; None leaves a field out."""
    parser = _Forms()
    parser.feed(page.decode() if isinstance(page, bytes) else page)
    own = [fields for given, fields in parser.forms if (given.get("method") or "").lower() == "post"]
    fields = max(own, key=len)
    for name, value in changed.items():
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = value if isinstance(value, list) else [value]
    return fields


def submit(client: Client, address: str, **changed: Any) -> Any:
    """Open a page and post its form with what was changed, each a text, a list, or None to leave it out."""
    given = {name: value if value is None or isinstance(value, list) else str(value) for name, value in changed.items()}
    return client.post(address, posted(client.get(address).content, **given), follow=True)


def act(client: Client, changelist: str, action: str, *rows: Model) -> Any:
    """Choose rows of an admin list, as they are now, and do something to them."""
    chosen = {"action": action, ACTION_CHECKBOX_NAME: [row.pk for row in rows]}
    fresh = [type(row)._default_manager.get(pk=row.pk) for row in rows]
    return client.post(changelist, chosen | {"_shown": [shown(row) for row in fresh]}, follow=True)
