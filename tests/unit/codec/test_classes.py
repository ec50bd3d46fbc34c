"""Classes of users: found by name without importing, refused when they changed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, make_dataclass
from enum import Enum
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import attrs
import msgspec
import ormsgpack
import pydantic
import pytest

from afresh.codec.msgpack import MsgpackCodec
from afresh.errors import SchemaChanged, UndecodablePayload, UnencodableValue
from tests.unit.codec.models import Item, Point, Shelf

codec = MsgpackCodec()


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs source as the module ``deployed``: a program, then its next version."""

    def deploy(source: str) -> ModuleType:
        module = ModuleType("deployed")
        monkeypatch.setitem(sys.modules, "deployed", module)
        exec(compile(source, "deployed.py", "exec"), vars(module))
        return module

    return deploy


class Outer:
    @dataclass
    class Inner:
        value: int


def test_nested_classes_are_found() -> None:
    assert codec.decode(codec.encode(Outer.Inner(1))) == Outer.Inner(1)


def test_local_classes_are_found_among_the_given_types() -> None:
    @dataclass
    class Local:
        value: int

    reader = MsgpackCodec([Local])

    assert reader.decode(reader.encode([Local(1)])) == [Local(1)]
    with pytest.raises(UnencodableValue, match="annotate the return type"):
        codec.encode([Local(1)])
    with pytest.raises(UndecodablePayload, match="not loaded here"):
        codec.decode(reader.encode(Local(1)))


def test_a_class_whose_name_leads_to_another_is_refused() -> None:
    impostor = make_dataclass("Point", ["x", "y"])
    impostor.__module__ = Point.__module__

    with pytest.raises(UnencodableValue, match="could not find its class"):
        codec.encode(impostor(1, 2))


def test_the_types_given_come_before_those_of_modules() -> None:
    other = make_dataclass("Point", ["x", "y"])
    other.__module__ = Point.__module__
    reader = MsgpackCodec([other])

    assert type(reader.decode(reader.encode(other(1, 2)))) is other
    with pytest.raises(SchemaChanged):
        reader.decode(codec.encode(Point(1, 2)))


def test_the_types_are_read_when_the_first_class_is_met() -> None:
    later: list[type] = []
    reader = MsgpackCodec(later)
    reader.encode({"plain": (1, 2)})
    later.append(make_dataclass("Late", ["x"]))

    assert reader.decode(reader.encode(later[0](1))) == later[0](1)


HEAD = "from dataclasses import dataclass, field\nfrom enum import *\nfrom typing import *\nimport attrs, msgspec, pydantic\n"
VERSIONS = {
    "dataclass": ("@dataclass\nclass C:\n x: int", "@dataclass\nclass C:\n x: str", "C(1)"),
    "field": ("@dataclass\nclass C:\n x: int = 1", "@dataclass\nclass C:\n x: int = 1\n y: int = 2", "C(1)"),
    "order": ("@dataclass\nclass C:\n x: int = 1\n y: int = 1", "@dataclass\nclass C:\n y: int = 1\n x: int = 1", "C(1)"),
    "base": (
        "class B: pass\n@dataclass\nclass C(B):\n x: int",
        "@dataclass\nclass B:\n y: int = 0\n@dataclass\nclass C(B):\n x: int = 0",
        "C(1)",
    ),
    "kind": ("@dataclass\nclass C:\n x: int", "class C(NamedTuple):\n x: int", "C(1)"),
    "parameter": ("@dataclass\nclass C:\n x: list[int]", "@dataclass\nclass C:\n x: list[str]", "C([])"),
    "attrs": ("@attrs.define\nclass C:\n x: int", "@attrs.define\nclass C:\n x: int\n y: int = 0", "C(1)"),
    "named tuple": ("class C(NamedTuple):\n x: int", "class C(NamedTuple):\n x: int\n y: int = 0", "C(1)"),
    "enum": ("class C(Enum):\n A = 1", "class C(Enum):\n A = 2", "C.A"),
    "enum of tuples": ("class C(Enum):\n A = (1, 'a')", "class C(Enum):\n A = (1, 'b')", "C.A"),
    "flag": ("class C(Flag):\n A = 1\n B = 2", "class C(Flag):\n B = 1\n A = 2", "C.A"),
    "pydantic": ("class C(pydantic.BaseModel):\n x: int", "class C(pydantic.BaseModel):\n x: float", "C(x=1)"),
    "private": ("class C(pydantic.BaseModel):\n x: int", "class C(pydantic.BaseModel):\n x: int\n _p: int = 1", "C(x=1)"),
    "msgspec": ("class C(msgspec.Struct):\n x: int", "class C(msgspec.Struct):\n x: str", "C(1)"),
}


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["types", "strings"])
@pytest.mark.parametrize("name", VERSIONS)
def test_a_class_that_changed_makes_its_values_undecodable(deployed: Any, name: str, future: str) -> None:
    before, after, example = VERSIONS[name]
    payload = codec.encode([eval(example, vars(deployed(future + HEAD + before)))])
    old, new, restored = MsgpackCodec(), MsgpackCodec(), deployed(future + HEAD + before)

    assert type(old.decode(payload)[0]) is restored.C
    deployed(future + HEAD + after)
    with pytest.raises(SchemaChanged, match="deployed:C"):
        new.decode(payload)


def test_a_class_that_was_made_anew_in_the_same_way_reads_what_its_predecessor_wrote(deployed: Any) -> None:
    source = HEAD + "@dataclass\nclass C:\n x: int"
    first = deployed(source)
    payload = codec.encode(first.C(1))
    second = deployed(source)

    assert codec.decode(payload) == second.C(1)
    with pytest.raises(UnencodableValue, match="could not find its class"):
        codec.encode(first.C(1))


def test_what_is_no_part_of_the_layout_may_change(deployed: Any) -> None:
    payload = codec.encode(deployed(HEAD + "@dataclass\nclass C:\n x: int").C(1))
    later = deployed(HEAD + "@dataclass\nclass C:\n x: int = 5\n def method(self): return self.x")

    assert codec.decode(payload) == later.C(1)


def test_a_removed_class_is_a_miss(deployed: Any) -> None:
    payload = codec.encode(deployed(HEAD + "@dataclass\nclass C:\n x: int").C(1))
    deployed("C = 5")

    with pytest.raises(UndecodablePayload, match="not loaded here"):
        codec.decode(payload)


def test_the_fingerprint_does_not_depend_on_the_process() -> None:
    @dataclass
    class Odd:
        x: Annotated[int, object(), lambda: 1]
        y: Annotated[str, "z"]

    first, second = MsgpackCodec([Odd]).encode(Odd(1, "")), MsgpackCodec([Odd]).encode(Odd(1, ""))

    assert first == second
    assert b"object" not in first


def forged(name: object, fingerprint: int = 0) -> bytes:
    return ormsgpack.packb([ormsgpack.Ext(4, b""), [name, fingerprint], {}])


def test_decoding_imports_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "booby_trap.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    lazy, asked = ModuleType("lazy_module"), []
    vars(lazy)["__getattr__"] = asked.append
    monkeypatch.setitem(sys.modules, "lazy_module", lazy)
    monkeypatch.setitem(sys.modules, "no_module", None)

    for module in ("booby_trap", "lazy_module", "no_module", "os.path", "", "sys"):
        with pytest.raises(UndecodablePayload):
            codec.decode(forged(f"{module}:Point"))
    assert "booby_trap" not in sys.modules
    assert "Point" not in asked


@pytest.mark.parametrize(
    "name", ["builtins:object", "subprocess:Popen", "builtins:list", "types:ModuleType", "builtins:object.__class__", "os", 5, [], None]
)
def test_classes_of_no_known_kind_are_not_instantiated(name: object) -> None:
    with pytest.raises(UndecodablePayload):
        codec.decode(forged(name))


def test_classes_of_main_work_within_their_program(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from dataclasses import dataclass\nfrom afresh.codec.msgpack import MsgpackCodec\n"
        "@dataclass\nclass P:\n    x: int\n"
        "print(MsgpackCodec().decode(MsgpackCodec().encode(P(1))))\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)

    assert done.stdout == "P(x=1)\n"


def test_parametrised_models_are_found() -> None:
    class Local(pydantic.BaseModel):
        x: int

    shelf = Shelf[Local](items=[Local(x=1)])
    reader = MsgpackCodec([type(shelf), Local])

    assert reader.decode(reader.encode(shelf)) == shelf
    assert codec.decode(codec.encode(Shelf[Item](items=[]))) == Shelf[Item](items=[])


def test_local_classes_of_every_kind_are_found() -> None:
    @attrs.define
    class A:
        x: int

    class N(NamedTuple):
        x: int

    class E(Enum):
        X = 1

    class S(msgspec.Struct):
        x: int

    reader = MsgpackCodec([A, N, E, S])
    value = [A(1), N(1), E.X, S(1)]

    assert reader.decode(reader.encode(value)) == value
