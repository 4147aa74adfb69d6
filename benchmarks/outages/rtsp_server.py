"""An RTSP server that passes on what it is sent: ANNOUNCE to /publish, DESCRIBE of /view.

Run by the system's Python, which has GStreamer's bindings (Debian: python3-gi, gir1.2-gst-rtsp-server-1.0,
gstreamer1.0-plugins-good and -bad):  /usr/bin/python3 rtsp_server.py PORT UDP_PORT
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    """Serve until killed. Between the two sides the pictures go through a UDP port of this machine."""
    port, udp_port = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    # One thread would serve everybody: a viewer that waits for the first picture would stop the publisher.
    server.get_thread_pool().set_max_threads(-1)
    publish, view = GstRtspServer.RTSPMediaFactory(), GstRtspServer.RTSPMediaFactory()
    publish.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    publish.set_latency(0)
    rtp = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96"
    # The parser repeats the parameter sets; the payloader of GStreamer 1.22, told to, loses slices over it.
    publish.set_launch(
        "( rtph264depay name=depay0 ! h264parse config-interval=-1 ! rtph264pay pt=96 "
        f"! udpsink host=127.0.0.1 port={udp_port} sync=false async=false )"
    )
    view.set_launch(
        f"( udpsrc address=127.0.0.1 port={udp_port} caps={rtp} ! rtph264depay "
        "! h264parse config-interval=-1 "
        "! rtph264pay name=pay0 pt=96 )"
    )
    for factory, path in ((publish, "/publish"), (view, "/view")):
        factory.set_shared(True)
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
