"""Makes one program of a policy and what it imports:

    python -m ergo_plugin.bundle policy.py policy.plugin

It takes all that is installed beside this package, but what installs: use a virtual environment. The program runs by the
interpreter that this runs by, and imports nothing but its own contents and the standard library. The same contents make
the same bytes.
"""

import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

# What can't be imported from an archive, shared objects, is unpacked into the process's own folder, which the host removes.
START = """\
import runpy
import sys
import tempfile
import zipfile

archive = sys.path.pop(0)
sys.path.insert(0, tempfile.mkdtemp())
with zipfile.ZipFile(archive) as contents:
    contents.extractall(sys.path[0])
runpy.run_path(sys.path[0] + "/__policy__.py", run_name="__main__")
"""
TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that an archive knows


def bundle(policy: Path, program: Path) -> None:
    """Writes the program."""
    interpreter = Path(sys.executable).resolve()
    with program.open("wb") as out:
        out.write(f"#!{interpreter} -IS\n".encode())  # isolated from the environment and what is installed
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            own = (("__main__.py", START.encode()), ("__policy__.py", policy.read_bytes()))
            for name, content in (*own, *_installed()):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    program.chmod(0o755)


def _installed() -> Iterator[tuple[str, bytes]]:
    paths = sysconfig.get_paths()
    for folder in sorted({Path(paths["purelib"]), Path(paths["platlib"])}):
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            if file.is_file() and file.suffix != ".pyc" and not name.parts[0].startswith(TOOLS):
                yield str(name), file.read_bytes()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bundle(Path(sys.argv[1]), Path(sys.argv[2]))
