#!/usr/bin/env python3
"""The REST interface of `tim serve`, as the client tencentcloud-sdk-python-im calls it: rest.py TIM, where TIM is the program.

It starts a hub, calls every method of the client, and looks at what devices see with `tim listen` and `tim history`."""

import inspect
import json
import subprocess
import sys
import tempfile
import time

from TLSSigAPIv2 import TLSSigAPIv2
from tencentcloud_im import tcim_client as im

APP, KEY, DEADLINE = 1400000000, "a key that nobody guesses, of some length", 60


class Hub:
    """A hub with its REST interface, and what the program does with it."""

    def __init__(self, tim, *more):
        self.tim = tim
        self.directory = tempfile.TemporaryDirectory(prefix="tim-rest-")
        self.data = self.directory.name
        command = [tim, "serve", "--data", self.data, "--key", KEY, "--app-id", str(APP), "--admin", "administrator"]
        addresses = ["--listen", "127.0.0.1:0", "--http", "http://127.0.0.1:0", "--log", "warn"]
        self.process = subprocess.Popen([*command, *addresses, *more], stdout=subprocess.PIPE, text=True)
        while True:
            line = self.process.stdout.readline()
            assert line, "the hub does not start"
            if line.startswith("listening at "):
                self.address = line.split()[2].rstrip(",")
            if line.startswith("REST at "):
                self.base = line.split()[2]
                break

    def run(self, *arguments, user):
        """What a command of the program prints, as lines of JSON."""
        sig = TLSSigAPIv2(APP, KEY).gen_sig(user)
        command = [self.tim, *arguments, "--hub", self.address, "--app", str(APP), "--as", user, "--sig", sig]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def history(self, user, *peer):
        """The texts of a conversation, with their senders."""
        lines = self.run("history", *peer, "--all", "--json", user=user).splitlines()
        rows = [json.loads(line) for line in lines]
        return [(row["from"], (row.get("payload") or {}).get("text")) for row in rows]

    def listener(self, user):
        """`tim listen` of a user, when it is online."""
        sig = TLSSigAPIv2(APP, KEY).gen_sig(user)
        command = [self.tim, "listen", "--json", "--hub", self.address, "--app", str(APP), "--as", user, "--sig", sig]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return process

    def stop(self):
        self.process.terminate()
        try:
            assert self.process.wait(DEADLINE) == 0, "the hub ends with an error"
        finally:
            self.process.kill()
            self.process.wait()
            self.directory.cleanup()


class Caller:
    """The client, which says what it has called, and whose answers are what they should be."""

    def __init__(self, base):
        self.client = im.TCIMClient(APP, KEY, "administrator", tencent_url=base)
        self.called = set()

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*arguments, code=0, **named):
            self.called.add(name)
            response = method(*arguments, **named)
            assert response is not None, f"{name}: no answer"
            assert response.status_code == 200, f"{name}: {response.status_code}"
            answer = response.json()
            assert answer["ErrorCode"] == code, f"{name}: {answer}"
            return answer

        return call


def until(what, condition):
    """Waits for what the hub does in its own time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < DEADLINE, what
        time.sleep(0.05)


def accounts(call):
    call.add_single_user("alice", "Alice", "https://example.org/a.png")
    answer = call.batch_add_users(["bob", "carol", "dave"])
    assert answer["FailAccounts"] == [], answer
    found = call.search_user(["alice", "nobody"])["ResultItem"]
    assert [one["AccountStatus"] for one in found] == ["Imported", "NotImported"], found
    answer = call.check_user_online(["alice", "nobody"])
    assert answer["QueryResult"][0]["Status"] == "Offline" and answer["ErrorList"], answer


def messages(call, hub):
    devices = [hub.listener(user) for user in ("alice", "bob", "bob")]
    users = ["alice", "bob"]
    until("both are online", lambda: all(
        one["Status"] == "Online" for one in call.check_user_online(users)["QueryResult"]))
    until("both of bob's devices are online", lambda: len(
        call.check_user_online(["bob"])["QueryResult"][0]["Detail"]) == 2)
    message = im.MessageObj("alice", "bob", [im.MessageText("hi 😀")], [im.MessageFile("http://x/f", 3, "f.txt")], extra_data="cd")
    sent = call.send_message(message)
    assert call.send_message(message)["MsgKey"] == sent["MsgKey"], "sent twice"
    for device in devices:
        lines = iter(device.stdout.readline, "")
        assert any("hi \\ud83d\\ude00" in line or "hi 😀" in line for line in lines), "a device has not got the message"
        device.terminate()
        device.communicate(timeout=DEADLINE)
    answer = call.batch_send_message(im.BatchMessageObj("alice", ["bob", "carol"], [im.MessageText("to all")]))
    assert answer["ErrorList"] == [], answer
    old = im.MessageObj("bob", "alice", [im.MessageText("long ago")])
    for _ in range(2):
        call.import_message_to_im(old, 1600000000)
    hub.run("send", "alice", "from a device", user="bob")
    said = [("alice", "hi 😀"), ("alice", "to all"), ("bob", "long ago"), ("bob", "from a device")]
    assert hub.history("bob", "alice") == said == hub.history("alice", "bob")
    assert hub.history("carol", "alice") == [("alice", "to all")]
    now = int(time.time())
    rows = call.get_message_list("alice", "bob", 10, now - 600, now + 600)
    assert (rows["MsgCnt"], rows["Complete"]) == (4, 1), rows
    assert [len(row["MsgBody"]) for row in rows["MsgList"]] == [2, 1, 1, 1], rows
    assert rows["MsgList"][0]["MsgKey"] == sent["MsgKey"] and rows["MsgList"][0]["CloudCustomData"] == "cd", rows
    assert call.get_unread_num("alice")["AllC2CUnreadMsgNum"] == 2
    assert call.get_unread_num("bob", ["alice"])["C2CUnreadMsgNumList"][0]["C2CUnreadMsgNum"] == 2
    call.set_user_message_read("alice", "bob", now + 600)
    assert call.get_unread_num("alice")["AllC2CUnreadMsgNum"] == 0
    # One of the client's own, one of a device, and one that went to many.
    call.draw_message("alice", "bob", sent["MsgKey"])
    call.draw_message("bob", "alice", rows["MsgList"][3]["MsgKey"])
    call.draw_message("alice", "carol", answer["MsgKey"])
    call.draw_message("alice", "bob", sent["MsgKey"], code=20023)
    texts = [text for _, text in hub.history("bob", "alice")]
    assert texts == [None, "to all", "long ago", None], texts
    assert hub.history("carol", "alice") == [("alice", None)]


def friends(call):
    answer = call.add_friend("alice", [im.FriendObj("bob", "web"), im.FriendObj("carol", "web", "C", "work")])
    assert [item["ResultCode"] for item in answer["ResultItem"]] == [0, 0], answer
    found = call.get_friends("alice")
    assert (found["FriendNum"], found["CompleteFlag"]) == (2, 1), found
    assert call.get_friends("bob")["UserDataItem"][0]["To_Account"] == "alice"
    call.update_friend("alice", [im.UpdateFriendObj("bob", [im.SnsItemObj("Tag_SNS_IM_Remark", "Bobby")])])
    found = call.get_target_friends("alice", ["bob", "dave"], ["Tag_SNS_IM_Remark"])
    assert found["InfoItem"][0]["SnsProfileItem"] == [{"Tag": "Tag_SNS_IM_Remark", "Value": "Bobby"}], found
    assert found["Fail_Account"] == ["dave"], found
    call.add_sns_group("alice", ["club"], ["bob"])
    found = call.get_sns_group("alice")["ResultItem"]
    assert [(one["GroupName"], one["To_Account"]) for one in found] == [("work", ["carol"]), ("club", ["bob"])], found
    call.delete_sns_group("alice", ["work"])
    assert len(call.get_sns_group("alice")["ResultItem"]) == 1
    answer = call.delete_friends("alice", ["bob", "dave"])
    assert [item["ResultCode"] for item in answer["ResultItem"]] == [0, 31704], answer
    assert call.get_friends("bob")["FriendNum"] == 0


def endings(call, hub):
    device = hub.listener("dave")
    until("dave is online", lambda: call.check_user_online(["dave"])["QueryResult"][0]["Status"] == "Online")
    # A UserSig of the same second as the kick stays good.
    time.sleep(1.1)
    call.abolition_user_sig("dave")
    assert device.wait(DEADLINE) != 0, "the session does not end"
    device.communicate()
    assert hub.history("dave", "alice") == [], "a UserSig that is made later is good"
    answer = call.del_user(["dave", "nobody"])
    assert [item["ResultCode"] for item in answer["ResultItem"]] == [0, 70107], answer
    assert call.search_user(["dave"])["ResultItem"][0]["AccountStatus"] == "NotImported"


def main():
    hub = Hub(sys.argv[1])
    try:
        call = Caller(hub.base)
        accounts(call)
        messages(call, hub)
        friends(call)
        endings(call, hub)
        stranger = Caller(hub.base)
        inspected = [hub.tim, "sig", "inspect", call.client.get_user_sig("alice"), "--key", KEY, "--user", "alice", "--app", str(APP)]
        subprocess.run(inspected, check=True, stdout=subprocess.DEVNULL)
    finally:
        hub.stop()
    methods = {name for name, _ in inspect.getmembers(im.TCIMClient, inspect.isfunction) if not name.startswith("_")}
    missing = {name for name in methods - call.called - {"get_user_sig"} if not is_of_groups(name)}
    assert not missing, f"not called: {sorted(missing)}"
    print(f"REST: {len(call.called)} methods of tencentcloud-sdk-python-im do what they should")


def is_of_groups(name):
    of_others = ("sns_group",)
    words = ("group", "member", "forbid_send_msg")
    return any(word in name for word in words) and not any(word in name for word in of_others)


if __name__ == "__main__":
    main()
