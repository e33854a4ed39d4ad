//! Measures the stack of a device in QEMU, without TLS and with it: `src/bin/stack.rs` of the kiosk against a real hub.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use tim_client::{Event, UserId};

use crate::build::stack;
use crate::{Board, Cable, Hub, KIOSK, Kiosk, next};

/// As many texts as the device returns, and their length.
const TEXTS: usize = 30;
const TEXT: usize = 300;

/// Makes a key and a certificate as the front page of `tim-device-tls` says, and returns the pin.
const MAKE: &str = "openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out hub.key && \
     openssl req -x509 -new -key hub.key -subj /CN=hub -days 2 -out hub.crt && \
     openssl x509 -in hub.crt -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -r";

/// Prints what the device takes.
///
/// # Errors
/// Without `openssl`.
///
/// # Panics
/// If the device does not work.
pub async fn measure() -> Result<(), Box<dyn Error>> {
    let made = tempfile::tempdir()?;
    let pin = Command::new("sh")
        .args(["-c", MAKE])
        .current_dir(made.path())
        .output()?;
    if !pin.status.success() {
        return Err(String::from_utf8_lossy(&pin.stderr).into());
    }
    let pin = String::from_utf8(pin.stdout)?;
    let pin = pin.split(' ').next().unwrap_or_default().to_owned();
    for pin in [None, Some(pin)] {
        measure_one(made.path(), pin).await?;
    }
    Ok(())
}

async fn measure_one(made: &Path, pin: Option<String>) -> Result<(), Box<dyn Error>> {
    let has_tls = pin.is_some();
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // free, and free again
    let (certificate, key) = (made.join("hub.crt"), made.join("hub.key"));
    let listen = format!("tims://{address}");
    let flags = [
        "--listen",
        &listen,
        "--tls-max-fragment",
        "1024",
        "--tls-cert",
        &certificate.to_string_lossy(),
        "--tls-key",
        &key.to_string_lossy(),
    ];
    let hub = Hub::start_with(&flags).await;
    let line: SocketAddr = if has_tls { address } else { hub.address };
    let firmware = tokio::task::spawn_blocking(move || stack(pin.as_deref())).await?;
    let cable = Cable::new(line).await;
    let mut device = Kiosk::start_firmware(Board::Mps2, firmware, &cable).await;
    let name = if has_tls { "TLS" } else { "no TLS" };
    let login = device.console.shows("bytes of stack").await;
    let (alice, mut events) = hub.user("alice").await;
    for number in 0..TEXTS {
        let text = format!("{number:0TEXT$}");
        let message = alice.create_text_message(UserId::new(KIOSK)?, &text)?;
        alice.send_message(&message, Default::default()).await?;
        let returned = next(&mut events, |event| match event {
            Event::MessageReceived(messages) => messages.first().and_then(|it| it.text().map(str::to_owned)),
            _ => None,
        });
        assert_eq!(returned.await, text);
    }
    let messages = device.console.shows("bytes of stack").await;
    println!("{name}: {login}; {messages}");
    Ok(())
}
