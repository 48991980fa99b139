"""The local control socket: Varlink over a Unix socket."""
