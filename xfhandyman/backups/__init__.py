"""Backups that prove themselves: a dump, the media files, and a manifest of what must be in them (docs/backups.md)."""


class BackupError(Exception):
    """It could not be made or restored; the text is fit for a terminal and says what to do."""
