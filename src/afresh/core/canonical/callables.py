"""How functions, classes and other things that code refers to by name are taken apart for a key.

A function is what it does: its name, code, defaults, attributes and what its closure holds. So two closures of one name, a
lambda and its redefinition, the function before a deploy and after it are different arguments. Not seen are the globals that it
reads. Bytecode differs between versions of Python, and so do the keys of functions.

A class is its name where the name leads to it. Where it does not (a class made inside a function, one that was replaced), what
its body says is added.
"""

from __future__ import annotations

import sys
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

from afresh.core.canonical.rule import HEAP_TYPE, Identity, Parts, Rule, class_name, is_found, type_name
from afresh.errors import UnkeyableArgument

if TYPE_CHECKING:
    from types import BuiltinFunctionType, CodeType

__all__ = ["CALLABLE_RULES", "identify_class", "speaker_of"]

# What Python and abc note in a class for themselves; the rest of its body is the programmer's.
_BOOKKEEPING = frozenset(
    (
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__qualname__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    )
)


def identify_class(cls: type) -> Identity:
    """Return what a class is known by when it is itself an argument."""
    module, qualname = class_name(cls)
    parts: Parts = {"module": module, "qualname": qualname}
    own_key = next((vars(owner)["__cache_key__"] for owner in cls.__mro__ if "__cache_key__" in vars(owner)), None)
    if isinstance(own_key, classmethod):
        parts["__cache_key__()"] = cls.__cache_key__()  # type: ignore[attr-defined]  # just found
    elif cls.__flags__ & HEAP_TYPE and not is_found(cls, cls.__module__, qualname):
        body = {
            name: member for name, member in vars(cls).items() if name not in _BOOKKEEPING and not isinstance(member, MemberDescriptorType)
        }
        parts |= {"__bases__": cls.__bases__, "__dict__": body}
    return "builtins", "type", parts


def speaker_of(function: FunctionType) -> object | None:
    """Return whose ``__cache_key__`` a function carries as its own, not as one that `functools.wraps` has copied from what it wraps."""
    own = vars(function).get("__cache_key__")
    return None if own is getattr(vars(function).get("__wrapped__"), "__cache_key__", None) else getattr(own, "__self__", None)


def _function(function: FunctionType) -> Parts:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
    attributes = vars(function).copy()
    if "__wrapped__" in attributes and any(held is attributes["__wrapped__"] for held in closure.values()):
        del attributes["__wrapped__"]  # else each decorator made with functools.wraps would double the work
    return {
        "module": function.__module__,
        "qualname": function.__qualname__,
        "code": function.__code__,
        "defaults": function.__defaults__,
        "kwdefaults": function.__kwdefaults__,
        "closure": closure,
        "attributes": attributes,
    }


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # the only way to ask
    except ValueError:
        return False
    return True


def _code(code: CodeType) -> Parts:
    return {
        "code": code.co_code,
        "consts": code.co_consts,
        "names": code.co_names,
        "variables": (code.co_varnames, code.co_cellvars, code.co_freevars),
        "arguments": (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        "flags": code.co_flags,
        "exceptions": code.co_exceptiontable,
    }


def _builtin(function: BuiltinFunctionType) -> Parts:
    owner = function.__self__
    if owner is None or isinstance(owner, ModuleType):
        return {"module": function.__module__, "qualname": function.__qualname__}
    return {"self": owner, "name": function.__name__}


def _method(method: Any) -> Parts:
    return {"self": method.__self__, "function": method.__func__}


def _method_wrapper(method: Any) -> Parts:
    return {"self": method.__self__, "name": method.__name__}


def _slot_of_class(descriptor: Any) -> Parts:
    return {"class": descriptor.__objclass__, "name": descriptor.__name__}


def _wrapping(wrapper: Any) -> Parts:
    return {"function": wrapper.__func__}


def _property(value: property) -> Parts:
    return {"fget": value.fget, "fset": value.fset, "fdel": value.fdel}


def _partial(value: Any) -> Parts:
    return {"func": value.func, "args": value.args, "keywords": value.keywords}


def _cached(function: Any) -> Parts:
    return {"function": function.__wrapped__}


def _alias(alias: Any) -> Parts:
    return {
        "origin": alias.__origin__,
        "args": alias.__args__,
        "name": getattr(alias, "_name", None),  # List[int] and list[int] are told apart
        "unpacked": getattr(alias, "__unpacked__", False),
        "metadata": getattr(alias, "__metadata__", ()),
    }


def _union(union: Any) -> Parts:
    return {"args": frozenset(union.__args__)}


def _module(module: ModuleType) -> Parts:
    if sys.modules.get(module.__name__) is not module:
        raise UnkeyableArgument("module", reason=f"no import leads to it under the name {module.__name__!r}")
    return {"name": module.__name__}


def _by_name(value: Any) -> Parts:
    module = getattr(value, "__module__", None) or type(value).__module__
    qualname = getattr(value, "__qualname__", None) or value.__name__
    if not is_found(value, module, qualname):
        raise UnkeyableArgument(type_name(type(value)), reason=f"{module}.{qualname} does not lead to it")
    return {"module": module, "qualname": qualname}


_NAMED = Rule(_by_name, "by name, which must lead to it", "typing.NoReturn", "covered")
_ALIAS = Rule(_alias, "origin, arguments and metadata", "list[int]", "covered")
_SLOT = Rule(_slot_of_class, "its class and name", "str.upper")

CALLABLE_RULES: dict[str, Rule] = {
    "builtins.function": Rule(_function, "name, code, defaults, attributes and the contents of its closure", "lambda x: x + 1", "covered"),
    "builtins.code": Rule(_code, "bytecode, constants, names; not its file and lines", "(lambda: 1).__code__"),
    "builtins.method": Rule(_method, "its instance, which must have a key, and its function", 'pathlib.PurePosixPath("a").with_name'),
    "builtins.builtin_function_or_method": Rule(_builtin, "module and name, or the object that it is bound to", "len"),
    "builtins.method-wrapper": Rule(_method_wrapper, "the object that it is bound to and its name", "(1).__add__"),
    **dict.fromkeys(
        (
            "builtins.method_descriptor",
            "builtins.wrapper_descriptor",
            "builtins.classmethod_descriptor",
            "builtins.getset_descriptor",
            "builtins.member_descriptor",
        ),
        _SLOT,
    ),
    **dict.fromkeys(("builtins.staticmethod", "builtins.classmethod"), Rule(_wrapping, "its function", "staticmethod(len)", "covered")),
    "builtins.property": Rule(_property, "its functions", "property(len)"),
    "functools.partial": Rule(_partial, "function, arguments and keywords", "functools.partial(int, base=2)"),
    "functools._lru_cache_wrapper": Rule(_cached, "the function that it caches", "functools.lru_cache(len)", "covered"),
    "builtins.module": Rule(_module, "its name, which must lead to it", "math", "covered"),
    **dict.fromkeys(("types.GenericAlias", "typing._GenericAlias"), _ALIAS),
    "typing.Union": Rule(_union, "its members, in any order", "int | str", "covered"),
    **dict.fromkeys(
        (
            "typing.NewType",
            "typing.ParamSpec",
            "typing.TypeVar",
            "typing.TypeVarTuple",
            "typing._SpecialForm",
            "numpy._ArrayFunctionDispatcher",
            "numpy.ufunc",
        ),
        _NAMED,
    ),
}
