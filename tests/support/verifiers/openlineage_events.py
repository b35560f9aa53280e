"""Checks events of OpenLineage against the JSON Schema of the official client's own classes.

The client's package has no JSON Schema files, but classes that were generated from them: here they are turned
back into a schema (Draft 2020-12), facets by the ``_schemaURL`` that they name, and the events are also made
into those classes, whose validators look at times and ids. Runs in the verifiers' environment:

    python openlineage_events.py events.ndjson   prints a JSON list of what is wrong, [] if nothing is
"""

import enum
import importlib
import json
import pkgutil
import sys
import types
import typing

import attr
import jsonschema
from openlineage.client import generated
from openlineage.client.generated import base

FORMATS = {
    "eventTime": "date-time",
    "nominalStartTime": "date-time",
    "nominalEndTime": "date-time",
    "runId": "uuid",
    "producer": "uri",
    "schemaURL": "uri",
    "_producer": "uri",
    "_schemaURL": "uri",
    "uri": "uri",
    "url": "uri",
}
# The specification asks for these, the classes fill them in.
FILLED_IN = {base.BaseEvent: ("producer", "schemaURL"), base.BaseFacet: ("_producer", "_schemaURL")}


def facet_classes() -> dict[str, type]:
    found = {}
    for module in pkgutil.iter_modules(generated.__path__, f"{generated.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, base.BaseFacet):
                found[value._get_schema()] = value
    return found


def schema_of(hint: object) -> dict:
    if hint is typing.Any:
        return {}
    simple = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if hint in simple:
        return {"type": simple[hint]}
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = [item for item in typing.get_args(hint) if item is not type(None)]
        shapes = [schema_of(item) for item in options]
        return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": schema_of(typing.get_args(hint)[0])}
    if typing.get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": schema_of(typing.get_args(hint)[1])}
    if typing.get_origin(hint) is typing.Literal:
        return {"enum": list(typing.get_args(hint))}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [item.value for item in hint]}
    if attr.has(hint):
        return {"$ref": f"#/$defs/{name_of(hint)}"}
    raise TypeError(f"no schema for {hint!r}")


def name_of(cls: type) -> str:
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def object_schema(cls: type) -> dict:
    properties, required = {}, []
    known = typing.get_type_hints(cls)
    for field in attr.fields(cls):
        properties[field.name] = schema_of(known[field.name])
        if field.name in FORMATS:
            properties[field.name]["format"] = FORMATS[field.name]
        if field.default is attr.NOTHING:
            required.append(field.name)
    for owner, names in FILLED_IN.items():
        if issubclass(cls, owner):
            required += names
    return {"type": "object", "properties": properties, "required": required}


def whole_schema(facets: dict[str, type]) -> dict:
    definitions: dict[str, dict] = {}
    pending = [base.RunEvent, *facets.values()]
    while pending:
        cls = pending.pop()
        if name_of(cls) in definitions:
            continue
        definitions[name_of(cls)] = object_schema(cls)
        for hint in typing.get_type_hints(cls).values():
            pending += [item for item in parts(hint) if attr.has(item)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{name_of(base.RunEvent)}",
        "$defs": definitions,
    }


def parts(hint: object) -> list[type]:
    inner = [part for item in typing.get_args(hint) for part in parts(item)]
    return [*inner, hint] if isinstance(hint, type) else inner


def facets_in(node: object, place: str = "") -> list[tuple[str, dict]]:
    """Every object that names a schema of its own, with where it stands."""
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(value, dict) and "_schemaURL" in value:
            found.append((f"{place}/{key}", value))
        found += facets_in(value, f"{place}/{key}")
    return found


def make(cls: type, content: dict) -> object:
    """The client's own object: its validators run, and a name that it does not know is a TypeError."""
    known = typing.get_type_hints(cls)
    given = {}
    for name, value in content.items():
        if name in ("schemaURL", "_schemaURL"):
            continue
        hint = known.get(name)
        options = [item for item in parts(hint) if attr.has(item) and not issubclass(item, base.BaseFacet)]
        if options and isinstance(value, dict):
            value = make(options[0], value)
        elif options and isinstance(value, list):
            value = [make(options[0], item) for item in value]
        given[name.lstrip("_")] = value
    return cls(**given)


def main() -> None:
    facets = facet_classes()
    schema = whole_schema(facets)
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    checker = validator.FORMAT_CHECKER
    assert {"date-time", "uuid", "uri"} <= set(checker.checkers)
    by_facet = {
        url: validator({**schema, "$ref": f"#/$defs/{name_of(cls)}"}, format_checker=checker)
        for url, cls in facets.items()
    }
    whole = validator(schema, format_checker=checker)
    wrong = []
    with open(sys.argv[1], encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            event = json.loads(line)
            wrong += [f"{number}: {error.json_path}: {error.message}" for error in whole.iter_errors(event)]
            for place, facet in facets_in(event):
                url = facet["_schemaURL"]
                if url not in facets:
                    if "openlineage.io" in str(url):
                        wrong.append(f"{number}: {place}: no such schema: {url}")
                    continue
                errors = [f"{number}: {place}: {error.message}" for error in by_facet[url].iter_errors(facet)]
                wrong += errors or made_wrong(facets[url], facet, f"{number}: {place}")
            wrong += made_wrong(base.RunEvent, event, f"{number}")
    print(json.dumps(wrong))


def made_wrong(cls: type, content: dict, place: str) -> list[str]:
    try:
        make(cls, content)
    except (TypeError, ValueError) as error:
        return [f"{place}: {error}"]
    return []


if __name__ == "__main__":
    main()
