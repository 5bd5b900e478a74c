"""The bridge is plain PHP 7.2, and the check that says so rejects what is newer."""

import subprocess
from pathlib import Path

import pytest

from tests.bridge.php72 import findings
from tests.bridge.whmcs import PHP, REPOSITORY

pytestmark = pytest.mark.claim("E1")

SOURCES = sorted((REPOSITORY / "php").rglob("*.php"))

NEWER = {
    "typed property": "class A { public int $x; }",
    "untyped readonly property": "class A { public readonly $x; }",
    "arrow function": "$f = fn($x) => $x;",
    "static arrow function": "$f = static fn() => 1;",
    "match": "$a = match ($x) { 1 => 2 };",
    "nullsafe access": "$a?->b;",
    "nullsafe call": "$a?->b();",
    "named argument": "f(name: 1);",
    "trailing comma in a call": "f($a,);",
    "trailing comma in a method call": "$o->f($a,);",
    "trailing comma in new": "new A($a,);",
    "trailing comma in isset": "isset($a,);",
    "trailing comma in unset": "unset($a,);",
    "trailing comma in parameters": "function f($a,) {}",
    "trailing comma in use": "$f = function () use ($a,) {};",
    "numeric separator": "$a = 1_000;",
    "numeric separator in a float": "$a = 1_000.5;",
    "explicit octal": "$a = 0o17;",
    "null coalescing assignment": "$a ??= 1;",
    "spread in an array": "$a = [...$b];",
    "constructor promotion": "class A { function __construct(private $x) {} }",
    "union type": "function f(int|string $a) {}",
    "intersection type": "function f(A&B $a) {}",
    "mixed": "function f(mixed $a) {}",
    "static return type": "class A { function f(): static {} }",
    "never": "function f(): never {}",
    "null as a type": "function f(): null {}",
    "attribute": "#[A]\nfunction f() {}",
    "enum": "enum A { case B; }",
    "readonly class": "readonly class A {}",
    "throw as an expression": "$a = $b ?? throw new E();",
    "catch without a variable": "try {} catch (E) {}",
    "flexible heredoc": "$a = <<<E\n  x\n  E;\n",
    "heredoc as an argument": "f(<<<E\nx\nE, 1);\n",
    "reference in a list": "[&$a] = $b;",
    "first-class callable": "$f = strlen(...);",
    "new in a default value": "function f($a = new B()) {}",
    "::class of an object": "$a::class;",
    "final constant": "class A { final const X = 1; }",
    "typed constant": "class A { const int X = 1; }",
    "dynamic class constant": "A::{$x};",
    "property hook": "class A { public $x { get => 1; } }",
    "new without parentheses": "new A()->b();",
    "pipe": "$a |> $b;",
    "implicitly nullable": "function f(A $a = null) {}",
    "str_contains": "str_contains($a, $b);",
    "fully qualified str_starts_with": "\\str_starts_with($a, $b);",
    "array_key_first": "array_key_first($a);",
    "hrtime": "hrtime(true);",
    "array_is_list": "array_is_list($a);",
    "JSON_THROW_ON_ERROR": "json_encode($a, JSON_THROW_ON_ERROR);",
    "JsonException": "try {} catch (\\JsonException $e) {}",
    "no PHP at all": "function {",
}

KNOWN = {
    "nullable types": "function f(?int $a = null, ...$b): ?string { return $a ?? 'x'; }",
    "void": "function f(): void {}",
    "several exceptions": "try {} catch (A | B $e) {} finally {}",
    "constant visibility": "class A { private const X = [1, 2,]; }",
    "short lists": "['a' => $a, 'b' => list($b)] = $c;",
    "spread in a call": "f(...$a);",
    "closures": "$f = static function ($a) use (&$b) { return $a <=> $b; };",
    "plain heredoc": "$a = <<<E\nx\nE;\n",
    "plain nowdoc": "$a = <<<'E'\nx\nE;\n",
    "throw": "throw new E();",
    "class names": "A::class; self::class;",
}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(REPOSITORY / "php").as_posix())
def test_each_file_is_php_72(source: Path) -> None:
    assert findings(source.read_bytes()) == []


def test_each_file_is_php_of_today_as_well() -> None:
    for source in SOURCES:
        checked = subprocess.run([*PHP, "-l", source], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert checked.stderr == ""


@pytest.mark.parametrize("code", NEWER.values(), ids=NEWER)
def test_what_is_newer_is_found(code: str) -> None:
    assert findings(f"<?php\n{code}".encode()) != []


@pytest.mark.parametrize("code", KNOWN.values(), ids=KNOWN)
def test_what_72_knows_is_let_through(code: str) -> None:
    assert findings(f"<?php\n{code}".encode()) == []
