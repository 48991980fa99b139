"""One database for each test: a SQLite file in its home, or a copy of a template on a PostgreSQL server."""

import itertools
import os
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


class Databases:
    """Makes copies.

    Args:
        url: Of an administrator on PostgreSQL; "" for SQLite.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[str] = []
        self._numbers = itertools.count()
        self._template = f"reed_{os.getpid()}_template"

    def settings_of_template(self) -> str:
        """Return cloud.toml of a home whose database will be copied."""
        if not self._url:
            return ""
        self._create(self._template, None)
        return self._settings(self._template)

    def settings_of_copy(self) -> str:
        """Return cloud.toml of a home with a copy of it."""
        if not self._url:
            return ""
        name = f"reed_{os.getpid()}_{next(self._numbers)}"
        self._create(name, self._template)
        return self._settings(name)

    def drop_all(self) -> None:
        for name in self._made:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _create(self, name: str, template: str | None) -> None:
        command = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            command += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._execute(command)
        self._made.append(name)

    def _settings(self, name: str) -> str:
        return f'[database]\nurl = "{urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))}"\n'

    def _execute(self, command: sql.Composed) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(command)
