//! The client's driver against a hub's session, in memory and over TCP.

mod support;

use std::ops::ControlFlow;
use std::time::Duration;

use support::{drive, driver, hub, log_in_and_out};
use tim_transport_std::session::{Event, NetState};
use tim_transport_std::{TcpConnector, memory_listener};

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
