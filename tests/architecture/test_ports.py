"""Every port has a fake, a real adapter and a contract, each found by the port's noun."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Protocol

import pytest

import urlmon.ports
import urlmon.testing
import urlmon_adapters
from urlmon.domain.ids import TenantId

PORTS = {
    name: port
    for name in urlmon.ports.__all__
    if inspect.isclass(port := getattr(urlmon.ports, name))
}


def noun(port: type) -> str:
    """Return the name of the file that defines a port."""
    return port.__module__.rpartition(".")[2]


def subclasses_in(package: object, port: type) -> set[type]:
    """Return the concrete classes below a package that name a port as their base."""
    found: set[type] = set()
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):  # type: ignore[attr-defined]
        if any(part in module.name for part in (".cli", ".servers", ".contracts", "__main__")):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if (
                inspect.isclass(value)
                and port in value.__mro__[1:]
                and not inspect.isabstract(value)
            ):
                found.add(value)
    return found


@pytest.mark.parametrize("name", PORTS)
def test_a_port_is_small_abstract_and_specified(name: str) -> None:
    """A port is a Protocol of at most eight methods, each abstract and with a docstring."""
    port = PORTS[name]
    methods = {m: getattr(port, m) for m in vars(port) if not m.startswith("_")}
    assert Protocol in port.__mro__
    assert 1 <= len(methods) <= 8
    for method in methods.values():
        function = method.fget if isinstance(method, property) else method
        assert getattr(function, "__isabstractmethod__", False)
        assert inspect.getdoc(function)


@pytest.mark.parametrize("name", PORTS)
def test_a_port_has_one_fake_of_its_noun(name: str) -> None:
    """The fake of a port is one class, in the module of the same name."""
    port = PORTS[name]
    module = importlib.import_module(f"urlmon.testing.{noun(port)}")
    fakes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and port in value.__mro__[1:]
        and value.__module__ == module.__name__
    ]
    assert [fake.__name__ for fake in fakes] == [
        "FakeClock" if name == "Clock" else f"InMemory{name}"
    ]


@pytest.mark.parametrize("name", PORTS)
def test_a_port_has_a_real_adapter(name: str) -> None:
    """Some class of the adapters implements each port, and every one constructs."""
    assert subclasses_in(urlmon_adapters, PORTS[name])


@pytest.mark.parametrize("name", PORTS)
def test_a_port_has_a_contract_of_its_noun(name: str) -> None:
    """The contract suite of a port is one class, in the module of the same name."""
    module = importlib.import_module(f"urlmon.testing.contracts.{noun(PORTS[name])}")
    assert inspect.isclass(getattr(module, f"{name}Contract"))


@pytest.mark.parametrize("name", PORTS)
def test_the_tenant_comes_first(name: str) -> None:
    """The first argument is a `TenantId`, except for the methods listed with their reason."""
    for method, function in vars(PORTS[name]).items():
        if method.startswith("_") or isinstance(function, property):
            continue
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        first = parameters[0] if parameters else None
        scoped = first is not None and first.name == "tenant_id" and first.annotation is TenantId
        assert scoped is (f"{name}.{method}" not in urlmon.ports.CROSS_TENANT), method


def test_the_list_of_exceptions_names_methods_that_exist() -> None:
    """Nothing in `CROSS_TENANT` is left over from a method that was renamed."""
    for entry in urlmon.ports.CROSS_TENANT:
        port, method = entry.split(".")
        assert hasattr(PORTS[port], method)
