from __future__ import annotations

import pickle
import re
import string

import pytest
from hypothesis import assume, example, given, strategies as st
from redis.crc import key_slot as slot_of_redis_py

from afresh.core.keys import SLOTS, Key, Namespace, function_id, key_slot, leases_each, twins, user_id, values_each
from afresh.errors import ConfigurationError

# Text that is likely to go wrong: braces, escapes, our own separators, lone surrogates, and keys just around the longest plain one.
texts = st.one_of(
    st.text(),
    st.text(alphabet="ab{}:#%@ /", max_size=8),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "L"]), max_size=5),
    st.integers(115, 125).map(lambda size: "k" * size),
    st.integers(30, 45).map(lambda size: "é" * size),
)
namespaces = st.text(alphabet=string.ascii_letters + ":-._é", min_size=1, max_size=12).map(Namespace)


def redis_slot(name: str) -> int:
    slot: int = slot_of_redis_py(name.encode("utf-8", "surrogatepass"))
    return slot


# --- ids -----------------------------------------------------------------------------------------------------------
@given(one=texts, two=texts)
@example("a b", "a%20b")
@example("#", "%23")
@example("%", "%25")
@example("\ud800", "%ED%A0%80")
@example("é", "e\u0301")
@example("", " ")
def test_two_keys_never_share_an_id(one: str, two: str) -> None:
    assert (user_id(one) == user_id(two)) is (one == two)


@given(text=texts)
def test_an_id_is_short_plain_and_of_its_kind(text: str) -> None:
    identity = user_id(text)

    assert re.fullmatch(r"k(:[A-Za-z0-9_.:/@=,+<>~%-]{0,120}|#[0-9a-f]{32})", identity)


@given(key=texts, name=texts, rest=st.text(alphabet=":#ab,'0123", max_size=6))
def test_no_key_is_a_functions_call(key: str, name: str, rest: str) -> None:
    assert user_id(key) != function_id(name) + rest


def test_plain_keys_stay_readable() -> None:
    assert user_id("user:42/profile") == "k:user:42/profile"
    assert user_id("a b{c}") == "k:a%20b%7Bc%7D"
    assert function_id("shop.views.price") == "f:shop.views.price"
    assert function_id("shop.views.price", 2) == "f:shop.views.price@2"


def test_long_keys_are_digests() -> None:
    assert user_id("k" * 120) == "k:" + "k" * 120
    assert re.fullmatch(r"k#[0-9a-f]{32}", user_id("k" * 121))


@pytest.mark.parametrize(
    ("one", "two"), [(("f", 1), ("f", 2)), (("f", 0), ("f", 1)), (("f", 0), ("f", "v0")), (("f", 0), ("g", 0)), (("f:g", 0), ("f", "g"))]
)
def test_functions_and_versions_have_ids_of_their_own(one: tuple[str, int | str], two: tuple[str, int | str]) -> None:
    assert function_id(*one) != function_id(*two)


@given(name=texts, version=st.one_of(st.integers(0, 9), texts))
def test_a_functions_id_holds_none_of_what_its_arguments_begin_with(name: str, version: int | str) -> None:
    identity = function_id(name, version)

    assert identity[:2] in {"f:", "f#"}
    assert not set(":#{}") & set(identity[2:])


# --- names ---------------------------------------------------------------------------------------------------------
@given(namespace=namespaces, key=texts)
def test_the_names_of_an_id_share_a_slot(namespace: Namespace, key: str) -> None:
    names = namespace.names_of(key)

    assert {redis_slot(name) for name in names} == {key_slot(names.value)}
    assert len(set(names)) == 3
    for name in names:
        name.encode()


@given(one=st.tuples(namespaces, texts), two=st.tuples(namespaces, texts))
def test_names_of_two_keys_or_namespaces_never_meet(one: tuple[Namespace, str], two: tuple[Namespace, str]) -> None:
    assume((one[0].name, one[1]) != (two[0].name, two[1]))

    assert not set(one[0].names_of(one[1])) & set(two[0].names_of(two[1]))


@given(namespace=namespaces, tag=texts, key=texts)
def test_the_stamp_of_a_tag_is_not_that_of_a_key(namespace: Namespace, tag: str, key: str) -> None:
    assert namespace.tag_of(tag).key not in namespace.names_of(key)


@given(namespace=namespaces, one=texts, two=texts)
def test_two_tags_or_tables_never_share_a_name(namespace: Namespace, one: str, two: str) -> None:
    assume(one != two)

    assert namespace.tag_of(one) != namespace.tag_of(two)
    assert namespace.table(one) != namespace.table(two)
    assert namespace.table(one).startswith(f"{namespace.name}:h:{{")


def test_a_call_has_names_of_its_own() -> None:
    namespace = Namespace("t")

    assert namespace.names_of(Key("f:g:1", "afresh:f:g")).value == "t:v:{f:g:1}"
    assert namespace.names_of("f:g:1").value == "t:v:{k:f:g:1}"


def test_a_tag_is_known_by_its_hash() -> None:
    namespace = Namespace("t")
    tag = namespace.tag_of("user:7")

    assert len(tag.hash) == 8
    assert tag.key == f"t:t:{{{tag.hash.hex()}}}" == namespace.stamp_key(tag.hash)
    assert namespace.tag == namespace.tag_of("afresh:namespace")


@pytest.mark.parametrize("name", ["", "a b", "a{b", "}", "a\n", "\x00", "\x7f", "\u2028", "x" * 121, 7, None, b"shop"])
def test_a_namespace_that_cannot_be_one_is_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be a namespace: use 1 to 120 characters without braces"):
        Namespace(name)


def test_a_functions_tag_is_of_a_kind_kept_for_it() -> None:
    assert Namespace.function_tag(function_id("shop.price")) == "afresh:f:shop.price"


# --- keys of calls -------------------------------------------------------------------------------------------------
def test_the_key_of_a_call_pickles_with_its_function() -> None:
    key = Key("f:g:1", "afresh:f:g")

    back = pickle.loads(pickle.dumps(key))

    assert (back, back.function, type(back)) == ("f:g:1", "afresh:f:g", Key)
    assert Key("f:g:1").function is None


# --- slots ---------------------------------------------------------------------------------------------------------
@given(name=st.one_of(texts, st.text(alphabet="a{}", max_size=10)))
def test_slots_are_those_of_the_client(name: str) -> None:
    assert key_slot(name) == redis_slot(name)
    assert 0 <= key_slot(name) < SLOTS


@given(name=st.one_of(texts, st.text(alphabet="a1{}:", max_size=8)), namespace=namespaces)
@example(":1:{}views.decorators.cache.page.x", Namespace("shop"))
@example("{}", Namespace("shop"))
@example("}a{b", Namespace("shop"))
@example("", Namespace("shop"))
def test_twins_of_a_given_key_share_its_slot(name: str, namespace: Namespace) -> None:
    names = twins(namespace.name, name)

    assert names.value == name
    assert {redis_slot(each) for each in names} == {redis_slot(name)}


@given(one=st.text(alphabet="a1{}", max_size=6), two=st.text(alphabet="a1{}", max_size=6))
@example("{}", "0")
@example("a", "{a}")
@example("a{b}", "{b}a")
def test_twins_of_two_keys_never_meet(one: str, two: str) -> None:
    assume(one != two)

    assert not set(twins("t", one)[1:]) & set(twins("t", two)[1:])


plain_keys = st.text("abcz09_.:/@=,+<>-", max_size=130)


@given(namespace=namespaces, keys=st.one_of(st.lists(plain_keys, max_size=4), st.lists(texts, max_size=4)))
@example(Namespace("t"), ["a", "b\nc"])
@example(Namespace("t"), ["a\n", ""])
@example(Namespace("t"), ["a" * 120, "b"])
@example(Namespace("t"), ["a", "b" * 121])
def test_several_names_are_those_of_each(namespace: Namespace, keys: list[str]) -> None:
    names = [namespace.names_of(key) for key in keys]
    assert values_each(namespace, keys) == tuple(each.value for each in names)
    assert leases_each(namespace, keys) == tuple(each.lease for each in names)
