//! A client's driver, and a hub for one connection.

#![allow(dead_code)] // not every test needs all

use std::ops::ControlFlow;

use tim_testkit::{ScriptedHub, user};
use tim_transport_std::session::{ClientConfig, Event};
use tim_transport_std::{ClientBuffers, ClientDriver, Connector};
use tokio::io::{AsyncRead, AsyncWrite};

/// A driver whose session is not logged in.
pub(crate) fn driver<C: Connector>(connector: C) -> ClientDriver<C> {
    tim_testkit::deadline();
    let config = ClientConfig::new(1, user("alice"), 7);
    ClientDriver::new(config, "sig".into(), ClientBuffers::default(), 1, connector)
}

/// A hub that lets everybody in, until the client hangs up.
pub(crate) async fn hub(link: impl AsyncRead + AsyncWrite + Unpin) {
    let mut hub = ScriptedHub::new(link);
    hub.chunk = 1; // so that frames arrive in pieces
    hub.let_in().await;
    let end = hub.next::<()>(|event| panic!("{event:?}")).await;
    assert_eq!(end, None);
}

/// Drives the client until `done` is seen.
pub(crate) async fn drive<C: Connector>(
    driver: &mut ClientDriver<C>,
    mut done: impl FnMut(Event<'_>) -> bool,
) {
    loop {
        let mut seen = false;
        driver.poll_events(|event| {
            seen = done(event);
            if seen {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if seen {
            return;
        }
        driver.progress().await;
    }
}

/// Logs in, and out again.
pub(crate) async fn log_in_and_out<C: Connector>(driver: &mut ClientDriver<C>) {
    let now = driver.now();
    driver.session().login(now);
    drive(driver, |event| matches!(event, Event::Ready)).await;
    assert!(driver.is_open() && driver.last_error().is_none());
    let now = driver.now();
    driver.session().logout(now);
    drive(driver, |event| matches!(event, Event::NotReady(_))).await;
    driver.poll_events(|_| ControlFlow::Continue(()));
    assert!(!driver.is_open());
}
