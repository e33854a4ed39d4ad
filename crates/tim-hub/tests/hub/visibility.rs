//! Who sees what: every cell of the table in `visibility.txt`, asked of the hub by devices.
//!
//! The row says who looks at a message in a Community, and what happened before: the message was `said`, by the owner unless
//! who looks is its `author`; who looks `joins`, `quits` or is `removed`. An `admin` became one at the end. The columns are ways to
//! see the message: a page of history, the deliveries to a device that starts from the oldest entry, a FETCH, the last
//! message in the conversation list, and to revoke it. A cell is `yes` or `no`, `ok`, or the code of the refusal.

use tim_proto::{ErrorCode, GroupType, Role};

use super::support::{Device, Reply, TestHub, group};

const TABLE: &str = include_str!("visibility.txt");
const SAID: &str = "what was said";

#[test]
fn every_cell_of_the_table_of_who_sees_what() {
    let hub = TestHub::start();
    let mut wrong = Vec::new();
    let rows = TABLE.lines().skip(1).filter(|line| !line.is_empty());
    for (number, line) in rows.enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [who, happened, expected @ ..] = words.as_slice() else {
            panic!("{line}")
        };
        assert_eq!(expected.len(), 5, "{line}");
        let found = look(&hub, &format!("g{number}"), who, happened);
        if found != *expected {
            wrong.push(format!("{who} {happened}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn look(hub: &TestHub, name: &str, who: &str, happened: &str) -> [String; 5] {
    let mut owner = Device::login(hub, &format!("{name}-owner"), 1);
    owner.create(GroupType::COMMUNITY, name, &[]).unwrap();
    let viewer = format!("{name}-{who}"); // the owner's second device, if it is the owner who looks
    let mut device = Device::login(hub, &viewer, 2);
    let mut sequence = 0;
    for step in happened.split(',') {
        match step {
            "said" if who == "author" => sequence = device.send(group(name), SAID),
            "said" => sequence = owner.send(group(name), SAID),
            "joins" => drop(device.join(name).unwrap()),
            "quits" => drop(device.quit(name).unwrap()),
            "removed" => drop(owner.remove(name, &[&viewer]).unwrap()),
            other => panic!("{other}"),
        }
    }
    if who == "admin" {
        owner.set_role(name, &viewer, Role::ADMIN).unwrap();
    }
    let page = match device.page(group(name), &[], 0) {
        Ok(Reply::Page { texts, .. }) => sees(texts.iter().any(|text| text == SAID)),
        other => code(other),
    };
    let mut newcomer = Device::new(hub, &viewer, 3);
    newcomer.session.resume_from_start();
    newcomer.log_in();
    let catch_up = sees(newcomer.texts().contains(&SAID));
    let fetch = match device.fetch(group(name), sequence, 0, 100) {
        Ok(Reply::Piece { bytes, .. }) => sees(bytes.ends_with(SAID.as_bytes())),
        other => code(other),
    };
    let list = sees(device.conversations().iter().any(|(_, _, last)| last == SAID));
    let revoke = match device.revoke(group(name), sequence) {
        Ok(_) => "ok".to_owned(),
        refused => code(refused),
    };
    [page, catch_up, fetch, list, revoke]
}

fn sees(sees: bool) -> String {
    if sees { "yes" } else { "no" }.to_owned()
}

fn code(answer: Result<Reply, ErrorCode>) -> String {
    answer.unwrap_err().0.to_string()
}
