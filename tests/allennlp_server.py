"""
Runs `allennlp` and `elmo` commands in forks of one process, which has imported AllenNLP already.

    python tests/allennlp_server.py SOCKET

A new process needs several seconds for these imports. `client(SOCKET)` is the script that stands
for either, by its file's name: it sends its arguments, folder and standard streams, and exits as
the command did.
"""

import array
import json
import os
import socket
import sys

CLIENT = """#!{python} -ES
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    streams = array.array("i", [0, 1, 2])
    server.sendmsg(
        [len(request).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
    )
    server.sendall(request)
    sys.exit(server.recv(1)[0])
"""


def client(path: str) -> str:
    """Returns the text of a script that runs its command on the server at `path`."""
    return CLIENT.format(python=sys.executable, path=path)


def serve(path: str) -> None:
    """Answers requests, several at once, until the process is ended."""
    import allennlp.commands  # noqa: F401
    import allennlp_models.tagging  # noqa: F401

    import elmo_components.registered  # noqa: F401

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> None:
    from allennlp.commands import main

    from elmo_components.commands.main import run

    size, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_LEN(3 * 4))
    streams = array.array("i", ancillary[0][2])
    with connection.makefile("rb") as file:
        arguments, folder, environment = json.loads(file.read(int.from_bytes(size, "big")))
    if os.fork() == 0:
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        # what it raises or returns ends this process as it would end the command
        sys.exit(run() if os.path.basename(arguments[0]) == "elmo" else main())
    _, status = os.wait()
    connection.sendall(bytes([os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1]))
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
