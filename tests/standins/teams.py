"""A Teams workflow "when a Teams webhook request is received": a message with one Adaptive Card (version 1.4, 28 KB)."""

from typing import Any, Literal

import msgspec

from tests.standins.provider import Answer, Provider, Seen, is_web_address, json

PATH = "/workflows/0f1e2d3c4b5a69788796a5b4c3d2e1f0/triggers/manual/paths/invoke"
QUERY = "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Sig9Sig8Sig7Sig6Sig5Sig4"


class _Run(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["TextRun"]
    text: str
    size: Literal["small", "default", "medium", "large", "extraLarge"] = "default"
    weight: Literal["lighter", "default", "bolder"] = "default"


class _Block(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["RichTextBlock"]
    inlines: list[_Run]


class _Action(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["Action.OpenUrl"]
    title: str
    url: str


class _Card(msgspec.Struct, forbid_unknown_fields=True):
    schema: str = msgspec.field(name="$schema")
    type: Literal["AdaptiveCard"]
    version: Literal["1.4"]
    msteams: dict[str, Any]
    body: list[_Block]
    actions: list[_Action]


class _Attachment(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    content_type: Literal["application/vnd.microsoft.card.adaptive"]
    content_url: None
    content: _Card


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["message"]
    attachments: list[_Attachment]


class TeamsStandIn(Provider):
    """One workflow."""

    async def answer(self, seen: Seen) -> Answer:
        if seen.method == "HEAD":
            return Answer(404)
        self.want(seen.method == "POST", f"{seen.method} {seen.path}")
        if seen.path != PATH:
            return json(404, {"error": {"code": "WorkflowNotFound", "message": "The workflow could not be found."}})
        if seen.query.get("sig") != "Sig9Sig8Sig7Sig6Sig5Sig4":
            return json(401, {"error": {"code": "AuthorizationFailed", "message": "The authentication credentials are not valid."}})
        self.want(len(seen.body) <= 28 * 1024, f"{len(seen.body)} bytes")
        message = self.read(seen, _Message)
        if message is None:
            return json(400, {"error": {"code": "InvalidRequestContent", "message": "The input does not fit the schema."}})
        self.want(len(message.attachments) == 1, "one card")
        for action in message.attachments[0].content.actions:
            self.want(is_web_address(action.url) and bool(action.title), f"a bad button: {action}")
        for block in message.attachments[0].content.body:
            self.want(all(run.text for run in block.inlines), "an empty text")
        self.taken.append(message)
        return Answer(202)
