"""Runs one half of test_socket's ThreadableTest classes. Usage: twin.py JOB

Such a test has a server half (setUp and testX) and a client half (clientSetUp and _testX), written for two threads.
Here they run in two processes, which communicate through a folder for each test: events are files, and attributes of
the test that one half sets are pickled for the other. The server half leads: it announces the next test, and records
the result of both.
"""

import itertools
import os
import pickle
import random
import sys
import time
import types
import unittest

import switches

job = switches.read_job()
switches.prepare(job)

from record import Record, flat, name_of, text_of

# Seconds. Longer than a test may take: the driver ends both halves earlier.
PATIENCE = 120
# Seconds to wait for an attribute that the other half may be about to set.
ATTRIBUTE_PATIENCE = 1


class OtherHalfFailed(Exception):
    """The other half has failed, so there is nothing to wait for."""


class Meeting:
    """The folder of one test, in which the halves leave messages for each other."""

    def __init__(self, number):
        self.folder = os.path.join(job.folder, "meeting", f"{number:04}")
        os.makedirs(self.folder, exist_ok=True)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, value=None):
        unfinished = self._path(f"{name}.{job.role}")
        with open(unfinished, "wb") as file:
            pickle.dump(value, file)
        os.replace(unfinished, self._path(name))

    def has(self, name):
        return os.path.exists(self._path(name))

    def get(self, name):
        with open(self._path(name), "rb") as file:
            return pickle.load(file)

    def wait(self, name, patience=PATIENCE):
        end = time.monotonic() + patience
        while not self.has(name):
            if time.monotonic() > end:
                return False
            time.sleep(0.001)
        return True


meeting = None


class Event:
    """A threading.Event that works across both processes once it is an attribute of the test."""

    def __init__(self, name=None):
        self.name = name
        self._set = False

    def bind(self, name):
        self.name = name
        if self._set:
            self.set()

    def set(self):
        self._set = True
        if self.name:
            meeting.put("event." + self.name)

    def clear(self):
        self._set = False

    def is_set(self):
        return self._set or bool(self.name) and meeting.has("event." + self.name)

    def wait(self, timeout=None):
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            if end is not None and time.monotonic() > end:
                return False
            if meeting.has("failed") and not self.is_set():
                raise OtherHalfFailed
            time.sleep(0.001)
        return True


class OtherSocket:
    """What one half may ask about a socket of the other half."""

    def __init__(self, name, peer):
        self._name, self._peer = name, peer

    def getsockname(self):
        return self._name

    def getpeername(self):
        return self._peer


def share_attribute(test, name, value):
    object.__setattr__(test, name, value)
    if meeting is None or name.startswith("_"):
        return
    if isinstance(value, Event):
        value.bind(name)
        meeting.put("attribute." + name, ("event",))
    elif isinstance(value, socket.socket):
        meeting.put("attribute." + name, ("socket", address(value.getsockname), address(value.getpeername)))
    elif value is None or isinstance(value, (int, str, bytes, float, tuple)):
        meeting.put("attribute." + name, ("value", value))


def address(function):
    try:
        return function()
    except OSError:
        return None


def other_attribute(test, name):
    if meeting is None or name.startswith("_") or not meeting.wait("attribute." + name, ATTRIBUTE_PATIENCE):
        raise AttributeError(name)
    kind, *value = meeting.get("attribute." + name)
    if kind == "event":
        event = Event(name)
        object.__setattr__(test, name, event)
        return event
    return OtherSocket(*value) if kind == "socket" else value[0]


def set_up_server(test):
    """ThreadableTest._setUp without the thread."""
    test.server_ready, test.client_ready, test.done = Event(), Event(), Event()
    test.server_crashed = False
    try:
        test._ThreadableTest__setUp()
    except BaseException as exc:
        meeting.put("failed", text_of(exc))
        raise
    finally:
        server_explicit_ready(test)
    test.client_ready.wait()
    test.addCleanup(test.done.wait)


def server_explicit_ready(test):
    if isinstance(vars(test).get("serv"), socket.socket):
        test.serv = test.serv  # Set again: it has been bound meanwhile, and now has an address.
    test.server_ready.set()


def set_up_pair_server(test):
    """SocketPairTest.setUp: two processes get a connected pair through a listening socket."""
    pure = isinstance(test, test_socket.PurePythonSocketPairTest)
    family = socket.AF_INET if pure else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0) if pure else "./pair.sock")
        try:
            listener.listen()
            meeting.put("pair", listener.getsockname())
            test.serverExplicitReady()
            test.serv, _ = listener.accept()
        finally:
            if not pure:
                os.unlink("./pair.sock")


def set_up_pair_client(test):
    place = meeting.get("pair")
    client = socket.socket(socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX)
    client.connect(place)
    object.__setattr__(test, "cli", client)


class ServerRecord(Record):
    """Waits for the client half before it records the result of a test."""

    def finish(self, name, outcome, reason):
        if meeting is None:  # A fixture of a class or a module.
            super().finish(name, outcome, reason)
            return
        if outcome != "pass":
            meeting.put("failed", reason)
        meeting.put("end.server")
        if meeting.wait("end.client"):
            client_outcome, client_reason, client_net = meeting.get("end.client")
            if client_outcome != "pass" and (outcome == "pass" or reason.startswith("OtherHalfFailed")):
                outcome, reason = client_outcome, "client half: " + client_reason
            self.net = self.net or client_net
        super().finish(name, outcome, reason)


def enter_class(test, last):
    """Makes both halves enter each class together, with the same seed for the data that both generate."""
    random.seed(1)
    if last is not None and last is not type(test):
        last.tearDownClass()
    if last is not type(test):
        type(test).setUpClass()
    return type(test)


def serve(tests):
    global meeting
    record = ServerRecord(job)
    record.list([name_of(test) for test in tests])
    last = None
    number = 0
    for test in tests:
        method = getattr(test, test._testMethodName)
        if any(getattr(what, "__unittest_skip__", False) for what in [type(test), method]):
            test.run(record)
            continue
        meeting = Meeting(number)
        number += 1
        meeting.put("begin", name_of(test))
        last = enter_class(test, last)
        begin(test)
        test.run(record)
        meeting = None
    Meeting(number).put("begin", None)
    record.line(done=True)


def be_client(tests):
    global meeting
    by_name = {name_of(test): test for test in tests}
    record = Record(job)  # Its audit hook notices whether the network is used.
    last = None
    for number in itertools.count():
        next_meeting = Meeting(number)
        next_meeting.wait("begin")
        name = next_meeting.get("begin")
        if name is None:
            return
        meeting = next_meeting
        test = by_name[name]
        last = enter_class(test, last)
        begin(test)
        record.net = False
        outcome, reason = client_half(test)
        meeting.wait("end.server")
        test.doCleanups()
        meeting.put("end.client", (outcome, reason, record.net))
        meeting = None


def begin(test):
    for name, value in list(vars(test).items()):
        if isinstance(value, Event):
            value.bind(name)


def client_half(test):
    test.server_ready, test.client_ready, test.done = (
        Event(name) for name in ["server_ready", "client_ready", "done"])
    try:
        try:
            test.server_ready.wait()
            if not meeting.has("failed"):
                try:
                    test.clientSetUp()
                finally:
                    test.client_ready.set()
                getattr(test, "_" + test._testMethodName)()
        finally:
            try:
                test.clientTearDown()
            except SystemExit:  # This ends a thread without an error.
                pass
    except unittest.SkipTest as skip:
        return "skip", str(skip)
    except OtherHalfFailed:
        pass
    except BaseException as exc:
        import traceback
        print(f"\n=== {test.id()}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        meeting.put("failed", text_of(exc))
        return "fail", text_of(exc)
    return "pass", ""


test_socket = switches.import_tests(job)
import socket
import threading

fake_threading = types.ModuleType("threading")
vars(fake_threading).update(vars(threading), Event=Event)
test_socket.threading = fake_threading
test_socket.ThreadableTest.__setattr__ = share_attribute
test_socket.ThreadableTest.__getattr__ = other_attribute
test_socket.ThreadableTest._setUp = set_up_server
test_socket.ThreadableTest.serverExplicitReady = server_explicit_ready
test_socket.SocketPairTest.setUp = set_up_pair_server
test_socket.SocketPairTest.clientSetUp = set_up_pair_client

tests = [test for test in flat(unittest.defaultTestLoader.loadTestsFromModule(test_socket))
         if isinstance(test, test_socket.ThreadableTest)]
if job.tests is not None:
    chosen = set(job.tests)
    tests = [test for test in tests if name_of(test) in chosen]
(serve if job.role == "server" else be_client)(tests)
sys.stdout.flush()
os._exit(0)
