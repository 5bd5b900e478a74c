"""Finds what PHP 7.2 would not understand: the oldest PHP that WHMCS 8 runs on, and no longer packaged to run tests with.

The code is parsed with tree-sitter's PHP grammar, which knows every version. Kinds of syntax that have not been looked
at are refused, so that what a newer PHP brings is refused too; the rules below refuse newer uses of old kinds.
"""

import re
from collections.abc import Callable, Iterator

import tree_sitter_php
from tree_sitter import Language, Node, Parser

Rule = Callable[[Node], str | None]

PARSER = Parser(Language(tree_sitter_php.language_php()))

KNOWN_TO_72 = """
    anonymous_function anonymous_function_use_clause argument arguments array_creation_expression array_element_initializer
    assignment_expression augmented_assignment_expression binary_expression boolean break_statement by_ref case_statement
    cast_expression cast_type catch_clause class_constant_access_expression class_declaration comment compound_statement
    conditional_expression const_declaration const_element continue_statement declaration_list default_statement
    echo_statement else_clause else_if_clause encapsed_string error_suppression_expression escape_sequence exit_statement
    expression_statement final_modifier finally_clause float for_statement foreach_statement formal_parameters
    function_call_expression function_definition heredoc heredoc_body heredoc_end heredoc_start if_statement
    include_expression integer list_literal member_access_expression member_call_expression method_declaration name
    named_type namespace_definition namespace_name namespace_use_clause namespace_use_declaration nowdoc nowdoc_body
    nowdoc_string null object_creation_expression optional_type pair parenthesized_expression php_tag primitive_type program
    property_declaration property_element qualified_name reference_assignment_expression reference_modifier relative_scope
    require_expression require_once_expression return_statement scoped_call_expression scoped_property_access_expression
    sequence_expression simple_parameter static_modifier string string_content subscript_expression switch_block
    switch_statement throw_expression try_statement type_list unary_op_expression unset_statement update_expression
    variable_name variadic_parameter variadic_unpacking visibility_modifier while_statement
"""

NEWER_FUNCTIONS = """
    array_key_first array_key_last is_countable hrtime net_get_interfaces gc_status fpm_get_status openssl_pkey_derive
    get_mangled_object_vars mb_str_split password_algos imagecreatefromtga openssl_x509_verify pcntl_unshare
    str_contains str_starts_with str_ends_with fdiv get_debug_type get_resource_id preg_last_error_msg
    array_is_list fsync fdatasync enum_exists ini_parse_quantity curl_upkeep
    memory_reset_peak_usage odbc_connection_string_quote json_validate mb_str_pad str_increment str_decrement
    stream_context_set_options posix_sysconf array_find array_find_key array_any array_all mb_trim mb_ltrim mb_rtrim
    mb_ucfirst mb_lcfirst request_parse_body fpow array_first array_last get_error_handler get_exception_handler
    sodium_crypto_stream_xchacha20 bcceil bcfloor bcround
"""
NEWER_NAMES = """
    JSON_THROW_ON_ERROR PASSWORD_ARGON2ID JsonException WeakReference WeakMap Stringable ValueError UnhandledMatchError
    FILTER_VALIDATE_BOOL CURLOPT_PROTOCOLS_STR CURLOPT_REDIR_PROTOCOLS_STR
    STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT MB_CASE_FOLD CURLINFO_EFFECTIVE_METHOD
"""

NEWER_TYPES = {"mixed": "8.0", "static": "8.0", "null": "8.0", "false": "8.0", "true": "8.2", "never": "8.1"}


def findings(source: bytes) -> list[str]:
    """One sentence, with its line, for each thing that PHP 7.2 cannot parse or call."""
    root = PARSER.parse(source).root_node
    return [f"line {node.start_point.row + 1}: {fault}" for node in walk(root) for fault in faults(node)]


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def faults(node: Node) -> Iterator[str]:
    if node.type == "ERROR" or node.is_missing:
        yield "no PHP that can be parsed"
    elif node.is_named and node.type not in KNOWN_TO_72.split():
        yield f"{node.type} is not among the syntax known to PHP 7.2"
    elif node.is_named:
        rule = RULES.get(node.type)
        fault = rule(node) if rule else None
        if fault:
            yield fault


def text(node: Node | None) -> str:
    return (node.text or b"").decode() if node else ""


def typed_property(node: Node) -> str | None:
    return "typed property (7.4)" if node.child_by_field_name("type") else None


def argument(node: Node) -> str | None:
    return "named argument (8.0)" if node.child_by_field_name("name") else None


def spread_in_array(node: Node) -> str | None:
    return "spread in an array (7.4)" if any(child.type == "variadic_unpacking" for child in node.children) else None


def trailing_comma(version: str) -> Rule:
    def rule(node: Node) -> str | None:
        parts = [child.type for child in node.children if child.type != "comment"]
        return f"trailing comma ({version})" if parts[-2:] == [",", ")"] else None

    return rule


def unset_statement(node: Node) -> str | None:
    return "trailing comma (7.3)" if re.search(r",\s*\)\s*;?$", text(node)) else None


def integer(node: Node) -> str | None:
    return "numeric separator or 0o (7.4, 8.1)" if re.search(r"_|^0[oO]", text(node)) else None


def operator(node: Node) -> str | None:
    newer = {"??=": "7.4", "|>": "8.5"}
    found = next((child.type for child in node.children if child.type in newer), None)
    return f"{found} ({newer[found]})" if found else None


def throw(node: Node) -> str | None:
    return None if node.parent and node.parent.type == "expression_statement" else "throw as an expression (8.0)"


def catch(node: Node) -> str | None:
    return None if node.child_by_field_name("name") else "catch without a variable (8.0)"


def type_name(node: Node) -> str | None:
    version = NEWER_TYPES.get(text(node).lower())
    return f"type {text(node)} ({version})" if version else None


def class_constant(node: Node) -> str | None:
    first, last = node.named_children[0], node.named_children[-1]
    if text(last) == "class" and first.type not in ("name", "qualified_name", "relative_scope"):
        return "::class of an object (8.0)"
    return "dynamic class constant (8.3)" if last.named_children else None


def constant(node: Node) -> str | None:
    if node.child_by_field_name("type"):
        return "typed constant (8.3)"
    return "final constant (8.1)" if any(child.type == "final_modifier" for child in node.children) else None


def reference(node: Node) -> str | None:
    return "reference in a list (7.3)" if node.parent and node.parent.type == "list_literal" else None


def heredoc_end(node: Node) -> str | None:
    root = node
    while root.parent:
        root = root.parent
    ends_its_line = re.match(rb";?(\n|$)", (root.text or b"")[node.end_byte :])
    return None if node.start_point.column == 0 and ends_its_line else "flexible heredoc (7.3)"


def parameter(node: Node) -> str | None:
    default = node.child_by_field_name("default_value")
    kind = node.child_by_field_name("type")
    if default and default.type == "object_creation_expression":
        return "new in a default value (8.1)"
    if default and kind and text(default).lower() == "null" and kind.type != "optional_type":
        return "a type that a null default makes nullable (deprecated in 8.4): write ?type"
    return None


def member(node: Node) -> str | None:
    object_ = node.child_by_field_name("object")
    return "new without parentheses (8.4)" if object_ and object_.type == "object_creation_expression" else None


def call(node: Node) -> str | None:
    name = text(node.child_by_field_name("function")).lstrip("\\").lower()
    return f"function {name} is newer" if name in NEWER_FUNCTIONS.split() else None


def newer_name(node: Node) -> str | None:
    return f"{text(node)} is newer" if text(node) in NEWER_NAMES.split() else None


RULES: dict[str, Rule] = {
    "property_declaration": typed_property,
    "argument": argument,
    "array_element_initializer": spread_in_array,
    "arguments": trailing_comma("7.3"),
    "formal_parameters": trailing_comma("8.0"),
    "anonymous_function_use_clause": trailing_comma("8.0"),
    "unset_statement": unset_statement,
    "integer": integer,
    "float": integer,
    "augmented_assignment_expression": operator,
    "binary_expression": operator,
    "throw_expression": throw,
    "catch_clause": catch,
    "named_type": type_name,
    "primitive_type": type_name,
    "class_constant_access_expression": class_constant,
    "const_declaration": constant,
    "by_ref": reference,
    "heredoc_end": heredoc_end,
    "simple_parameter": parameter,
    "member_call_expression": member,
    "member_access_expression": member,
    "function_call_expression": call,
    "name": newer_name,
}
