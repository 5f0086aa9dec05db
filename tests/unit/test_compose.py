"""Docker does not run in the tests: what a reader of the files could see is checked instead."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_versions_are_pinned() -> None:
    """Every server image has a full version."""
    images = re.findall(r"image: (\S+)", COMPOSE)

    assert {image.partition(":")[0] for image in images} >= {"postgres", "influxdb", "redis"}
    for image in images:
        assert re.fullmatch(r"\w+:\d+\.\d+(\.\d+)?|urlmon:local", image)


def test_ports_are_local() -> None:
    """Nothing listens on another interface than loopback."""
    ports = re.findall(r"ports: \[(.*)\]", COMPOSE)

    assert len(ports) == 3
    assert all(re.fullmatch(r'"127\.0\.0\.1:\d+:\d+"', port) for port in ports)


def test_no_password_has_a_default() -> None:
    """Each secret must be set, and `.env.example` sets all that must be."""
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    optional = set(re.findall(r"\$\{(\w+):-", COMPOSE))
    used = set(re.findall(r"\$\{(\w+)", COMPOSE))
    example = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert required >= {
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
        "INFLUXDB_ADMIN_PASSWORD",
        "INFLUXDB_TOKEN",
    }
    assert used == required | optional
    assert optional == {"URLMON_RETENTION_DAYS", "URLMON_SECRET_KEY"}
    assert required <= example


def test_redis_keeps_what_it_is_given() -> None:
    """Redis neither evicts keys nor forgets them at a restart."""
    assert "--maxmemory-policy\n      - noeviction" in COMPOSE
    assert '--appendonly\n      - "yes"' in COMPOSE


def test_every_volume_is_named() -> None:
    """Data outlive their container, in volumes that are declared."""
    used = set(re.findall(r'"([\w-]+):/', COMPOSE))
    declared = set(re.findall(r"^  ([\w-]+):$", COMPOSE.partition("\nvolumes:\n")[2], re.MULTILINE))

    assert used == declared


def test_image_is_not_root() -> None:
    """The services run as a user without rights, on a pinned Python."""
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert re.search(r"^FROM python:3\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    assert re.search(r"^USER urlmon$", dockerfile, re.MULTILINE)
