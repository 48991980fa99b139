"""Every use of the database from here: its failures in a line, its connections given back."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connections

from cloud.errors import ServiceError


@contextmanager
def in_use() -> Iterator[None]:
    """Use the database in this thread.

    Raises:
        ServiceError: It cannot be reached, is damaged, or is not of this release.
    """
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        raise ServiceError(f"the database does not do it: {' '.join(str(error).split())}") from None
    finally:
        connections.close_all()
