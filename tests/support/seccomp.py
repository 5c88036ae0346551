"""A filter of system calls for a process that a test starts, as a service manager or a container engine would set it.

    command = seccomp.confined(["tars", "serve"], allowed, families=("AF_INET",))
    subprocess.Popen(command)                   # runs this file, which filters itself and becomes the command

    seccomp.of_unit("deploy/systemd/tars.service")  -> (allowed, families): what systemd would make of the unit
    seccomp.program_of_profile("seccomp.json")      -> an open file with the filter of a container engine's profile, for
                                                       a process without capabilities; as bwrap --seccomp takes it

Calls that are not allowed fail with EPERM. deny_code refuses memory that is written and executed, as
MemoryDenyWriteExecute does. Needs libseccomp2 and, for units, systemd-analyze."""
import ctypes
import errno
import json
import os
import socket
import platform
import subprocess
import sys
import tempfile

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
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


class Filter:
    def __init__(self):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.lib.seccomp_init.argtypes = [ctypes.c_uint32]
        self.lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                                    ctypes.POINTER(Compare)]
        self.lib.seccomp_load.argtypes = [ctypes.c_void_p]
        self.lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self.lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
        self.context = self.lib.seccomp_init(ERRNO | errno.EPERM)

    def allow(self, name, *compares, action=ALLOW):
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        if number == NEGATIVE:
            return  # a call of other machines or newer kernels
        array = (Compare * max(1, len(compares)))(*compares)
        done = self.lib.seccomp_rule_add_array(self.context, action, number, len(compares), array)
        if done != 0 and number >= 0:
            raise OSError(-done, f"seccomp: {name}: {os.strerror(-done)}")

    def load(self):
        done = self.lib.seccomp_load(self.context)  # sets no_new_privs too
        if done != 0:
            raise OSError(-done, f"seccomp_load: {os.strerror(-done)}")

    def program(self):
        file = tempfile.TemporaryFile()
        done = self.lib.seccomp_export_bpf(self.context, file.fileno())
        if done != 0:
            raise OSError(-done, f"seccomp_export_bpf: {os.strerror(-done)}")
        file.seek(0)
        return file


OPERATIONS = {"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6,
              "SCMP_CMP_MASKED_EQ": 7}
MACHINES = {"x86_64": {"amd64", "x86", "x32"}, "aarch64": {"arm64", "arm"}}


def program_of_profile(path):
    with open(path, encoding="utf-8") as file:
        profile = json.load(file)
    ours = MACHINES.get(platform.machine(), set())
    made = Filter()
    for entry in profile["syscalls"]:
        includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
        if includes.get("caps"):
            continue
        action = ALLOW if entry["action"] == "SCMP_ACT_ALLOW" else ERRNO | entry["errnoRet"]
        if includes.get("arches") and not ours & set(includes["arches"]) or ours & set(excludes.get("arches") or ()):
            continue
        compares = [Compare(a["index"], OPERATIONS[a["op"]], a["value"], a.get("valueTwo", 0)) for a in entry.get("args") or ()]
        for name in entry["names"]:
            made.allow(name, *compares, action=action)
    return made.program()


def load(allowed, families=(), deny_code=False):
    made = Filter()
    for name in allowed:
        if name == "socket" and families:
            for family in families:
                made.allow(name, Compare(0, EQUAL, int(getattr(socket, family)), 0))
        elif name == "mprotect" and deny_code:
            made.allow(name, Compare(2, MASKED, PROT_EXEC, 0))
        elif name == "mmap" and deny_code:
            made.allow(name, Compare(2, MASKED, PROT_WRITE | PROT_EXEC, 0))
            made.allow(name, Compare(2, MASKED, PROT_WRITE | PROT_EXEC, PROT_WRITE))
            made.allow(name, Compare(2, MASKED, PROT_WRITE | PROT_EXEC, PROT_EXEC))
        else:
            made.allow(name)
    made.load()


if __name__ == "__main__":
    load(**json.loads(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
