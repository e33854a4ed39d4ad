//! Renders a text message with emojis, a group tip and a system notice.
//!
//! ```sh
//! cargo run -p tim-proto --example render_text -- 'Hello [微笑], see you [tomorrow]'
//! ```
#![allow(clippy::print_stdout)] // an example prints

use tim_proto::message::TipOperation;
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::render::Words;
use tim_proto::render::text::{SEED, Span, spans};
use tim_proto::render::tip_text;

fn main() {
    let text = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "Hello [微笑], see you [tomorrow]".into());

    // A span borrows from the text. Brackets that are no emoji stay text.
    for span in spans(&text, &SEED) {
        match span {
            Span::Text(text) => print!("{text}"),
            Span::Emoji { key, file } => print!("<img src=\"{file}\" alt=\"{key}\">"),
        }
    }
    println!();

    // Tips and notices print themselves in the words of a profile.
    for words in [Words::SEED, Words::ENGLISH] {
        println!("{}", tip_text(TipOperation::JOIN, "", ["alice", "bob"], words));
        let notice = SystemNotice::new(NoticeOperation::INVITED)
            .with_operator_id("alice")
            .with_group_id("lobby")
            .with_group_name("The lobby");
        if let Some(text) = notice.text(words) {
            println!("{text}");
        }
    }
}
