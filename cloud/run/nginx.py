"""nginx in front of the application: TLS, client certificates and CRL, sizes, time limits.

What a client may not choose (its address, its certificate) reaches the application in X-Reed- headers, which
are set here for every request. The application believes them, so nobody else may reach its socket.
Sources: nginx.org/en/docs (ngx_http_ssl_module, ngx_http_core_module), RFC 7030 section 3.
"""

import re
from pathlib import Path
from typing import Final

from cloud.errors import SetupError
from cloud.home import Home
from cloud.registry.config import Public

BODY_MAX_BYTES: Final = 32_768
"""Enough for everything that a gateway sends; an attestation, the largest, has 6 kB."""

_PAGE_BODY_MAX_BYTES: Final = 65_536
_SOCKET_PATH_MAX_BYTES: Final = 107
_PLAIN_PATH: Final = re.compile(r"[\w./ @:+,=~-]+")
"""What needs no escape within nginx' quotes; "$" would begin a variable."""

_LINES: Final = {
    400: "this is no request that the server can read",
    408: "the request came too slowly; try again",
    404: "there is no such file",
    413: f"the body is too large; at most {BODY_MAX_BYTES} bytes are read",
    414: "the address is too long",
    429: "too many requests from this address; try again in a minute",
    494: "the header or the cookies are too large",
    497: "this port speaks HTTPS only; use https://",
    500: "the server failed; its log says why",
    502: "the server is starting or being repaired; try again in a minute",
    504: "the server took too long; try again in a minute",
}
"""One line for each answer that nginx gives by itself."""
_STATUS: Final = {494: 431, 497: 400, 502: 503, 504: 503}
"""What the client sees instead of nginx' own numbers."""

_CERTIFICATE_PROBLEMS: Final = (
    (
        "certificate has expired",
        "certificate-expired",
        "the client certificate has expired; recover with its key",
    ),
    (
        "certificate revoked",
        "certificate-revoked",
        "the client certificate is revoked; the gateway is denied",
    ),
    ("certificate is not yet valid", "certificate-too-early", "the client certificate is not valid yet"),
    ("purpose", "certificate-purpose", "the certificate is not that of a client"),
    (
        "CRL (has expired|is not yet valid)",
        "crl-outdated",
        "the list of revoked certificates is out of date; the operator must refresh it",
    ),
)
"""What OpenSSL says of a client's certificate, the code of the answer, and its line."""

_FORWARDED: Final = """\
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection close;
            proxy_set_header Host $reed_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Reed-Peer $remote_addr;
            proxy_set_header X-Reed-Client-Verify $ssl_client_verify;
            proxy_set_header X-Reed-Client-Cert $ssl_client_escaped_cert;
            proxy_connect_timeout 5s;
            proxy_read_timeout 60s;
            proxy_next_upstream off;
"""

_UPDATES: Final = """
        location /updates/ {{
            alias "{folder}/";
            if ($request_method !~ "^(GET|HEAD)$") {{ return 405 "updates are read only\\n"; }}
            if ($ssl_client_verify != SUCCESS) {{
                return 403 "updates are for enrolled gateways; show a certificate of this authority\\n";
            }}
            # the folder of the repository itself, given by mistake, has keys and drafts, too
            if ($uri !~ "^/updates/(metadata|targets/.+)/[^./][^/]*$") {{ return 404; }}
            add_header Cache-Control no-cache;
            sendfile on;
            max_ranges 1;
            disable_symlinks on from="{folder}";
        }}
"""
"""Static files for those whose certificate counts; who is denied is on the CRL and comes no further."""

_TEMPLATE: Final = """\
# Written by reed-cloud; changes are lost.
daemon off;
{user}worker_processes 1;
worker_shutdown_timeout 10s;  # who was let in under an older CRL is out by then
pid "{pid}";
error_log stderr warn;
events {{ worker_connections 1024; }}

http {{
    default_type text/plain;
    server_tokens off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";

    # Slow clients
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 10s;
    keepalive_timeout 20s;
    keepalive_requests 100;
    reset_timedout_connection on;
    client_header_buffer_size 4k;
    large_client_header_buffers 4 8k;
    client_body_buffer_size {body_max};
    limit_conn_zone $binary_remote_addr zone=connections:1m;
    limit_conn connections 64;
    limit_conn_status 429;
    limit_req_zone $binary_remote_addr zone=requests:1m rate=20r/s;
    limit_req_status 429;

    map $http_host $reed_host {{
        default $http_host;
        "" localhost;
    }}
    map $status $reed_refused {{
        default 1;
        "~^[123]" 0;
    }}
    map $ssl_client_verify $reed_reason {{
        default certificate-unknown;
{reasons}
    }}
    map $ssl_client_verify $reed_line {{
        default "the client certificate was not issued by this authority";
{lines}
    }}
    log_format refused '$remote_addr "$request_method $uri" $status $ssl_client_verify';
    access_log /dev/stdout refused if=$reed_refused;

    upstream application {{ server "unix:{socket}"; }}

    server {{
        listen {listen} ssl;
        server_name _;
        ssl_certificate "{cert}";
        ssl_certificate_key "{key}";
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;
        ssl_prefer_server_ciphers on;
        ssl_client_certificate "{chain}";
        ssl_verify_client optional;
        ssl_verify_depth 3;
        ssl_crl "{crl}";
        # A session that is resumed is not held against the CRL again.
        ssl_session_cache off;
        ssl_session_tickets off;
        client_max_body_size {page_body_max};

{error_pages}
        error_page 495 496 = /reed-error/certificate;
        location = /reed-error/certificate {{
            internal;
            add_header Cache-Control no-store always;
            add_header Reed-Reason $reed_reason always;
            if ($reed_reason = crl-outdated) {{ return 503 "$reed_line\\n"; }}
            return 403 "$reed_line\\n";
        }}

{updates}        location / {{
{forwarded}        }}
        location /.well-known/est/ {{
            client_max_body_size {body_max};
            limit_req zone=requests burst=100 nodelay;
{forwarded}        }}
        location /reed/v1/ {{
            client_max_body_size {body_max};
            limit_req zone=requests burst=100 nodelay;
{forwarded}        }}
    }}
}}
"""


def config_text(home: Home, public: Public, *, as_root: bool = False) -> str:
    """Return nginx.conf.

    The folders `home.nginx` and `home.run` must exist and be ours alone (0700). nginx stays in the
    foreground, talks on stdout and stderr, and reads certificates and CRL again at SIGHUP.

    Args:
        home: Where certificates, CRL and the application's socket are.
        public: Port and address to listen on.
        as_root: The workers stay root, since they could not reach the socket otherwise.

    Raises:
        SetupError: The home's path, or that of the updates, cannot be written in a configuration.
    """
    _must_be_plain(home)
    _must_be_apart(home, public.updates_dir)
    return _TEMPLATE.format(
        user="user root;\n" if as_root else "",
        pid=home.pid_file("nginx"),
        folder=home.nginx,
        socket=home.web_socket,
        cert=home.cert_file("web"),
        key=home.key_file("web"),
        chain=home.chain_file,
        crl=home.crl_file,
        listen=_listen(public),
        body_max=BODY_MAX_BYTES,
        page_body_max=_PAGE_BODY_MAX_BYTES,
        forwarded=_FORWARDED,
        updates=_UPDATES.format(folder=public.updates_dir.rstrip("/")) if public.updates_dir else "",
        reasons="\n".join(f'        "~{words}" {reason};' for words, reason, _ in _CERTIFICATE_PROBLEMS),
        lines="\n".join(f'        "~{words}" "{line}";' for words, _, line in _CERTIFICATE_PROBLEMS),
        error_pages="\n".join(_error_page(number, line) for number, line in _LINES.items()),
    )


def _must_be_plain(home: Home) -> None:
    if not _PLAIN_PATH.fullmatch(str(home.folder)):
        raise SetupError(f'{home.folder}: nginx needs a path of letters, digits and "./ @:+,=~-_"')
    if len(str(home.web_socket).encode()) > _SOCKET_PATH_MAX_BYTES:
        raise SetupError(
            f"{home.web_socket}: longer than the {_SOCKET_PATH_MAX_BYTES} bytes of a socket's path"
        )


def _must_be_apart(home: Home, updates_dir: str) -> None:
    if not updates_dir:
        return
    if not _PLAIN_PATH.fullmatch(updates_dir):
        raise SetupError(f'public.updates_dir {updates_dir}: nginx needs letters, digits and "./ @:+,=~-_"')
    if home.folder.resolve().is_relative_to(Path(updates_dir).resolve()):
        raise SetupError(f"public.updates_dir {updates_dir}: holds this cloud's keys; choose a folder apart")


def _listen(public: Public) -> str:
    if not public.bind:
        return f"[::]:{public.https_port} ipv6only=off"
    host = f"[{public.bind}]" if ":" in public.bind else public.bind
    return f"{host}:{public.https_port}"


def _error_page(number: int, line: str) -> str:
    status = _STATUS.get(number, number)
    retry = "\n            add_header Retry-After 60 always;" if status in (429, 503) else ""
    return f"""\
        error_page {number} = /reed-error/{number};
        location = /reed-error/{number} {{
            internal;
            add_header Cache-Control no-store always;{retry}
            return {status} "{line}\\n";
        }}"""
