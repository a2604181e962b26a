"""The shop's service: answers /health and /version on $PORT until it is told to stop."""

import os
import signal
import socket
import sys
import time

# Sockets alone, and nothing from site-packages: it starts in a few hundredths of a second.
BROKEN_VERSIONS = os.environ.get("BROKEN_VERSIONS", "").split(",")
# Where its orders would be kept; said aloud, as programs do.
DATABASE = os.environ.get("SHOP_DATABASE")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    release = read_release(__file__.removesuffix("service.py") + "release")
    kind, seconds = release["kind"], float(release["seconds"])
    if kind == "exits_at_once":
        sys.exit(f"could not connect: {DATABASE}" if DATABASE else "missing setting: SHOP_DATABASE")
    if kind == "crash_loop":
        time.sleep(seconds)
        sys.exit("lost the connection to the database")
    if kind == "slow_start":
        time.sleep(seconds)
    listen(answers(release["version"], kind), int(os.environ.get("PORT", "8080")))


def read_release(path: str) -> dict[str, str]:
    with open(path) as file:  # noqa: PTH123 - pathlib costs half of the start-up time
        return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)


def answers(version: str, kind: str) -> dict[str, bytes]:
    well = kind != "unhealthy" and version not in BROKEN_VERSIONS
    status = "ok" if well else "failing"
    said = "v0.0.0" if kind == "wrong_version" else version
    return {
        "/health": reply(
            "200 OK" if well else "500 Internal Server Error", f'{{"status":"{status}","version":"{version}"}}'
        ),
        "/version": reply("200 OK", f'{{"version":"{said}"}}'),
    }


def reply(status: str, body: str) -> bytes:
    head = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return (head % (status, len(body)) + body).encode()


def listen(replies: dict[str, bytes], port: int) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # A container's port is reached from outside of it; where no container is around it, HOST narrows this.
    server.bind((os.environ.get("HOST", "0.0.0.0"), port))  # noqa: S104 - see above
    server.listen(64)
    if DATABASE:
        print("connected to", DATABASE)
    print("listening on port", port, flush=True)
    missing = reply("404 Not Found", '{"message":"not found"}')
    while True:
        client, _ = server.accept()
        client.settimeout(2)
        try:
            request = client.recv(65536).split(b" ", 2)
            client.sendall(replies.get(request[1].decode() if len(request) > 1 else "", missing))
        except OSError:
            pass
        finally:
            client.close()


main()
