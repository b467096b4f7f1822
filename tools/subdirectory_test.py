"""What a project inherits that uses Holdfast by add_subdirectory() and links `holdfast::holdfast`.

    subdirectory_test.py ROOT CMAKE CXX

Only configures: that linking it is enough is shown by the example `minimal`, which does it.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT, CMAKE, CXX = sys.argv[1:4]

PROJECT = f"""\
cmake_minimum_required(VERSION 3.25)
project(application CXX)
add_subdirectory({ROOT} holdfast)
add_executable(application application.cpp)
target_link_libraries(application PRIVATE holdfast::holdfast)
"""


class Subdirectory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        (folder / "CMakeLists.txt").write_text(PROJECT, encoding="utf-8")
        (folder / "application.cpp").write_text("#include <holdfast/device.h>\nint main() {}\n",
                                                encoding="utf-8")
        subprocess.run([CMAKE, "-G", "Ninja", "-S", folder, "-B", folder / "build",
                        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DCMAKE_CXX_COMPILER={CXX}"],
                       check=True, stdout=subprocess.DEVNULL)
        with open(folder / "build/compile_commands.json", encoding="utf-8") as file:
            cls.commands = {pathlib.Path(c["file"]): c["command"] for c in json.load(file)}
        cls.application = cls.commands[folder / "application.cpp"]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_public_headers_are_found(self):
        self.assertIn(f"{ROOT}/include", self.application)
        self.assertIn("-std=gnu++20", self.application.replace("-std=c++20", "-std=gnu++20"))

    def test_private_headers_warnings_and_definitions_stay_ours(self):
        for word in (f"{ROOT}/src", "-W", "-fsanitize", "-DBOOST", "-DTOML"):
            self.assertNotIn(word, self.application)

    def test_programs_and_tests_are_not_built(self):
        ours = {path.relative_to(ROOT).parts[0] for path in self.commands
                if path.is_relative_to(ROOT)}
        self.assertEqual(ours, {"src"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
