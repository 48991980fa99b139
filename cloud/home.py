"""Where one installation of the cloud keeps what. Nothing here reads or writes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """One folder with everything; all paths are absolute if `folder` is.

    Args:
        folder: "/var/lib/reed-cloud", or what `--home` names.
    """

    folder: Path

    @property
    def settings_file(self) -> Path:
        """What an operator may change: names, ports, policy, database, broker."""
        return self.folder / "cloud.toml"

    @property
    def unfinished_file(self) -> Path:
        """There while `init` has not come to its end."""
        return self.folder / "init-unfinished"

    @property
    def database_file(self) -> Path:
        """SQLite, unless the settings name another database."""
        return self.folder / "db.sqlite3"

    @property
    def secret_key_file(self) -> Path:
        """Django's secret key."""
        return self.folder / "secret.key"

    # --- the authority ------------------------------------------------------------------------------

    @property
    def ca(self) -> Path:
        """Certificates of root and intermediates, the intermediate's key (encrypted), CRLs."""
        return self.folder / "ca"

    @property
    def roots_file(self) -> Path:
        """PEM: the roots that gateways and brokers trust; two while a root changes."""
        return self.ca / "roots.pem"

    @property
    def chain_file(self) -> Path:
        """PEM: intermediates in use and the roots; what a broker or nginx verifies clients with."""
        return self.ca / "chain.pem"

    @property
    def crl_file(self) -> Path:
        """PEM: the CRLs of intermediates and roots, replaced in one step."""
        return self.ca / "crl.pem"

    @property
    def passphrase_file(self) -> Path:
        """Opens the intermediate's key, where no better place (systemd credential, environment) is given."""
        return self.ca / "passphrase"

    @property
    def offline(self) -> Path:
        """The root's key, to be carried away after the ceremony."""
        return self.folder / "offline-root"

    # --- services -----------------------------------------------------------------------------------

    @property
    def services(self) -> Path:
        """Certificates and keys of our own servers and clients: NAME.pem (leaf, intermediates), NAME.key."""
        return self.folder / "services"

    def cert_file(self, service: str) -> Path:
        """PEM: certificate and intermediates of "broker", "web", "ingest", "broker-admin" or the probe."""
        return self.services / f"{service}.pem"

    def key_file(self, service: str) -> Path:
        """PEM: the key that belongs to `cert_file`, readable by its owner only."""
        return self.services / f"{service}.key"

    @property
    def command_key_file(self) -> Path:
        """PEM: the private key (P-256) that signs commands and receipts."""
        return self.services / "command.key"

    @property
    def command_public_file(self) -> Path:
        """PEM: its public half (one block for each key in use), which gateways are told."""
        return self.services / "command.pub.pem"

    @property
    def ek_roots(self) -> Path:
        """PEM files: makers whose TPM endorsement certificates we believe (roots and intermediates)."""
        return self.folder / "ek-roots"

    # --- running ------------------------------------------------------------------------------------

    @property
    def broker(self) -> Path:
        """mosquitto.conf, dynamic-security.json, log."""
        return self.folder / "broker"

    @property
    def nginx(self) -> Path:
        """nginx.conf, temporary folders, log."""
        return self.folder / "nginx"

    @property
    def run(self) -> Path:
        """Pid files and sockets; void after a boot."""
        return self.folder / "run"

    @property
    def web_socket(self) -> Path:
        """Where the web application listens to nginx."""
        return self.run / "web"

    def pid_file(self, program: str) -> Path:
        """Process id of "mosquitto", "nginx" or "reed-cloud"."""
        return self.run / f"{program}.pid"
