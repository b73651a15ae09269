#!/usr/bin/env python3
"""Makes the MaxMind files beside it, with a foreign writer: pip install mmdb-writer==0.2.7, then run this here.

Addresses are those of documentation and of this machine, so that tests over loopback come from somewhere.
"""

from ipaddress import ip_network

from mmdb_writer import MMDBWriter
from netaddr import IPSet

COUNTRIES = {
    "127.0.0.5/32": "KR",
    "127.0.0.6/32": "NO",
    "192.0.2.0/24": "KR",
    "198.51.100.0/24": "NO",
    "198.51.100.128/25": "SE",
    "2001:db8::/32": "KR",
    "2001:db8:8000::/33": "NO",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128": "SE",
}
OPERATORS = {
    "127.0.0.5/32": 4766,
    "127.0.0.7/32": 64500,
    "192.0.2.0/25": 4766,
    "192.0.2.128/25": 64501,
    "2001:db8::/32": 4294967295,
}


def country(code):
    return {"country": {"iso_code": code, "names": {"en": code}}, "continent": {"code": "AS"}}


def operator(number):
    return {"autonomous_system_number": number, "autonomous_system_organization": f"Operator {number}"}


def write(name, kind, record, values, version=6):
    writer = MMDBWriter(version, kind, languages=["en"], description=kind, ipv4_compatible=version == 6, int_type="u32")
    # The writer lets what comes later win: the narrower after the wider.
    for network in sorted(values, key=lambda network: ip_network(network).prefixlen):
        writer.insert_network(IPSet([network]), record(values[network]))
    writer.to_db_file(name)


# An address whose holder is registered somewhere, and is nobody knows where.
def some_country(code):
    return country(code) if code else {"registered_country": {"iso_code": "US"}}


write("country.mmdb", "GeoLite2-Country", some_country, {**COUNTRIES, "203.0.113.0/24": ""})
write("country-later.mmdb", "GeoLite2-Country", some_country, {**COUNTRIES, "127.0.0.5/32": "SE"})
write("asn.mmdb", "GeoLite2-ASN", operator, OPERATORS)
write("country-v4.mmdb", "GeoIP2-Country", country, {n: c for n, c in COUNTRIES.items() if ":" not in n}, version=4)
