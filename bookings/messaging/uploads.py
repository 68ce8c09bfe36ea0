"""Where large uploads wait while they are read, and what is done when there is no room for them."""

import time
from contextlib import suppress
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from bookings.messaging import photos


class UnkeptFile(SimpleUploadedFile):
    """Stands for an upload that the disk had no room for; empty."""


class TooLargeFile(UnkeptFile):
    """Stands for an upload beyond what a photo may have; what had been kept of it is gone."""


class RoomyUploadHandler(TemporaryFileUploadHandler):
    """Django's temporary files; what is too large or finds no room is dropped, and the rest of the form read on."""

    _kept = True
    _stands: type[UnkeptFile] = UnkeptFile

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self._kept, self._stands = True, UnkeptFile
        try:
            super().new_file(*args, **kwargs)
        except OSError:
            self._drop()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self._kept and start + len(raw_data) > photos.MOST_BYTES:
            self._stands = TooLargeFile
            self._drop()
        if self._kept:
            try:
                super().receive_data_chunk(raw_data, start)
            except OSError:
                self._drop()
        time.sleep(0)  # lets a page's thread go on: an upload is a long row of these

    def file_complete(self, file_size: int) -> UploadedFile | None:
        if self._kept:
            try:
                return super().file_complete(file_size)
            except OSError:  # what was buffered found no room either
                self._drop()
        return self._stands(self.file_name or "", b"", self.content_type or "")

    def _drop(self) -> None:
        self._kept = False
        with suppress(OSError, AttributeError):  # closing writes what is buffered, and fails again
            self.file.close()

    def upload_interrupted(self) -> None:
        with suppress(OSError):
            super().upload_interrupted()
