"""A handyman's account, and permissions that tell his own visits from everybody's."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

OWN = ("view_own_booking", "Can see the visits of the handyman that the user is")
EVERY = ("view_every_booking", "Can see everybody's visits, though the user is a handyman")


def narrow(apps, schema_editor):
    """Handymen made by an earlier release see their own visits from now on; who may change bookings sees all, as before.

    The permissions are made here because those of this release are made only after its migrations.
    """
    using = schema_editor.connection.alias
    groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    if not groups.objects.using(using).exists():
        return
    kinds = apps.get_model("contenttypes", "ContentType").objects.using(using)
    kind, _ = kinds.get_or_create(app_label="bookings", model="booking")
    own, every = (
        permissions.objects.using(using).get_or_create(content_type=kind, codename=codename, defaults={"name": name})[0]
        for codename, name in (OWN, EVERY)
    )
    booking = {"permissions__content_type": kind}
    for group in groups.objects.using(using).filter(**booking, permissions__codename="change_booking"):
        group.permissions.add(every)
    for group in groups.objects.using(using).filter(**booking, name="Handymen", permissions__codename="view_booking"):
        group.permissions.remove(*group.permissions.filter(content_type=kind, codename="view_booking"))
        group.permissions.add(own)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("bookings", "0010_notifications"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="booking",
            options={
                "ordering": ("-starts_at",),
                "permissions": (
                    ("view_operations", "Can see how the business and its site are doing"),
                    ("erase_customer", "Can give out and erase what is kept about a customer"),
                    OWN,
                    EVERY,
                ),
            },
        ),
        migrations.AddField(
            model_name="handyman",
            name="user",
            field=models.OneToOneField(
                blank=True,
                help_text="Logs in as this handyman, and sees his own visits only.",
                limit_choices_to={"is_staff": True},
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(narrow, migrations.RunPython.noop),
    ]
