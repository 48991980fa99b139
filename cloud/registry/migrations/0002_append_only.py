"""The audit trail refuses changes; the single rows of chain and CRL number exist from the start."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SQLITE = [
    """
    CREATE TRIGGER registry_audit_no_update BEFORE UPDATE ON registry_auditentry
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
    """,
    """
    CREATE TRIGGER registry_audit_no_delete BEFORE DELETE ON registry_auditentry
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
    """,
]
POSTGRESQL = [
    """
    CREATE FUNCTION registry_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
    """,
    """
    CREATE TRIGGER registry_audit_no_change BEFORE UPDATE OR DELETE ON registry_auditentry
    FOR EACH ROW EXECUTE FUNCTION registry_audit_refuse()
    """,
    """
    CREATE TRIGGER registry_audit_no_truncate BEFORE TRUNCATE ON registry_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION registry_audit_refuse()
    """,
]


def refuse_changes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers."""
    statements = {"sqlite": SQLITE, "postgresql": POSTGRESQL}[schema_editor.connection.vendor]
    for statement in statements:
        schema_editor.execute(statement)


def begin(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the single rows."""
    apps.get_model("registry", "AuditHead").objects.create(pk=1, seq=0, hash="0" * 64)
    apps.get_model("registry", "CrlNumber").objects.create(pk=1, number=0, installed=0)


class Migration(migrations.Migration):
    """See above."""

    dependencies = [("registry", "0001_tables")]
    operations = [migrations.RunPython(begin), migrations.RunPython(refuse_changes)]
