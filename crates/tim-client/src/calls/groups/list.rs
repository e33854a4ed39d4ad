//! `getGroupList`, `getGroupProfile`.

use std::sync::Arc;

use tim_proto::GroupId;
use tim_proto::request::{AnyRequest as Request, AnyResponse as Answer, GetGroupProfile, Groups};

use crate::client::{Client, asking};
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
            let request = asking(|next: &Vec<u8>| Request::Groups(Groups { next, count: 0 }));
            let asked = self.request_of(next, request, move |state, answer| match answer {
                Answer::Groups(answer) => {
                    if page == 0 {
                        state.groups.begin_list();
                    }
                    let groups = answer.groups.iter().map(|group| state.group(&group));
                    listed.extend(groups);
                    if answer.completed || answer.next.is_empty() {
                        let list = state.groups.end_list(listed);
                        return Ok(Page::Last(list));
                    }
                    Ok(Page::More(listed, answer.next.to_vec()))
                }
                _ => Err(ImError::unexpected_answer()),
            });
            match asked.await? {
                Page::Last(group_list) => return Ok(GetGroupListResponse { group_list }),
                Page::More(so_far, behind) => (listed, next) = (so_far, behind),
            }
        }
        Err(ImError::unexpected_answer())
    }

    /// `getGroupProfile`: all about a group. Who is no member sees it too, so that it can be looked at before joining; a Work
    /// group only its members see.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for a Work group of others, 10010 if there is no such group.
    pub async fn get_group_profile(&self, group: GroupId) -> Result<GetGroupProfileResponse, ImError> {
        let request = Request::GroupProfile(GetGroupProfile { group });
        self.request(request, |state, answer| match answer {
            Answer::GroupProfile(group) => Ok(GetGroupProfileResponse {
                group: state.group(group),
            }),
            _ => Err(ImError::unexpected_answer()),
        })
        .await
    }
}

enum Page {
    More(Listed, Vec<u8>),
    Last(Vec<Arc<GroupProfile>>),
}
