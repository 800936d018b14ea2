"""The tables of the tree test: what may include what, which calls have one home, how things are named."""

import re
from dataclasses import dataclass, field

# A third-party library is met in one place (docs/architecture.md, "walls"). First match wins.
# (include prefix, modules or path prefixes that may name it, what to do instead)
WALLS = [
    ("boost/system/result.hpp", ["*"], ""),
    ("boost/asio", ["rt", "net"], "use rt's EventLoop, timers and net's transports"),
    ("asio.hpp", ["rt", "net"], "use rt's EventLoop, timers and net's transports"),
    ("liburing", ["rt", "net"], "use rt's EventLoop"),
    ("openssl/", ["net", "src/base/digest"], "use net's TLS transport or base's digest"),
    ("nghttp2/", ["http"], "use http's H2Codec"),
    ("simdjson", ["llm"], "use llm's readers"),
    ("hiredis", ["redis"], "use the redis module's codec"),
    ("google/protobuf", ["grpc"], "use the grpc module's messages"),
    ("grpc", ["grpc"], "use the grpc module's messages"),
    ("penstock/v1/", ["grpc"], "use the grpc module's messages"),
    ("kserve/", ["grpc"], "use the grpc module's messages"),
    ("google/rpc", ["grpc"], "use the grpc module's messages"),
    ("zlib.h", ["grpc"], "use the grpc module's messages"),
    ("yaml-cpp", ["config"], "use config's readers"),
    ("spdlog", ["telemetry"], "use telemetry's log"),
    ("fmt/", ["telemetry"], "use telemetry's log"),
    ("prometheus", ["telemetry"], "use telemetry's metrics"),
    ("sqlite3", ["cache"], "use cache's DiskTier"),
    ("zstd", ["cache"], "use cache's compression"),
    ("CLI/", ["app", "sim"], "parse the command line in app"),
    ("boost/json", ["base", "config", "telemetry", "upstream", "cache", "proxy", "control", "app", "sim", "grpc"],
     "JSON on the hot path is spliced or written by hand; Boost.JSON is for what runs once or seldom"),
    ("boost/smart_ptr/intrusive", ["proxy"], "give it one owner; per-worker reference counts are for views and pools"),
    ("boost/", [], "add the library to WALLS in tests/tree/house_rules.py, with the one module that may meet it"),
    ("gtest/", [], "production code knows nothing of its tests"),
    ("gmock/", [], "production code knows nothing of its tests"),
    ("benchmark/", [], "production code knows nothing of its benchmarks"),
]

# Folders of <...> includes that belong to the system, not to a third party.
SYSTEM_INCLUDE = re.compile(r"(sys|netinet|arpa|net|linux|asm|bits)/[\w./-]+\.h$|[\w]+(\.h)?$")

# Programs under src/ that are no penstock_module: above every layer, included by nobody. main.cpp is the other one.
PROGRAMS = {"sim": 1000, "main.cpp": 1000}

# Pure modules: bytes and values in, values out.
PURE = ["http", "llm", "policy", "redis", "grpc"]
IMPURE_INCLUDE = re.compile(
    r"(sys/(socket|epoll|eventfd|timerfd|select|un)\.h|netinet/.*|arpa/inet\.h|netdb\.h|poll\.h|unistd\.h|fcntl\.h"
    r"|thread|condition_variable|future|iostream|fstream|cstdio|stdio\.h|ctime|time\.h)$"
)


@dataclass(frozen=True)
class Banned:
    """A call or type with one home. `outside`: path prefixes that it is looked for in; `home`: where it is right."""

    rule: str
    pattern: re.Pattern
    fix: str
    home: list = field(default_factory=list)
    where: list = field(default_factory=lambda: ["include/", "src/", "tests/", "bench/"])


PRODUCTION = ["include/", "src/"]
_TIME_FIX = "take `now` as an argument (rt::Worker::Now(), or a literal in tests); only src/base/time.cpp reads clocks"

BANNED = [
    Banned("clock", re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock)::now\b|\bclock_gettime\b"
                               r"|\bgettimeofday\b|\btime\s*\(\s*(?:nullptr|NULL|0)\s*\)"),
           _TIME_FIX, home=["src/base/time.cpp"]),
    Banned("clock", re.compile(r"\bRead(?:Monotonic|Wall)Clock\b"), "pure code takes `now` as an argument",
           where=[f"{root}{module}/" for module in PURE + ["mem"] for root in ("include/penstock/", "src/", "tests/unit/")]),
    Banned("sleep", re.compile(r"\bsleep_(?:for|until)\b|\bu?sleep\s*\(|\b(?:clock_)?nanosleep\b"),
           "wait on the TimerWheel; in tests wait for the condition itself, or move the SimClock"),
    Banned("random", re.compile(r"\brandom_device\b|\bs?rand\s*\(|\bmt19937"),
           "take a Prng& as an argument; programs seed theirs from SystemSeed()"),
    Banned("thread", re.compile(r"\bstd::j?thread\b(?!\s*::)|\bpthread_create\b|\bstd::async\b"),
           "threads belong to rt::Worker; post to its Mailbox instead",
           home=[f"{root}{module}/" for module in ("rt", "net", "telemetry", "app", "sim")
                 for root in ("include/penstock/", "src/")] + ["src/main.cpp", "tests/", "bench/"]),
    Banned("co_await", re.compile(r"(?:\|\||&&|\?)\s*co_await\b"),
           "GCC 12 does not run what is awaited behind ||, && and ?: write an if for each"),
    Banned("singleton", re.compile(r"\b[Ii]nstance\s*\(\s*\)"), "pass the object to the constructor that needs it"),
    Banned("strand", re.compile(r"\b(?:make_)?strand\b"), "one Worker owns the object; post to its Mailbox instead"),
    Banned("shared_ptr", re.compile(r"\b(?:shared_ptr|make_shared|weak_ptr|enable_shared_from_this)\b"),
           "give it one owner (unique_ptr, a member); shared ownership is for Snapshot alone, bytes have SharedBytes",
           home=["include/penstock/control/", "src/control/"], where=PRODUCTION),
    Banned("assert", re.compile(r"(?<!static_)\bassert\s*\("), "use PENSTOCK_ASSERT, which stays on in release",
           where=PRODUCTION),
]

NAME_WORDS = {"Manager", "Engine", "Processor", "Helper", "Helpers", "Util", "Utils", "Data", "Info", "Base", "Impl",
              "Common", "Misc"}
NAME_FIX = "name what it is or does (Pool, Codec, Session, Reader, Limits ...), not that it exists"

OWNERSHIP = re.compile(r"(Owned by one Worker\.|Immutable\.|Shared: )")

FILE_LINES = 800
FUNCTION_LINES = 70

# Absolute paths of somebody's machine.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:home|root|Users|work|workspace|builds)/\w")

# What lies in the root of the repository. A stray script there is more than untidy: Python takes modules from the folder
# it is started in, so a `json.py` in the root replaces the standard one for CMake and for every test.
ROOT_FILES = {
    ".clang-format", ".clang-tidy", ".gitignore", "CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md",
    "LICENSE", "README.md", "dev",
}
