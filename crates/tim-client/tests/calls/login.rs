//! Login and logout.

use super::support::*;
use super::*;
use tim_client::proto::request::{Failure, Renew};
use tim_client::{ErrorCode, Event, SendOptions, Status};

#[tokio::test(start_paused = true)]
async fn a_login_is_accepted_and_a_second_one_repeats_it() {
    let (client, mut listener) = alice(|builder| builder);
    assert_eq!(
        client.wait_until_ready().await.unwrap_err().code,
        ErrorCode::USER_NOT_LOGGED_IN
    );
    let mut events = client.events();
    let hub = async {
        let mut hub = accept(&mut listener).await;
        hub.login().await;
        hub.welcome();
        hub.flush().await;
        hub
    };
    let (login, mut hub) = tokio::join!(client.login(), hub);
    let login = login.unwrap();
    assert_eq!(
        (login.account, login.nick.as_str(), login.repeat_login),
        (ACCOUNT, "Alice", false)
    );
    assert!(!client.is_ready(), "logged in is not ready (S84)");
    assert!(client.login().await.unwrap().repeat_login);
    hub.synced().await;
    event(&mut events, |event| {
        matches!(event, Event::SdkReady).then_some(())
    })
    .await;
    assert!(client.is_ready());
    client.wait_until_ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_says_why() {
    let (client, mut listener) = alice(|builder| builder);
    let hub = async {
        let mut hub = accept(&mut listener).await;
        hub.login().await;
        hub.session
            .refuse(&Failure::new(ErrorCode::ACCOUNT_USERSIG_EXPIRED, "yesterday"));
        hub.flush().await;
        hub
    };
    let (login, _hub) = tokio::join!(client.login(), hub);
    let error = login.unwrap_err();
    assert_eq!(
        (error.code, error.text.as_str()),
        (ErrorCode::ACCOUNT_USERSIG_EXPIRED, "yesterday")
    );
    assert_eq!(
        client.wait_until_ready().await.unwrap_err().code,
        ErrorCode::LOGIN_FAILED
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_without_a_hub_times_out_and_tells_the_reason() {
    let (client, listener) = alice(|builder| builder);
    drop(listener);
    let (first, second) = tokio::join!(client.login(), client.login());
    let error = first.unwrap_err();
    assert_eq!(error.code, ErrorCode::NETWORK_TIMEOUT);
    assert!(error.text.contains("connection refused"), "{error}");
    assert_eq!(second.unwrap_err().code, ErrorCode::REPEAT_LOGIN);
    // And again: the client is not used up.
    assert_eq!(client.login().await.unwrap_err().code, ErrorCode::NETWORK_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_user_sig_that_the_hub_refused_is_not_presented_at_the_next_login() {
    let (client, _events, mut hub, mut listener) = alice_online().await;
    let refuse = async {
        let asked = asked_beside_lists(&mut hub).await;
        assert_eq!(asked.request::<Renew<'_>>(), Renew::new("bad"));
        hub.fail(&asked, ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID, "").await;
    };
    let (renewed, ()) = tokio::join!(client.set_user_sig("bad"), refuse);
    assert_eq!(renewed.unwrap_err().code, ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID);
    drop(hub); // the line breaks
    let mut hub = accept(&mut listener).await;
    hub.let_in().await; // it checks the UserSig of the login
    client.wait_until_ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_readiness_and_fails_what_waits() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "hi").unwrap();
    let script = async {
        let _unanswered = hub.next_request().await;
        let gone = hub.next::<()>(|event| panic!("{event:?}"));
        let (left, gone) = tokio::join!(client.logout(), gone);
        left.unwrap();
        assert_eq!(gone, None);
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::LOGGED_OUT);
    assert_eq!(message.status(), Status::Fail);
    event(&mut events, |event| {
        matches!(event, Event::SdkNotReady(_)).then_some(())
    })
    .await;
    assert!(!client.is_ready());
    assert_eq!(
        client.get_conversation_list().await.unwrap_err().code,
        ErrorCode::LOGGED_OUT
    );
    client.logout().await.unwrap();
}
