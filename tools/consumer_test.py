"""What a project gets that uses an installed Holdfast, by CMake and by pkg-config.

    consumer_test.py ROOT BUILD CMAKE CXX

Installs the component `devel` of BUILD under a prefix of its own, builds examples/minimal.cpp against
nothing else, and runs it as tools/run_example_test.sh does: with a real mosquitto.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, BUILD, CMAKE, CXX = sys.argv[1:5]
LIMIT = 120  # seconds for each command


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          timeout=LIMIT, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Consumer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-consumer-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = cls.folder / "prefix"
        run(CMAKE, "--install", BUILD, "--prefix", cls.prefix, "--component", "devel")

    def configure(self, source, build, *more):
        return run(CMAKE, "-G", "Ninja", "-S", source, "-B", self.folder / build,
                   f"-DCMAKE_CXX_COMPILER={CXX}", f"-DCMAKE_PREFIX_PATH={self.prefix}", *more)

    def works(self, program):
        self.assertIn("left in order", run("sh", f"{ROOT}/tools/run_example_test.sh", program))

    def test_one_imported_target_is_enough(self):
        self.configure(f"{ROOT}/examples/consumer", "cmake")
        run(CMAKE, "--build", self.folder / "cmake")
        self.works(self.folder / "cmake" / "minimal")

    def test_pkg_config_is_enough(self):
        pc = next(self.prefix.rglob("holdfast.pc"))
        flags = run("pkg-config", "--cflags", "--libs", "holdfast",
                    env={**os.environ, "PKG_CONFIG_PATH": str(pc.parent)}).split()
        run(CXX, "-std=c++20", f"{ROOT}/examples/minimal.cpp", *flags, "-o", self.folder / "by-pc")
        self.works(self.folder / "by-pc")

    def test_another_minor_version_is_refused(self):
        source = self.folder / "newer"
        source.mkdir()
        text = pathlib.Path(ROOT, "examples/consumer/CMakeLists.txt").read_text(encoding="utf-8")
        (source / "CMakeLists.txt").write_text(text.replace("holdfast 0.1 ", "holdfast 0.9 "),
                                               encoding="utf-8")
        with self.assertRaisesRegex(AssertionError, '(?s)compatible with requested.*version "0.9"'):
            self.configure(source, "newer-build")

    def test_nothing_of_the_source_tree_and_of_this_machine_is_left_in_it(self):
        texts = [file for end in ("cmake", "pc", "h") for file in self.prefix.rglob(f"*.{end}")]
        self.assertGreater(len(texts), 8)
        for file in texts:
            text = file.read_text(encoding="utf-8")
            self.assertNotRegex(text, re.escape(ROOT) + "|" + re.escape(BUILD), str(file))

    def test_the_archive_has_code_for_every_compiler(self):
        archive = next(self.prefix.rglob("libholdfastpp.a"))
        names = run("nm", "--demangle", "--defined-only", archive)
        self.assertIn(" T holdfast::Device::open(", names)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
