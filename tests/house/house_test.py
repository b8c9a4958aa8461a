"""Breaks each rule of house.py in a small tree and looks that it is seen."""

import tempfile
import unittest
from pathlib import Path

import house

ALIKE = "".join(f"int v{i};\n" for i in range(6))

CLEAN = {
    "core/include/timtow/frame.hpp": "#include <span>\n#include \"timtow/bytes.hpp\"\n",
    "core/include/timtow/bytes.hpp": "#include <cstddef>\n",
    "core/include/timtow/loop.hpp": "#include <functional>\n#include \"timtow/bytes.hpp\"\n",
    "core/src/server.cpp": "#include <mutex>\n#include \"timtow/loop.hpp\"\n",
    "core/src/frame.cpp": "#include <immintrin.h>\n#include \"private.hpp\"\n// #include <poll.h>, now()\n",
    "core/src/private.hpp": "",
    "core/src/prepared_message.cpp": "#include <mutex>\n",
    "core/deflate/include/timtow/deflate.hpp": "#include \"timtow/frame.hpp\"\n",
    "core/deflate/src/codec.cpp": "#include <zlib.h>\n#include \"timtow/deflate.hpp\"\n",
    "core/tls/src/filter.cpp": "#include <mutex>\n#include <openssl/ssl.h>\n",
    "core/tls/include/timtow/tls.hpp": "#include \"timtow/loop.hpp\"\n",
    "adapters/posix/include/timtow/posix/socket.hpp": "#include <sys/socket.h>\n",
    "adapters/poll/include/timtow/poll.hpp": "#include <vector>\n#include \"timtow/loop.hpp\"\n",
    "adapters/poll/src/loop.cpp": "#include <poll.h>\n#include \"timtow/posix/socket.hpp\"\n",
    "README.md": "<!-- code: examples/a.cpp -->\n```cpp\nint a;\n```\n[a](examples/a.cpp)\n",
    "examples/a.cpp": "int a;\n",
    "adapters/epoll/src/pasted.cpp": ALIKE,
    "adapters/libuv/src/loop.cpp": "#include <uv.h>\n#include \"timtow/libuv.hpp\"\n",
}

BROKEN = [
    ("protocol", "core/src/frame.cpp", "#include <sys/socket.h>\n", "of an OS or a loop"),
    ("protocol", "core/src/frame.cpp", "#  include <poll.h>\n", "of an OS or a loop"),
    ("protocol", "core/src/frame.cpp", "#include <uv.h>\n", "of an OS or a loop"),
    ("protocol", "core/include/timtow/frame.hpp", "#include <thread>\n", "<thread>"),
    ("protocol", "core/src/frame.cpp", "#include \"timtow/loop.hpp\"\n", "above it"),
    ("protocol", "core/src/frame.cpp", "auto t = Clock::now();\n", "reads a clock"),
    ("core", "core/src/server.cpp", "#include <unistd.h>\n", "of an OS or a loop"),
    ("core", "core/include/timtow/loop.hpp", "#include <event2/event.h>\n", "of an OS or a loop"),
    ("core", "core/deflate/include/timtow/deflate.hpp", "#include <zlib.h>\n",
     "of an OS or a loop"),
    ("protocol", "core/src/frame.cpp", "#include <zlib.h>\n", "of an OS or a loop"),
    ("protocol", "core/src/frame.cpp", "#include <mutex>\n", "<mutex>"),
    ("core", "core/src/server.cpp", "#include <openssl/ssl.h>\n", "of an OS or a loop"),
    ("core", "core/tls/src/filter.cpp", "#include <sys/socket.h>\n", "of an OS or a loop"),
    ("core", "core/tls/include/timtow/tls.hpp", "#include <openssl/ssl.h>\n", "of an OS or a loop"),
    ("layers", "adapters/poll/src/loop.cpp", "#include \"timtow/libuv.hpp\"\n", "another adapter"),
    ("layers", "adapters/poll/src/loop.cpp", "#include \"timtow/frame.hpp\"\n", "of the seam"),
    ("layers", "adapters/poll/include/timtow/poll.hpp", "#include <poll.h>\n", "in a header"),
    ("layers", "adapters/posix/include/timtow/posix/socket.hpp", "#include \"timtow/poll.hpp\"\n",
     "another adapter"),
    ("docs", "README.md", "<!-- code: examples/a.cpp -->\n```cpp\nint b;\n```\n", "is not what"),
    ("docs", "README.md", "```cpp\nint a;\n```\n", "in no file"),
    ("docs", "README.md", "<!-- code: examples/b.cpp -->\n```cpp\nint a;\n```\n", "is not what"),
    ("docs", "README.md", "<!-- from: examples/a.cpp -->\n```cpp\nint b;\n```\n", "is not what"),
    ("docs", "README.md", "<!-- from: examples/a.cpp -->\n```cpp\nnt a;\n```\n", "is not what"),
    ("docs", "README.md", "<!-- from: examples/b.cpp -->\n```cpp\nint a;\n```\n", "is not what"),
    ("docs", "README.md", "[b](docs/b.md)\n", "not there"),
    ("lines", "core/src/frame.cpp", "//\n" * 501, "with 501 lines"),
    ("alike", "adapters/libuv/src/loop.cpp", ALIKE + "int x;\n", "also in pasted.cpp"),
    ("lines", "adapters/poll/src/loop.cpp", "int x;\n" * 201, "lines of code, more than 200"),
]


class HouseTest(unittest.TestCase):
    def tree(self, **changed):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = Path(folder.name)
        for name, text in {**CLEAN, **changed}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    def test_a_clean_tree_breaks_no_rule(self):
        for rule in house.RULES:
            with self.subTest(rule):
                violations, files = house.check(rule, self.tree())
                self.assertEqual(violations, [])
                self.assertGreater(files, 0)

    def test_every_breach_is_seen_once_and_where_it_is(self):
        for rule, file, text, says in BROKEN:
            with self.subTest(rule=rule, text=text[:40]):
                violations, _ = house.check(rule, self.tree(**{file: text}))
                self.assertEqual(len(violations), 1, violations)
                self.assertIn(says, violations[0])
                self.assertTrue(file.startswith(violations[0].split(":")[0]), violations[0])


if __name__ == "__main__":
    unittest.main()
