"""TLS between two ends in one guest, over memory, in pieces of every size. Usage: pieces.py CERTIFICATE KEY VERSION CIPHER.

CIPHER is a suite of TLS 1.2; those of TLS 1.3 come from openssl.cnf. Prints the suite, and "ok" if all data arrived.
"""

import ssl
import sys

certificate, key, version, cipher = sys.argv[1:]
# OpenSSL 3.5 names the layer, earlier versions the reason.
FORGED = "record layer failure", "decryption failed or bad record mac"
SIZES = [*range(1, 300), 16383, 16384, 16385, 100_000]

server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(certificate, key)
client_context = ssl.create_default_context(cafile=certificate)
for context in server_context, client_context:
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if version == "TLSv1_2":
        context.set_ciphers(cipher)


class End:
    def __init__(self, context, **how):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **how)


def pair():
    client = End(client_context, server_hostname="localhost")
    server = End(server_context, server_side=True)
    todo = [client, server]
    while todo:
        for end in list(todo):
            try:
                end.tls.do_handshake()
                todo.remove(end)
            except ssl.SSLWantReadError:
                pass
        server.incoming.write(client.outgoing.read())
        client.incoming.write(server.outgoing.read())
    return client, server


def received(end, size):
    data = bytearray()
    while len(data) < size:
        try:
            data += end.tls.read(min(size - len(data), 5000))
        except ssl.SSLWantReadError:
            break
    return bytes(data)


def message(size):
    return bytes((size + at) % 251 for at in range(size))


def moves(sender, receiver, size, piece):
    """Sends a message, whose records arrive in pieces."""
    sender.tls.write(message(size))
    data = b""
    while sender.outgoing.pending:
        receiver.incoming.write(sender.outgoing.read(piece))
        data += received(receiver, size - len(data))
    assert data == message(size), (size, piece)


client, server = pair()
for size in SIZES:
    for sender, receiver in (client, server), (server, client):
        moves(sender, receiver, size, 1 if size < 30 else size // 3 + 7)

for at in 0, 3, 4, 5, 20, -1:
    client, server = pair()
    moves(client, server, 100, 1000)
    client.tls.write(message(100))
    record = bytearray(client.outgoing.read())
    record[at] ^= 1
    server.incoming.write(record)
    try:
        got = server.tls.read(100)
    except ssl.SSLWantReadError:
        # The record says that it is longer than it is.
        assert at in (3, 4), at
    except ssl.SSLError as error:
        assert at in (0, 3, 4) or any(text in str(error).lower() for text in FORGED), (at, error)
    else:
        raise AssertionError((at, got))

print(client.tls.cipher()[0])
print("ok")
