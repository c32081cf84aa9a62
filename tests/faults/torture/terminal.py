"""Runs a command as a shell does in a terminal, and presses a key there once its output, or a file, says so.

usage: terminal.py KEY AFTER_MS WATCH COMMAND...
KEY is ctrl-c, hangup (the terminal is closed) or term. WATCH is a text that the output has to contain, or @PATH: a file that
has to be there. Writes one line of JSON: how the command ended, and what it wrote.
"""

import json
import os
import pty
import select
import signal
import sys
import time

key, after_ms, watch, command = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:]
PATIENCE = 60

# The session leader is a shell: a command that ends before its children does not close the terminal.
leader, terminal = pty.fork()
if leader == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(command[0], command)
    try:
        os.setpgid(child, child)
    except OSError:
        pass
    # A shell hands it on to its jobs.
    signal.signal(signal.SIGHUP, lambda *_: os.killpg(child, signal.SIGHUP))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # Others of the group may go on, after the one that was waited for.
    deadline = time.time() + PATIENCE
    while time.time() < deadline:
        try:
            os.killpg(child, 0)
        except OSError:
            break
        time.sleep(0.01)
    else:
        os.killpg(child, signal.SIGKILL)
    os._exit(code if code >= 0 else 128 - code)

output = b""
pressed_at = None
due_at = None
began = time.time()
closed = False
while time.time() - began < PATIENCE:
    if not closed:
        ready, _, _ = select.select([terminal], [], [], 0.005)
        if ready:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                data = b""
            if not data:
                break
            output += data
    else:
        time.sleep(0.005)
        if os.waitpid(leader, os.WNOHANG)[0] != 0:
            leader = None
            break
    if due_at is None:
        seen = os.path.exists(watch[1:]) if watch.startswith("@") else watch.encode() in output
        if seen:
            due_at = time.time() + after_ms / 1000
    if due_at is not None and pressed_at is None and time.time() >= due_at:
        pressed_at = time.time()
        if key == "ctrl-c":
            os.write(terminal, b"\x03")
        elif key == "term":
            os.killpg(os.tcgetpgrp(terminal), signal.SIGTERM)
        else:
            os.close(terminal)
            closed = True
code = None
if time.time() - began >= PATIENCE and leader is not None:
    os.kill(leader, signal.SIGHUP)
    time.sleep(5)
    os.kill(leader, signal.SIGKILL)
if leader is not None:
    _, status = os.waitpid(leader, 0)
    code = os.waitstatus_to_exitcode(status)
print(json.dumps({
    "code": code,
    "pressed": pressed_at is not None,
    "seconds": time.time() - (pressed_at or began),
    "output": output.decode(errors="replace"),
}))
