"""
Compiles the backend `native`; all else about the package is in setup.cfg.

Without a C++ compiler that understands these options (GCC or Clang), the package is installed
without it, and the backend `cpu` computes instead.
"""

from pathlib import Path

from setuptools import Extension, setup

SOURCE = Path("elmo_components/kernels/native/source")
# ISO C++ does not fuse a product and a sum unless told so.
COMPILE = ["-std=c++17", "-O3", "-g0", "-ffp-contract=fast", "-fvisibility=hidden", "-pthread"]

if __name__ == "__main__":
    library = Extension(
        "elmo_components.kernels.native._library",
        sources=[path.as_posix() for path in sorted(SOURCE.glob("*.cpp"))],
        depends=[path.as_posix() for path in sorted(SOURCE.glob("*.h*"))] + ["setup.py"],
        language="c++",
        extra_compile_args=COMPILE,
        extra_link_args=["-pthread"],
        # it has no Python in it, so that one binary serves every version
        py_limited_api=True,
        optional=True,
    )
    setup(ext_modules=[library], options={"bdist_wheel": {"py_limited_api": "cp39"}})
