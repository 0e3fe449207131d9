"""A griffe extension: the signatures of this package's classes, from their fields."""

import griffe

DATACLASS = griffe.ExprName("dataclasses.dataclass")


class Signatures(griffe.Extension):
    """Makes griffe treat Equinox modules and named tuples as dataclasses."""

    def on_module_instance(self, *, mod, **kwargs):
        """Keeps strings in annotations: they are shapes, which griffe would read as types."""
        mod["annotations"] = griffe.Alias("annotations", "__future__.annotations")

    def on_class_instance(self, *, cls, **kwargs):
        """Marks every final class with a base, which is constructed from its fields."""
        if cls.bases and not cls.name.startswith("Abstract"):
            cls.decorators.append(griffe.Decorator(DATACLASS, lineno=None, endlineno=None))

    def on_attribute_instance(self, *, attr, **kwargs):
        """Replaces an `eqx.field` by its default."""
        call = attr.value
        if isinstance(call, griffe.ExprCall) and call.canonical_path == "equinox.field":
            named = [a for a in call.arguments if isinstance(a, griffe.ExprKeyword)]
            attr.value = next((a.value for a in named if a.name == "default"), None)
