"""Notes in Markdown as safe HTML: no HTML of the writer's, no pictures, links that tell nobody where they came from."""

from functools import cache
from typing import Any

from markupsafe import Markup


@cache
def _reader() -> Any:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - takes 20 ms and 2 MB, for pages with notes only

    made = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20}).enable(["table", "strikethrough"])
    made.disable(["image", "html_inline", "html_block", "heading", "lheading"])
    made.add_render_rule("link_open", _link)
    return made


def _link(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(self.renderToken(tokens, index, options, env))


def markdown(text: str) -> Markup:
    """*text* as HTML that may stand in a page."""
    return Markup(_reader().render(text))  # noqa: S704 - the reader escapes what it does not make itself
