#!/usr/bin/env python3
"""Requires that README.md shows examples/minimal.cpp as it is: readme_test.py [ROOT | --self-test]

Besides: every file that a Markdown page of ours names by a path in backquotes or a link exists, every link's
anchor is a heading of its page, each fault of the lab that is named is one, and docs/README.md, the index, has each
page of docs/.
The README's block is the one after the line "<!-- examples/minimal.cpp -->". The file's leading
comment, which says what the file is for, may be left out of the README.
"""
import difflib
import os
import re
import sys
import tempfile

MARK = re.compile(r"<!-- examples/minimal\.cpp -->\n+```cpp\n(.*?)```", re.S)


# A path of ours: in backquotes with a folder we have and an ending, or the target of a link.
NAMED = re.compile(r"`((?:docs|tools|src|include|examples|bench|lab|deploy)/[\w./-]+\.\w+)`|"
                   r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#{1,6} +(.*?)[ #]*$", re.M)
INDEX = os.path.join("docs", "README.md")


def text_of(root, page):
    """A page without what is fenced, lines kept."""
    with open(os.path.join(root, page), encoding="utf-8") as file:
        return re.sub(r"^```.*?^```", lambda m: "\n" * m.group(0).count("\n"), file.read(),
                      flags=re.S | re.M)


def anchors_of(text):
    """The anchors that a page gets from its headings, as GitHub makes them."""
    seen = {}
    for heading in HEADING.findall(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        yield slug if slug not in seen else f"{slug}-{seen[slug]}"
        seen[slug] = seen.get(slug, 0) + 1


def pages_of(root):
    pages = [name for name in os.listdir(root) if name.endswith(".md")]
    return sorted(pages + [os.path.join("docs", name) for name in os.listdir(
        os.path.join(root, "docs")) if name.endswith(".md")])


def wrong_links(root):
    """Files that are named and not there, and links to headings that are not there."""
    texts = {page: text_of(root, page) for page in pages_of(root)}
    for page, text in texts.items():
        for match in NAMED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            target = os.path.join(os.path.dirname(page), match.group(2)) if match.group(2) else page
            path = os.path.normpath(match.group(1) or target)
            if "NAME" not in path and not os.path.exists(os.path.join(root, path)):
                yield page, line, f"names {path}, which does not exist"
            elif match.group(3) and path in texts and match.group(3) not in anchors_of(texts[path]):
                yield page, line, f"{path} has no heading #{match.group(3)}"


def unknown_presets(root):
    """Faults of the lab that a page names and docs/relay.md does not have; a test holds that page to the code."""
    with open(os.path.join(root, "docs", "relay.md"), encoding="utf-8") as file:
        known = set(re.findall(r"^\| `([\w.-]+)` \|", file.read(), re.M))
    for page in pages_of(root):
        text = text_of(root, page)
        for match in re.finditer(r"`holdfast lab fault ([a-z][\w.-]*)`", text):
            if match.group(1) not in known:
                yield page, text.count("\n", 0, match.start()) + 1, f"{match.group(1)} is no preset"


def unlisted(root):
    """Pages that the index does not have."""
    with open(os.path.join(root, INDEX), encoding="utf-8") as file:
        listed = {match.group(2) for match in NAMED.finditer(file.read())}
    for page in pages_of(root):
        name = os.path.basename(page)
        if page.startswith("docs") and page != INDEX and name not in listed:
            yield INDEX, 1, f"does not list {name}"


def self_test():
    """Plants one mistake of each kind; each must be found, and nothing else."""
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "docs"))
        for name, text in (
                ("README.md", "# A `key`: 1, 2\n[good](docs/a.md#holdfast-watch----command-and-more)\n"
                              "[here](#a-key-1-2) [gone](docs/gone.md) `docs/away.md`\n"
                              "```\n[fenced](docs/fenced.md)\n```\n[bad](docs/a.md#no)\n"),
                ("docs/a.md", "## holdfast watch -- COMMAND [and more...]\n[up](../README.md#no)\n"
                              "## Twice\n## Twice\n[second](#twice-1) [third](#twice-2)\n"),
                ("docs/README.md", "[a](b.md) [r](relay.md)\n"),
                ("docs/b.md", "`holdfast lab fault slow` `holdfast lab fault no-such`\n"),
                ("docs/relay.md", "| `slow` | |\n")):
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        found = [f"{page}:{line}: {words}" for page, line, words in
                 [*wrong_links(root), *unknown_presets(root), *unlisted(root)]]
    wanted = ["README.md:3: names docs/gone.md, which does not exist",
              "README.md:3: names docs/away.md, which does not exist",
              "README.md:7: docs/a.md has no heading #no",
              "docs/a.md:2: README.md has no heading #no",
              "docs/a.md:5: docs/a.md has no heading #twice-2",
              "docs/b.md:1: no-such is no preset", "docs/README.md:1: does not list a.md"]
    for line in set(wanted) ^ set(found):
        print("not found:" if line in wanted else "found:", line)
    return 0 if sorted(wanted) == sorted(found) else 1


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    wrong = [*wrong_links(root), *unknown_presets(root), *unlisted(root)]
    for page, line, words in wrong:
        print(f"{page}:{line}: {words}")
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        block = MARK.search(file.read())
    if not block:
        print("README.md: the block after <!-- examples/minimal.cpp --> is missing")
        return 1
    with open(os.path.join(root, "examples", "minimal.cpp"), encoding="utf-8") as file:
        code = file.read()
    shown = block.group(1)
    if shown not in (code, re.sub(r"\A(?://[^\n]*\n)+\n*", "", code)):
        print("README.md: its example is not examples/minimal.cpp; copy the file into the block:")
        print("".join(difflib.unified_diff(shown.splitlines(True), code.splitlines(True),
                                           "README.md", "examples/minimal.cpp")))
        return 1
    lines = len([line for line in shown.split("\n") if line.strip()])
    print(f"README.md: the example is the file ({lines} lines of code)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
