"""Answering a message within the inbox: the form's part, and what was answered before."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from bookings.admin.compared import ComparedForm
from bookings.fields import ProseField
from bookings.models import ContactMessage, MessageAnswer, new_idempotency_key

SEND = "send_answer"
"""The button's name."""


class AnswerForm(ComparedForm, forms.ModelForm):
    """What staff write back. It is refused where a colleague has handled the message since it was opened."""

    answer = ProseField(
        max_length=5000,
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 8}),
        help_text="Sent by e-mail, with a greeting before it and our name below it.",
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput, initial=new_idempotency_key)

    class Meta:
        model = ContactMessage
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.suspected_spam:  # to be judged first
            self.fields.clear()
        for field in self.fields.values():  # nothing that is kept: there is nothing to compare with
            field.show_hidden_initial = False

    @property
    def sends(self) -> bool:
        """Whether the button that sends was pressed."""
        return SEND in self.data and bool(self.fields)

    def clean_answer(self) -> str:
        typed: str = self.cleaned_data["answer"]
        if self.sends and not typed:
            raise forms.ValidationError("Write the answer first.")
        if typed and not self.sends:
            raise forms.ValidationError("This is not sent yet: press “Send the answer”, or empty this box first.")
        return typed

    def conflicts(self) -> Iterator[tuple[str | None, str]]:
        """What a colleague did meanwhile; not what this very form has sent already."""
        if not MessageAnswer.objects.filter(message=self.instance, key=self.data.get("key", "")).exists():
            yield from super().conflicts()


def thread(message: ContactMessage) -> SafeString:
    """What was answered so far, the oldest first; empty without any."""
    answers = message.answers.select_related("written_by")
    shown = render_to_string("admin/bookings/contactmessage/_answers.html", {"answers": answers})
    return shown if answers else SafeString()
