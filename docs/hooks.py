"""Adds files from outside `docs/` to the site: pictures, tables, the changelog.

They keep their paths, so that a picture in the README also resolves on the home page.
"""

from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PATTERNS = (
    "CHANGELOG.md",
    "examples/*.png",
    "examples/compare_encoders.md",
    "examples/learned_encoders.md",
    "examples/signals.md",
)


def on_files(files, config):
    """Adds the files to the site, without copying them into `docs/`."""
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            uri = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files
