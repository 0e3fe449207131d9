"""A griffe extension: the signatures of this package's classes, as their fields make them."""

import griffe

DATACLASS = griffe.ExprName("dataclasses.dataclass")


class Signatures(griffe.Extension):
    """Lets griffe take Equinox modules and named tuples for the dataclasses that they are."""

    def on_module_instance(self, *, mod, **kwargs):
        """Leaves strings in annotations as they are: shapes, which griffe takes for types."""
        mod["annotations"] = griffe.Alias("annotations", "__future__.annotations")

    def on_class_instance(self, *, cls, **kwargs):
        """Marks what is made from its fields, which is every class with a base, if final."""
        if cls.bases and not cls.name.startswith("Abstract"):
            cls.decorators.append(griffe.Decorator(DATACLASS, lineno=None, endlineno=None))

    def on_attribute_instance(self, *, attr, **kwargs):
        """Puts the default of an `eqx.field` in its place."""
        call = attr.value
        if isinstance(call, griffe.ExprCall) and call.canonical_path == "equinox.field":
            named = [a for a in call.arguments if isinstance(a, griffe.ExprKeyword)]
            attr.value = next((a.value for a in named if a.name == "default"), None)
