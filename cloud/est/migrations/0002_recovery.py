import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("est", "0001_tables"),
    ]

    operations = [
        migrations.AlterField(
            model_name="challenge",
            name="gateway",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="registry.gateway"
            ),
        ),
        migrations.AddField(
            model_name="challenge",
            name="recovery",
            field=models.CharField(blank=True, default="", max_length=32),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="challenge",
            constraint=models.UniqueConstraint(fields=("gateway", "recovery"), name="est_challenge_one"),
        ),
    ]
