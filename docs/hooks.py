"""Adds pages from outside `docs/`, writes equations as MathML, and checks what pages load.

The pages, pictures and tables from outside keep their paths, so that a picture in the README
also resolves on the home page.
"""

import html
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PATTERNS = (
    "CHANGELOG.md",
    "examples/*.png",
    "examples/compare_encoders.md",
    "examples/learned_encoders.md",
    "examples/signals.md",
)
# the output of `pymdownx.arithmatex` for `$$ ... $$` and `$...$`
EQUATION = re.compile(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.DOTALL)

sys.path.insert(0, str(Path(__file__).parent))
import offline  # noqa: E402


def on_files(files, config):
    """Adds the files to the site, without copying them into `docs/`."""
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            uri = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_content(content, page, config, files):
    """Writes the equations as MathML, which browsers show without a script or a font."""
    return EQUATION.sub(_mathml, content)


def _mathml(equation):
    tag, latex = equation[1], html.unescape(equation[2]).strip()
    mathml = convert(latex, display="block" if tag == "div" else "inline")
    if "\\" in mathml:
        raise PluginError(f"latex2mathml does not know a command of the equation {latex}")
    return f'<{tag} class="equation">{mathml}</{tag}>'


def on_post_page(output, page, config):
    """Refuses a page that loads a script, a style, a font or a picture from the network."""
    _refuse(page.file.src_uri, offline.loaded_by_page(output))


def on_post_build(config):
    """Refuses a style sheet that loads anything from the network."""
    for path in Path(config.site_dir).rglob("*.css"):
        _refuse(path.name, offline.loaded_by_styles(path.read_text(encoding="utf-8")))


def _refuse(name, addresses):
    if addresses:
        raise PluginError(f"{name} loads from the network: {', '.join(addresses)}")
