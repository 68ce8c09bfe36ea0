"""Migrations run while the release before still serves: the linter in `make lint` stops those that would break it."""

import os
from pathlib import Path

import pytest

from harness.stack import manage

DOOR = '[("id", models.BigAutoField(primary_key=True)), ("number", models.IntegerField())]'
ADDED = 'migrations.AddField("Door", "{name}", models.CharField(max_length=9, {options}))'
OPERATIONS = {
    "0001_new": f'migrations.CreateModel("Door", {DOOR})',
    "0002_safe": ADDED.format(name="colour", options='default="red", db_default="red"'),
    "0003_refuses_the_rows_of_old_code": ADDED.format(name="knob", options='default="round"'),
    "0004_renames_a_column": 'migrations.RenameField("Door", "number", "street_number")',
    "0005_takes_a_column": 'migrations.RemoveField("Door", "colour")',
    "0006_renames_a_table": 'migrations.RenameModel("Door", "Gate")',
    "0007_has_no_way_back": 'migrations.RunSQL("SELECT 1")',
}


def test_it_stops_what_the_release_before_could_not_live_with(tmp_path: Path) -> None:
    migrations = tmp_path / "doors" / "migrations"
    migrations.mkdir(parents=True)
    before = ""
    for name, operation in OPERATIONS.items():
        dependencies = f'[("doors", "{before}")]' if before else "[]"
        (migrations / f"{name}.py").write_text(
            "from django.db import migrations, models\nclass Migration(migrations.Migration):\n"
            f"    dependencies = {dependencies}\n    operations = [{operation}]\n"
        )
        before = name
    for package in (migrations, migrations.parent):
        (package / "__init__.py").touch()
    settings = "from tests.migration_settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'doors']\n"
    (tmp_path / "doors_settings.py").write_text(settings)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "doors_settings"}
    with pytest.raises(AssertionError) as stopped:
        manage("lintmigrations", "--include-apps", "doors", "--project-root-path", str(tmp_path), env=environment)
    said = str(stopped.value)
    for name in OPERATIONS:
        assert (f"(doors, {name})... ERR" in said) is (name > "0003"), said
