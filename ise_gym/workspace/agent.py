"""The in-box agent: one stdlib-only file, run by the box's own Python as PID 1.

Why it exists: entering a sandbox per command costs tens of milliseconds, and touching its files from
outside follows whatever symlinks were made inside. This process lives inside, under the same user and the
same mount namespace as the commands, so file access can only ever reach what they could reach; and as
PID 1 it sees every orphan, so that a timed-out command's escaped grandchildren can be found and killed.

It is non-dumpable (its memory, environment and descriptors are closed to the commands although they share
its user) and, as PID 1 of its namespace, can be neither killed nor stopped from inside.

Protocol, on one stream socket: ``!II`` (header length, body length), a JSON header, a binary body. The
first frame configures; each later request carries an ``id`` that its reply repeats. A request may be answered
late (``exec`` when the command ends), so requests overlap. Descriptors of a pty travel by SCM_RIGHTS.

Imports are kept to C modules where possible: the start-up time of this file is the start-up time of a box.
"""

import errno
import fcntl
import os
import resource
import select
import stat
import struct
import sys
import termios
import time

import _signal
import _socket

try:  # the C halves of `json`: importing the package costs more than all the rest of this file
    import _json

    class _Context:
        strict = False
        object_hook = object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float
        memo = {}

    _scan = _json.make_scanner(_Context())
    _encode = _json.make_encoder({}, None, _json.encode_basestring_ascii, None, ":", ",", False, False, True)

    def loads(text):
        return _scan(text, 0)[0]

    def dumps(value):
        return "".join(_encode(value, 0))

    dumps({"probe": loads('["x", 1]')})
except (ImportError, AttributeError, TypeError):  # another Python than CPython 3.8 to 3.13
    from json import dumps, loads

CHUNK = 1 << 18
BODY_LIMIT = 64 << 20
READ_LIMIT = 512 << 20
STRAY_PIPES = 64
PTY_EOF = b"\x04"


class Capped:
    """Output with a fixed memory cost: the first and the last half of ``limit`` bytes, and a count."""

    def __init__(self, limit):
        self.half = max(1, limit // 2)
        self.head = bytearray()
        self.tail = bytearray()
        self.dropped = 0

    def add(self, data):
        room = self.half - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if data:
            self.tail += data
            if len(self.tail) > 4 * self.half:
                self.trim()

    def trim(self):
        extra = len(self.tail) - self.half
        if extra > 0:
            del self.tail[:extra]
            self.dropped += extra

    def take(self):
        """Return (bytes, dropped) and start anew."""
        self.trim()
        out = bytes(self.head) + bytes(self.tail), self.dropped
        self.head, self.tail, self.dropped = bytearray(), bytearray(), 0
        return out


class Job:
    """One command that was started: its process, pipes and who waits for it."""

    def __init__(self, pid, before, cap):
        self.pid = pid
        self.before = before
        self.outputs = {}
        self.buffers = (Capped(cap), Capped(cap))
        self.stdin = -1
        self.pending = b""
        self.close_stdin = False
        self.pty = False
        self.deadline = None
        self.started = time.monotonic()
        self.timed_out = False
        self.status = None
        self.reply_to = None
        self.waiters = []


def process_table():
    """Return pid → (parent, session, state) of every process that can be seen."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # ended between the listing and the look
            table[int(name)] = (int(fields[1]), int(fields[3]), fields[0])
    return table


class Agent:
    """The event loop: requests from the host, output of jobs, deaths of children."""

    def __init__(self, sock):
        self.sock = sock
        self.inbox = bytearray()
        self.poll = select.poll()
        self.jobs = {}
        self.by_pid = {}
        self.owner = {}
        self.strays = []
        self.me = os.getpid()
        self.wake, wake_w = os.pipe()
        for fd in (self.wake, wake_w):
            os.set_blocking(fd, False)
        _signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        self.poll.register(sock.fileno(), select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)
        self.null = os.open("/dev/null", os.O_RDWR)
        self.default_signals = [s for s in _signal.valid_signals() if s not in (9, 19)]

    # -- talking to the host ---------------------------------------------------------------------

    def send(self, header, body=b"", fds=()):
        text = dumps(header).encode("ascii")
        frame = struct.pack("!II", len(text), len(body)) + text
        if fds:
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("%di" % len(fds), *fds))]
            sent = self.sock.sendmsg([frame], rights)
            frame = frame[sent:]
        if len(body) < 65536:
            self.sock.sendall(frame + body)
        else:
            self.sock.sendall(frame)
            self.sock.sendall(body)

    def frames(self):
        """Read what is there and yield whole frames; at end of file the box ends."""
        data = self.sock.recv(CHUNK)
        if not data:
            self.finish()
        self.inbox += data
        while len(self.inbox) >= 8:
            head, body = struct.unpack_from("!II", self.inbox)
            if len(self.inbox) < 8 + head + body:
                return
            header = loads(self.inbox[8 : 8 + head].decode("ascii"))
            content = bytes(self.inbox[8 + head : 8 + head + body])
            del self.inbox[: 8 + head + body]
            yield header, content

    def finish(self):
        """The host is gone: take everything along."""
        if self.me != 1:
            self.sweep(self.me, self.me, frozenset(), keep_root=True)
        os._exit(0)

    def configure(self, config):
        self.env = config["env"]
        self.roots = config["roots"]
        self.home_dir = config["cwd"]
        self.output_cap = config["output_bytes"]
        self.timeout = config["timeout_s"]
        os.umask(0o022)
        for name, value in config["rlimits"].items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
        self.raise_oom = config["raise_oom"]

    def serve(self):
        while True:
            now = time.monotonic()
            waits = [j.deadline for j in self.jobs.values() if j.deadline is not None]
            waits += [w[1] for j in self.jobs.values() for w in j.waiters]
            pause = None if not waits else max(0, int((min(waits) - now) * 1000) + 1)
            ready = self.poll.poll(pause)
            died = False
            for fd, event in ready:
                if fd == self.wake:
                    died = True
                elif fd == self.sock.fileno():
                    for header, body in self.frames():
                        self.handle(header, body)
                elif fd in self.owner:
                    self.on_pipe(fd, event)
            if died:
                self.on_death()
            self.on_clock()

    def handle(self, header, body):
        number = header["id"]
        try:
            answer = getattr(self, "op_" + header["op"])(header, body)
            if answer is not None:
                reply = answer[0]
                reply["id"] = number
                self.send(reply, *answer[1:])
        except OSError as error:
            if error.errno is None:
                raise
            self.send({"id": number, "errno": error.errno})
        except ValueError:  # a null byte or a lone surrogate in a path
            self.send({"id": number, "errno": errno.EINVAL})
        except Exception as error:  # a bug here must reach the host as one, not end the box silently
            self.send({"id": number, "bug": type(error).__name__ + ": " + str(error)})

    # -- processes -------------------------------------------------------------------------------

    def in_box(self, path):
        """Resolve a path against the workspace; ``roots`` maps box paths where there is no mount namespace."""
        full = path if path.startswith("/") else self.home_dir + "/" + path
        for prefix, real in self.roots.items():
            if full == prefix or full.startswith(prefix + "/"):
                return real + full[len(prefix) :]
        return full

    def launch(self, argv, cwd, extra_env, actions):
        """posix_spawn in a new session with default signals; cwd by chdir, since this is single-threaded."""
        env = dict(self.env)
        env.update(extra_env or {})
        os.chdir(self.in_box(cwd))
        try:
            pid = os.posix_spawnp(
                argv[0],
                argv,
                env,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=self.default_signals,
            )
        finally:
            os.chdir("/")
        if self.raise_oom:
            self.expendable(pid)
        return pid

    @staticmethod
    def expendable(pid):
        """When memory runs out the kernel shall take the command, not this process."""
        try:
            fd = os.open("/proc/%d/oom_score_adj" % pid, os.O_WRONLY)
        except OSError:
            return  # already ended, or non-dumpable: only a preference is lost
        try:
            os.write(fd, b"500")
        except OSError:
            return
        finally:
            os.close(fd)

    def start(self, key, header, stdin, merge, keep_stdin):
        """Start a job with pipes (or a pty) and register it under ``key``."""
        before = frozenset(int(n) for n in os.listdir("/proc") if n.isdigit())
        opened, parent, actions = [], [], []

        def pipe():
            pair = os.pipe()
            opened.extend(pair)
            return pair

        try:
            if header.get("pty"):
                master, slave = os.openpty()
                opened += [master, slave]
                name = os.ttyname(slave)
                actions = [
                    (os.POSIX_SPAWN_OPEN, 0, name, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                ]
                parent = [(master, 0)]
                in_w = master
            else:
                out_r, out_w = pipe()
                parent = [(out_r, 0)]
                err_w = out_w
                if not merge:
                    err_r, err_w = pipe()
                    parent.append((err_r, 1))
                in_w = -1
                in_r = self.null
                if stdin or keep_stdin:
                    in_r, in_w = pipe()
                actions = [
                    (os.POSIX_SPAWN_DUP2, in_r, 0),
                    (os.POSIX_SPAWN_DUP2, out_w, 1),
                    (os.POSIX_SPAWN_DUP2, err_w, 2),
                ]
            pid = self.launch(header["argv"], header["cwd"], header.get("env"), actions)
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        kept = {fd for fd, _ in parent} | {in_w}
        for fd in opened:
            if fd not in kept:
                os.close(fd)
        job = Job(pid, before, self.output_cap)
        job.pty = bool(header.get("pty"))
        job.stdin = in_w
        job.pending = stdin
        job.close_stdin = not keep_stdin
        for fd, which in parent:
            os.set_blocking(fd, False)
            job.outputs[fd] = which
            self.owner[fd] = job
            self.poll.register(fd, select.POLLIN)
        if in_w >= 0 and not job.pty:
            os.set_blocking(in_w, False)
            self.owner[in_w] = job
        if in_w >= 0:
            self.feed(job)
        self.jobs[key] = job
        self.by_pid[pid] = job
        return job

    def feed(self, job):
        """Push pending stdin; poll for more room only while some is pending."""
        fd = job.stdin
        if fd < 0:
            return
        try:
            while job.pending:
                job.pending = job.pending[os.write(fd, job.pending) :]
        except BlockingIOError:
            self.poll.register(fd, (select.POLLIN if job.pty else 0) | select.POLLOUT)
            return
        except OSError:  # the reader closed its end: what is left can't be delivered
            job.pending = b""
            job.close_stdin = True
        if job.pty:
            self.poll.register(fd, select.POLLIN)
            return
        if job.close_stdin:
            self.drop_stdin(job)
        else:
            self.unregister(fd)

    def drop_stdin(self, job):
        if job.stdin >= 0 and not job.pty:
            self.unregister(job.stdin)
            self.owner.pop(job.stdin, None)
            os.close(job.stdin)
        job.stdin = -1

    def unregister(self, fd):
        try:
            self.poll.unregister(fd)
        except KeyError:
            return  # it was not polled

    def on_pipe(self, fd, event):
        job = self.owner[fd]
        if job is not None and fd == job.stdin and event & (select.POLLOUT | select.POLLERR):
            self.feed(job)
            if not event & select.POLLIN:
                return
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last holder of a pty's slave is gone
            data = b""
        if not data:
            self.drop_output(fd)
        elif job is not None and fd in job.outputs:
            job.buffers[job.outputs[fd]].add(data)

    def drop_output(self, fd):
        job = self.owner.pop(fd)
        self.unregister(fd)
        os.close(fd)
        if job is not None:
            job.outputs.pop(fd, None)
            if job.stdin == fd:
                job.stdin = -1
        if fd in self.strays:
            self.strays.remove(fd)

    def on_death(self):
        try:
            while os.read(self.wake, 4096):
                pass
        except BlockingIOError:
            self.reap()

    def reap(self):
        """Collect every dead child: jobs end, orphans are only buried."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self.by_pid.pop(pid, None)
            if job is not None:
                self.job_ended(job, status)

    def job_ended(self, job, status):
        job.status = os.waitstatus_to_exitcode(status)
        if job.status < 0:
            job.status = 128 - job.status
        job.deadline = None
        for fd, which in list(job.outputs.items()):
            self.drain(fd, job.buffers[which])
            # Its children may still hold the pipe: keep it open, so that they don't die of SIGPIPE, but
            # throw away what comes.
            if fd in job.outputs:
                job.outputs.pop(fd)
                self.owner[fd] = None
                self.strays.append(fd)
        if len(self.strays) > STRAY_PIPES:
            self.drop_output(self.strays[0])
        self.drop_stdin(job)
        self.answer(job)

    def drain(self, fd, buffer):
        """Read what the dead process left in the pipe, and no more: a child may be writing for ever."""
        waiting = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]
        # A pty reports less than it holds until its flip buffer is pushed: go on until it is empty, at most 1 MB.
        budget = 1 << 20 if os.isatty(fd) else waiting
        while budget > 0:
            try:
                data = os.read(fd, min(budget, CHUNK))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.drop_output(fd)
                return
            budget -= len(data)
            buffer.add(data)

    def answer(self, job):
        if job.reply_to is not None:
            number, key = job.reply_to
            job.reply_to = None
            self.jobs.pop(key, None)
            out, dropped = job.buffers[0].take()
            err, dropped_err = job.buffers[1].take()
            self.send(
                {
                    "id": number,
                    "code": None if job.timed_out else job.status,
                    "timed_out": job.timed_out,
                    "dropped": dropped + dropped_err,
                    "out": len(out),
                    "seconds": time.monotonic() - job.started,
                },
                out + err,
            )
        for number, _ in job.waiters:
            self.send_status(number, job)
        job.waiters = []

    def send_status(self, number, job):
        out, dropped = job.buffers[0].take()
        self.send({"id": number, "running": job.status is None, "code": job.status, "dropped": dropped}, out)

    def on_clock(self):
        now = time.monotonic()
        for job in list(self.jobs.values()):
            if job.deadline is not None and job.deadline <= now and job.status is None:
                job.deadline = None
                job.timed_out = True
                self.sweep(job.pid, job.pid, job.before)
            for waiter in list(job.waiters):
                if waiter[1] <= now:
                    job.waiters.remove(waiter)
                    self.send_status(waiter[0], job)

    def victims(self, root, session, before, keep_root):
        """Processes that belong to a command: its tree, its session, and orphans born after it began.

        An orphan's parent is this process, so its origin is only known by time: one that did not exist when
        the command began and belongs to no other live job is taken for its own.
        """
        table = process_table()
        others = {pid for pid in self.by_pid if pid != root}
        found = set()
        for pid, (parent, sid, state) in table.items():
            if pid == self.me or state in (b"Z", b"X"):
                continue
            top, above = pid, parent
            mine = pid == root
            while above not in (0, self.me) and not mine:
                mine = above == root
                top = above
                above = table.get(above, (0, 0, b""))[0]
            if not mine:
                orphan = above == self.me and top not in others and top not in before
                mine = sid == session or (orphan and not keep_root)
            if mine and not (keep_root and pid == root):
                found.add(pid)
        return found

    def sweep(self, root, session, before, keep_root=False):
        """Stop all of a command's processes, so that none can fork away, then kill and bury them."""
        stopped = set()
        for _ in range(100):
            fresh = self.victims(root, session, before, keep_root) - stopped
            if not fresh:
                break
            for pid in fresh:
                self.signal(pid, _signal.SIGSTOP)
            stopped |= fresh
        limit = time.monotonic() + 2.0
        while True:
            left = self.victims(root, session, before, keep_root)
            for pid in left:
                self.signal(pid, _signal.SIGKILL)
            self.reap()
            if not left or time.monotonic() > limit:
                return
            time.sleep(0.001)

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # already gone, which is what was wanted

    def op_exec(self, header, body):
        key = ("exec", header["id"])
        try:
            job = self.start(key, header, body, header["merge"], False)
        except (OSError, ValueError) as error:
            return self.not_started(error, header["argv"][0])
        job.reply_to = (header["id"], key)
        timeout = header.get("timeout_s")
        job.deadline = job.started + (self.timeout if timeout is None else timeout)
        return None

    @staticmethod
    def not_started(error, name):
        """What a shell would say and return for a command that can't be started."""
        number = getattr(error, "errno", None) or errno.EINVAL
        text = "%s: %s\n" % (name, os.strerror(number))
        code = 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
        out = text.encode("utf-8", "backslashreplace")
        return {"code": code, "timed_out": False, "dropped": 0, "out": len(out), "seconds": 0.0}, out

    def op_spawn(self, header, body):
        self.start(header["key"], header, body, True, True)
        return ({},)

    def op_poll(self, header, body):
        job = self.jobs[header["key"]]
        if job.status is not None or header["timeout_s"] <= 0:
            for fd, which in list(job.outputs.items()):
                self.drain(fd, job.buffers[which])
            self.send_status(header["id"], job)
        else:
            job.waiters.append((header["id"], time.monotonic() + header["timeout_s"]))

    def op_stdin(self, header, body):
        job = self.jobs[header["key"]]
        if job.status is not None or job.stdin < 0:
            raise OSError(errno.EPIPE, "stdin is closed")
        job.pending += body
        if header["eof"]:
            if job.pty:
                job.pending += PTY_EOF
            else:
                job.close_stdin = True
        self.feed(job)
        return ({},)

    def op_kill(self, header, body):
        job = self.jobs[header["key"]]
        if job.status is None:
            if header["signal"] == 9:
                self.sweep(job.pid, job.pid, job.before, header.get("keep_root", False))
            else:
                try:
                    os.killpg(job.pid, header["signal"])
                except ProcessLookupError:
                    self.reap()
        return ({},)

    def op_forget(self, header, body):
        job = self.jobs.pop(header["key"], None)
        if job is not None and job.status is None:
            self.sweep(job.pid, job.pid, job.before)
        return ({},)

    def op_shell(self, header, body):
        """Start bash on a new raw pty; command and status pipes are its own, and the host gets the other ends."""
        tty, cmd, stat_fd = header["fds"]
        master, slave = os.openpty()
        mode = termios.tcgetattr(slave)
        mode[0], mode[1], mode[3] = 0, mode[1] & ~termios.OPOST, termios.ISIG
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        cmd_r, cmd_w = os.pipe()
        stat_r, stat_w = os.pipe()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
            (os.POSIX_SPAWN_DUP2, 0, tty),
            (os.POSIX_SPAWN_DUP2, cmd_r, cmd),
            (os.POSIX_SPAWN_DUP2, stat_w, stat_fd),
        ]
        before = frozenset(int(n) for n in os.listdir("/proc") if n.isdigit())
        try:
            pid = self.launch(header["argv"], header["cwd"], header.get("env"), actions)
            job = Job(pid, before, self.output_cap)
            self.jobs[header["key"]] = job
            self.by_pid[pid] = job
            self.send({"id": header["id"]}, b"", (master, cmd_w, stat_r))
        finally:
            for fd in (master, slave, cmd_r, cmd_w, stat_r, stat_w):
                os.close(fd)

    def op_cwd(self, header, body):
        """Where a job's main process stands, as a path."""
        return ({"cwd": os.readlink("/proc/%d/cwd" % self.jobs[header["key"]].pid)},)

    def op_ping(self, header, body):
        return {"pid": self.me}, body

    # -- files -----------------------------------------------------------------------------------

    def open_regular(self, path, flags):
        """Open without ever blocking (fifos) and refuse what is not a regular file."""
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            return fd
        os.close(fd)
        raise OSError(errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL, "not a regular file")

    def op_read(self, header, body):
        fd = self.open_regular(self.in_box(header["path"]), os.O_RDONLY)
        try:
            size = os.fstat(fd).st_size
            want = min(header["limit"], BODY_LIMIT)
            parts, at = [], header["offset"]
            while want > 0:
                data = os.pread(fd, min(want, CHUNK), at)
                if not data:
                    break
                parts.append(data)
                at += len(data)
                want -= len(data)
            if size > READ_LIMIT:
                raise OSError(errno.EFBIG, "too large")
            return {"size": size}, b"".join(parts)
        finally:
            os.close(fd)

    def put(self, path, data, mode, append=False):
        """Create or replace a file; parents are made; ``mode`` is for new files only."""
        parent = os.path.dirname(path)
        made = []
        if not os.path.isdir(parent):
            at = parent
            while not os.path.lexists(at):
                made.append(at)
                at = os.path.dirname(at)
            os.makedirs(parent, 0o755, exist_ok=True)
        try:
            fd = self.open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.fchmod(fd, mode)
        except FileExistsError:
            fd = self.open_regular(
                path, os.O_WRONLY | os.O_CREAT
            )  # O_CREAT: a dangling link's target is made
            if os.fstat(fd).st_dev == os.stat("/proc").st_dev:
                os.close(fd)
                raise OSError(errno.EACCES, "the process file system is not for writing") from None
            if not append:
                os.ftruncate(fd, 0)
        try:
            if append:
                os.lseek(fd, 0, os.SEEK_END)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        return made

    def op_write(self, header, body):
        self.put(self.in_box(header["path"]), body, header["mode"], header["append"])
        return ({},)

    def op_remove(self, header, body):
        os.unlink(self.in_box(header["path"]))
        return ({},)

    @staticmethod
    def describe(path, info):
        mode = info.st_mode
        kind, target = "other", ""
        if stat.S_ISREG(mode):
            kind = "file"
        elif stat.S_ISDIR(mode):
            kind = "dir"
        elif stat.S_ISLNK(mode):
            kind, target = "symlink", os.readlink(path)
        return [kind, info.st_size if kind == "file" else 0, stat.S_IMODE(mode), target]

    def op_list(self, header, body):
        path = self.in_box(header["path"])
        found = []
        for name in sorted(os.listdir(path)):
            full = path + "/" + name
            try:
                found.append([name, *self.describe(full, os.lstat(full))])
            except FileNotFoundError:
                continue  # removed since the listing
        return ({"entries": found},)

    def op_stat(self, header, body):
        path = self.in_box(header["path"])
        try:
            return ({"entry": self.describe(path, os.lstat(path))},)
        except (FileNotFoundError, NotADirectoryError):
            return ({"entry": None},)

    # -- trees: manifest, snapshot, seed and restore ---------------------------------------------------

    def op_tree(self, header, body):
        """Describe all under ``root``: [path, kind, mode, size, hash or target, mtime_ns, inode key or 0]."""
        from _sha256 import sha256

        root = self.in_box(header["root"])
        budget = [header["budget"]]
        entries = []

        def hashed(path, info):
            if info.st_size > budget[0]:
                return (
                    "unhashed"  # only sparse files can be this large: hashing their holes would take minutes
                )
            budget[0] -= info.st_size
            digest = sha256()
            with self.readable(path, info) as fd:
                while True:
                    data = os.read(fd, 1 << 20)
                    if not data:
                        return digest.hexdigest()
                    digest.update(data)

        stack = [("", root)]
        while stack:
            prefix, folder = stack.pop()
            for name in sorted(self.names(folder)):
                full, path = folder + "/" + name, prefix + name
                try:
                    info = os.lstat(full)
                    kind, size, mode, value = self.describe(full, info)
                    if kind == "file":
                        value = hashed(full, info)
                except FileNotFoundError:
                    continue  # removed by a background process since the listing
                if kind == "other" and stat.S_ISFIFO(info.st_mode):
                    value = "fifo"
                link = info.st_ino if kind == "file" and info.st_nlink > 1 else 0
                entries.append([path, kind, mode, size, value, info.st_mtime_ns, link])
                if kind == "dir":
                    stack.append((path + "/", full))
        root_info = os.stat(root)
        top = [stat.S_IMODE(root_info.st_mode), root_info.st_mtime_ns]
        return {"top": top}, dumps(entries).encode("ascii")

    def names(self, folder):
        """List a folder of our own even when its mode forbids it, as the owner may."""
        try:
            return os.listdir(folder)
        except PermissionError:
            mode = stat.S_IMODE(os.lstat(folder).st_mode)
            os.chmod(folder, mode | 0o700)
            try:
                return os.listdir(folder)
            finally:
                os.chmod(folder, mode)

    def readable(self, path, info):
        return _Opened(path, stat.S_IMODE(info.st_mode))

    def op_fetch(self, header, body):
        """Contents of several files from ``offset`` on, at most ``limit`` bytes of each, in one body."""
        parts, sizes = [], []
        for path in header["paths"]:
            full = self.in_box(path)
            with self.readable(full, os.lstat(full)) as fd:
                os.lseek(fd, header["offset"], os.SEEK_SET)
                data, want = [], header["limit"]
                while want > 0:
                    piece = os.read(fd, min(want, 1 << 20))
                    if not piece:
                        break
                    data.append(piece)
                    want -= len(piece)
            parts.append(b"".join(data))
            sizes.append(len(parts[-1]))
        return {"sizes": sizes}, b"".join(parts)

    def op_seed(self, header, body):
        """Write many files; every time stamp they leave is the fixed one."""
        at, touched = 0, set()
        when = header["mtime_ns"]
        for path, mode, size in header["files"]:
            full = self.in_box(path)
            for made in self.put(full, body[at : at + size], mode):
                touched.add(made)
            os.chmod(full, mode)
            os.utime(full, ns=(when, when))
            touched.add(os.path.dirname(full))
            at += size
        touched.add(self.in_box(self.home_dir))
        for folder in touched:
            os.utime(folder, ns=(when, when))
        return ({},)

    def op_plant(self, header, body):
        """Put entries of a snapshot in place: folders first, then files and links, as listed."""
        at = 0
        for path, kind, mode, size, value, mtime in header["entries"]:
            full = self.in_box(path)
            if kind == "dir":
                os.makedirs(full, 0o755, exist_ok=True)
            elif kind == "symlink":
                os.symlink(value, full)
                os.utime(full, ns=(mtime, mtime), follow_symlinks=False)
            elif kind == "link":
                os.link(self.in_box(value), full)
            elif kind == "other":
                os.mkfifo(full, mode)
            else:
                data = body[at : at + size]
                at += size
                self.put(full, data, 0o600, append=value == "append")
                os.chmod(full, mode)
                os.utime(full, ns=(mtime, mtime))
        return ({},)

    def op_stamp(self, header, body):
        """Last step of a restore: modes and times of folders, deepest first."""
        for path, mode, mtime in header["folders"]:
            full = self.in_box(path)
            os.utime(full, ns=(mtime, mtime))
            os.chmod(full, mode)
        return ({},)


class _Opened:
    """A file of our own, opened for reading even when its mode forbids it."""

    def __init__(self, path, mode):
        self.path = path
        self.mode = mode

    def __enter__(self):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self.fd = os.open(self.path, flags)
        except PermissionError:
            os.chmod(self.path, self.mode | 0o400)
            try:
                self.fd = os.open(self.path, flags)
            finally:
                os.chmod(self.path, self.mode)
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)


def harden():
    """Close this process to its own user: no ptrace, no /proc/1/{environ,fd,mem}; adopt orphans everywhere."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    set_dumpable, set_subreaper, set_no_new_privs = 4, 36, 38
    for option, value in ((set_dumpable, 0), (set_subreaper, 1), (set_no_new_privs, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl %d" % option)


def main():
    """Serve on the descriptor named by the first argument until the host closes it."""
    number = int(sys.argv[1])
    os.set_inheritable(number, False)
    for name in _signal.valid_signals():
        if name not in (9, 17, 19) and name < 32:
            _signal.signal(name, _signal.SIG_IGN)
    harden()
    agent = Agent(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, number))
    configured = False
    while not configured:
        for header, _ in agent.frames():
            agent.configure(header)
            agent.send({"id": header["id"], "pid": agent.me})
            configured = True
            break
    agent.serve()


if __name__ == "__main__":
    main()
