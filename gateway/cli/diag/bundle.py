"""Writes a support bundle: for its owner only, at once or not at all."""

import gzip
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.cli.diag.gather import File
from gateway.errors import StoreError


def packed(files: Sequence[File]) -> bytes:
    """Return the files as .tar.gz."""
    packed_bytes = io.BytesIO()
    folder, now_s = time.strftime("reed-diag-%Y%m%dT%H%M%SZ", time.gmtime()), int(time.time())
    with (
        gzip.GzipFile(fileobj=packed_bytes, mode="wb") as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for file in files:
            content = file.text.encode()
            entry = tarfile.TarInfo(f"{folder}/{file.name}")
            entry.size, entry.mtime, entry.mode = len(content), now_s, 0o600
            tar.addfile(entry, io.BytesIO(content))
    return packed_bytes.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write the bundle; what is there already stays. Raises StoreError."""
    written = None
    try:
        handle, written = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.link(written, path)
    except FileExistsError:
        raise StoreError(f"{path} exists already; give another --output") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        if written is not None:
            Path(written).unlink()
