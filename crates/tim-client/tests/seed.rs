//! The random numbers and the wall clock of a client can be replaced, and then nothing of it depends on the system.

mod support;

use support::{accept, alice};
use tim_client::proto::ClientSequence;
use tim_client::{Client, Message};
use tim_testkit::{c2c, in_time, user};

/// Logs a client with this seed in, in 1970, and creates two messages.
async fn two_messages(seed: u64) -> (u64, [Message; 2]) {
    let (client, mut listener) = alice(|builder| builder.seed(seed).wall_clock(|| 86_400_999));
    let login = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    accept(&mut listener).await.let_in().await;
    in_time("the login", login).await.unwrap().unwrap();
    let messages = [(); 2].map(|()| client.create_text_message(c2c("bob"), "x").unwrap());
    let (connector, _) = tim_client::transport::memory_listener();
    let unnamed = Client::builder(1, user("alice"), "sig")
        .seed(seed)
        .build(connector);
    (unnamed.device(), messages)
}

#[tokio::test(start_paused = true)]
async fn a_client_follows_from_its_seed_and_clock() {
    let (device, [first, second]) = two_messages(1).await;
    let (same_device, same) = two_messages(1).await;
    assert_eq!([first.id(), second.id()], same.map(|message| message.id()));
    assert_eq!(device, same_device);
    assert_ne!(first.id(), second.id());
    assert_eq!((first.id().client_time, first.time()), (86_400, 86_400));
    let number = ClientSequence::at(86_400).draw();
    assert_eq!(first.view().client_sequence, u64::from(number));
    let (other_device, [other, _]) = two_messages(2).await;
    assert!(device != 0 && device != other_device && first.id() != other.id());
}
