//! The client's driver against a hub's session, in memory and over TCP.

use std::ops::ControlFlow;
use std::time::Duration;

use tim_transport_std::session::proto::UserId;
use tim_transport_std::session::proto::request::{Done, LoginResponse};
use tim_transport_std::session::proto::wire::FrameKind;
use tim_transport_std::session::{
    ClientConfig, Event, GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant, NetState,
};
use tim_transport_std::{ClientBuffers, ClientDriver, Connector, TcpConnector, memory_listener};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn driver<C: Connector>(connector: C) -> ClientDriver<C> {
    tim_testkit::deadline();
    let config = ClientConfig::new(1, UserId::new("alice").unwrap(), 7);
    ClientDriver::new(config, "sig".into(), ClientBuffers::default(), 1, connector)
}

/// A hub that lets everybody in, until the client hangs up.
async fn hub(mut link: impl AsyncRead + AsyncWrite + Unpin) {
    let config = HubConfig::default();
    let mut session = HubSession::new(
        config,
        GrowBuffer::new(1 << 16),
        GrowBuffer::new(1 << 16),
        Instant::ZERO,
    );
    loop {
        let login = match session.poll(Instant::ZERO) {
            HubOutput::Event(HubEvent::Login(_)) => true,
            HubOutput::Wait(_) => false,
            HubOutput::Close(_) => {
                link.write_all(session.outgoing()).await.unwrap();
                return;
            }
            other => panic!("{other:?}"),
        };
        if login {
            session
                .accept(&LoginResponse {
                    account: 5,
                    time_ms: 0,
                    cursor: &[1],
                    nick: "",
                    ..LoginResponse::default()
                })
                .unwrap();
            session.push(FrameKind::SYNCED, &Done).unwrap();
            continue;
        }
        link.write_all(session.outgoing()).await.unwrap();
        session.transmitted(session.outgoing().len());
        let mut byte = [0]; // one at a time, so that frames arrive in pieces
        if link.read(&mut byte).await.unwrap() == 0 {
            return;
        }
        assert_eq!(session.receive(Instant::ZERO, &byte), 1);
    }
}

/// Drives the client until `done` is seen.
async fn drive<C: Connector>(driver: &mut ClientDriver<C>, mut done: impl FnMut(Event<'_>) -> bool) {
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

async fn log_in_and_out<C: Connector>(driver: &mut ClientDriver<C>) {
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

#[tokio::test]
async fn logs_in_and_out_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut driver = driver(TcpConnector::new(listener.local_addr().unwrap()));
    let serve = async { hub(listener.accept().await.unwrap().0).await };
    tokio::join!(log_in_and_out(&mut driver), serve);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_dropped_out_of_waiting_all_the_time_loses_nothing() {
    let (connector, mut listener) = memory_listener();
    let mut driver = driver(connector);
    tokio::spawn(async move { hub(listener.accept().await.unwrap()).await });
    let now = driver.now();
    driver.session().login(now);
    let mut ready = false;
    while !ready {
        driver.poll_events(|event| {
            ready |= matches!(event, Event::Ready);
            ControlFlow::Continue(())
        });
        // Polled once, then dropped.
        tokio::select! {
            biased;
            () = driver.progress() => {}
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_opened_again_when_that_is_allowed() {
    let (connector, mut listener) = memory_listener();
    let mut driver = driver(connector);
    tokio::spawn(async move {
        while let Some(link) = listener.accept().await {
            hub(link).await;
        }
    });
    let now = driver.now();
    driver.session().login(now);
    drive(&mut driver, |event| matches!(event, Event::Ready)).await;
    driver.allow_connecting(false);
    driver.drop_connection();
    drive(&mut driver, |event| {
        event == Event::NetState(NetState::Disconnected)
    })
    .await;
    let wait = drive(&mut driver, |event| event == Event::NetState(NetState::Connected));
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_err());
    driver.allow_connecting(true);
    drive(&mut driver, |event| event == Event::NetState(NetState::Connected)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_not_there_is_tried_again_and_the_reason_kept() {
    let (connector, listener) = memory_listener();
    drop(listener);
    let mut driver = driver(connector);
    let now = driver.now();
    driver.session().login(now);
    let mut tries = 0;
    drive(&mut driver, |event| {
        tries += u32::from(event == Event::NetState(NetState::Connecting));
        tries == 5
    })
    .await;
    assert_eq!(
        driver.last_error().unwrap().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}
