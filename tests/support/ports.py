"""Ports for the servers of tests that run side by side.

A port that the kernel chose for a moment may be somebody else's a moment later: another test's, or the near
end of any connection. free_port() therefore takes them from where the kernel never looks for one
(outside of net.ipv4.ip_local_port_range), and keeps each for this process until it ends, by an abstract
socket that bears the port's number (unix(7)); process_free_port() in process.c does the same. A name is
as far as the network namespace, like the port itself."""
import random
import socket

LOWEST, HIGHEST = 10000, 65535
TRIES = 1000

_kept = []


def _candidates():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    below, above = range(LOWEST, min(first, HIGHEST + 1)), range(max(last + 1, LOWEST), HIGHEST + 1)
    found = max(below, above, key=len)
    return found if len(found) >= TRIES else range(LOWEST, HIGHEST + 1)


def _keep(port):
    """Whether it is ours now, and nobody listens there."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0tars-test-port-{port}")
        with socket.socket() as probe:
            probe.bind(("", port))
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # a program being started has a copy of it
                probe.setsockopt(socket.SOL_SOCKET, option, 1)
    except OSError:
        name.close()
        return False
    _kept.append(name)
    return True


def free_port():
    """A port of this machine where nobody listens; no other test gets it while this process runs."""
    candidates = _candidates()
    for _ in range(TRIES):
        port = random.choice(candidates)
        if _keep(port):
            return port
    raise AssertionError("no port is free")
