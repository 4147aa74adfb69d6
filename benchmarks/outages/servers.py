"""Real servers from Debian packages, each with a folder and ports of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

_NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_SYSTEM_PYTHON = "/usr/bin/python3"
_NGINX = """\
load_module {module};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        application live {{ live on; wait_key on; }}
    }}
}}
"""


class Server:
    """A server that can be killed and started again on the same port.

    Args:
        command: command that runs it.
        port: port that it answers on.
        publish: address to send to.
        view: address to read what is sent.
        folder: folder for its log.
    """

    def __init__(self, command: list[str], port: int, publish: str, view: str, folder: Path) -> None:
        self.port, self.publish, self.view = port, publish, view
        self._command, self._log = command, folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it does not.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 20
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it and its workers without warning."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def rtmp_server(folder: Path) -> Server:
    """Return nginx with its RTMP module (Debian: nginx, libnginx-mod-rtmp).

    Raises:
        RuntimeError: it is not installed.
    """
    program, port = shutil.which("nginx") or shutil.which("/usr/sbin/nginx"), free_port()
    if program is None or not _NGINX_MODULE.exists():
        raise RuntimeError("nginx with its RTMP module is not there: apt-get install nginx libnginx-mod-rtmp")
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(module=_NGINX_MODULE, folder=folder, port=port))
    address = f"rtmp://127.0.0.1:{port}/live/key"
    return Server([program, "-p", str(folder), "-c", str(config)], port, address, address, folder)


def rtsp_server(folder: Path) -> Server:
    """Return GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0 and more, see rtsp_server.py).

    Raises:
        RuntimeError: it is not installed.
    """
    asked = [_SYSTEM_PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        raise RuntimeError(
            "GStreamer's RTSP server is not there: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
        )
    port, program = free_port(), Path(__file__).with_name("rtsp_server.py")
    command = [_SYSTEM_PYTHON, str(program), str(port), str(free_port(socket.SOCK_DGRAM))]
    host = f"rtsp://127.0.0.1:{port}"
    return Server(command, port, f"{host}/publish", f"{host}/view", folder)


SERVERS = {"rtmp": rtmp_server, "rtsp": rtsp_server}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(0.5)
        return asking.connect_ex(("127.0.0.1", port)) == 0
