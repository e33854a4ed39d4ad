//! What clients take at run time: a hub's half of a conversation is written down here, and QEMU runs clients against it.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::Command;

use footprint_images::{Board, REPLAYED, polled};
use tim_session::{HubConfig, Instant};
use tim_testkit::{ModelHub, c2c, user};

use crate::Failure;

/// In seconds. It takes one.
const QEMU_TIMEOUT: &str = "60";

/// A board whose line leads to a hub; all that comes from there is written down.
struct Recorder {
    hub: ModelHub,
    from_device: Vec<u8>,
    to_device: VecDeque<u8>,
    sent: u32,
    has_spoken: bool,
    script: Vec<u8>,
    micros: u64,
}

const CONNECTION: u64 = 0;
const NOW: Instant = Instant::ZERO;

impl Recorder {
    fn new() -> Self {
        let mut hub = ModelHub::default();
        hub.behavior.skip_own = true;
        hub.behavior.allow_foreign_cursors = true; // the images resume from a constant
        hub.open(CONNECTION, HubConfig::default(), NOW);
        Self {
            hub,
            from_device: Vec::new(),
            to_device: VecDeque::new(),
            sent: 0,
            has_spoken: false,
            script: Vec::new(),
            micros: 0,
        }
    }

    fn let_hub_speak(&mut self) {
        let len = self.hub.receive(CONNECTION, NOW, &self.from_device);
        self.from_device.drain(..len);
        if !self.has_spoken && !self.hub.texts_sent("kiosk-1", "C2Calice").is_empty() {
            for number in 0..REPLAYED {
                let text = format!("The parcel for room {number:2} has come. [呲牙] It is at the desk.");
                self.hub.say(user("alice"), c2c("kiosk-1"), &text);
            }
            self.has_spoken = true;
        }
        self.hub.settle(CONNECTION, NOW);
        let said = self.hub.outgoing(CONNECTION).to_vec();
        self.hub.transmitted(CONNECTION, said.len());
        if !said.is_empty() {
            self.script.extend(self.sent.to_le_bytes());
            self.script.extend((said.len() as u32).to_le_bytes());
            self.script.extend(&said);
            self.to_device.extend(said);
        }
    }
}

impl Board for Recorder {
    const MESSAGES: u32 = REPLAYED;

    fn read(&mut self) -> Option<u8> {
        if self.to_device.is_empty() {
            self.let_hub_speak();
        }
        self.to_device.pop_front()
    }
    fn write(&mut self, byte: u8) {
        self.from_device.push(byte);
        self.sent += 1;
    }
    fn show(&mut self, _: &[u8]) {}
    fn micros(&mut self) -> u64 {
        self.micros += 10;
        self.micros
    }
}

/// Writes the script down.
pub fn write_script(path: &Path) -> Result<(), Failure> {
    let mut recorder = Recorder::new();
    polled::on_stream(&mut recorder).ok_or("the client that is to be replayed has failed")?;
    fs::write(path, recorder.script)?;
    Ok(())
}

/// Runs the image, and returns what it has measured: names and numbers.
pub fn run(qemu: &str, image: &Path) -> Result<Vec<(String, u64)>, Failure> {
    let output = Command::new("timeout")
        .args([
            QEMU_TIMEOUT,
            qemu,
            "-M",
            "mps2-an386",
            "-display",
            "none",
            "-monitor",
            "none",
        ])
        .args([
            "-serial",
            "none",
            "-semihosting-config",
            "enable=on,target=native",
        ])
        // Each instruction takes 64 ns, so that the clock counts instructions.
        .args(["-icount", "shift=6,sleep=off", "-kernel"])
        .arg(image)
        .output()?;
    // What is called character by character comes on standard error.
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        return Err(format!("{qemu} has ended with {}: {said}", output.status).into());
    }
    let figures = said.lines().filter_map(|line| line.rsplit_once(" = "));
    let figures = figures.map(|(name, figure)| Ok((name.to_owned(), figure.trim().parse()?)));
    figures.collect()
}
