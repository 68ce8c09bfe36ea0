"""What the owner says of the business and its people: portraits, guarantee, insurance."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils.html import format_html

from bookings.admin.office import OfficeAdmin
from bookings.messaging import photos
from bookings.messaging.uploads import UnkeptFile
from bookings.models import Assurance, Portrait

SIDE = 320
"""Pixels of a portrait, whose pages show it much smaller."""


class PictureField(forms.FileField):
    """A picture, drawn again as a square JPEG."""

    def clean(self, value: UploadedFile | None, initial: object = None) -> bytes:
        upload = super().clean(value, initial)
        if isinstance(upload, UnkeptFile):
            raise forms.ValidationError("The picture may have 10 MB at most.")
        return photos.redraw(upload, size=upload.size or 0, square=SIDE)


class PortraitForm(forms.ModelForm):
    picture = PictureField(help_text="A JPEG, PNG or WebP. Its middle is shown, as a circle.")


@admin.register(Portrait)
class PortraitAdmin(OfficeAdmin):
    """Pictures are added and deleted; another picture is another portrait."""

    form = PortraitForm
    list_display = ("handyman", "shown")
    list_select_related = ("handyman",)
    fields = ("handyman", "picture")

    def get_fields(self, request: HttpRequest, obj: Portrait | None = None) -> Any:
        return ("handyman", "shown") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Portrait | None = None) -> Any:
        return ("handyman", "shown") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Portrait | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Portrait, form: Any, change: bool) -> None:
        obj.jpeg = form.cleaned_data["picture"]
        super().save_model(request, obj, form, change)

    @admin.display(description="picture")
    def shown(self, portrait: Portrait) -> str:
        return format_html('<img src="{}" alt="" width="80" height="80">', portrait.get_absolute_url())


@admin.register(Assurance)
class AssuranceAdmin(OfficeAdmin):
    list_display = ("title", "position", "published")
    list_editable = ("position", "published")
