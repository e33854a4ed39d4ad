"""Calls every method about groups of the package tencentcloud-sdk-python-im, and checks the answers.

Arguments: the address of the hub, its clock in Unix seconds, the application. Accounts o, m and a exist.
"""

import signal
import sys
import time

ADDRESS, NOW = sys.argv[1], int(sys.argv[2])
signal.alarm(60)
time.time = lambda: float(NOW)  # UserSigs are good by the hub's clock

from tencentcloud_im.tcim_client import (  # noqa: E402
    GroupAppDefinedData,
    GroupAttr,
    GroupMemObj,
    GroupMessageObj,
    GroupObj,
    MessageFile,
    MessageText,
    TCIMClient,
)

KEY = "0123456789abcdef" * 4
client = TCIMClient(int(sys.argv[3]), KEY, "admin", tencent_url=f"http://{ADDRESS}/v4")
called = set()


def call(method, *arguments, code=0, **named):
    called.add(method)
    response = getattr(client, method)(*arguments, **named)
    assert response is not None and response.status_code == 200, (method, response)
    answer = response.json()
    assert answer["ErrorCode"] == code, (method, answer)
    assert (answer["ActionStatus"] == "OK") == (code == 0), (method, answer)
    return answer


group = GroupObj(
    "o", "Public", "name", "intro", "notice", "https://x/f", 100,
    [GroupMemObj("m", "Admin", 5, 3)], [GroupAppDefinedData("k", "v")], "g",
)
assert call("create_group", group)["GroupId"] == "g"
call("create_group", GroupObj("o", "AVChatRoom", "room", group_id="room"))
call("create_group", group, code=10025)

info = call("get_group_detail", ["g", "none"])["GroupInfo"]
assert (info[0]["Name"], info[0]["MemberNum"], info[0]["MaxMemberNum"]) == ("name", 2, 100), info
assert info[1]["ErrorCode"] == 10010, info
info = call("get_group_detail", ["g"], ["Name"], ["Role"], ["k"], ["k2"])["GroupInfo"][0]
assert info["Name"] == "name" and "Type" not in info, info
assert info["AppDefinedData"] == [{"Key": "k", "Value": "v"}], info
listed = call("get_group")
assert listed["TotalCount"] == 2 and len(listed["GroupIdList"]) == 2, listed
assert call("get_group", 1, 0, "AVChatRoom")["GroupIdList"] == [{"GroupId": "room"}]

call("update_group_baseinfo", "g", "other", "i", "n", "https://x/g", 50, "FreeAccess", "Off", [GroupAppDefinedData("k", "")])
added = call("add_group_member", "g", [GroupMemObj("a"), GroupMemObj("nobody")], 0)["MemberList"]
assert [item["Result"] for item in added] == [1, 0], added
call("update_group_mem_info", "g", "a", "Admin", "card", [GroupAppDefinedData("k", "v")], 60)
members = call("get_group_mem_info_detail", "g")
assert members["MemberNum"] == 3, members
a = [member for member in members["MemberList"] if member["Member_Account"] == "a"][0]
assert (a["Role"], a["NameCard"], a["ShutUpUntil"]) == ("Admin", "card", NOW + 60), a
assert len(call("get_group_mem_info_detail", "g", 10, 0, ["Role"], ["Admin"])["MemberList"]) == 2
roles = call("get_mem_role_in_group", "g", ["o", "a", "nobody"])["UserIdList"]
assert [item["Role"] for item in roles] == ["Owner", "Admin", "NotMember"], roles
assert call("get_group_shutup_list", "g")["ShuttedUinList"][0]["Member_Account"] == "a"
call("forbid_send_msg", "g", ["a"], 0)
assert call("get_group_shutup_list", "g")["ShuttedUinList"] == []
joined = call("get_joined_groups", "a")
assert (joined["TotalCount"], joined["GroupIdList"]) == (1, [{"GroupId": "g"}]), joined
joined = call("get_joined_groups", "a", 10, 0, "Public", ["Name"], ["Role"])["GroupIdList"][0]
assert (joined["Name"], joined["SelfInfo"]) == ("other", {"Role": "Admin"}), joined

sent = call("send_group_message", "g", [MessageText("hello")], [MessageFile("https://x/f", 3, "f.txt")], from_account="a", msgPriority="High")
assert sent["MsgSeq"] > 0 and sent["MsgTime"] == NOW, sent
call("send_group_message", "g", [MessageText("to some")], to_accounts=["m"], code=10007)
call("send_group_message", "g", [MessageText("live")], code=0)
call("send_group_message", "g", code=10004)
call("send_system_message_in_group", "g", "attention")
history = call("get_msg_in_group", "g", 20)
newest = history["RspMsgList"][1]
assert (newest["MsgSeq"], newest["From_Account"]) == (sent["MsgSeq"], "a"), newest
assert [element["MsgType"] for element in newest["MsgBody"]] == ["TIMTextElem", "TIMFileElem"], newest
assert newest["MsgPriority"] == 1, newest
recalled = call("recall_group_message", "g", [str(sent["MsgSeq"]), "999"])["RecallRetList"]
assert [item["RetCode"] for item in recalled] == [0, 10030], recalled
call("delete_group_msg_by_sender", "g", "admin")
imported = call("import_message_to_group", "g", 1, [GroupMessageObj("m", 5, [MessageText("old")]), GroupMessageObj("m", NOW, [MessageText("imported")])])
assert [item["Result"] for item in imported["ImportMsgResult"]] == [10004, 0], imported
call("set_group_unread_msg_num", "g", "o", 1)
call("delete_group_mem", "g", ["a", "nobody"], 0)
imported = call("import_group_members", "g", [GroupMemObj("a", "", NOW), GroupMemObj("m")])["MemberList"]
assert [item["Result"] for item in imported] == [1, 2], imported

assert call("get_online_member_num", "room")["OnlineMemberNum"] == 0
call("get_online_member_num", "g", code=10007)
call("update_group_attr", "room", [GroupAttr("k", "v"), GroupAttr("l", "w")])
assert call("get_group_attr", "room")["GroupAttrAry"] == [{"key": "k", "value": "v"}, {"key": "l", "value": "w"}]
call("clean_group_attr", "room")
assert call("get_group_attr", "room")["GroupAttrAry"] == []

call("change_group_owner", "g", "m")
call("delete_group", "g")
call("delete_group", "room")
call("delete_group", "none", code=10010)
assert len(called) == 26, sorted(called)
