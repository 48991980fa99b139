"""Which certificate followed which: a copy of a gateway shows when both go on from the same one."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """See above."""

    dependencies = [("registry", "0002_append_only")]
    operations = [
        migrations.AddField(
            model_name="certificate",
            name="parent",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.certificate",
            ),
        ),
        migrations.AddField(
            model_name="certificate", name="superseded_at", field=models.DateTimeField(null=True)
        ),
    ]
