"""The keys of config.toml: what each can be, its default, and what its docstring says."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect as forms

from vmtui.config import Config


@dataclass(frozen=True, slots=True)
class Entry:
    """One key."""

    key: str
    form: str
    default: str
    about: str


def entries() -> tuple[Entry, ...]:
    """In the order in which they are declared; those of a table after it."""
    return tuple(_entries(Config))


def _entries(struct: type[msgspec.Struct]) -> Iterator[Entry]:
    said = _docstrings(struct)
    found = forms.type_info(struct)
    assert isinstance(found, forms.StructType)
    defaults = msgspec.to_builtins(struct())
    for field in found.fields:
        about = said.get(field.name, "")
        default = defaults[field.name]
        if isinstance(default, Mapping):
            yield Entry(f"[{field.name}]", "table", "", about)
            for key, value in default.items():
                yield Entry(f"{field.name}.{key}", _member(field.type), _toml(value), "")
        else:
            yield Entry(field.name, _form(field.type), _toml(default), about)


def _docstrings(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """The text below each field: Python itself does not keep it."""
    (declared,) = ast.parse(inspect.getsource(struct)).body
    assert isinstance(declared, ast.ClassDef)
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in zip(declared.body, declared.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _member(form: forms.Type) -> str:
    """What the keys of a table can be."""
    if isinstance(form, forms.StructType):
        return _form(form.fields[0].type)
    assert isinstance(form, forms.DictType)
    return _form(form.value_type)


def _form(form: forms.Type) -> str:
    match form:
        case forms.BoolType():
            return "true or false"
        case forms.IntType(ge=least, le=most) | forms.FloatType(ge=least, le=most):
            words = "whole number" if isinstance(form, forms.IntType) else "number"
            words += f" from {least}" if least is not None else ""
            return words + (f" to {most}" if most is not None else "")
        case forms.StrType():
            return "text"
        case forms.LiteralType(values=values):
            return ", ".join(map(str, values))
        case forms.VarTupleType():
            return "list of texts"
        case forms.UnionType(types=types):
            return " or ".join(_form(one) for one in types)
    raise TypeError(form)


def _toml(value: Any) -> str:
    # Numbers, texts and lists of texts are the same in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)
