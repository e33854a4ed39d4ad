"""What openapi.py has schemathesis do with each call: it comes from the administrator and is about users and groups that exist, and its
answer says whether the call was as the description wants it."""

import json
import os
import urllib.parse
import zlib

import jsonschema_rs
import schemathesis

QUERY = dict(urllib.parse.parse_qsl(os.environ["TIM_QUERY"]))
USERS = ["alice", "bob", "carol", "administrator"]
GROUPS = ["private", "public", "meeting", "room", "@TGS#_community"]
# The codes for a call that comes from nobody, or that there is none of: then nothing of the call itself was looked at.
OF_CALLERS = {60002, 60004, 60006, 60009, 60012, 70001, 70003, 70009, 70013, 70014, 70016, 70052}
# The codes for a field that is missing or wrong, and for a body that is no JSON object.
OF_FIELDS = {70402, 60003, 90001, 90002, 90003, 90005, 90006, 90007, 90008, 90010, 90011, 90030, 90031, 90044, 90054, 30001, 10004, 10005, 10015}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """The call of the administrator. If wrong bodies only are wanted, one that is right comes from nobody."""
    is_wanted = "TIM_WRONG_ONLY" not in os.environ or not validator(case).is_valid(case.body)
    case.query = {**(case.query or {}), **(QUERY if is_wanted else {})}


def known(value, names):
    """One of these, or none of them: the same each time."""
    number = zlib.crc32(value.encode(errors="replace"))
    return value if number % 4 == 0 or not is_id(value) else names[number % len(names)]


def is_id(value):
    return 0 < len(value) <= 32 and value.isascii() and value.isprintable() and value == value.strip()


@schemathesis.hook
def map_body(ctx, body):
    """The same call about users and groups that exist."""
    return with_known(body)


def with_known(value):
    if isinstance(value, list):
        return [with_known(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: with_known_field(name, field) for name, field in value.items()}


def with_known_field(name, field):
    names = GROUPS if name in ("GroupId", "GroupIdList") else USERS if is_of_users(name) else None
    if names and isinstance(field, str):
        return known(field, names)
    if names and isinstance(field, list) and all(isinstance(item, str) for item in field):
        return [known(item, names) for item in field]
    return with_known(field)


def is_of_users(name):
    return name.endswith("_Account") or name in ("UserID", "Identifier", "Accounts")


@schemathesis.check
def answers_as_described(ctx, response, case):
    """A call is carried out if, and only if, the description wants it so, or what it is about is another matter."""
    if case.method.upper() != "POST":
        return
    answer, body = response.json(), sent(response)
    assert "TIM_WRONG_ONLY" in os.environ or answer["ErrorCode"] not in OF_CALLERS, f"not a call of the administrator: {answer}"
    if body is None:
        assert answer["ActionStatus"] == "FAIL", f"no JSON, and done: {answer}"
        return
    faults = validator(case).faults(body)
    if faults:
        assert is_refused(answer), f"not as described, and done: {faults[0]}: {answer}"
    elif answer["ErrorCode"] in OF_FIELDS and not is_other(answer["ErrorInfo"]):
        assert is_too_long(body), f"as described, and refused: {answer}"
    elif answer["ErrorCode"] == 0:
        note_done(case.operation.path)


def note_done(path):
    """Says in a file that a call of this command was carried out, maybe without some of its items."""
    if "TIM_DONE" in os.environ and path not in DONE:
        DONE.add(path)
        with open(os.environ["TIM_DONE"], "a") as file:
            file.write(path + "\n")


DONE = set()


def sent(response):
    """The body as it went out; None if it is no JSON."""
    try:
        return json.loads(response.request.body)
    except (TypeError, ValueError):
        return None


VALIDATORS = {}


class Validator:
    """The schema of a call's body, with what it refers to."""

    def __init__(self, case):
        document = case.operation.schema.raw_schema
        path = document["paths"][case.operation.path]["post"]
        self.schema = path["requestBody"]["content"]["application/json"]["schema"]
        whole = {**self.schema, "components": document["components"]}
        self.validator = jsonschema_rs.Draft202012Validator(whole)

    def faults(self, body):
        return [str(fault) for fault in self.validator.iter_errors(body)]

    def is_valid(self, body):
        return isinstance(body, dict) and self.validator.is_valid(body)


def validator(case):
    path = case.operation.path
    if path not in VALIDATORS:
        VALIDATORS[path] = Validator(case)
    return VALIDATORS[path]


def is_refused(answer):
    """Whether the call, or an item of it, has a code of its own."""
    if isinstance(answer, list):
        return any(is_refused(item) for item in answer)
    if not isinstance(answer, dict):
        return False
    # A `Result` of 1 or 2 is that of a member who is in the group.
    codes = {"ErrorCode": 0, "ResultCode": 0, "RetCode": 0, "Result": 2}
    return any(name in codes and field > codes[name] or is_refused(field) for name, field in answer.items())


def is_other(info):
    """Refusals of calls that are as described: of what JSON schemas cannot say."""
    return any(words in info for words in OTHERS)


OTHERS = [
    "has no account",
    "this is not possible in a group of the type",
    "is not a member of the group",
    "as only those of Communities may",
    "can be sent",
    "has several TIMCustomElem",
    "another message of this sender has the same",
    "so many messages of this sender had the same",
]


def is_too_long(body):
    """Whether a text has more bytes than fit, though not more characters."""
    return any(len(text.encode(errors="replace")) > 30 and not text.isascii() for text in texts(body))


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)
