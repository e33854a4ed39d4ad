//! Which sink takes what: one table.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tim_proto::request::PushPlatform;

use super::notification::PushSink;

/// Which sink takes the notifications for the tokens of which push service.
///
/// Each sink works for itself: one that is slow or down holds back nothing that another one takes, also for the same user.
#[derive(Clone, Default)]
pub struct PushRoutes(Arc<Table>);

#[derive(Clone, Default)]
struct Table {
    sinks: Vec<Arc<dyn PushSink>>,
    /// Which of them, for platforms that have their own.
    platforms: BTreeMap<PushPlatform, usize>,
    /// For the others.
    others: Option<usize>,
}

impl PushRoutes {
    /// No sink for any platform.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this sink for the tokens of a platform. A sink may have several platforms.
    #[must_use]
    pub fn with(mut self, platform: PushPlatform, sink: Arc<dyn PushSink>) -> Self {
        let table = Arc::make_mut(&mut self.0);
        let number = table.number(sink);
        table.platforms.insert(platform, number);
        self
    }

    /// With this sink for the tokens of all platforms that have no other one.
    #[must_use]
    pub fn with_others(mut self, sink: Arc<dyn PushSink>) -> Self {
        let table = Arc::make_mut(&mut self.0);
        table.others = Some(table.number(sink));
        self
    }

    /// The sink for the tokens of a platform, if there is one.
    #[must_use]
    pub fn sink_of(&self, platform: PushPlatform) -> Option<&Arc<dyn PushSink>> {
        self.sink(self.number(platform)?)
    }

    /// How many sinks there are; they have the numbers below.
    pub(super) fn len(&self) -> usize {
        self.0.sinks.len()
    }

    /// The number of the sink of a platform.
    pub(super) fn number(&self, platform: PushPlatform) -> Option<usize> {
        self.0.platforms.get(&platform).copied().or(self.0.others)
    }

    pub(super) fn sink(&self, number: usize) -> Option<&Arc<dyn PushSink>> {
        self.0.sinks.get(number)
    }

    /// The form in which a token is kept; as it is if no sink takes it.
    pub(super) fn token<'a>(&self, platform: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        match self.sink_of(platform) {
            Some(sink) => sink.token(platform, token),
            None => Ok(Cow::Borrowed(token)),
        }
    }
}

impl Table {
    fn number(&mut self, sink: Arc<dyn PushSink>) -> usize {
        let known = self.sinks.iter().position(|known| Arc::ptr_eq(known, &sink));
        known.unwrap_or_else(|| {
            self.sinks.push(sink);
            self.sinks.len() - 1
        })
    }
}

impl fmt::Debug for PushRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |number: &usize| self.0.sinks.get(*number).map_or("", |sink| sink.name());
        let platforms = self.0.platforms.iter();
        f.debug_struct("PushRoutes")
            .field(
                "platforms",
                &platforms
                    .map(|(platform, number)| (platform, name(number)))
                    .collect::<Vec<_>>(),
            )
            .field("others", &self.0.others.as_ref().map(name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::notification::{Notification, Sending};
    use super::*;

    struct Nowhere;

    impl PushSink for Nowhere {
        fn send<'a>(&'a self, _: &'a Notification) -> Sending<'a> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[test]
    fn a_platform_has_its_own_sink_or_that_of_the_others_or_none() {
        let (one, other): (Arc<dyn PushSink>, Arc<dyn PushSink>) = (Arc::new(Nowhere), Arc::new(Nowhere));
        let some = PushRoutes::new()
            .with(PushPlatform::IOS, Arc::clone(&one))
            .with(PushPlatform::WEB, Arc::clone(&one));
        assert_eq!(
            (
                some.len(),
                some.number(PushPlatform::IOS),
                some.number(PushPlatform::WEB)
            ),
            (1, Some(0), Some(0))
        );
        assert_eq!(some.number(PushPlatform::OPPO), None);
        assert_eq!(some.token(PushPlatform::OPPO, "t").as_deref(), Ok("t"));
        let all = some.with_others(other).with(PushPlatform::WEB, Arc::new(Nowhere));
        let numbers = [PushPlatform::IOS, PushPlatform::OPPO, PushPlatform::WEB].map(|it| all.number(it));
        assert_eq!((all.len(), numbers), (3, [Some(0), Some(1), Some(2)]));
        assert!(all.sink(3).is_none());
    }
}
