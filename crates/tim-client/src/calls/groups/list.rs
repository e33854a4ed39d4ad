//! `getGroupList`, `getGroupProfile`.

use std::sync::Arc;

use tim_proto::request::{GetGroupProfile, Groups};
use tim_proto::{ErrorCode, GroupId};

use crate::call::encoded;
use crate::client::Client;
use crate::{GroupProfile, ImError};

/// The maximum number of pages, in case a hub never completes the list.
const MAX_PAGES: usize = 1000;

/// The response of [`Client::get_group_list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetGroupListResponse {
    /// The groups that the user is in.
    pub group_list: Vec<Arc<GroupProfile>>,
}

/// The response of [`Client::get_group_profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetGroupProfileResponse {
    /// The group; `role` is `Role(0)` if the user is not a member.
    pub group: GroupProfile,
}

impl Client {
    /// `getGroupList`: all groups that the user is in. From then on the list is kept up to date, and
    /// [`Event::GroupListUpdated`](crate::Event::GroupListUpdated) reports its changes.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_group_list(&self) -> Result<GetGroupListResponse, ImError> {
        let (mut listed, mut next) = (Vec::new(), Vec::new());
        for page in 0..MAX_PAGES {
            let request = encoded(&Groups::new().with_next(&next));
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

    /// `getGroupProfile`: the profile of a group. Users who are not members see it too, except that of a Work group.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for a Work group that the user is not in, 10010 if the group does not
    /// exist.
    pub async fn get_group_profile(&self, group: GroupId) -> Result<GetGroupProfileResponse, ImError> {
        let request = encoded(&GetGroupProfile::new(group));
        self.call(request, |state, group| GetGroupProfileResponse {
            group: state.group(&group),
        })
        .await
    }
}

enum Page {
    More(Vec<GroupProfile>, Vec<u8>),
    Last(Vec<Arc<GroupProfile>>),
}
