"""The Django project: settings of one home, addresses, the application that a server runs."""
