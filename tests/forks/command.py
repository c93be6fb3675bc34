"""What stands in for the program `tweetscore`: a warm process forks the real one for it.

Arguments, directory, environment, umask and streams are those of this process, and it ends as
the real one does: with the same exit code, or by the same signal. `FORK_SERVER` is the socket.
"""

import json
import os
import signal
import socket
import sys

FORK_SERVER = ""

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect(FORK_SERVER)
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "words": sys.argv,
        "cwd": os.getcwd(),  # noqa: PTH109 - pathlib takes as long to import as Python to start
        "umask": umask,
        "environment": dict(os.environ),
        "prepare": "",
    }
    socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    child = int(server.recv(64))
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(child, number))
    code = int(server.recv(64))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
