"""A griffe extension: how the API pages write the signatures of this package.

Nothing is imported: all of it is read from the source. Equinox modules and named tuples get
the signature that their fields make; jaxtyping's shapes stay strings, which griffe takes for
types otherwise; and the package's private unions of types are written out.
"""

import ast
import copy
import functools as ft

import griffe

UNIONS = {
    "NestedNumbers": ast.parse("list | tuple", mode="eval").body,
    "Constant": ast.parse("float | tuple | Array", mode="eval").body,
}


class Signatures(griffe.Extension):
    """Signatures from fields, and annotations as the source has them."""

    def on_function_instance(self, *, node, func, **kwargs):
        """Writes the annotations of a function."""
        if not isinstance(node, ast.FunctionDef):
            return
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        annotations = {a.arg: a.annotation for a in arguments}
        for parameter in func.parameters:
            annotation = annotations.get(parameter.name)
            parameter.annotation = _written(annotation, func.parent, parameter.annotation)
        func.returns = _written(node.returns, func.parent, func.returns)

    def on_attribute_instance(self, *, node, attr, **kwargs):
        """Writes the annotation of a field."""
        if isinstance(node, ast.AnnAssign):
            attr.annotation = _written(node.annotation, attr.parent, attr.annotation)

    def on_package(self, *, pkg, **kwargs):
        """Gives every class that is made from its fields an `__init__` of them."""
        for cls in _classes(pkg):
            if "__init__" in cls.members or cls.name.startswith("Abstract"):
                continue
            if _derives_from(cls, "equinox.Module", "typing.NamedTuple"):
                cls.set_member("__init__", _init(cls, pkg))


def _written(node, parent, otherwise):
    if node is None or isinstance(node, ast.Constant):
        return otherwise  # a whole annotation in quotes is a forward reference
    node = _Unions().visit(copy.deepcopy(node))
    return griffe.get_expression(node, parent, parse_strings=False)


class _Unions(ast.NodeTransformer):
    def visit_BinOp(self, node):  # `a | b`, with what stands for b in place of its name
        parts = _alternatives(self.generic_visit(node))
        return ft.reduce(lambda a, b: ast.BinOp(a, ast.BitOr(), b), parts)

    def visit_Name(self, node):
        return copy.deepcopy(UNIONS.get(node.id.lstrip("_"), node))


def _alternatives(node):
    if isinstance(node, ast.BinOp):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _classes(parent):
    for member in list(parent.members.values()):
        if member.is_alias:
            continue
        if member.is_class:
            yield member
        if member.is_class or member.is_module:
            yield from _classes(member)


def _derives_from(cls, *names):
    return any(base.canonical_path in names for c in (cls, *cls.mro()) for base in c.bases)


def _init(cls, pkg):
    parameters = {"self": griffe.Parameter("self")}
    for parent in (*reversed(cls.mro()), cls):
        for name, member in parent.members.items():
            if member.is_attribute and _is_field(member):
                parameters[name] = griffe.Parameter(
                    name,
                    annotation=member.annotation,
                    kind=griffe.ParameterKind.positional_or_keyword,
                    default=_default(member.value, pkg),
                )
    parameters = griffe.Parameters(*parameters.values())
    return griffe.Function("__init__", parent=cls, parameters=parameters, returns="None")


def _is_field(attribute):
    if attribute.annotation is None or "property" in attribute.labels:
        return False
    return not str(attribute.annotation).startswith(("AbstractVar", "ClassVar"))


def _default(value, pkg):
    """What a field is without an argument; through `eqx.field`, and functions that call it."""
    if not isinstance(value, griffe.ExprCall):
        return value
    path = value.canonical_path
    if path == "equinox.field":
        named = [a for a in value.arguments if isinstance(a, griffe.ExprKeyword)]
        return next((a.value for a in named if a.name == "default"), None)
    if path.startswith(f"{pkg.name}.") and path.endswith("_field"):
        function = pkg[path.removeprefix(f"{pkg.name}.")]
        (body,) = ast.parse(function.source).body
        call = body.body[-1].value
        return _default(griffe.get_expression(call, function.module), pkg)
    return value
