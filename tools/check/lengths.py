"""Functions that are too long, found by counting braces outside strings and comments.

A brace opens a function when it stands in a namespace or a class and what precedes it has a
parameter list. A test case may be longer than a function: it is a story, told in order.
"""
import re

FUNCTION_MAX, TEST_MAX = 70, 120
NOISE = re.compile(
    r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\''
    r"|//[^\n]*|/\*(?:.|\n)*?\*/")
CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
CASE = re.compile(r"\b(TEST_CASE|SCENARIO|TEMPLATE_TEST_CASE)\b")


def blank(match):
    """The same number of lines, and nothing that looks like code."""
    return "~" + "\n" * match.group(0).count("\n")


def name_of(head):
    if CASE.search(head):
        return "a test case"
    names = re.findall(r"([\w:~]+)\s*\(", head)
    return names[0] if names else "a function"


def long_functions(text):
    """(name, first line, lines, limit) of each function over its limit."""
    text = NOISE.sub(blank, text)
    text = re.sub(r"^\s*#.*(\\\n.*)*$", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.M)
    stack, head, line, found = [], "", 1, []
    for c in text:
        if c == "{":
            in_code = any(kind == "code" for kind, _, _ in stack)
            container = CONTAINER.search(head) and not head.rstrip().endswith(")")
            opens = not in_code and not container and "(" in head and "=" not in head.split("(")[0]
            kind = "container" if container and not in_code else "code"
            start = line - head.lstrip().count("\n")
            stack.append((kind, head if opens else None, start))
            head = ""
        elif c == "}":
            if stack:
                _, opened, start = stack.pop()
                limit = TEST_MAX if opened and CASE.search(opened) else FUNCTION_MAX
                if opened is not None and line - start + 1 > limit:
                    found.append((name_of(opened), start, line - start + 1, limit))
            head = ""
        elif c == ";":
            head = ""
        else:
            head += c
        line += c == "\n"
    return found
