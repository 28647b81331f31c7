"""Time zones: zoneinfo, and local time under several values of TZ."""

import os
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

assert {"Europe/Paris", "Asia/Kolkata", "UTC"} <= available_timezones()


def shows(zone, *utc):
    """What clocks show at a time, and the zone's name."""
    return datetime(*utc, tzinfo=UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z %z")


# zoneinfo reads the database.
assert shows(ZoneInfo("Europe/Paris"), 2024, 3, 31, 0, 59) == "2024-03-31 01:59 CET +0100"
assert shows(ZoneInfo("Europe/Paris"), 2024, 3, 31, 1) == "2024-03-31 03:00 CEST +0200"
assert shows(ZoneInfo("America/New_York"), 2100, 7, 1) == "2100-06-30 20:00 EDT -0400"
fold = datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"))
assert [fold.replace(fold=n).utcoffset() for n in (0, 1)] == [timedelta(hours=-4), timedelta(hours=-5)]


def switch(value):
    os.environ["TZ"] = value
    time.tzset()


def local(*utc):
    """What localtime() says of a time."""
    found = time.localtime(datetime(*utc, tzinfo=UTC).timestamp())
    offset = f"{found.tm_gmtoff // 60:+d}"
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', found)} {found.tm_zone} {offset} {found.tm_isdst}"


def variables():
    return time.tzname, time.timezone, time.altzone, time.daylight


# Without a zone it is UTC.
for value in ("", ":", "UTC", "UTC0"):
    switch(value)
    assert local(2024, 7, 1) == "2024-07-01 00:00:00 UTC +0 0", value
    assert variables() == (("UTC", "UTC"), 0, 0, 0), value
assert time.gmtime(0).tm_zone == "GMT"

# A zone that does not exist is UTC too.
for value, name in (("Nowhere/City", "Nowhere"), ("XX", ""), ("/no/such/file", "")):
    switch(value)
    assert local(2024, 7, 1) == f"2024-07-01 00:00:00 {name} +0 0", value
    assert time.tzname == (name, name)

for value in ("Europe/Paris", ":Europe/Paris", "/usr/share/zoneinfo/Europe/Paris", "CET-1CEST,M3.5.0,M10.5.0/3"):
    switch(value)
    assert variables() == (("CET", "CEST"), -3600, -7200, 1), value
    assert local(2024, 3, 31, 0, 59, 59) == "2024-03-31 01:59:59 CET +60 0"
    assert local(2024, 3, 31, 1) == "2024-03-31 03:00:00 CEST +120 1"
    assert local(2038, 7, 1) == "2038-07-01 02:00:00 CEST +120 1"
    assert local(2100, 1, 1) == "2100-01-01 01:00:00 CET +60 0"
    assert time.strftime("%Z %z", time.localtime(0)) == "CET +0100"
    assert datetime(2024, 7, 1).astimezone().isoformat() == "2024-07-01T00:00:00+02:00"
    assert datetime(2024, 1, 1).astimezone().tzname() == "CET"
    assert time.mktime((2024, 7, 1, 2, 0, 0, 0, 0, -1)) == datetime(2024, 7, 1, tzinfo=UTC).timestamp()
    # A tuple has no zone, but says whether it is daylight saving time.
    assert time.strftime("%Z", (2024, 7, 1, 2, 0, 0, 0, 183, 1)) == "CEST"
    assert time.strptime("12 CEST", "%H %Z").tm_isdst == 1

# Paris had its own time in 1900.
switch("Europe/Paris")
assert local(1900, 1, 1) == "1900-01-01 00:09:21 PMT +9 0", local(1900, 1, 1)
switch("Asia/Kolkata")
assert variables() == (("IST", "IST"), -19800, -19800, 0)
assert local(2024, 7, 1) == "2024-07-01 05:30:00 IST +330 0"

# The southern hemisphere; winter time that is the exception; a day that was left out.
for value in ("Australia/Sydney", "AEST-10AEDT,M10.1.0,M4.1.0/3"):
    switch(value)
    assert variables() == (("AEST", "AEDT"), -36000, -39600, 1)
    assert local(2024, 1, 1) == "2024-01-01 11:00:00 AEDT +660 1"
    assert local(2050, 7, 1) == "2050-07-01 10:00:00 AEST +600 0"
switch("Europe/Dublin")
assert local(2024, 1, 1).startswith("2024-01-01 00:00:00 GMT +0 ")
assert local(2024, 7, 1).startswith("2024-07-01 01:00:00 IST +60 ")
switch("IST-1GMT0,M10.5.0,M3.5.0/1")
assert local(2024, 1, 1) == "2024-01-01 00:00:00 GMT +0 1"
assert local(2024, 7, 1) == "2024-07-01 01:00:00 IST +60 0"
switch("Pacific/Apia")
assert local(2011, 12, 30, 9, 59, 59).startswith("2011-12-29 23:59:59")
assert local(2011, 12, 30, 10).startswith("2011-12-31 00:00:00")
switch("<+03>-3")
assert local(2024, 7, 1) == "2024-07-01 03:00:00 +03 +180 0"

# mktime(): the fold and the gap of New York in 2024.
switch("America/New_York")
midnight = datetime(2024, 11, 3, tzinfo=UTC).timestamp()
for is_dst, hours in ((1, 5.5), (0, 6.5)):
    assert time.mktime((2024, 11, 3, 1, 30, 0, 0, 0, is_dst)) - midnight == hours * 3600
midnight = datetime(2024, 3, 10, tzinfo=UTC).timestamp()
for is_dst, hours in ((1, 6.5), (0, 7.5)):
    found = time.mktime((2024, 3, 10, 2, 30, 0, 0, 0, is_dst))
    assert found - midnight == hours * 3600, (is_dst, found - midnight)
# Daylight saving time in winter is an hour earlier.
winter = (2024, 1, 15, 12, 0, 0, 0, 0)
assert time.mktime((*winter, 0)) - time.mktime((*winter, 1)) == 3600
# Fields out of their ranges are carried over.
assert time.mktime((2024, 14, 1, 0, 0, 0, 0, 0, -1)) == time.mktime((2025, 2, 1, 0, 0, 0, 0, 0, -1))
assert time.ctime(0) == "Wed Dec 31 19:00:00 1969"
assert datetime.fromtimestamp(0).hour == 19

# Without tzset(), localtime() goes on with the last zone; mktime() reads TZ again.
os.environ["TZ"] = "Asia/Tokyo"
assert time.localtime(0).tm_zone == "EST"
assert time.mktime((1970, 1, 1, 9, 0, 0, 0, 0, -1)) == 0
assert time.localtime(0).tm_zone == "JST"

# A file that is no zone.
with open("zone", "wb") as file:
    file.write(b"TZif2" + b"\xff" * 60)
switch(os.path.abspath("zone"))
assert local(2024, 7, 1).endswith(" +0 0")
print("ok")
