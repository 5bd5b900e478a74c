"""Writes the table of hooks in docs/reference/bridge.md from the contract: `python -m tests.bridge.hook_reference`."""

from tests.bridge.whmcs import REPOSITORY, Hook, contract

PAGE = REPOSITORY / "docs" / "reference" / "bridge.md"
HEADING = "## All hooks\n"


def hook_table() -> str:
    events = [event_row(hook) for hook in contract()["hooks"] if hook["kind"] == "event"]
    metrics = [metric_row(hook) for hook in contract()["hooks"] if hook["kind"] == "metric"]
    return (
        f"{HEADING}\nMade from `contracts/whmcs-hooks.json`. *Quiet* events are dropped first when the spool is full.\n\n"
        "| hook | event | | attributes | only on opt-in |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(events)
        + "\n\nCounted, and sent as one `whmcs.metrics` event a minute:\n\n"
        + "| hook | counted as | |\n| --- | --- | --- |\n"
        + "\n".join(metrics)
        + "\n"
    )


def event_row(hook: Hook) -> str:
    is_quiet = hook["quiet_severity"] <= 2 and "loud_when" not in hook
    attributes = ", ".join(hook["forward"]) + (", *message*" if "message" in hook else "")
    opt_in = "; ".join(f"{group}: {', '.join(fields)}" for group, fields in hook.get("on_opt_in", {}).items())
    return f"| {hook['name']} | `{hook['event_type']}` | {'quiet' if is_quiet else 'loud'} | {attributes} | {opt_in} |"


def metric_row(hook: Hook) -> str:
    extras = []
    if "failed_when_false" in hook:
        extras.append(f"`failed` when {hook['failed_when_false']} is false")
    if "split_by" in hook:
        extras.append(f"`by` {hook['split_by']}")
    if "timed_from" in hook:
        extras.append(f"seconds since {hook['timed_from']}")
    return f"| {hook['name']} | `{hook['metric_name']}` | {'; '.join(extras)} |"


if __name__ == "__main__":
    before = PAGE.read_text().split(HEADING)[0]
    PAGE.write_text(before + hook_table())
