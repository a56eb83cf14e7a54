"""What systemd would do with packaging/systemd/oxkeeper.service, as far as tests need it."""

import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging" / "systemd" / "oxkeeper.service"


def setting(name, text=None):
    """The only value of a setting."""
    lines = (text or UNIT.read_text()).splitlines()
    (found,) = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
    return found


class Manager:
    """Listens where a service of Type=notify says that it is up."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o777)
        self._socket.settimeout(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def hears(self):
        """The next message, as a dict; waits for it."""
        text = self._socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())
