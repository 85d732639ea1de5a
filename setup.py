"""
Copies the training configurations, their example data and the pins into the package at its build,
and compiles the backend `native`.

Without a C++ compiler that understands these options (GCC or Clang), the package is installed
without that backend, and the backend `cpu` computes instead.

Everything else about the build is in setup.cfg and pyproject.toml.
"""

from collections.abc import Iterator
from pathlib import Path
from sysconfig import get_config_var

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

# In a clone they stay at the top; `elmo_components.commands.examples` finds them at either place.
EXAMPLES = "elmo_components/examples"
COPIED = ("requirements.txt", "training_configs", "fixtures/data")
# what makes the data
NOT_COPIED = (".py", ".pyc")

NATIVE = Path("elmo_components/kernels/native/source")
# ISO C++ does not fuse a product and a sum unless told so.
COMPILE = ["-std=c++17", "-O3", "-g0", "-ffp-contract=fast", "-fvisibility=hidden", "-pthread"]

# The library has no Python in it, so that one binary serves every version; but setuptools refuses
# that where Python has no global lock.
LIMITED = not get_config_var("Py_GIL_DISABLED")


class BuildWithExamples(build_py):
    """The command `build_py`, which also copies the examples unless the install is editable."""

    def run(self) -> None:
        """Builds."""
        super().run()
        if not self.editable_mode:
            for source, target in self._examples():
                target.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Returns the files that are built."""
        copies = [] if self.editable_mode else [str(target) for _, target in self._examples()]
        return [*super().get_outputs(include_bytecode), *copies]

    def _examples(self) -> Iterator[tuple[Path, Path]]:
        for name in COPIED:
            for source in [Path(name), *sorted(Path(name).rglob("*"))]:
                hidden = any(part.startswith(".") for part in source.parts)
                if source.is_file() and source.suffix not in NOT_COPIED and not hidden:
                    yield source, Path(self.build_lib, EXAMPLES, source)


library = Extension(
    "elmo_components.kernels.native._library",
    sources=[path.as_posix() for path in sorted(NATIVE.glob("*.cpp"))],
    depends=[path.as_posix() for path in sorted(NATIVE.glob("*.h*"))] + ["setup.py"],
    language="c++",
    extra_compile_args=COMPILE,
    extra_link_args=["-pthread"],
    py_limited_api=LIMITED,
    optional=True,
)
setup(
    cmdclass={"build_py": BuildWithExamples},
    ext_modules=[library],
    options={"bdist_wheel": {"py_limited_api": "cp39"} if LIMITED else {}},
)
