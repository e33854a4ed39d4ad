//! Reading groups and their members, for both ends.

use super::db::{self, Connection, Optional as _, Row};
use super::value::params;
use tim_proto::{GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};
use tim_store::{
    Account, Group, GroupsPage, ListPosition, Member, MembersPage, MembersRequest, Membership, Restriction,
};

use super::rows::{Head, Personal, number_of, parsed, personal_columns, rows, sql, unsigned, user_id};

/// The columns of a [`Group`], from column 0.
macro_rules! group_columns {
    () => {
        "l.name, g.group_type, u.name, g.name, g.introduction, g.notification, g.avatar, g.created_ms, \
         g.member_count, g.join_option, g.invite_option, g.mute_all, g.max_members"
    };
}

pub(super) use group_columns;

/// The number of these columns.
pub(super) const GROUP_COLUMNS: usize = 13;

pub(super) fn group_from_row(row: &Row) -> db::Result<Group> {
    Ok(Group {
        group: parsed(row, 0)?,
        group_type: row.get(1).map(GroupType)?,
        owner: parsed(row, 2)?,
        name: row.get(3)?,
        introduction: row.get(4)?,
        notification: row.get(5)?,
        avatar: row.get(6)?,
        created_ms: unsigned(row, 7)?,
        member_count: unsigned(row, 8)?,
        join_option: JoinOption(row.get(9)?),
        invite_option: InviteOption(row.get(10)?),
        mute_all: row.get(11)?,
        max_members: row.get(12)?,
    })
}

pub(super) fn group(db: &Connection, log: i64) -> db::Result<Option<Group>> {
    db.statement(concat!(
        "SELECT ",
        group_columns!(),
        " FROM groups g JOIN logs l ON l.id = g.log JOIN users u ON u.id = g.owner WHERE g.log = ?1"
    ))?
    .query_row([log], group_from_row)
    .optional()
}

/// The membership in the [`Personal`] columns from column `at`; `None` for a row without a role.
pub(super) fn membership_from_row(row: &Row, at: usize) -> db::Result<Option<Membership>> {
    let personal = Personal::from_row(row, at)?;
    let name_card = row.get(at + Personal::COLUMNS - 1)?;
    Ok(personal.role.map(|role| Membership {
        role,
        joined_ms: personal.joined_ms,
        joined_at: personal.joined_at,
        muted_until_ms: personal.muted_until_ms,
        receive_option: ReceiveOption(personal.receive_option),
        name_card,
    }))
}

pub(super) fn membership(db: &Connection, user: i64, head: &Head) -> db::Result<Option<Membership>> {
    let found = db
        .statement(concat!(
            "SELECT ",
            personal_columns!(),
            " FROM personal p WHERE account = ?1 AND log = ?2"
        ))?
        .query_row(params![user, head.id], |row| membership_from_row(row, 0))
        .optional()?;
    Ok(found.flatten().filter(|_| head.is_group()))
}

pub(super) fn groups_of(db: &Connection, user: &UserId) -> db::Result<Vec<Group>> {
    let Some(id) = user_id(db, user)? else {
        return Ok(Vec::new());
    };
    let statement = db.statement(concat!(
        "SELECT ",
        group_columns!(),
        " FROM personal p JOIN groups g ON g.log = p.log JOIN logs l ON l.id = g.log
         JOIN users u ON u.id = g.owner WHERE p.account = ?1 AND p.role IS NOT NULL ORDER BY l.name"
    ))?;
    let rows = statement.query_map([id], group_from_row)?;
    rows.collect()
}

pub(super) fn groups_page(
    db: &Connection,
    user: &UserId,
    after: Option<ListPosition>,
    limit: usize,
) -> db::Result<GroupsPage> {
    let Some(id) = user_id(db, user)? else {
        return Ok(GroupsPage {
            groups: Vec::new(),
            next: None,
        });
    };
    let (after, _) = after.map_or((0, 0), ListPosition::parts);
    let limit = limit.max(1);
    let statement = db.statement(concat!(
        "SELECT ",
        group_columns!(),
        ", ",
        personal_columns!(),
        ", g.log FROM personal p JOIN groups g ON g.log = p.log JOIN logs l ON l.id = g.log
         JOIN users u ON u.id = g.owner
         WHERE p.account = ?1 AND p.log > ?2 AND p.role IS NOT NULL ORDER BY p.log LIMIT ?3"
    ))?;
    // One more than requested: there is another page.
    let bounds = params![id, sql(after), rows(limit.saturating_add(1))];
    let rows = statement.query_map(bounds, |row| {
        let log = unsigned(row, GROUP_COLUMNS + Personal::COLUMNS)?;
        let membership = membership_from_row(row, GROUP_COLUMNS)?;
        Ok((
            log,
            membership.map(|membership| (group_from_row(row), membership)),
        ))
    })?;
    let mut page = GroupsPage {
        groups: Vec::new(),
        next: None,
    };
    let mut last = after;
    for row in rows {
        let (log, Some((group, membership))) = row? else {
            continue;
        };
        if page.groups.len() == limit {
            page.next = Some(ListPosition::new(last, 0));
            break;
        }
        page.groups.push((group?, membership));
        last = log;
    }
    Ok(page)
}

/// The beginning of every query for members.
macro_rules! select_members {
    () => {
        concat!(
            "SELECT ",
            personal_columns!(),
            ", u.name, u.nick, u.avatar FROM personal p JOIN users u ON u.id = p.account WHERE p.log = ?1 AND "
        )
    };
}

fn member(row: &Row) -> db::Result<Option<(i64, Member)>> {
    let Some(membership) = membership_from_row(row, 0)? else {
        return Ok(None);
    };
    let id = row.get(0)?;
    let account = Account {
        user: parsed(row, Personal::COLUMNS)?,
        number: number_of(id),
        nick: row.get(Personal::COLUMNS + 1)?,
        avatar: row.get(Personal::COLUMNS + 2)?,
    };
    Ok(Some((id, Member { account, membership })))
}

pub(super) fn managers(db: &Connection, log: i64) -> db::Result<Vec<Member>> {
    let statement = db.statement(concat!(
        select_members!(),
        "p.role < 3 ORDER BY p.joined_ms, p.account"
    ))?;
    let mut managers = collect(statement.query_map([log], member)?)?;
    // Unknown roles, which are in the index too, are members.
    managers.retain(|member| member.membership.role.is_manager());
    Ok(managers)
}

fn collect(rows: impl Iterator<Item = db::Result<Option<(i64, Member)>>>) -> db::Result<Vec<Member>> {
    rows.filter_map(|row| row.map(|found| found.map(|(_, member)| member)).transpose())
        .collect()
}

pub(super) fn members_page(db: &Connection, log: i64, request: &MembersRequest) -> db::Result<MembersPage> {
    let (joined_ms, user) = request.after.map_or((0, 0), ListPosition::parts);
    let limit = request.limit.max(1);
    let sql_text = match request.role {
        // Managers have an index of their own.
        Some(Role::OWNER | Role::ADMIN) => concat!(
            select_members!(),
            "p.role < 3 AND (p.joined_ms, p.account) > (?2, ?3) AND p.role = ?4 ORDER BY p.joined_ms, p.account LIMIT ?5"
        ),
        Some(_) => concat!(
            select_members!(),
            "p.role IS NOT NULL AND (p.joined_ms, p.account) > (?2, ?3) AND p.role NOT IN (1, 2)
             AND ?4::bigint IS NOT NULL ORDER BY p.joined_ms, p.account LIMIT ?5"
        ),
        None => concat!(
            select_members!(),
            "p.role IS NOT NULL AND (p.joined_ms, p.account) > (?2, ?3) AND ?4::bigint IS NULL
             ORDER BY p.joined_ms, p.account LIMIT ?5"
        ),
    };
    let wanted = request.role.map(|role| role.0);
    let statement = db.statement(sql_text)?;
    // One more than requested: there is another page.
    let more = rows(limit.saturating_add(1));
    let bounds = params![log, sql(joined_ms), sql(user), wanted, more];
    let mut page = MembersPage {
        members: Vec::new(),
        next: None,
    };
    let mut last = (joined_ms, user);
    for row in statement.query_map(bounds, member)? {
        let Some((id, member)) = row? else { continue };
        if page.members.len() == limit {
            page.next = Some(ListPosition::new(last.0, last.1));
            break;
        }
        last = (member.membership.joined_ms, id.cast_unsigned());
        page.members.push(member);
    }
    Ok(page)
}

pub(super) fn restriction(db: &Connection, log: i64, user: &UserId) -> db::Result<Restriction> {
    let found = db
        .statement(
            "SELECT r.banned_until_ms, r.muted_until_ms FROM restrictions r JOIN users u ON u.id = r.account
             WHERE r.log = ?1 AND u.name = ?2",
        )?
        .query_row(params![log, user.as_str()], |row| {
            Ok(Restriction {
                banned_until_ms: unsigned(row, 0)?,
                muted_until_ms: unsigned(row, 1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}
