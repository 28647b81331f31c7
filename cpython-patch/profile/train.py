"""The programs whose execution is counted for the profile of `cargo xtask profile`.

Each does what programs commonly do, for about the same time: the compiler takes for hot what most of the counts are
in, so a longer one would displace the others.
"""

import argparse
import ast
import base64
import bisect
import collections
import configparser
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import heapq
import html.parser
import io
import itertools
import json
import logging
import math
import os
import operator
import pathlib
import pickle
import random
import re
import sqlite3
import statistics
import string
import struct
import sys
import textwrap
import time
import tokenize
import typing
import urllib.parse
import xml.etree.ElementTree
import zlib
from abc import ABC, abstractmethod

SECONDS = 2.0
WORDS = (
    "the quick brown fox jumps over the lazy dog while Grüße aus Köln and 東京 arrive at https://example.org/a?b=c "
    "on 2024-05-17 from anna.smith@example.com with 42 apples, 3.14 pies and -7e3 cakes"
).split()


def sentences(count: int, seed: int = 1) -> list[str]:
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=chosen.randint(3, 20))) for _ in range(count)]


# Objects and calls.


class Shape(ABC):
    count = 0

    def __init__(self, name: str, *points: tuple[float, float], **options: typing.Any) -> None:
        self.name = name
        self.points = list(points)
        self.options = options
        Shape.count += 1

    @abstractmethod
    def area(self) -> float: ...

    @property
    def label(self) -> str:
        return f"{self.name}:{len(self.points)}"

    def __lt__(self, other: "Shape") -> bool:
        return self.area() < other.area()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self.label == other.label

    def __hash__(self) -> int:
        return hash(self.label)


class Polygon(Shape):
    __slots__ = ("cached",)

    def area(self) -> float:
        total = 0.0
        for (x1, y1), (x2, y2) in zip(self.points, self.points[1:] + self.points[:1]):
            total += x1 * y2 - x2 * y1
        return abs(total) / 2


class Circle(Shape):
    def __init__(self, radius: float) -> None:
        super().__init__("circle", (radius, 0.0), closed=True)
        self.radius = radius

    def area(self) -> float:
        return math.pi * self.radius**2

    def __getattr__(self, name: str) -> typing.Any:
        if name in self.options:
            return self.options[name]
        raise AttributeError(name)


def objects() -> None:
    shapes: list[Shape] = []
    for i in range(60):
        shapes.append(Polygon(f"p{i % 7}", *((math.cos(k) * i, math.sin(k) * i) for k in range(i % 5 + 3))))
        shapes.append(Circle(i / 3))
    shapes.sort()
    assert len(set(shapes)) <= len(shapes)
    for shape in shapes:
        _ = shape.label, getattr(shape, "closed", None), getattr(shape, "missing", None)
        with contextlib.suppress(AttributeError):
            shape.nothing
    _ = max(shapes), min(shapes, key=operator.attrgetter("name"))


@dataclasses.dataclass(order=True)
class Item:
    price: float
    name: str = dataclasses.field(compare=False)
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Flags(enum.IntFlag):
    READ = 1
    WRITE = 2


def records() -> None:
    Point = collections.namedtuple("Point", "x y z")
    items = [Item(i * 37 % 11 / 2, f"n{i}", ["a", "b"]) for i in range(80)]
    for item in sorted(items):
        _ = dataclasses.replace(item, price=item.price + 1) > item, Color(1), Color["GREEN"], Flags.READ | Flags.WRITE
    points = [Point(i, i * 2, z=i * 3)._replace(x=5) for i in range(50)]
    _ = [p.x + p.y * p.z for p in points], copy.deepcopy(items[:6]), copy.copy(points)
    for value in (1, "two", [3, 4], {"five": 6}, points[0], None):
        match value:
            case int():
                pass
            case [x, y]:
                _ = x, y
            case {"five": six}:
                _ = six
            case str() | None:
                pass
            case Point(x=5):
                pass


def closures_and_generators() -> None:
    def counter(start: int) -> typing.Callable[..., int]:
        def add(amount: int = 1, *, scale: int = 1) -> int:
            nonlocal start
            start += amount * scale
            return start

        return add

    @functools.lru_cache(maxsize=64)
    def steps(n: int) -> int:
        return 0 if n < 2 else 1 + steps(n // 2 if n % 2 == 0 else 3 * n + 1)

    def walk(tree: typing.Any) -> typing.Iterator[int]:
        if isinstance(tree, tuple):
            for part in tree:
                yield from walk(part)
        else:
            yield tree

    def averager() -> typing.Generator[float, float, None]:
        total = count = 0.0
        while True:
            value = yield total / (count or 1)
            total += value
            count += 1

    add = counter(3)
    for i in range(200):
        add(i)
        add(scale=2)
    tree: typing.Any = 1
    for i in range(30):
        tree = (tree, i, (i, i + 1))
    assert sum(walk(tree)) > 0 and steps(97) > 0
    average = averager()
    next(average)
    for i in range(200):
        average.send(i)
    average.close()
    even = (x for x in range(300) if not x % 2)
    _ = sum(x * y for x, y in zip(even, itertools.count())), [*map(str, filter(None, range(50)))]
    _ = functools.reduce(operator.xor, range(100)), {k: len(list(g)) for k, g in itertools.groupby("aabbbc" * 9)}
    for _ in range(20):
        try:
            try:
                {}["missing"]
            except KeyError as error:
                raise ValueError("wrapped") from error
        except ValueError:
            pass
        finally:
            _ = None


async def _sleepless(queue: collections.deque[int], count: int) -> int:
    total = 0
    for i in range(count):
        queue.append(i)
        total += await _leaf(i)
    return total


async def _leaf(i: int) -> int:
    return i + 1


def coroutines() -> None:
    queue: collections.deque[int] = collections.deque(maxlen=50)
    for _ in range(10):
        try:
            _sleepless(queue, 60).send(None)
        except StopIteration as stop:
            assert stop.value > 0


# Numbers.


def integers() -> None:
    primes = [n for n in range(2, 400) if all(n % d for d in range(2, math.isqrt(n) + 1))]
    _ = [pow(3, p, 1009) * p // 7 for p in primes], divmod(10**40, 3**20), sum(primes) & 0xFF | 1 << 9
    a, b = 0, 1
    for _ in range(300):
        a, b = b, a + b
    grid = [[(x * y) % 17 for x in range(20)] for y in range(20)]
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            if value > 8:
                grid[y][x] = value - grid[y - 1][x - 1]
            elif value == 3 or x == y:
                grid[y][x] += 1
    _ = str(a), int("123456789012345678901234567890"), hex(b), bin(77), (255).to_bytes(4, "big"), round(1234, -2)


def floats() -> None:
    bodies = [[math.sin(i), math.cos(i), 0.1 * i, 1.0 + i] for i in range(12)]
    for _ in range(12):
        for one in bodies:
            fx = fy = 0.0
            for other in bodies:
                dx, dy = other[0] - one[0], other[1] - one[1]
                distance = (dx * dx + dy * dy + 0.01) ** 1.5
                fx += dx * other[3] / distance
                fy += dy * other[3] / distance
            one[0] += fx * 0.001
            one[1] -= fy * 0.001
    values = [body[0] for body in bodies]
    _ = statistics.mean(values), statistics.stdev(values), [f"{v:.3f} {v!r} {v:e}" for v in values]
    _ = [float(f"{v:.5f}") for v in values], complex(1, 2) * complex(3, 4), math.fsum(values), max(values, key=abs)


def exact() -> None:
    total = decimal.Decimal("0")
    for i in range(60):
        total += decimal.Decimal(i) * decimal.Decimal("1.05") / 3
    _ = total.quantize(decimal.Decimal("0.01")), sum(fractions.Fraction(1, n) for n in range(1, 25)), f"{total:,.2f}"


# Containers.


def containers() -> None:
    numbers = list(range(500))
    random.Random(7).shuffle(numbers)
    ordered = sorted(numbers, reverse=True)
    ordered.sort(key=lambda n: (n % 10, -n))
    heap: list[tuple[int, str]] = []
    for n in numbers[:120]:
        heapq.heappush(heap, (n, str(n)))
    while heap:
        heapq.heappop(heap)
    index: dict[typing.Any, list[int]] = collections.defaultdict(list)
    for n in numbers:
        index[n % 13].append(n)
        index[str(n % 7), n % 3].append(n)
    counts = collections.Counter(n % 9 for n in numbers)
    counts.update("mississippi")
    merged = {**counts, "more": 1} | dict.fromkeys("abc", 2)
    seen = set(numbers[:200]) & set(numbers[100:]) | {1, 2} - {3}
    _ = counts.most_common(3), frozenset(seen) <= seen, [merged.pop(k) for k in list(merged)], 77 in seen, 77 in ordered
    queue = collections.deque(numbers, maxlen=100)
    while queue:
        queue.popleft()
    for n in numbers[::7]:
        bisect.insort(ordered, n, key=lambda v: -v)
    first, *rest, last = numbers
    numbers[3:9] = [first, last]
    del numbers[::2]
    _ = list(itertools.chain.from_iterable(itertools.batched(rest, 5))), numbers.index(last), tuple(reversed(rest))
    _ = [(x, y) for x, y in itertools.product(range(15), repeat=2) if x < y], list(itertools.combinations(range(8), 3))


# Text and bytes.


def text() -> None:
    for line in sentences(40):
        words = line.split()
        _ = " ".join(w.capitalize() for w in words), line.upper().lower().title(), line.replace("the", "a"), line[::-1]
        _ = line.find("fox"), line.startswith(("the", "a")), line.strip("te "), "%s and %d" % (words[0], len(words))
        _ = "{:>10}|{name!r:<12}".format(words[-1], name=words[0]), f"{len(line):04d} {line[:9]:^12}", line.partition(" ")
        data = line.encode()
        _ = data.decode(), data.hex(), data.split(b" "), data.translate(bytes(range(256))), hash(line), line.isascii()
        _ = line.casefold() == line, sum(map(str.isalpha, line)), [c for c in line if c in string.punctuation]
    _ = textwrap.wrap(" ".join(sentences(3)), 40), urllib.parse.urlsplit("https://u@h:8/p;x?q=1#f"), "".join(["ab"] * 50)
    _ = urllib.parse.parse_qs("a=1&b=2&a=3"), urllib.parse.quote("ä/ö ü"), base64.b64encode(b"x" * 99)


PATTERNS = [
    r"\b\w+@\w+\.\w+\b",
    r"(\d{4})-(\d\d)-(\d\d)",
    r"https?://[^\s/]+(/\S*)?",
    r"(?i)the\s+(?P<adjective>quick|lazy)",
    r"[+-]?\d+(?:\.\d+)?(?:e\d+)?",
    r"(a|b)*c|d.*?g",
    r"[^aeiou\s]{3,}",
    r"^.*(?=fox)",
]


def regular_expressions() -> None:
    lines = sentences(30, 5)
    for pattern in PATTERNS:
        compiled = re.compile(pattern)
        for line in lines:
            compiled.search(line)
            compiled.findall(line)
        re.sub(pattern, lambda m: m.group().upper(), lines[0])
    re.purge()
    re.compile(PATTERNS[0] + "|" + PATTERNS[4])
    re.split(r"[,;\s]+", lines[1])


# Formats.


def data_formats() -> None:
    document = {
        "id": 7,
        "ratio": 0.125,
        "tags": ["x", "y\n", "ü", '"quoted"'],
        "nested": {"list": list(range(20)), "none": None, "yes": True, "texts": sentences(4, 3)},
        "items": [{"name": f"item {i}", "price": i * 1.5, "available": i % 2 == 0} for i in range(15)],
    }
    dumped = json.dumps(document)
    assert json.loads(dumped) == document
    json.loads(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
    pickle.loads(pickle.dumps((document, [Item(1.0, "a")], {1, 2}, datetime.date(2020, 1, 2))))
    rows = io.StringIO()
    writer = csv.DictWriter(rows, ["a", "b", "c"])
    writer.writeheader()
    writer.writerows({"a": i, "b": f"t,{i}", "c": 'q"q'} for i in range(30))
    rows.seek(0)
    assert len(list(csv.DictReader(rows))) == 30
    packed = b"".join(struct.pack("<IHhd4s", i, i, -i, i / 3, b"abcd") for i in range(30))
    _ = list(struct.iter_unpack("<IHhd4s", packed)), memoryview(packed)[3:90:2].tobytes()
    parser = configparser.ConfigParser()
    parser.read_string("[a]\nx = 1\ny: two %(x)s\n[b]\nz = yes\n")
    _ = parser["a"]["y"], zlib.decompress(zlib.compress(packed)), hashlib.sha256(packed).hexdigest()


class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        _ = dict(attributes).get("href")


def markup() -> None:
    root = xml.etree.ElementTree.Element("root", version="1")
    for i, line in enumerate(sentences(25, 9)):
        child = xml.etree.ElementTree.SubElement(root, "item", id=str(i))
        child.text = line
        xml.etree.ElementTree.SubElement(child, "sub").tail = "tail"
    written = xml.etree.ElementTree.tostring(root)
    parsed = xml.etree.ElementTree.fromstring(written)
    _ = [e.get("id") for e in parsed.iter("item")], parsed.findall(".//sub"), parsed.findtext("item")
    for _, element in xml.etree.ElementTree.iterparse(io.BytesIO(written)):
        element.clear()
    Links().feed("<html><body>" + "<p class='a'><a href='/x?y&amp;z'>text</a> more</p>" * 12 + "</body></html>")


def dates() -> None:
    moment = datetime.datetime(2024, 2, 28, 12, 30, tzinfo=datetime.timezone.utc)
    for i in range(60):
        later = moment + datetime.timedelta(days=i, minutes=7 * i)
        _ = later.isoformat(), later.strftime("%Y-%m-%d %H:%M"), datetime.datetime.fromisoformat(later.isoformat())
        _ = later - moment, later.date() > moment.date(), later.timestamp()


# The standard library's own work.


def programs() -> None:
    source = pathlib.Path(bisect.__file__).read_text()
    tree = ast.parse(source)
    for _ in ast.walk(tree):
        pass
    exec(compile(tree, "bisect", "exec"), {"__name__": "b"})
    list(tokenize.generate_tokens(io.StringIO(source).readline))
    parser = argparse.ArgumentParser("train", description="Text")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("names", nargs="*")
    parser.parse_args(["--count", "5", "a", "b"])


def logs_and_files() -> None:
    stream = io.StringIO()
    logger = logging.Logger("train", logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    for i in range(40):
        logger.info("message %d of %s", i, "many")
        logger.debug("not %s", i)
    for line in stream.getvalue().splitlines():
        print(line, file=io.StringIO())
    here = pathlib.Path(os.__file__).parent
    _ = [p.name for p in sorted(here.iterdir()) if p.suffix == ".py"], (here / "a" / "..").parts, os.path.join("a", "b")
    with open(os.__file__, encoding="utf-8") as file:
        _ = sum(len(line) for line in file)
    buffered = io.BytesIO(b"line\n" * 100)
    for line in io.TextIOWrapper(buffered, encoding="utf-8"):
        line.rstrip("\n")


def database() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (a integer primary key, b text, c real)")
        connection.executemany("insert into t (b, c) values (?, ?)", ((f"r{i}", i / 2) for i in range(60)))
        for a, b, c in connection.execute("select * from t where c > ? order by b", (5.0,)):
            _ = a, b, c


def main() -> None:
    work = [
        objects,
        records,
        closures_and_generators,
        coroutines,
        integers,
        floats,
        exact,
        containers,
        text,
        regular_expressions,
        data_formats,
        markup,
        dates,
        programs,
        logs_and_files,
        database,
    ]
    for function in work:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            function()
        print(function.__name__, flush=True)


if __name__ == "__main__":
    sys.exit(main())
