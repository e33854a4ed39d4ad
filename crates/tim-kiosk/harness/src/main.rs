//! Shows the kiosk: a hub, the firmware in QEMU with its console on this terminal, and a user to talk to.

use std::error::Error;

use tim_client::{CreateGroup, GroupId, GroupType, UserId};
use tim_kiosk_harness::{Board, Cable, Hub, KIOSK, LOBBY, command, firmware, tim, tools};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let board = match std::env::args().nth(1).as_deref() {
        None | Some("mps2" | "live") => Board::Mps2,
        Some("lm3s") => Board::Lm3s,
        Some(other) => return Err(format!("no board '{other}' here: mps2 or lm3s").into()),
    };
    tools()?;
    let firmware = tokio::task::spawn_blocking(move || firmware(board)).await?;
    let hub = Hub::start().await;
    let cable = Cable::new(hub.serial).await;
    let (alice, _) = hub.user("alice").await;
    let group = CreateGroup {
        group_id: Some(GroupId::new(LOBBY)?),
        members: vec![UserId::new(KIOSK)?],
        ..CreateGroup::new(GroupType::PUBLIC, "The lobby")
    };
    alice.create_group(group).await?;
    alice.logout().await?;
    println!(
        "This is the console of {} ({}); its keys are 1 to 5, f, c, r, h, u, m, b and ?, and ctrl-C ends it.\n\
         To talk to it, in a second terminal:\n  {} chat --data {} --as alice --group {LOBBY}\n",
        KIOSK,
        board.machine(),
        tim().display(),
        hub.data().display(),
    );
    // Ctrl-C ends QEMU, which leaves the terminal as it was; this program then ends by itself, and takes the data away.
    tokio::spawn(tokio::signal::ctrl_c());
    let console = [
        "-chardev",
        "stdio,id=console,signal=on",
        "-serial",
        "chardev:console",
    ];
    command(board, firmware, &console, cable.address).status().await?;
    Ok(())
}
