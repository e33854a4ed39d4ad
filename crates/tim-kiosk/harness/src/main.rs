//! Shows the kiosk: a hub, the firmware in QEMU with its console on this terminal, and a user to talk to. With `stack`, measures the stack
//! of a device instead.

use std::error::Error;
use std::time::Duration;

use tim_client::{CreateGroup, GroupId, GroupType, UserId};
use tim_kiosk_harness::{Board, Cable, Hub, KIOSK, LOBBY, Terminal, firmware, measure_stack, tim, tools};
use tokio::signal::unix::{SignalKind, signal};

/// How long QEMU may take to end, which leaves the terminal as it was.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let board = match std::env::args().nth(1).as_deref() {
        None | Some("mps2" | "live") => Board::Mps2,
        Some("lm3s") => Board::Lm3s,
        Some("stack") => return measure_stack().await,
        Some(other) => {
            return Err(format!("no board '{other}' here: mps2, lm3s, or stack to measure it").into());
        }
    };
    // From the beginning: a signal ends what has been started, wherever it comes.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut started = Started::default();
    let shown = tokio::select! {
        shown = show(board, &mut started) => shown,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    started.end().await;
    if let Err(error) = shown {
        eprintln!("{error}");
        std::process::exit(1);
    }
    // Not by returning: that would wait for a build, which ends by itself.
    std::process::exit(0);
}

/// What runs beside this program.
#[derive(Default)]
struct Started {
    hub: Option<Hub>,
    terminal: Option<Terminal>,
}

impl Started {
    /// Ends all of it, and takes the hub's data away.
    async fn end(self) {
        if let Some(terminal) = self.terminal {
            terminal.end(PATIENCE).await;
        }
        if let Some(mut hub) = self.hub {
            hub.stop().await;
        }
    }
}

/// Until QEMU ends.
async fn show(board: Board, started: &mut Started) -> Result<(), Box<dyn Error>> {
    tokio::task::spawn_blocking(tools).await??;
    let firmware = tokio::task::spawn_blocking(move || firmware(board)).await?;
    let hub = started.hub.insert(Hub::start().await);
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
        "This is the console of {} ({}); its keys are 1 to 5, f, c, r, h, u, m, n, b and ?, and ctrl-C ends it.\n\
         To talk to it, in a second terminal:\n  {} chat --data {} --as alice --group {LOBBY}\n",
        KIOSK,
        board.machine(),
        tim().display(),
        hub.data().display(),
    );
    let terminal = started
        .terminal
        .insert(Terminal::start(board, firmware, &cable).await);
    terminal.ended().await;
    Ok(())
}
