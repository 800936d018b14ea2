"""Holds the tree test itself against small trees: what it must find, and what it must leave alone."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import house_rules as house  # noqa: E402
from cpp_text import blocks_of  # noqa: E402
from tree_rules import Tree, check  # noqa: E402

TABLE = """
penstock_module(base LAYER 0)
penstock_module(mem LAYER 5 USES base)
penstock_module(http LAYER 20 USES base
  mem PRIVATE_LIBS PkgConfig::nghttp2)
penstock_module(llm LAYER 20 USES base mem)
penstock_module(rt LAYER 30 USES mem)
penstock_module(proxy LAYER 60 USES rt http)
"""
LONG = "".join(f"  a = {i};\n" for i in range(house.FUNCTION_LINES))
ELSEWHERE = "/ho" + "me/someone/penstock"

# (path, text, rules that must be found, in the order of their lines)
MUST_FIND = [
    ("src/http/a.cpp", '#include "penstock/llm/x.hpp"', ["layers"]),       # the same layer
    ("src/http/a.cpp", '#include "penstock/rt/x.hpp"', ["layers"]),        # a higher one
    ("include/penstock/http/a.hpp", '#include "penstock/proxy/x.hpp"', ["layers"]),
    ("src/proxy/a.cpp", '#include "http/scan.hpp"', ["layers"]),           # somebody else's private header
    ("src/proxy/a.cpp", '#include "penstock/llm/x.hpp"', ["layers"]),      # lower, but not among USES
    ("src/http/a.cpp", '#include "scan.hpp"', ["layers"]),
    ("src/newcomer/a.cpp", "int a;", ["layers"]),
    ("src/http/a.cpp", "#include <boost/asio/post.hpp>", ["walls"]),
    ("src/proxy/a.cpp", "#include <liburing.h>", ["walls"]),
    ("src/base/id.cpp", "#include <openssl/sha.h>", ["walls"]),
    ("src/llm/a.cpp", "#include <nghttp2/nghttp2.h>", ["walls"]),
    ("include/penstock/http/a.hpp", "#include <nghttp2/nghttp2.h>", ["walls"]),   # the right module, a public header
    ("src/http/a.cpp", "  #  include <simdjson.h>", ["walls"]),
    ("src/http/a.cpp", "#include <boost/json.hpp>", ["walls"]),
    ("src/base/a.cpp", "#include <boost/container/small_vector.hpp>", ["walls"]),
    ("src/base/a.cpp", "#include <absl/strings/str_cat.h>", ["walls"]),
    ("src/http/a.cpp", "#include <sys/socket.h>\n#include <thread>", ["purity", "purity"]),
    ("src/rt/a.cpp", "auto t = std::chrono::steady_clock::now();", ["clock"]),
    ("tests/unit/rt/a_test.cpp", "clock_gettime(CLOCK_REALTIME, &ts);", ["clock"]),
    ("src/rt/a.cpp", "auto t = time(nullptr);", ["clock"]),
    ("src/http/a.cpp", "auto t = ReadMonotonicClock();", ["clock"]),
    ("tests/sim/a_test.cpp", "std::this_thread::sleep_for(1ms);", ["sleep"]),
    ("tests/integration/a_test.cpp", "int x;\n  usleep(10);", ["sleep"]),
    ("src/rt/a.cpp", "  sleep(1);", ["sleep"]),
    ("src/proxy/a.cpp", "std::random_device device;", ["random"]),
    ("src/proxy/a.cpp", "std::thread worker([] {});", ["thread"]),
    ("src/proxy/a.cpp", "auto& c = Config::instance();", ["singleton"]),
    ("src/rt/a.cpp", "auto s = asio::make_strand(io);", ["strand"]),
    ("src/proxy/a.cpp", "std::shared_ptr<Foo> foo;", ["shared_ptr"]),
    ("src/proxy/a.cpp", "assert(x);", ["assert"]),
    ("src/proxy/a.cpp", "if (A() || co_await B()) co_return;", ["co_await"]),
    ("json.py", "import socket", ["root"]),
    ("src/proxy/a.cpp", "int Foo() {\n" + LONG + "}", ["size"]),
    ("src/proxy/a.cpp", "Foo::Foo(int a) noexcept : a_{a}, b_(1) {\n" + LONG + "}", ["size"]),
    ("src/proxy/a.hpp", "struct alignas(64) S {\n  void F() const {\n" + LONG + "  }\n};", ["size"]),
    ("tests/unit/rt/a_test.cpp", "namespace a {\nTEST(A, b) {\n" + LONG + "}\n}", ["size"]),
    ("src/proxy/a.cpp", "template <class T>\nauto F(T t) -> decltype(t) {\n" + LONG + "}", ["size"]),
    ("tests/a.py", "def f():\n" + "    a = 1\n" * house.FUNCTION_LINES, ["size"]),
    ("src/proxy/a.cpp", "int a;\n" * (house.FILE_LINES + 1), ["size"]),
    ("src/proxy/a.cpp", "class CacheManager {", ["names"]),
    ("src/proxy/a.cpp", "template <class T> struct BaseOf : Foo {", ["names"]),
    ("src/proxy/a.cpp", "enum class InfoKind : int {", ["names"]),
    ("src/proxy/a.cpp", "using RequestData = int;", ["names"]),
    ("src/proxy/string_utils.cpp", "int a;", ["names"]),
    ("include/penstock/rt/a.hpp", "/// Does things.\nclass Loop {\n  int a_;\n};", ["ownership"]),
    ("include/penstock/rt/a.hpp", "class Loop final : public Foo {\n  int a_;\n};", ["ownership"]),
    ("include/penstock/rt/a.hpp", "/// A face.\nclass Loop {\n  virtual void F() = 0;\n  int a_ = 1;\n};", ["ownership"]),
    ("docs/a.md", f"see\n{ELSEWHERE}", ["machine"]),
    ("config/a.yaml", f"path: {ELSEWHERE}", ["machine"]),
    ("docs/a.md", "[b](b.md)", ["links"]),
    ("README.md", "[x](docs/none.md#part)", ["links"]),
    ("docs/a.md", "`src/proxy/none.cpp`", ["links"]),
    ("docs/a.md", "`CMakeLists.txt` and `tests/tree/allowed.txt:Nothing`", ["links"]),
    ("tests/tree/allowed.txt", "clock src/rt/a.cpp", ["allowed"]),                        # without a reason
    ("tests/tree/allowed.txt", "clock src/rt/a.cpp it was needed once", ["allowed"]),     # allows nothing
]

MUST_LEAVE = [
    ("src/http/a.cpp", '#include "penstock/http/head.hpp"\n#include "http/scan.hpp"\n#include "penstock/mem/chain.hpp"'),
    ("src/rt/a.cpp", '#include "penstock/base/error.hpp"'),      # used through mem
    ("src/proxy/a.cpp", '#include "penstock/http/head.hpp"'),
    ("src/sim/a.cpp", '#include "penstock/http/head.hpp"\n#include "sim/b.hpp"\n#include <CLI/CLI.hpp>'),
    ("src/main.cpp", '#include "penstock/proxy/a.hpp"'),
    ("src/rt/a.cpp", "#include <boost/asio/post.hpp>\n#include <sys/socket.h>\n#include <netinet/tcp.h>\n#include <thread>"),
    ("include/penstock/base/a.hpp", "#include <boost/system/result.hpp>\n#include <vector>\n#include <stdint.h>"),
    ("src/base/digest_sha256.cpp", "#include <openssl/sha.h>"),
    ("src/base/time.cpp", "clock_gettime(CLOCK_REALTIME, &ts);"),
    ("src/rt/a.cpp", '// steady_clock::now is banned\n/* sleep(1) */\nauto a = "std::shared_ptr instance()";'),
    ("src/rt/a.cpp", 'auto a = R"(sleep(1) { )";\nint b = 1\'000\'000;\nchar c = \'{\';'),
    ("src/rt/a.cpp", "std::thread t;\nauto n = std::thread::hardware_concurrency();\nbool b = x.time(0.5);"),
    ("src/proxy/a.cpp", "auto n = std::thread::hardware_concurrency();\nstatic_assert(true);"),
    ("src/control/snapshot.cpp.txt", "std::shared_ptr<Foo> foo;"),
    ("src/proxy/snapshot_pin.hpp", "std::shared_ptr<const Snapshot> pin_;"),
    ("src/proxy/a.cpp", "constexpr Row kRows[] = {\n" + "    {1, 2},\n" * 200 + "};\nint F() { return 1; }"),
    ("tests/unit/rt/a_test.cpp", "INSTANTIATE_TEST_SUITE_P(Rows, A, ::testing::Values(Row{\n" + "    1,\n" * 200 + "}));"),
    ("src/proxy/a.hpp", "class A {\n public:\n" + "  int F() { return 1; }\n" * 200 + "};"),
    ("src/proxy/a.cpp", "A::A()\n    : a_{1},\n      b_{2} {}\n" + "\n" * 200 + "int b;"),
    ("src/proxy/a.cpp", "class Database {};\nstruct Baseline {};\nclass Information;\nvoid BaseCase();"),
    ("include/penstock/rt/a.hpp", "/// Owned by one Worker. Turns.\nclass Loop {\n  int a_;\n};\nclass Later;"),
    ("include/penstock/rt/a.hpp", "/// Shared: one lock.\ntemplate <class T>\nclass Box final {\n  T a_;\n};"),
    ("include/penstock/rt/a.hpp", "/// What Loop calls.\nclass Handler {\n  virtual void On(int x_now) = 0;\n};"),
    ("include/penstock/rt/a.hpp", "enum class State : int { kA };\nstruct Value { int a; };"),
    ("docs/a.md", "[r](../CMakeLists.txt#x) [w](https://example.org/a.md) [s](#part)\n```\n[x](none.md)\n```\n`[y](none.md)`"),
    ("docs/a.md", "`CMakeLists.txt:penstock_module` and `src/<module>/x.cpp`, at /etc/penstock or ${root}/home/x"),
]


def findings(path, text, more=()):
    with tempfile.TemporaryDirectory() as root:
        files = dict([("CMakeLists.txt", TABLE), *more, (path, text)])
        for name, content in files.items():
            file = Path(root, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return check(Tree(root, files))


class TreeRules(unittest.TestCase):
    def test_finds(self):
        for path, text, rules in MUST_FIND:
            with self.subTest(path=path, text=text[:80]):
                more = [("tests/tree/allowed.txt", "# none\n")] if "allowed.txt:" in text else []
                self.assertEqual([finding.rule for finding in findings(path, text, more)], rules)

    def test_leaves(self):
        for path, text in MUST_LEAVE:
            with self.subTest(path=path, text=text[:80]):
                self.assertEqual(findings(path, text), [])

    def test_names_place_and_fix(self):
        self.assertEqual(str(findings("tests/unit/rt/a_test.cpp", "int a;\nusleep(1);")[0]).split(": ", 2)[:2],
                         ["tests/unit/rt/a_test.cpp:2", "sleep"])

    def test_exception_with_a_reason_counts(self):
        listing = ("tests/tree/allowed.txt", "shared_ptr src/proxy/a.cpp the other library hands one out\n")
        self.assertEqual(findings("src/proxy/a.cpp", "std::shared_ptr<Foo> foo;", [listing]), [])

    def test_first_and_last_line_of_a_function(self):
        block = blocks_of("int a;\n\n// why\nint F(int b,\n      int c) {\n  if (b) {\n  }\n}\nint d;\n")[0]
        self.assertEqual((block.kind, block.first_line, block.last_line), ("function", 4, 8))


if __name__ == "__main__":
    unittest.main()
