//! Queries: what the state itself asks the hub for.

use tim_proto::request::{
    Conversations, ConversationsResponse, Fetch, GetGroupProfile, History, RawResponse, Request,
};
use tim_proto::wire::{Encode, FrameKind};
use tim_proto::{ConversationId, GroupId};
use tim_transport_std::session::Instant;

use super::conversations::{ListPage, Progress};
use super::{Effect, Moment, State};
use crate::{GetConversationListResponse, ImError};

/// A request that the state itself makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Query {
    /// A piece of a stub.
    Piece(Fetch),
    /// A page of history, in which a revoked message is looked up.
    History {
        conversation: ConversationId,
        next: Vec<u8>,
    },
    /// A page of the conversation list.
    Conversations {
        next: Vec<u8>,
    },
    Group(GroupId),
}

impl Query {
    /// Passes the request to `submit`.
    pub(crate) fn submit<T>(&self, submit: impl FnOnce(FrameKind, &dyn Encode) -> T) -> T {
        match self {
            Self::Piece(fetch) => submit(Fetch::KIND, fetch),
            Self::History { conversation, next } => {
                let (conversation, count) = (*conversation, 0);
                submit(
                    History::KIND,
                    &History::new(conversation).with_next(next).with_count(count),
                )
            }
            Self::Conversations { next } => {
                submit(Conversations::KIND, &Conversations::new().with_next(next))
            }
            Self::Group(group) => submit(GetGroupProfile::KIND, &GetGroupProfile::new(*group)),
        }
    }
}

/// Queries: what the state asks the hub for.
impl State {
    /// Publishes what is complete, up to the first delivery that lacks something, and returns what to request next.
    pub(crate) fn poll_query(&mut self, moment: Moment) -> Option<Query> {
        while let Some(complete) = self.inbound.pop_complete(self.session.is_connected()) {
            self.emit(complete, moment);
        }
        if let Some(query) = self.inbound.query(self.config.fetch_piece) {
            return Some(query);
        }
        if !self.session.status.ready {
            return None;
        }
        match self.list_sync.next_page(moment.now) {
            Some(next) => Some(Query::Conversations { next }),
            None => self.groups.next_query().map(Query::Group),
        }
    }

    /// The session has taken the query.
    pub(crate) fn query_sent(&mut self, query: &Query) {
        match query {
            Query::Conversations { .. } => {
                if self.list_sync.requested() {
                    self.conversations.begin_list();
                }
            }
            Query::Group(group) => self.groups.query_sent(*group),
            Query::Piece(_) | Query::History { .. } => self.inbound.query_sent(),
        }
    }

    /// The response to a query, or why there is none.
    pub(crate) fn query_done(
        &mut self,
        now: Instant,
        query: &Query,
        response: Result<RawResponse<'_>, ImError>,
    ) {
        match query {
            Query::Conversations { .. } => match decode::<Conversations<'_>>(response) {
                Ok(page) => self.take_page(&page),
                Err(error) => {
                    self.conversations.give_up_list();
                    let waiters = self.list_sync.failed(now, &error);
                    self.fail_lists(waiters, &error);
                }
            },
            Query::Group(group) => {
                let profile = decode::<GetGroupProfile>(response);
                let profile = profile.map(|profile| self.group(&profile));
                self.groups.query_done(*group, profile);
            }
            Query::Piece(_) => {
                let Some(item) = self.inbound.front_arrived() else {
                    return;
                };
                match decode::<Fetch>(response) {
                    Ok(piece) => item.take_piece(&piece),
                    Err(_) => item.give_up(&self.config.user),
                }
            }
            Query::History { .. } => {
                let Some(item) = self.inbound.front_arrived() else {
                    return;
                };
                let (me, messages) = (&self.config.user, &self.messages);
                match decode::<History<'_>>(response) {
                    Ok(page) => item.take_history(&page, me, |header| messages.instance(header)),
                    Err(_) => item.give_up(me),
                }
            }
        }
    }

    fn take_page(&mut self, page: &ConversationsResponse<'_>) {
        let conversations = page.conversations.iter();
        let conversations = conversations
            .map(|conversation| self.conversation(&conversation))
            .collect();
        let progress = self.conversations.take_page(ListPage {
            conversations,
            total_unread: page.total_unread,
            completed: page.completed || page.next.is_empty(),
        });
        match progress {
            Progress::More => self.list_sync.advance(page.next),
            Progress::Done(need) => {
                self.list_changed(need);
                let waiters = self.list_sync.complete(self.conversations.generation());
                let response = GetConversationListResponse {
                    conversation_list: self.conversations.list(),
                    is_truncated: self.conversations.is_truncated(),
                };
                let done = |waiter| Effect::ListDone(waiter, Ok(response.clone()));
                self.effects.extend(waiters.into_iter().map(done));
            }
            Progress::Stale => self.list_sync.discard_page(),
        }
    }

    /// Whether missing parts must be done without: nothing can be requested before the hub has delivered everything,
    /// and it cannot go on before what waits here is published.
    pub(crate) fn must_not_wait(&self) -> bool {
        self.waiting() >= self.config.capacity && !self.session.takes_requests
    }
}

/// Decodes the response to a query.
fn decode<R: Request>(response: Result<RawResponse<'_>, ImError>) -> Result<R::Response<'_>, ImError> {
    Ok(response?.decode::<R>()?)
}
