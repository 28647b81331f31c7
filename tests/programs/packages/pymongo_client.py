"""pymongo's MongoClient, with a small server in this program.

A client has threads that watch the server: one gets its state when it changes, one measures round trips, and one ends
cursors.
"""

import contextlib
import itertools
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import bson
from pymongo import InsertOne, MongoClient, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError
from pymongo.monitoring import ServerHeartbeatListener

# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
MORE_TO_COME, EXHAUST_ALLOWED = 1 << 1, 1 << 16


class Server:
    """Documents by `_id`, in one collection. Each connection is served by a thread."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.numbers, self.process, self.version = itertools.count(1), bson.ObjectId(), 0
        self.down, self.connections = False, set()
        self.documents, self.cursors, self.killed, self.pings = {}, {}, [], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def set_down(self, down):
        with self.changed:
            self.down = down
            for connection in self.connections if down else ():
                # The client may be ahead.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def serve(self, connection):
        with connection, connection.makefile("rb") as file:
            with self.changed:
                if self.down:
                    return
                self.connections.add(connection)
            try:
                while head := file.read(16):
                    size, number, _, kind = struct.unpack("<4i", head)
                    self.answer(connection, number, kind, file.read(size - 16))
            except OSError:
                # The client is gone, or `set_down` is why.
                pass
            finally:
                with self.changed:
                    self.connections.remove(connection)

    def answer(self, connection, number, kind, message):
        if kind == OP_QUERY:
            # The first message of a connection, of clients that also know old servers.
            assert message[4:].startswith(b"admin.$cmd\0")
            reply = bson.encode(self.hello({}))
            return self.send(connection, OP_REPLY, number, struct.pack("<iqii", 8, 0, 0, 1) + reply)
        assert kind == OP_MSG
        [flags] = struct.unpack_from("<I", message)
        command = parse(message[4:])
        name = next(iter(command))
        while True:
            with self.changed:
                reply = {"ok": 1.0} | getattr(self, name)(command)
            more = bool(flags & EXHAUST_ALLOWED)
            section = struct.pack("<IB", MORE_TO_COME * more, 0) + bson.encode(reply)
            number = self.send(connection, OP_MSG, number, section)
            if not more:
                return
            # The next answer of a stream is for the state that this one has told.
            command["topologyVersion"] = reply["topologyVersion"]

    def send(self, connection, kind, to, body):
        number = next(self.numbers)
        connection.sendall(struct.pack("<4i", 16 + len(body), number, to, kind) + body)
        return number

    def hello(self, command):
        if known := command.get("topologyVersion"):
            wait = command["maxAwaitTimeMS"] / 1000
            self.changed.wait_for(lambda: self.version != known["counter"], wait)
        version = {"processId": self.process, "counter": bson.Int64(self.version)}
        return {"helloOk": True, "isWritablePrimary": True, "topologyVersion": version, "maxBsonObjectSize": 16 << 20,
                "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 1000, "minWireVersion": 0,
                "maxWireVersion": 21, "readOnly": False, "logicalSessionTimeoutMinutes": 30, "ok": 1.0}

    ismaster = hello

    def ping(self, _):
        self.pings += 1
        return {}

    def endSessions(self, _):
        return {}

    def insert(self, command):
        errors = []
        for index, document in enumerate(command["documents"]):
            if self.documents.setdefault(document["_id"], document) is not document:
                errors.append({"index": index, "code": 11000, "errmsg": "duplicate key"})
        inserted = {"n": len(command["documents"]) - len(errors)}
        return inserted | ({"writeErrors": errors} if errors else {})

    def update(self, command):
        """Knows `$inc` of the document with this `_id`."""
        for update in command["updates"]:
            document = self.documents[update["q"]["_id"]]
            for name, amount in update["u"]["$inc"].items():
                document[name] += amount
        return {"n": len(command["updates"]), "nModified": len(command["updates"])}

    def find(self, command):
        found = [document for document in self.documents.values()
                 if all(document.get(name) == value for name, value in command["filter"].items())]
        cursor = bson.Int64(len(self.cursors) + 1)
        self.cursors[cursor] = found[:command.get("limit") or None]
        return self.batch(cursor, "firstBatch", command.get("batchSize", 101))

    def getMore(self, command):
        return self.batch(command["getMore"], "nextBatch", command.get("batchSize", 1000))

    def batch(self, cursor, name, size):
        found = self.cursors[cursor]
        batch, self.cursors[cursor] = found[:size], found[size:]
        left = cursor if self.cursors[cursor] else bson.Int64(0)
        return {"cursor": {"id": left, "ns": "test.things", name: batch}}

    def killCursors(self, command):
        self.killed += command["cursors"]
        return {"cursorsKilled": command["cursors"]}


def parse(sections):
    """The command of an OP_MSG, with its sequences of documents."""
    command = {}
    while sections:
        kind, [size] = sections[0], struct.unpack_from("<i", sections, 1)
        section, sections = sections[1:1 + size], sections[1 + size:]
        if kind == 0:
            command = bson.decode(section) | command
        else:
            name, documents = section[4:].split(b"\0", 1)
            command[name.decode()] = bson.decode_all(documents)
    return command


class Listener(ServerHeartbeatListener):
    """What the thread that watches the server was told."""

    def __init__(self):
        self.changed, self.versions, self.failures = threading.Condition(), [], 0

    def started(self, event):
        pass

    def succeeded(self, event):
        with self.changed:
            self.versions.append((event.awaited, event.reply.topology_version["counter"]))
            self.changed.notify_all()

    def failed(self, event):
        with self.changed:
            self.failures += 1
            self.changed.notify_all()


def wait_for(changed, condition):
    with changed:
        assert changed.wait_for(condition, 30)


def work(things, worker):
    things.insert_many([{"_id": f"{worker} {number}", "worker": worker, "text": "x" * number} for number in range(200)])
    for _ in range(20):
        things.update_one({"_id": "counter"}, {"$inc": {"count": 1}})
    found = [document["text"] for document in things.find({"worker": worker}, batch_size=30)]
    return found == ["x" * number for number in range(200)]


def at_the_same_time(client, *_):
    """Eight threads share four connections."""
    things = client.test.things
    things.insert_one({"_id": "counter", "count": 0})
    with ThreadPoolExecutor(8) as executor:
        done = list(executor.map(lambda worker: work(things, worker), range(8)))
    return done, things.find_one({"_id": "counter"})


def in_bulk(client, *_):
    things = client.test.things
    requests = [UpdateOne({"_id": "counter"}, {"$inc": {"count": 1}}), *(InsertOne({"_id": "same"}) for _ in range(3))]
    try:
        things.bulk_write(requests, ordered=False)
    except BulkWriteError as error:
        return error.details["nInserted"], error.details["nModified"], len(error.details["writeErrors"])


def told_of_changes(client, server, listener):
    """A thread waits for the server to tell a change, rather than to ask again after ten seconds."""
    wait_for(listener.changed, lambda: (False, 0) in listener.versions)
    begun = time.monotonic()
    with server.changed:
        server.version += 1
        server.changed.notify_all()
    wait_for(listener.changed, lambda: (True, 1) in listener.versions)
    return time.monotonic() - begun < 5


def ends_cursors(client, server, _):
    """A thread ends the cursor that nobody reads to its end."""
    cursor = client.test.things.find({}, batch_size=10)
    first = next(cursor)["_id"]
    number = cursor.cursor_id
    del cursor
    deadline = time.monotonic() + 30
    while number not in server.killed:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return first


def goes_down_and_comes_back(client, server, listener):
    server.set_down(True)
    try:
        client.admin.command("ping")
    except AutoReconnect:
        wait_for(listener.changed, lambda: listener.failures)
    server.set_down(False)
    client.admin.command("ping")
    return server.pings


def ends_its_threads(client, *_):
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("pymongo")]
    client.close()
    for thread in threads:
        thread.join(30)
    return sorted(thread.name for thread in threads), any(thread.is_alive() for thread in threads)


server, listener = Server(), Listener()
client = MongoClient("127.0.0.1", server.port, maxPoolSize=4, serverSelectionTimeoutMS=2000, event_listeners=[listener])
for action in (at_the_same_time, in_bulk, told_of_changes, ends_cursors, goes_down_and_comes_back,
               ends_its_threads):
    print(action.__name__, action(client, server, listener), flush=True)
