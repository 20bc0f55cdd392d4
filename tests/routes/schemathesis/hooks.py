"""What schemathesis must know about Weir that OpenAPI cannot say."""

import schemathesis

NDJSON = "application/x-ndjson"
# Parameters of streams. The answers are pages, which have no use for them.
STREAM_PARAMETERS = ("envelope", "lastEventId", "last-event-id")


@schemathesis.serializer(NDJSON)
def ndjson(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def filter_case(context, case):
    if "x-schemathesis-unknown-property" in (case.headers or {}):
        return False  # HTTP does not refuse headers that it does not know
    # A bad line is refused by a line of the answer, whose status is 200.
    return is_positive(case) or case.media_type != NDJSON


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leaves out parameters that contradict others, which no schema says."""
    if not is_positive(case):
        return
    query = case.query or {}
    headers = case.headers or {}
    query.pop("ticket", None)  # the request has a credential
    if case.operation.path.endswith("/events") and case.method.upper() == "GET":
        for name in STREAM_PARAMETERS:
            query.pop(name, None)
        has_offset = "_" in str(query.get("after", ""))
        is_single = case.operation.path != "/v1/events"
        if query.get("after") not in ("earliest", "latest", None) and not (
            is_single and has_offset
        ):
            query["after"] = "earliest"  # a cursor belongs to certain channels
        if "before" in query:
            query.pop("after", None)
            query.pop("wait", None)
            if not is_single:
                query["channel"] = ["orders"]
    if headers.get("Weir-Ephemeral") == "1":
        for name in ("Idempotency-Key", "Weir-Key", "Weir-TTL"):
            headers.pop(name, None)
        if case.media_type == "application/octet-stream":
            headers.pop("Weir-Ephemeral")  # ephemeral events are JSON or text
