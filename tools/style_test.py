#!/usr/bin/env python3
"""The style test: the include table, the size limits and the bans of ARCHITECTURE.md, as a test.

    style_test.py [ROOT]         checks the tree; prints "file:line: rule: what to do"; exit 1 if any
    style_test.py --self-test    plants one violation per rule and requires the rule to find it

Works on the files that git tracks or would track. Python 3 standard library only.
"""
import os
import re
import subprocess
import sys
import tempfile

# ---- the table ---------------------------------------------------------------------------------

SIX = ("outbox", "link", "flow", "update", "identity", "health")
CORE = ("base",) + SIX + ("device",)  # no clock, random, sleep, thread, environment, OS
LAB_CORE = ("lab/mqtt", "lab/fault", "lab/iot")  # as the core: what the lab decides, sans-I/O
SRC = ("base", "env") + SIX + ("device", "posix", "transport", "engines", "host", "runtime")

# Which rooms a room may include besides itself. "public" is include/holdfast/.
MAY_INCLUDE = {
    "public": (),
    "base": (),
    "env": ("base",),
    **{room: ("base", "env") for room in SIX},
    "device": ("base", "env") + SIX,
    "posix": ("base", "env"),
    "transport": ("base", "env", "posix"),
    "engines": ("base", "env", "posix", "transport"),
    "host": ("base", "env", "posix"),
    "runtime": SRC[:-1],
    "capi": ("runtime",),
    "agent": ("runtime",),
    "cli": ("base", "runtime"),
    "fleet": ("base", "env", "posix", "host", "runtime"),
    "updater": ("base", "env", "identity", "update", "posix", "transport", "runtime"),
    "sim": ("base", "env") + SIX + ("device",),
    "lab": ("base", "env", "outbox", "posix", "lab/mqtt", "lab/fault", "lab/iot", "lab/net"),
    "lab/mqtt": ("base", "flow"),
    "lab/fault": ("base", "env", "lab/mqtt"),
    "lab/iot": ("base", "env", "flow", "lab/mqtt"),
    "lab/net": ("base", "env", "posix", "lab/mqtt", "lab/fault", "lab/iot"),
    "bench": SRC + ("sim", "lab"),
    "fuzz": SRC + ("sim", "updater") + LAB_CORE,
    "examples": (),
    "tools": ("base", "link", "health"),
}
ENGINE_LIST = "src/engines/engine_list.cpp"  # the only file that knows all engines
# Tests may besides use the simulated world, which is made for them, and the real one.
TESTS_MAY_INCLUDE = ("base", "env", "sim", "posix")

# Names of tests and of the code that only tests use.
TEST_ENDINGS = ("_test", "_test_support", "_harness", "_fixture")
TEST_BEGINNINGS = ("test_", "fake_", "scripted_", "real_")

PUBLIC_EVERYWHERE = ("result.h", "types.h", "config.h", "log.h")  # the vocabulary
PUBLIC_DEVICE = ("public", "device", "runtime", "capi", "agent", "cli", "fleet", "examples", "lab", "bench",
                 "sim", "fuzz")

# Headers that are not ours: pattern, where they may be, where else tests may have them.
OS_ROOMS = ("posix", "transport", "engines", "runtime", "host", "agent", "cli", "fleet", "updater", "lab",
            "lab/net", "bench", "examples")
ANYWHERE = tuple(MAY_INCLUDE)
LIBRARIES = (
    ("Boost", r"boost/", ("posix", "transport", "engines", "host", "runtime", "lab/net"), True),
    ("OpenSSL", r"openssl/", ("transport", "lab/net"), True),
    ("mosquitto", r"mosquitto\w*\.h$|mqtt_protocol\.h$", ("engines/mosquitto", "lab", "bench"),
     True),
    ("AWS's CRT", r"aws/", ("engines/aws_crt",), True),
    ("JSON", r"nlohmann/", ("runtime", "agent", "cli", "fleet", "updater", "lab", "lab/fault", "lab/iot",
                            "lab/net", "examples", "fuzz"), True),
    ("TOML", r"toml\+\+/", ("runtime", "agent", "cli", "fleet", "updater", "lab", "lab/fault"), True),
    ("what the updater downloads and unpacks with", r"curl/|archive(_entry)?\.h$", ("updater",), True),
    ("FUSE", r"fuse3/", ("lab",), False),
    ("CLI11", r"CLI/", ("agent", "cli", "fleet", "updater", "lab", "bench", "examples"), False),
    ("C's own", r"std(bool|def|int)\.h$", ("public",), True),
    ("GoogleTest", r"g(test|mock)/", (), True),
    ("Google Benchmark", r"benchmark/", ("bench",), False),
    ("RapidCheck", r"rapidcheck", (), True),
    ("the sanitizers", r"sanitizer/", ("fuzz",), False),
    ("rivals", r"sqlite3\.h$|MQTTClient\.h$|leveldb/", ("bench",), False),
    ("host libraries", r"(systemd|sdbus-c\+\+|spdlog|prometheus)/|(upsclient|gpiod)\.h",
     ("host",), True),
    ("the operating system",
     r"(sys|netinet|net|arpa|linux|netpacket|asm)/|(unistd|poll|fcntl|netdb|signal|pthread|dirent|"
     r"pwd|grp|termios|spawn|sched|syslog|dlfcn|errno|time|ifaddrs|resolv|getopt|ftw|malloc|"
     r"utime|utmpx|glob|execinfo|pty|link|limits|langinfo|locale)\.h$", OS_ROOMS, True),
)
STD = set("""algorithm any array atomic barrier bit bitset cassert ccomplex cctype cerrno cfenv cfloat
charconv chrono cinttypes ciso646 climits clocale cmath codecvt compare complex concepts
condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime
cuchar cwchar cwctype deque exception execution filesystem format forward_list fstream functional
future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map
memory memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex
scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept stop_token
streambuf string string_view strstream system_error thread tuple type_traits typeindex typeinfo
unordered_map unordered_set utility valarray variant vector version""".split())
CORE_BANNED_HEADERS = {"thread", "mutex", "random", "condition_variable", "future", "shared_mutex",
                       "semaphore", "latch", "barrier", "stop_token", "fstream", "iostream",
                       "ctime", "csignal"}
CORE_BANNED = (
    (r"_clock\s*::\s*now\b", "take the time as an argument"),
    (r"(?<![\w.>])(?:clock_gettime|gettimeofday|localtime\w*|gmtime\w*)\s*\(",
     "take the time as an argument"),
    (r"(?<![\w.>])time\s*\(", "take the time as an argument"),
    (r"(?<![\w.>])s?rand\s*\(|\brandom_device\b|\bmt19937\w*|\bdefault_random_engine\b",
     "take an env::Random"),
    (r"(?<![\w.>])(?:u|nano)?sleep\s*\(|\bsleep_(?:for|until)\b", "return a wake-up time instead"),
    (r"\bstd\s*::\s*(?:j?thread|\w*mutex|async|condition_variable\w*|future|promise)\b",
     "threads belong to src/runtime"),
    (r"\b(?:secure_)?getenv\s*\(", "take it from the Config"),
)

# ---- limits --------------------------------------------------------------------------------------

ROOTS = ("include", "src", "agent", "cli", "fleet", "updater", "sim", "lab", "bench", "fuzz", "examples")
MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 100
MAX_DEPTH = 3  # folders above a file
MIN_PUBLIC_COMMENTS = 0.35
# Written in pieces, so that this file does not contain them.
MACHINE_PATHS = re.compile("/wo" "rk/|/ho" "me/|/tmp/" "hf|\\.\\./sha" "red|(?<![\\w)])\\.lib" "rary\\b")

# A conflict always has both; "=======" alone may underline a heading.
CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .*)?$", re.M)

TOKEN = re.compile(r'R"([^\s()\\]{0,16})\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'
                   r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.M)
ASSERTION = re.compile(r"\b(?:(?:EXPECT|ASSERT|RC_ASSERT)\w*|FAIL|ADD_FAILURE\w*|"
                       r"(?:expect|check|require|verify)_\w+)\s*[(<]|\brc::check\b")
VACUOUS = re.compile(r"\b(?:EXPECT|ASSERT)_(?:TRUE\s*\(\s*true|FALSE\s*\(\s*false)\s*\)")
TEST_HEAD = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P|RC_GTEST_PROP)\s*\(")
TODO = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")


def blanked(text):
    """The same text with comments and literals replaced by blanks, line by line."""
    def blank(match):
        token = match.group(0)
        quotes = '""' if token[0] in '"R' else ""
        return quotes + re.sub(r"[^\n]", " ", token[len(quotes):])
    return TOKEN.sub(blank, text)


class Source:
    """One C++ file, read once and looked at by every rule."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        if self.lines and not self.lines[-1]:
            self.lines.pop()
        self.code = blanked(self.text)
        self.room = room_of(path)
        stem = os.path.splitext(os.path.basename(path))[0]
        self.is_test = stem.endswith(TEST_ENDINGS) or stem.startswith(TEST_BEGINNINGS)
        self.includes = [(self.text.count("\n", 0, m.start()) + 1, m.group(1), m.group(2))
                         for m in INCLUDE.finditer(self.text)]

    def line_at(self, offset):
        return self.text.count("\n", 0, offset) + 1


def room_of(path):
    parts = path.split("/")
    if parts[0] == "include":
        return "public"
    if parts[0] == "lab" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[1] if parts[0] == "src" and len(parts) > 2 else parts[0]


def functions(code):
    """Yields (head, first offset, body offset, end offset) of each outermost function body.

    A brace opens a namespace, a type, an initializer or a function; which of them is seen from the
    text since the last ';' or brace. Lambdas count for the function around them.
    """
    code = DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), code)
    stack = []  # "open" (namespace or type), "init" (a list) or "member" (a_{…})
    parens, start, inside = 0, 0, None
    for match in re.finditer(r"[;{}()]", code):
        char, at = match.group(0), match.start()
        if inside is not None:  # only the depth matters
            if char == "{":
                inside[1] += 1
            elif char == "}":
                inside[1] -= 1
                if inside[1] == 0:
                    head_at, body_at = inside[0], inside[2]
                    yield code[head_at:body_at], head_at, body_at, at
                    inside, start = None, at + 1
        elif char in "()":
            parens += 1 if char == "(" else -1
        elif parens > 0:
            continue  # a default argument, an initializer within a call
        elif char == ";":
            start = at + 1
        elif char == "}":
            if not stack or stack.pop() != "member":
                start = at + 1
        else:
            head = code[start:at].strip()
            if stack and stack[-1] in ("init", "member"):
                stack.append(stack[-1])  # a list within a list
            elif re.search(r"\b(?:namespace|extern)\b", head) or (
                    re.search(r"\b(?:class|struct|union|enum)\b", head) and
                    not re.search(r"\)\s*(?:const|noexcept|override|final|->.*)*\s*$", head)):
                stack.append("open")
                start = at + 1
            elif re.search(r"(?:[=,]|\breturn)$", head) or (
                    head and "(" not in head and "operator" not in head):
                stack.append("init")
                start = at + 1
            elif re.search(r"[:,]\s*[\w:<>]+$", head) and ")" in head:
                stack.append("member")  # a_{…} of a constructor: its head goes on behind
            else:
                first = start + len(code[start:at]) - len(code[start:at].lstrip())
                inside = [first, 1, at]


class Checker:
    def __init__(self, root):
        self.root = root
        self.found = []
        self.files = list_files(root)
        self.sources = [Source(root, path) for path in self.files
                        if path.split("/")[0] in ROOTS and path.endswith((".h", ".cpp"))]
        self.known = {source.path for source in self.sources}

    def report(self, path, line, rule, what):
        self.found.append((path, line, rule, what))

    def run(self):
        for source in self.sources:
            self.check_shape(source)
            self.check_functions(source)
            self.check_includes(source)
            self.check_bans(source)
            if source.room == "public":
                self.check_public(source)
        self.check_circles()
        self.check_built()
        self.check_words()
        return sorted(set(self.found))

    # -- one file --

    def check_shape(self, source):
        path, lines = source.path, source.lines
        if len(lines) > MAX_FILE_LINES:
            self.report(path, len(lines), "file-length",
                        f"{len(lines)} lines; split it, {MAX_FILE_LINES} is the limit")
        if path.count("/") > MAX_DEPTH:
            self.report(path, 1, "depth", f"move it up; {MAX_DEPTH} folders deep is the limit")
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS:
                self.report(path, number, "line-length",
                            f"{len(line)} columns; wrap it, {MAX_COLUMNS} is the limit")
            if "\t" in line or line != line.rstrip():
                self.report(path, number, "blanks", "remove tabs and trailing blanks")
        # A .cpp that opens with its own header has its purpose there; that header is checked.
        own = '#include "%s.h"' % re.sub(r"^src/|\.cpp$", "", path)
        if not source.text.lstrip().startswith(("//", "/*", own)) or (
                source.is_test and path.endswith("_test.cpp") and source.text.startswith(own)):
            self.report(path, 1, "purpose", "begin the file with a comment that says what it is for")
        if path.endswith(".h"):
            first = next((line for line in source.code.split("\n") if line.strip()), "")
            if first.strip() != "#pragma once":
                self.report(path, 1, "pragma-once", "put #pragma once after the leading comment")

    def check_functions(self, source):
        for head, first, body, end in functions(source.code):
            begin, last = source.line_at(first), source.line_at(end)
            if last - begin + 1 > MAX_FUNCTION_LINES:
                self.report(source.path, begin, "function-length",
                            f"{last - begin + 1} lines; split it, {MAX_FUNCTION_LINES} is the limit")
            if source.is_test and TEST_HEAD.match(head):
                text = VACUOUS.sub("", source.code[body:end])
                if not ASSERTION.search(text):
                    self.report(source.path, begin, "empty-test",
                                "assert something, or call a helper named expect_… or check_…")

    def check_includes(self, source):
        for line, own, system in source.includes:
            if own is None and not system.startswith("holdfast/"):
                self.check_system_header(source, line, system)
                continue
            target = self.resolve(source, own or system)
            if target is None:
                self.report(source.path, line, "include",
                            f'"{own or system}" is in none of src/, include/ and this folder')
            else:
                self.check_arrow(source, line, target)

    def check_arrow(self, source, line, target):
        room, other = source.room, room_of(target)
        name = os.path.basename(target)
        if other == "public":
            if name in PUBLIC_EVERYWHERE or room in PUBLIC_DEVICE or room == "public":
                return
            self.report(source.path, line, "include",
                        f"{room} may include only {', '.join(PUBLIC_EVERYWHERE)} of holdfast/")
        elif room == "engines" and other == "engines":
            mine, theirs = source.path.split("/")[:3], target.split("/")[:3]
            if mine[2] != theirs[2] and "." not in theirs[2] and not source.is_test and \
                    source.path != ENGINE_LIST:
                self.report(source.path, line, "include", "one engine must not include another")
        elif other != room and other not in MAY_INCLUDE.get(room, ()):
            if not (source.is_test and other in TESTS_MAY_INCLUDE):
                self.report(source.path, line, "include",
                            f"{room} must not include {other}; pass it in through an interface "
                            "of env, or move the code")

    def check_system_header(self, source, line, header):
        if header in STD:
            if header in CORE_BANNED_HEADERS and source.room in CORE + LAB_CORE and not source.is_test:
                self.report(source.path, line, "ban", f"<{header}> has no place in the core")
            return
        for name, pattern, rooms, in_tests in LIBRARIES:
            if re.match(pattern, header):
                if source.room in rooms or any(source.path.startswith(f"src/{room}/")
                                               for room in rooms) or (in_tests and source.is_test):
                    return
                self.report(source.path, line, "system-header",
                            f"<{header}>: {name} may be used in {', '.join(rooms) or 'tests'} only")
                return
        self.report(source.path, line, "system-header",
                    f"<{header}> is unknown; if it is wanted, add it to LIBRARIES in this script")

    def check_bans(self, source):
        if source.room not in CORE + LAB_CORE or source.is_test:
            return
        for pattern, remedy in CORE_BANNED:
            for match in re.finditer(pattern, source.code):
                self.report(source.path, source.line_at(match.start()), "ban",
                            f"'{match.group(0).strip()}' in the core: {remedy}")

    def check_public(self, source):
        lines = [line for line in source.lines if line.strip()]
        commented = sum(1 for line in lines if "//" in line)
        if commented < MIN_PUBLIC_COMMENTS * len(lines):
            self.report(source.path, 1, "public-comments",
                        f"{100 * commented // len(lines)} % of its lines are documentation; "
                        f"{100 * MIN_PUBLIC_COMMENTS:.0f} % is the least")

    # -- the whole tree --

    def resolve(self, source, name):
        places = ("src", "include", "", os.path.dirname(source.path))
        for place in places:
            path = os.path.normpath(os.path.join(place, name))
            if path in self.known:
                return path
        return None

    def check_circles(self):
        graph = {source.path: [(line, self.resolve(source, own or system))
                               for line, own, system in source.includes]
                 for source in self.sources}
        done, path = set(), []

        def visit(node):
            if node in done:
                return
            path.append(node)
            for line, target in graph[node]:
                if target in path:
                    self.report(node, line, "circle", "includes itself through " +
                                " -> ".join(path[path.index(target):] + [target]))
                elif target is not None:
                    visit(target)
            path.pop()
            done.add(node)
        for node in graph:
            visit(node)

    def check_built(self):
        """A .cpp that no CMakeLists.txt names is never compiled, and its tests never run."""
        lists = {}
        for path in self.files:
            if os.path.basename(path) == "CMakeLists.txt" or path.endswith(".cmake"):
                with open(os.path.join(self.root, path), encoding="utf-8") as file:
                    folder = os.path.dirname(path)
                    lists[folder] = lists.get(folder, "") + file.read()
        for source in self.sources:
            if source.path.endswith(".cpp") and source.room != "fuzz" and \
                    not any(self.names(text, folder, source.path) for folder, text in lists.items()):
                self.report(source.path, 1, "not-built", "name it in its CMakeLists.txt")

    @staticmethod
    def names(text, folder, path):
        """Whether a CMakeLists.txt in `folder` names the file, whole or as ${var}.cpp in a loop."""
        name = os.path.relpath(path, folder or ".")
        if re.search(r"(?<![\w/.])" + re.escape(name) + r"(?!\w)", text):
            return True
        stem = os.path.splitext(name)[0]
        return "/" not in stem and "}.cpp" in text and \
            re.search(r"\b" + re.escape(stem) + r"\b", text) is not None

    def check_words(self):
        for path in self.files:
            if path.split("/")[0] in (".git", "build") or path.endswith((".png", ".svg", ".gz")):
                continue
            try:
                with open(os.path.join(self.root, path), encoding="utf-8") as file:
                    text = file.read()
            except (UnicodeDecodeError, OSError):
                continue
            for match in MACHINE_PATHS.finditer(text):
                self.report(path, text.count("\n", 0, match.start()) + 1, "machine-path",
                            f"'{match.group(0)}' is a path of one machine; make it relative")
            for match in CONFLICT.finditer(text):
                self.report(path, text.count("\n", 0, match.start()) + 1, "conflict",
                            "a mark of a merge that was not finished; decide, and remove it")
            if not path.endswith((".h", ".cpp")):
                continue
            for match in TODO.finditer(text):
                rest = text[match.start():].split("\n", 1)[0]
                if not re.search(r"#\d+", rest):
                    self.report(path, text.count("\n", 0, match.start()) + 1, "todo",
                                "name the issue: TODO(#12): …")


def list_files(root):
    """What git tracks or would track; everything but build/ when this is no checkout."""
    try:
        out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True, check=True, text=True).stdout
        files = [path for path in out.split("\0") if path]
    except (OSError, subprocess.CalledProcessError):
        files = []
    if not files:
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = [name for name in subfolders if name not in ("build", ".git")]
            files += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted({path for path in files if os.path.isfile(os.path.join(root, path))})


def check_table():
    """The table itself: no room reaches itself through what it may include."""
    def reaches(room, goal, seen):
        return any(other == goal or (other not in seen and reaches(other, goal, seen | {other}))
                   for other in MAY_INCLUDE[room])
    return [room for room in MAY_INCLUDE if reaches(room, room, {room})]


# ---- self-test -------------------------------------------------------------------------------------

PURPOSE = "// Says what it is for.\n"
HEADER = PURPOSE + "#pragma once\n"
LONG = "\n".join(["  f();"] * 69)
DOC = "/// Words.\n" * 8

# path, text, and the rules that must fire, each once; an empty tuple means the file is clean.
PLANTED = (
    ("src/base/good.h", HEADER + "#include <string>\n#include \"holdfast/types.h\"\n", ()),
    ("include/holdfast/types.h", HEADER + DOC + "struct A {};\n", ()),
    ("include/holdfast/device.h", HEADER + DOC + "class Device;\n", ()),
    ("src/env/up.h", HEADER + '#include "base/good.h"\n', ()),
    ("src/base/up.h", HEADER + '#include "env/up.h"\n', ("include",)),
    ("src/link/side.h", HEADER + '#include "flow/side.h"\n', ("include",)),
    ("src/flow/side.h", HEADER + '#include "holdfast/device.h"\n', ("include",)),
    ("src/flow/lost.h", HEADER + '#include "flow/none.h"\n', ("include",)),
    ("src/engines/a/a.h", HEADER + '#include "engines/b/b.h"\n', ("include",)),
    ("src/engines/b/b.h", HEADER + '#include <boost/asio.hpp>\n', ()),
    ("agent/a.h", HEADER + '#include "transport/t.h"\n', ("include",)),
    ("src/transport/t.h", HEADER + '#include <openssl/ssl.h>\n#include <sys/socket.h>\n', ()),
    ("src/device/os.h", HEADER + "#include <unistd.h>\n", ("system-header",)),
    ("src/runtime/ssl.h", HEADER + "#include <openssl/ssl.h>\n", ("system-header",)),
    ("cli/odd.h", HEADER + "#include <oddlib/odd.h>\n", ("system-header",)),
    ("src/flow/asio.h", HEADER + "#include <boost/asio.hpp>\n", ("system-header",)),
    ("src/outbox/clock.h", HEADER + "inline auto f() { return std::chrono::steady_clock::now(); }\n",
     ("ban",)),
    ("src/link/time.h", HEADER + "inline auto f() { return std::time(nullptr); }\n", ("ban",)),
    ("src/link/fine.h", HEADER + "inline auto f(C& c) { return c.time() + up_time(); }  // time(\n",
     ()),
    ("src/link/rand.h", HEADER + "inline int f() { return rand(); }\n", ("ban",)),
    ("src/flow/nap.h", HEADER + "inline void f() { std::this_thread::sleep_for(d); }\n", ("ban",)),
    ("src/flow/thread.h", HEADER + "#include <thread>\n", ("ban",)),
    ("src/health/env.h", HEADER + "inline auto f() { return std::getenv(name); }\n", ("ban",)),
    ("src/update/lock.h", HEADER + "inline std::mutex m;\n", ("ban",)),
    ("src/base/wide.h", HEADER + "// " + "x" * 98 + "\n", ("line-length",)),
    ("src/base/tab.h", HEADER + "\tint x;\n", ("blanks",)),
    ("src/base/trail.h", HEADER + "int x; \n", ("blanks",)),
    ("src/base/mute.h", "#pragma once\n", ("purpose",)),
    ("src/base/good.cpp", '#include "base/good.h"\n', ()),
    ("src/base/mute.cpp", '#include "base/good.h"\n', ("purpose",)),
    ("src/base/guard.h", PURPOSE + "#ifndef X\n#define X\n#endif\n", ("pragma-once",)),
    ("src/base/long.h", HEADER + "// x\n" * 799, ("file-length",)),
    ("src/base/a/b/deep.h", HEADER, ("depth",)),
    ("src/base/fn.h", HEADER + "namespace a {\nclass B {\n  B() : x_{1}, y_(2) {\n" + LONG +
     "\n  }\n};\n}\n", ("function-length",)),
    ("src/base/fn70.h", HEADER + "inline void g(int a = {}) {\n" + LONG[:-7] + "\n}\n", ()),
    ("src/base/table.h", HEADER + "constexpr int kTable[] = {\n" + "    {1},\n" * 90 + "};\n" +
     "constexpr A kOther{{\n" + "    B{1, {}},\n" * 90 + "}};\n", ()),
    ("src/base/strings.h", HEADER + 'inline auto s = R"(' + "{\n" * 90 + ')"; char c = \'{\';\n',
     ()),
    ("src/base/about.h", HEADER + '#include "base/round.h"\n', ()),
    ("src/base/round.h", HEADER + '#include "base/about.h"\n', ("circle",)),
    ("src/base/todo.h", HEADER + "// TO" "DO: later\n", ("todo",)),
    ("src/base/todo_ok.h", HEADER + "// TO" "DO(#12): later\n", ()),
    ("src/base/path.h", HEADER + "// see /ho" "me/me/x\n", ("machine-path",)),
    ("docs/path.md", "see ../sha" "red/x\n", ("machine-path",)),
    ("docs/merge.md", "a\n<<<<" "<<< HEAD\nb\n=======\nc\n", ("conflict",)),
    ("docs/merged.md", "a\n=======\nb\n>>>>" ">>> 03f0159 (words)\n", ("conflict",)),
    ("docs/heading.md", "Heading\n=======\n>>>>>>>> quoted deeply\n", ()),
    ("src/base/void_test.cpp", PURPOSE + "TEST(A, B) {\n  run();\n}\n", ("empty-test",)),
    ("src/base/vain_test.cpp", PURPOSE + "TEST(A, B) {\n  EXPECT_TRUE(true);\n}\n",
     ("empty-test",)),
    ("src/base/full_test.cpp", PURPOSE + "#include <thread>\n#include <gtest/gtest.h>\n"
     "TEST(A, B) {\n  EXPECT_EQ(1'000, n);\n}\nTEST(A, C) { expect_same(a, b); }\n", ()),
    ("src/base/orphan.cpp", PURPOSE, ("not-built",)),
    ("include/holdfast/result.h", HEADER + "int a;\nint b;\nint c;\nint d;\n", ("public-comments",)),
    ("src/base/CMakeLists.txt", "add(good.cpp mute.cpp void_test.cpp vain_test.cpp full_test.cpp)\n", ()),
)


def self_test():
    failures, rules = [], set()
    with tempfile.TemporaryDirectory() as root:
        for path, text, _ in PLANTED:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        found = {}
        for path, _, rule, _ in Checker(root).run():
            found.setdefault(path, []).append(rule)
    for path, _, wanted in PLANTED:
        rules.update(wanted)
        if sorted(found.get(path, [])) != sorted(wanted):
            failures.append(f"{path}: planted {wanted}, found {found.get(path, [])}")
    MAY_INCLUDE["base"] = ("runtime",)
    if "base" not in check_table():
        failures.append("a circle in the table was not seen")
    for failure in failures:
        print("self-test:", failure)
    print(f"self-test: {len(PLANTED)} planted files, {len(rules)} rules, {len(failures)} failures")
    return 1 if failures else 0


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    circles = check_table()
    if circles:
        print("tools/style_test.py:1: table: a circle through", ", ".join(circles))
        return 1
    checker = Checker(root)
    found = checker.run()
    for path, line, rule, what in found:
        print(f"{path}:{line}: {rule}: {what}")
    print(f"style: {len(checker.sources)} C++ files of {len(checker.files)}, {len(found)} to mend")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
