#!/usr/bin/env python3
"""The REST interface of `tim serve` against its own description, by schemathesis: openapi.py TIM [EXAMPLES [SEED]], where TIM is the
program and EXAMPLES how many calls of each command are made up, of right and of wrong ones, besides those at the limits.

It starts a hub with some users and groups, and runs schemathesis with the checks of openapi_checks.py. First come wrong calls only, after
which the hub has what it had before. A right call may be refused for a reason that the description cannot say, but two thirds of the
commands are to be carried out at least once."""

import os
import pathlib
import subprocess
import sys

import requests
from TLSSigAPIv2 import TLSSigAPIv2

from rest import APP, KEY, Hub

HERE = pathlib.Path(__file__).parent
USERS = ["alice", "bob", "carol"]
GROUPS = {"Private": "private", "Public": "public", "ChatRoom": "meeting", "AVChatRoom": "room", "Community": "@TGS#_community"}
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,answers_as_described"
# Commands that carry out the right items of a call beside wrong ones.
WITH_ITEMS = "friend_add|friend_update|import_group_msg|multiaccount_import"
# Commands after which users or groups are not there any more: they come last.
ENDING = "account_delete|destroy_group|change_group_owner|delete_group_member"


class Described(Hub):
    """A hub with some users and groups, and calls of it."""

    def __init__(self, tim):
        super().__init__(tim, "--rest-rate", "0")
        self.origin = self.base.removesuffix("/v4")
        self.query = {"sdkappid": APP, "identifier": "administrator", "usersig": TLSSigAPIv2(APP, KEY).gen_sig("administrator")}

    def set_up(self):
        self.call("im_open_login_svc/multiaccount_import", {"Accounts": ["administrator", *USERS]})
        for kind, group in GROUPS.items():
            members = [{"Member_Account": user} for user in USERS[1:] if kind != "AVChatRoom"]
            new = {"Type": kind, "Name": "name", "GroupId": group, "Owner_Account": USERS[0], "MemberList": members}
            self.call("group_open_http_svc/create_group", new)
        text = {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]}
        self.call("openim/sendmsg", {"From_Account": "alice", "To_Account": "bob", "MsgRandom": 1, **text})
        self.call("group_open_http_svc/send_group_msg", {"GroupId": "public", "From_Account": "bob", "Random": 1, **text})
        friend = {"To_Account": "bob", "AddSource": "AddSource_Type_web", "GroupName": "club"}
        self.call("sns/friend_add", {"From_Account": "alice", "AddFriendItem": [friend]})

    def call(self, command, body):
        answer = requests.post(f"{self.base}/{command}", params=self.query, json=body, timeout=60).json()
        assert answer["ErrorCode"] == 0, f"{command}: {answer}"
        return answer

    def state(self):
        """What users and groups see."""
        found = [self.call("group_open_http_svc/get_appid_group_list", {})]
        found += [self.call("group_open_http_svc/get_group_info", {"GroupIdList": list(GROUPS.values())})]
        for user in USERS:
            for peer in USERS:
                times = {"MaxCnt": 100, "MinTime": 0, "MaxTime": 2**32 - 1}
                found += [self.call("openim/admin_getroammsg", {"From_Account": user, "To_Account": peer, **times})]
            found += [self.call("openim/get_c2c_unread_msg_num", {"To_Account": user})]
            found += [self.call("sns/friend_get", {"From_Account": user, "StartIndex": 0})]
            found += [self.call("sns/group_get", {"From_Account": user, "NeedFriend": "Need_Friend_Type_Yes"})]
            found += [self.call("group_open_http_svc/get_joined_group_list", {"Member_Account": user})]
        for kind, group in GROUPS.items():
            if kind != "AVChatRoom":
                found += [self.call("group_open_http_svc/group_msg_get_simple", {"GroupId": group, "ReqMsgNumber": 20})]
            if kind != "Community":
                found += [self.call("group_open_http_svc/get_group_attr", {"GroupId": group})]
        return found

    def check(self, mode, examples, seed, *more, **variables):
        """Runs schemathesis."""
        hooks = {"SCHEMATHESIS_HOOKS": str(HERE / "openapi_checks.py"), "PYTHONPATH": str(HERE)}
        callers = {"TIM_QUERY": "&".join(f"{name}={value}" for name, value in self.query.items())}
        command = [pathlib.Path(sys.executable).parent / "schemathesis", "run", f"{self.origin}/openapi.json", "--url", self.origin]
        chosen = ["--mode", mode, "--phases", "coverage,fuzzing", "--checks", CHECKS, "-n", str(examples), "--seed", str(seed)]
        quiet = ["--warnings", "off", "--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "60"]
        where = {"cwd": self.data, "env": {**os.environ, **hooks, **callers, **variables}}
        done = subprocess.run([*command, *chosen, *quiet, *more], check=False, **where)
        assert done.returncode == 0, f"the calls and answers are not as /openapi.json says (seed {seed})"
        assert self.process.poll() is None, "the hub has ended"

    def check_done(self, done):
        """Checks that most commands were carried out: calls that are made up do not fit all groups, and name no message that is there."""
        commands = {path for path in requests.get(f"{self.origin}/openapi.json", timeout=60).json()["paths"] if path.startswith("/v4/")}
        never = sorted(commands - set(done))
        print(f"{len(commands) - len(never)} of {len(commands)} commands were carried out, and never: {', '.join(never)}")
        assert 3 * len(never) <= len(commands), "too many of the right calls are refused"


def main():
    tim, *numbers = sys.argv[1:]
    examples, seed = [int(number) for number in numbers] + [3, 1][len(numbers):]
    hub = Described(tim)
    try:
        hub.set_up()
        before = hub.state()
        hub.check("negative", examples, seed, "--exclude-path-regex", f"({WITH_ITEMS})$", TIM_WRONG_ONLY="1")
        assert hub.state() == before, "wrong calls have changed something"
        hub.check("negative", examples, seed, "--include-path-regex", f"({WITH_ITEMS})$")
        done = pathlib.Path(hub.data, "done")
        hub.check("positive", examples, seed, "--exclude-path-regex", f"({ENDING})$", TIM_DONE=str(done))
        hub.check("positive", examples, seed, "--include-path-regex", f"({ENDING})$", TIM_DONE=str(done))
        hub.check_done(done.read_text().split())
    finally:
        hub.stop()


if __name__ == "__main__":
    main()
