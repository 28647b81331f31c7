"""dnspython and a name server. Argument: its port."""

import asyncio
import os
import sys

import dns.asyncresolver
import dns.exception
import dns.message
import dns.query
import dns.resolver

port = int(sys.argv[1])


def configured(kind):
    resolver = kind(configure=os.path.exists("/etc/resolv.conf"))
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = port
    resolver.lifetime = 30
    return resolver


resolver = configured(dns.resolver.Resolver)
answer = resolver.resolve("one.test")
print(answer.canonical_name, answer.rrset.ttl, *answer)
# The answer is too long for a datagram, so the query is repeated over TCP.
print(len(resolver.resolve("many.test")))
for name, lifetime in [("absent.test", 30), ("silent.test", 0.5)]:
    try:
        resolver.resolve(name, lifetime=lifetime)
    except dns.exception.DNSException as error:
        print(type(error).__name__)
query = dns.message.make_query("one.test", "A")
print(dns.query.udp(query, "127.0.0.1", port=port, timeout=30).answer[0][0])
print(dns.query.tcp(query, "127.0.0.1", port=port, timeout=30).answer[0][0])


async def without_waiting():
    resolver = configured(dns.asyncresolver.Resolver)
    answers = await asyncio.gather(*(resolver.resolve(name) for name in ["one.test", "many.test", "absent.test"]), return_exceptions=True)
    print(*(type(answer).__name__ for answer in answers), answers[0][0], len(answers[1]))


asyncio.run(without_waiting())
