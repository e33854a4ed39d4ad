//! `getGroupList`, `getGroupProfile`.

use std::sync::Arc;

use tim_proto::request::{GetGroupProfile, Groups};
use tim_proto::{ErrorCode, GroupId};

use crate::call::encoded;
use crate::client::Client;
use crate::{GroupProfile, ImError};

/// In how many pages a list of groups may come, so that a hub that never says it is complete comes to an end.
const MAX_PAGES: usize = 1000;

/// The answer to [`Client::get_group_list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetGroupListResponse {
    /// The groups that the user is in.
    pub group_list: Vec<Arc<GroupProfile>>,
}

/// The answer to [`Client::get_group_profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetGroupProfileResponse {
    /// The group as this user sees it; its `role` is `Role(0)` for who is no member.
    pub group: GroupProfile,
}

/// What is known of the list while its pages come.
type Listed = Vec<GroupProfile>;

impl Client {
    /// `getGroupList`: all groups that the user is in, however many pages that takes. From then on the list is kept up to
    /// date by what arrives, and [`Event::GroupListUpdated`](crate::Event::GroupListUpdated) tells of its changes.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_group_list(&self) -> Result<GetGroupListResponse, ImError> {
        let (mut listed, mut next) = (Listed::new(), Vec::new());
        for page in 0..MAX_PAGES {
            let request = encoded(&Groups {
                next: &next,
                count: 0,
            });
            let response = self.call(request, move |state, response| {
                if page == 0 {
                    state.groups.begin_list();
                }
                listed.extend(response.groups.iter().map(|group| state.group(&group)));
                if response.completed || response.next.is_empty() {
                    Page::Last(state.groups.end_list(listed))
                } else {
                    Page::More(listed, response.next.to_vec())
                }
            });
            match response.await? {
                Page::Last(group_list) => return Ok(GetGroupListResponse { group_list }),
                Page::More(so_far, position) => (listed, next) = (so_far, position),
            }
        }
        let text = "the hub's list of groups does not end";
        Err(ImError::new(ErrorCode::PROTOCOL_VIOLATION, text))
    }

    /// `getGroupProfile`: all about a group. Who is no member sees it too, so that it can be looked at before joining; a Work
    /// group only its members see.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for a Work group of others, 10010 if there is no such group.
    pub async fn get_group_profile(&self, group: GroupId) -> Result<GetGroupProfileResponse, ImError> {
        let request = encoded(&GetGroupProfile { group });
        self.call(request, |state, group| GetGroupProfileResponse {
            group: state.group(&group),
        })
        .await
    }
}

enum Page {
    More(Listed, Vec<u8>),
    Last(Vec<Arc<GroupProfile>>),
}
