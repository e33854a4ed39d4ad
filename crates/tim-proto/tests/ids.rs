//! Ids as values: what they compare with, are made from and turn into, and how they print.

use tim_proto::message::MessageFlags;
use tim_proto::{ConversationId, GroupId, IdError, MessageId, UserId};

const USER: UserId = match UserId::new("alice") {
    Ok(id) => id,
    Err(_) => panic!("a literal"),
};

#[test]
fn an_id_compares_with_strings() {
    let group = GroupId::new("@TGS#1").unwrap();
    let (chat, room) = (ConversationId::C2c(USER), ConversationId::Group(group));
    assert_eq!(USER, "alice");
    assert_eq!("alice", USER);
    assert_eq!(USER, *"alice");
    assert_eq!(*"alice", USER);
    assert!(USER != "Alice" && USER != "alic" && USER != "alicea");
    assert_eq!(group, "@TGS#1");
    assert_eq!(chat, "C2Calice");
    assert_eq!(room, "GROUP@TGS#1");
    assert_eq!(ConversationId::System, "@TIM#SYSTEM");
    assert!(chat != "alice" && chat != "GROUPalice" && ConversationId::System != "@TIM#SYSTEMx");
    let id = MessageId {
        sender: 1,
        client_time: 20,
        random: 300,
    };
    assert_eq!(id, "1-20-300");
    assert_eq!("1-20-300", id);
    assert_ne!(id, "01-20-300");
}

#[test]
fn an_id_is_made_from_a_string_and_turns_into_one() {
    fn both_ways<T>(text: &str)
    where
        T: for<'a> TryFrom<&'a str>
            + TryFrom<String>
            + Into<String>
            + PartialEq<str>
            + Copy
            + core::fmt::Debug,
    {
        let from_str = T::try_from(text).ok().expect("an id");
        let from_string = T::try_from(text.to_owned()).ok().expect("an id");
        assert!(from_str == *text && from_string == *text);
        assert_eq!(Into::<String>::into(from_str), text);
    }
    both_ways::<UserId>("alice");
    both_ways::<GroupId>("@TGS#1");
    both_ways::<ConversationId>("C2Calice");
    both_ways::<ConversationId>("@TIM#SYSTEM");
    both_ways::<MessageId>("144115200000000001-1705307415-21123614");
    assert_eq!(UserId::try_from(String::new()), Err(IdError::Empty));
    assert!(MessageId::try_from("1-2").is_err());
}

#[test]
fn every_id_is_padded_to_the_width_that_is_asked_for() {
    let group = GroupId::new("team").unwrap();
    let id = MessageId {
        sender: 0,
        client_time: 10,
        random: 999,
    };
    assert_eq!(
        format!("{USER:>8}|{USER:<8}|{USER:^9}|"),
        "   alice|alice   |  alice  |"
    );
    assert_eq!(format!("{group:>6}|{group:.2}"), "  team|te");
    let chat = ConversationId::C2c(USER);
    assert_eq!(
        format!("{chat:>12}|{chat:<10}|{chat:*^11}|"),
        "    C2Calice|C2Calice  |*C2Calice**|"
    );
    assert_eq!(
        format!("{chat:3}|{}", ConversationId::System),
        "C2Calice|@TIM#SYSTEM"
    );
    assert_eq!(format!("{id:>10}|{id:-<9}"), "  0-10-999|0-10-999-");
    let largest = MessageId {
        sender: u64::MAX,
        client_time: u64::MAX,
        random: u32::MAX,
    };
    assert_eq!(format!("{largest:>60}").len(), 60);
    assert_eq!(format!("{largest:>60}").trim_start(), largest.to_string());
}

#[test]
fn flags_print_by_name_and_parse() {
    assert_eq!(MessageFlags::NONE.to_string(), "");
    assert_eq!("".parse(), Ok(MessageFlags::NONE));
    for bits in [1, 2, 4, 8, 16, 31, 0x20, 0x8000_0001, u32::MAX] {
        let flags = MessageFlags(bits);
        assert_eq!(flags.to_string().parse(), Ok(flags), "{flags}");
    }
    assert_eq!(
        MessageFlags(0x8000_0011).to_string(),
        "REVOKED | NO_LAST | 0x80000000"
    );
    assert_eq!("STUB | 1".parse(), Ok(MessageFlags::STUB | MessageFlags::REVOKED));
    for wrong in ["stub", "0x", "0x+1", "0x-1", "+1", "01", "STUB |"] {
        assert!(wrong.parse::<MessageFlags>().is_err(), "{wrong}");
    }
    let mut flags = MessageFlags::STUB | MessageFlags::REVOKED;
    assert!(
        flags.intersects(MessageFlags::STUB) && !flags.contains(MessageFlags::STUB | MessageFlags::NO_LAST)
    );
    flags.remove(MessageFlags::STUB);
    flags.insert(MessageFlags::NO_LAST);
    assert_eq!(flags, MessageFlags::REVOKED | MessageFlags::NO_LAST);
    assert_eq!(flags & MessageFlags::NO_LAST, MessageFlags::NO_LAST);
}
