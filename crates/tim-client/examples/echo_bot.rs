//! A bot that answers every text in a one-to-one conversation with the same text.
//!
//! ```sh
//! tim serve &
//! cargo run -p tim-client --example echo_bot -- 127.0.0.1:7878 bot "$(tim sig make --user bot)"
//! tim send --as alice bot 'Hello bot'; tim history --as alice bot
//! ```
#![allow(clippy::print_stdout)] // an example prints

use tim_client::{Client, ConversationId, Event, Flow, Message, SendOptions, UserId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, hub, user, user_sig] = arguments.as_slice() else {
        return Err("usage: echo_bot HUB_ADDRESS USER USER_SIG".into());
    };
    let client = Client::builder(1_400_000_000, UserId::new(user)?, user_sig.as_str()).build_tcp(hub);
    let mut events = client.events();
    client.login().await?;
    client.wait_until_ready().await?;
    println!("{user} is ready");

    while let Some(event) = events.next().await {
        match event {
            Event::MessageReceived(messages) => {
                for message in messages {
                    if let Err(error) = answer(&client, &message).await {
                        println!("not answered: {error}");
                    }
                }
            }
            Event::KickedOut(error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Only texts of other users in one-to-one conversations are answered.
async fn answer(client: &Client, message: &Message) -> Result<(), Box<dyn std::error::Error>> {
    let conversation = message.conversation_id();
    if message.flow() != Flow::In || !matches!(conversation, ConversationId::C2c(_)) {
        return Ok(());
    }
    if let Some(text) = message.text() {
        let echo = client.create_text_message(conversation, text)?;
        client.send_message(&echo, SendOptions::default()).await?;
        client.set_message_read(conversation).await?;
    }
    Ok(())
}
