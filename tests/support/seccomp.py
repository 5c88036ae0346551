"""A filter of system calls for a process that a test starts, as a service manager or a container engine would set it.

    command = seccomp.confined(["tars", "serve"], allowed, families=("AF_INET",))
    subprocess.Popen(command)                   # runs this file, which filters itself and becomes the command

    seccomp.of_unit("deploy/systemd/tars.service")  -> (allowed, families): what systemd would make of the unit

Calls that are not allowed fail with EPERM. deny_code refuses memory that is written and executed, as
MemoryDenyWriteExecute does. Needs libseccomp2 and, for units, systemd-analyze."""
import ctypes
import json
import os
import socket
import subprocess
import sys

ALLOW = 0x7FFF0000
EPERM = 0x00050000 | 1
EQUAL, MASKED = 4, 7
NEGATIVE = -1  # __NR_SCMP_ERROR
PROT_WRITE, PROT_EXEC = 2, 4


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def group(name):
    """The calls of a group such as @system-service, those of groups within it too."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, stdout=subprocess.PIPE, text=True).stdout
    calls = set()
    for line in text.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= group(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def of_unit(path):
    allowed, families = set(), []
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, _, value = line.strip().partition("=")
            if name == "RestrictAddressFamilies":
                families = value.split()
            if name != "SystemCallFilter":
                continue
            inverted = value.startswith("~")
            calls = set()
            for word in value.lstrip("~").split():
                calls |= group(word) if word.startswith("@") else {word}
            allowed = allowed - calls if inverted else allowed | calls
    return sorted(allowed), families


def confined(command, allowed, families=(), deny_code=False):
    return [sys.executable, "-B", os.path.abspath(__file__),
            json.dumps({"allowed": sorted(allowed), "families": list(families), "deny_code": deny_code}), *command]


def load(allowed, families=(), deny_code=False):
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                           ctypes.POINTER(Compare)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    context = lib.seccomp_init(EPERM)

    def rule(name, *compares):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number == NEGATIVE:
            return  # a call of other machines or newer kernels
        array = (Compare * max(1, len(compares)))(*compares)
        done = lib.seccomp_rule_add_array(context, ALLOW, number, len(compares), array)
        if done != 0 and number >= 0:
            raise OSError(-done, f"seccomp: {name}: {os.strerror(-done)}")

    for name in allowed:
        if name == "socket" and families:
            for family in families:
                rule(name, Compare(0, EQUAL, int(getattr(socket, family)), 0))
        elif name == "mprotect" and deny_code:
            rule(name, Compare(2, MASKED, PROT_EXEC, 0))
        elif name == "mmap" and deny_code:
            rule(name, Compare(2, MASKED, PROT_WRITE | PROT_EXEC, 0))
            rule(name, Compare(2, MASKED, PROT_WRITE | PROT_EXEC, PROT_WRITE))
            rule(name, Compare(2, MASKED, PROT_WRITE | PROT_EXEC, PROT_EXEC))
        else:
            rule(name)
    done = lib.seccomp_load(context)  # sets no_new_privs too
    if done != 0:
        raise OSError(-done, f"seccomp_load: {os.strerror(-done)}")


if __name__ == "__main__":
    load(**json.loads(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
